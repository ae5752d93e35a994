package line

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// VerifySignature tells whether header, the value of x-line-signature, is the
// base64 HMAC-SHA256 of body under the channel secret. body must be the raw
// bytes as received: LINE signs bytes, not a parsed and re-encoded document.
// The comparison takes the same time wherever the two differ. An empty secret
// verifies nothing.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#signature-validation
func VerifySignature(secret string, body []byte, header string) bool {
	if secret == "" {
		return false
	}
	got, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

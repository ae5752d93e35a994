package line

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
)

// LINE's own vector, from
// https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
const (
	vectorSecret    = "8c570fa6dd201bb328f1c1eac23a96d8"
	vectorBody      = `{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}`
	vectorSignature = "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="
)

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	require.True(t, VerifySignature(vectorSecret, []byte(vectorBody), vectorSignature))

	for name, tc := range map[string]struct{ secret, body, header string }{
		"another secret":             {"8c570fa6dd201bb328f1c1eac23a96d9", vectorBody, vectorSignature},
		"no secret":                  {"", vectorBody, "uxVfu9wtVoOtBbyW4SBRsqi9Z1pJ3VL0wIcXHDxbE8s="},
		"the body encoded again":     {vectorSecret, `{"destination": "U8e742f61d673b39c7fff3cecb7536ef0", "events": []}`, vectorSignature},
		"no body":                    {vectorSecret, "", vectorSignature},
		"no header":                  {vectorSecret, vectorBody, ""},
		"a header that is no base64": {vectorSecret, vectorBody, "%%%"},
		"a shorter signature":        {vectorSecret, vectorBody, base64.StdEncoding.EncodeToString([]byte("short"))},
		"more than one signature":    {vectorSecret, vectorBody, vectorSignature + vectorSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.False(t, VerifySignature(tc.secret, []byte(tc.body), tc.header))
		})
	}
}

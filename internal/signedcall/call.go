// Package signedcall asks a service that an administrator named: one POST of a
// JSON document, signed by Standard Webhooks 1.0, and one JSON document back.
package signedcall

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"kaiwa/internal/conversation"
)

// MaxAnswer is the longest answer, in bytes.
const MaxAnswer = 1 << 20

const maxURL = 2000 // characters

// Config says where a service is and how it is spoken to.
type Config struct {
	URL        string       // http or https, absolute, at most 2,000 characters
	Secret     string       // "whsec_" and 24 to 64 bytes in base64
	HTTPClient *http.Client // decides which addresses may be reached
}

// Endpoint is a service. It is safe for concurrent use.
type Endpoint struct {
	url    string
	signer *standardwebhooks.Webhook
	client *http.Client
}

// New returns the endpoint config describes. It returns an Error of CodeInvalid
// for a URL or secret that cannot work, without repeating either.
func New(config Config) (*Endpoint, error) {
	u, err := url.Parse(config.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" ||
		utf8.RuneCountInString(config.URL) > maxURL {
		return nil, conversation.Invalid("/url", "This must be an absolute http or https address without user or fragment, of at most 2,000 characters.")
	}
	encoded, prefixed := strings.CutPrefix(config.Secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !prefixed || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, conversation.Invalid("/secret", `This must be "whsec_" followed by 24 to 64 random bytes in base64.`)
	}
	signer, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	if config.HTTPClient == nil {
		return nil, errors.New("signed calls: no HTTP client is given")
	}
	client := *config.HTTPClient
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	return &Endpoint{url: config.URL, signer: signer, client: &client}, nil
}

// Post sends a JSON document under an id, by which the service can tell a call
// it has seen, and returns the answer: nil when the service has nothing to say
// (204). Errors are of type *Error.
func (e *Endpoint) Post(ctx context.Context, id string, document []byte) ([]byte, error) {
	req, err := e.request(ctx, id, document)
	if err != nil {
		return nil, &Error{Failure: FailureRequest, Err: err}
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, Interrupted(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing of it is needed any more
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return nil, nil
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, &Error{Failure: FailureRedirected, Status: resp.StatusCode}
	case resp.StatusCode != http.StatusOK:
		return nil, &Error{Failure: FailureStatus, Status: resp.StatusCode}
	case !isJSON(resp.Header.Get("Content-Type")):
		return nil, &Error{Failure: FailureContentType}
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if len(answer) > MaxAnswer {
		return nil, &Error{Failure: FailureTooLarge}
	}
	if err != nil {
		return nil, Interrupted(ctx, err)
	}
	return answer, nil
}

func (e *Endpoint) request(ctx context.Context, id string, document []byte) (*http.Request, error) {
	now := time.Now()
	signature, err := e.signer.Sign(id, now, document)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Kaiwa")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return req, nil
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

package bot

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
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

// MaxAnswer is the longest answer of a webhook bot, in bytes.
const MaxAnswer = 1 << 20

// MaxAnswerMessages is how many messages a webhook bot may answer a turn with.
const MaxAnswerMessages = 20

// defaultDeadline bounds a turn whose context has no deadline of its own.
const defaultDeadline = 10 * time.Second

// WebhookConfig says where a webhook bot is and how it is spoken to.
type WebhookConfig struct {
	URL        string       // http or https, absolute, at most 2,000 characters
	Secret     string       // "whsec_" and 24 to 64 bytes in base64
	HTTPClient *http.Client // decides which addresses may be reached
}

// Webhook is a bot behind an HTTP endpoint. Each turn is one POST, signed by
// Standard Webhooks 1.0; the turn's id is the webhook-id, so that the bot can
// tell a turn it has seen.
type Webhook struct {
	url    string
	signer *standardwebhooks.Webhook
	client *http.Client
}

// NewWebhook returns the bot config describes. It returns an Error of
// CodeInvalid for a URL or secret that cannot work, without repeating either.
func NewWebhook(config WebhookConfig) (*Webhook, error) {
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
		return nil, fmt.Errorf("webhook bot's signer: %w", err)
	}
	if config.HTTPClient == nil {
		return nil, errors.New("webhook bot: no HTTP client is given")
	}
	client := *config.HTTPClient
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	return &Webhook{url: config.URL, signer: signer, client: &client}, nil
}

// Answer sends t to the bot and reads its reply. Errors are of type *Error,
// with every Failure possible.
func (w *Webhook) Answer(ctx context.Context, t Turn) (Reply, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	req, err := w.request(ctx, t)
	if err != nil {
		return Reply{}, &Error{Failure: FailureRequest, Err: err}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return Reply{}, interrupted(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing of it is needed any more
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return Reply{Action: ActionContinue, Understood: true}, nil
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return Reply{}, &Error{Failure: FailureRedirected, Status: resp.StatusCode}
	case resp.StatusCode != http.StatusOK:
		return Reply{}, &Error{Failure: FailureStatus, Status: resp.StatusCode}
	case !isJSON(resp.Header.Get("Content-Type")):
		return Reply{}, &Error{Failure: FailureContentType}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if len(body) > MaxAnswer {
		return Reply{}, &Error{Failure: FailureTooLarge}
	}
	if err != nil {
		return Reply{}, interrupted(ctx, err)
	}
	return readAnswer(body)
}

func (w *Webhook) request(ctx context.Context, t Turn) (*http.Request, error) {
	if t.Context == nil {
		t.Context = map[string]string{}
	}
	if t.Messages == nil {
		t.Messages = []Message{}
	}
	body, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	signature, err := w.signer.Sign(t.TurnID, now, body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Kaiwa")
	req.Header.Set(standardwebhooks.HeaderWebhookID, t.TurnID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return req, nil
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

package bot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"kaiwa/internal/signedcall"
)

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
type Webhook struct{ endpoint *signedcall.Endpoint }

// NewWebhook returns the bot config describes. It returns an Error of
// CodeInvalid for a URL or secret that cannot work, without repeating either.
func NewWebhook(config WebhookConfig) (*Webhook, error) {
	endpoint, err := signedcall.New(signedcall.Config(config))
	if err != nil {
		return nil, err
	}
	return &Webhook{endpoint}, nil
}

// Answer sends t to the bot and reads its reply. Errors are of type *Error,
// with every Failure possible.
func (w *Webhook) Answer(ctx context.Context, t Turn) (Reply, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	if t.Context == nil {
		t.Context = map[string]string{}
	}
	if t.Messages == nil {
		t.Messages = []Message{}
	}
	turn, err := json.Marshal(t)
	if err != nil {
		return Reply{}, &Error{Failure: FailureRequest, Err: err}
	}
	answer, err := w.endpoint.Post(ctx, t.TurnID, turn)
	var failed *signedcall.Error
	switch {
	case errors.As(err, &failed):
		return Reply{}, callFailed(failed)
	case err != nil:
		return Reply{}, &Error{Failure: FailureRequest, Err: err}
	case answer == nil:
		return Reply{Action: ActionContinue, Understood: true}, nil
	}
	return readAnswer(answer)
}

package classifier

import (
	"context"
	"encoding/json"
	"errors"

	"kaiwa/internal/routing"
	"kaiwa/internal/signedcall"
)

// service is a classifier behind an HTTP endpoint: one signed POST a question,
// whose id is the webhook-id.
type service struct{ endpoint *signedcall.Endpoint }

func (s service) Classify(ctx context.Context, q Question) (routing.Answer, error) {
	document, err := json.Marshal(q)
	if err != nil {
		return routing.Answer{}, &Error{Failure: routing.ServiceUnusable, Err: err}
	}
	body, err := s.endpoint.Post(ctx, q.ID, document)
	var failed *signedcall.Error
	switch {
	case errors.As(err, &failed):
		return routing.Answer{}, callFailed(failed)
	case err != nil:
		return routing.Answer{}, &Error{Failure: routing.ServiceUnusable, Err: err}
	case body == nil:
		return routing.Answer{}, nil // it has nothing to say
	}
	return readAnswer(body)
}

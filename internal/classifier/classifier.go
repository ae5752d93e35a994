// Package classifier asks services what a conversation is about. A Classifier is
// given what the customer wrote last and what there is to choose from, and says
// what it takes that for and how sure it is. It stores nothing and decides
// nothing: what of its answer counts, routing says.
package classifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"kaiwa/internal/routing"
	"kaiwa/internal/signedcall"
)

// Classifier says what a conversation is about. Classify returns within the
// deadline of ctx; its errors are all of type *Error. It is safe for concurrent
// use.
type Classifier interface {
	Classify(ctx context.Context, q Question) (routing.Answer, error)
}

// Question is what a classifier is asked. Its JSON is the request that a service
// of kind http receives.
type Question struct {
	ID         string               `json:"classification_id"` // the same for the same question
	Locale     string               `json:"locale"`            // of the channel
	Texts      []string             `json:"texts"`             // of the customer, oldest first
	Intents    []Choice             `json:"intents"`           // to choose from
	Sentiments []routing.Sentiment  `json:"sentiments"`
	Skills     []routing.KnownSkill `json:"skills"`
}

// Choice is an intent that a classifier may choose.
type Choice struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// New returns the classifier that a service describes. secret signs the requests
// of kind http, and is the API key of kind openai. client decides which addresses
// may be reached.
func New(s routing.Service, secret string, client *http.Client) (Classifier, error) {
	if client == nil {
		return nil, errors.New("classifier: no HTTP client is given")
	}
	switch s.Kind {
	case routing.ServiceHTTP:
		endpoint, err := signedcall.New(signedcall.Config{URL: s.URL, Secret: secret, HTTPClient: client})
		if err != nil {
			return nil, err
		}
		return service{endpoint}, nil
	case routing.ServiceOpenAI:
		return newModel(s, secret, client), nil
	}
	return nil, fmt.Errorf("classifier: the kind %q is unknown", s.Kind)
}

// Error is why a classifier gave no usable answer. The cause, for the log, is
// behind Unwrap.
type Error struct {
	Failure routing.ServiceFailure
	Status  int // of routing.ServiceStatus
	Err     error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("classifier: %s %d", e.Failure, e.Status)
	}
	return fmt.Sprintf("classifier: %s", e.Failure)
}

// Unwrap returns the cause, which may name hosts and addresses.
func (e *Error) Unwrap() error { return e.Err }

// callFailed is the failure of a signed call in routing's words.
func callFailed(e *signedcall.Error) *Error {
	failure := routing.ServiceUnusable
	switch e.Failure {
	case signedcall.FailureTimeout, signedcall.FailureCancelled:
		failure = routing.ServiceTimeout
	case signedcall.FailureAddress:
		failure = routing.ServiceAddress
	case signedcall.FailureUnreachable:
		failure = routing.ServiceUnreachable
	case signedcall.FailureRedirected, signedcall.FailureStatus:
		failure = routing.ServiceStatus
	case signedcall.FailureTooLarge:
		failure = routing.ServiceTooLarge
	case signedcall.FailureContentType:
		failure = routing.ServiceBadAnswer
	case signedcall.FailureRequest:
	}
	return &Error{Failure: failure, Status: e.Status, Err: e.Err}
}

package signedcall

import (
	"context"
	"errors"
	"fmt"
	"net"

	"kaiwa/internal/netguard"
)

// Failure says in one word why a call brought no answer. It is stored and shown
// to operators, so it is never renamed.
type Failure string

// The failures.
const (
	FailureTimeout     Failure = "timeout"        // no complete answer before the deadline
	FailureCancelled   Failure = "cancelled"      // the caller gave up waiting
	FailureAddress     Failure = "address"        // the address is one Kaiwa may not reach
	FailureUnreachable Failure = "unreachable"    // no connection, or it broke off
	FailureRedirected  Failure = "redirected"     // the answer is a redirect, which is not followed
	FailureStatus      Failure = "refused_status" // the answer has another status than 200 or 204
	FailureTooLarge    Failure = "too_large"      // the answer is over MaxAnswer bytes
	FailureContentType Failure = "content_type"   // the answer is not declared as JSON
	FailureRequest     Failure = "request"        // the call could not be made
)

// Error is why a call brought no answer. Its text holds nothing internal; the
// cause, for the log, is behind Unwrap.
type Error struct {
	Failure Failure
	Status  int // the HTTP status, of FailureStatus and FailureRedirected
	Err     error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("signed call: %s %d", e.Failure, e.Status)
	}
	return fmt.Sprintf("signed call: %s", e.Failure)
}

// Unwrap returns the cause, which may name hosts and addresses.
func (e *Error) Unwrap() error { return e.Err }

// Interrupted says which failure it is that a call by a client of netguard ended
// with err.
func Interrupted(ctx context.Context, err error) *Error {
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Failure: FailureCancelled, Err: err}
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Failure: FailureTimeout, Err: err}
	case errors.Is(err, netguard.ErrTooLarge):
		return &Error{Failure: FailureTooLarge, Err: err}
	case errors.Is(err, netguard.ErrRefused):
		return &Error{Failure: FailureAddress, Err: err}
	}
	return &Error{Failure: FailureUnreachable, Err: err}
}

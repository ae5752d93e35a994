package bot

import (
	"context"
	"errors"
	"strconv"

	"kaiwa/internal/signedcall"
)

// Failure says why a bot gave no usable answer. It is stored with the turn and
// shown to operators, so it is never renamed.
type Failure string

// The failures.
const (
	FailureTimeout               = Failure(signedcall.FailureTimeout)     // no complete answer before the deadline
	FailureCancelled             = Failure(signedcall.FailureCancelled)   // the caller gave up waiting
	FailureAddress               = Failure(signedcall.FailureAddress)     // the bot's address is one Kaiwa may not reach
	FailureUnreachable           = Failure(signedcall.FailureUnreachable) // no connection, or it broke off
	FailureRedirected            = Failure(signedcall.FailureRedirected)  // the bot answered with a redirect, which is not followed
	FailureStatus                = Failure(signedcall.FailureStatus)      // the bot answered with another status than 200 or 204
	FailureTooLarge              = Failure(signedcall.FailureTooLarge)    // the answer is over signedcall.MaxAnswer bytes
	FailureContentType           = Failure(signedcall.FailureContentType) // the answer is not declared as JSON
	FailureMalformed     Failure = "malformed"                            // the answer is not one JSON document in UTF-8
	FailureInvalidAnswer Failure = "invalid_answer"                       // JSON, but not an answer as the contract has it
	FailureRequest               = Failure(signedcall.FailureRequest)     // the turn could not be put into a request
)

// Error is why a bot gave no usable answer. Its text is for people and holds
// nothing internal; the cause, for the log, is behind Unwrap.
type Error struct {
	Failure Failure
	Status  int    // the HTTP status, of FailureStatus and FailureRedirected
	Pointer string // the JSON pointer into the answer, of FailureInvalidAnswer
	Detail  string // what is wrong there, of FailureInvalidAnswer and FailureMalformed
	Err     error
}

func (e *Error) Error() string {
	s := "bot: " + e.Failure.sentence()
	if e.Status != 0 {
		s += " " + strconv.Itoa(e.Status)
	}
	if e.Pointer != "" {
		s += " at " + e.Pointer
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the cause, which may name hosts and addresses.
func (e *Error) Unwrap() error { return e.Err }

func (f Failure) sentence() string {
	switch f {
	case FailureTimeout:
		return "no answer in time"
	case FailureCancelled:
		return "nobody waits for the answer any more"
	case FailureAddress:
		return "the address is not one that may be reached"
	case FailureUnreachable:
		return "not reachable"
	case FailureRedirected:
		return "answered with a redirect"
	case FailureStatus:
		return "answered with status"
	case FailureTooLarge:
		return "the answer is too large"
	case FailureContentType:
		return "the answer is not declared as JSON"
	case FailureMalformed:
		return "the answer is not JSON"
	case FailureInvalidAnswer:
		return "the answer is not valid"
	case FailureRequest:
		return "the turn could not be sent"
	}
	return string(f)
}

// FailureOf returns the failure err carries, or "" when it carries none.
func FailureOf(err error) Failure {
	var e *Error
	if errors.As(err, &e) {
		return e.Failure
	}
	return ""
}

// interrupted says which failure it is that a call ended with err.
func interrupted(ctx context.Context, err error) *Error {
	return callFailed(signedcall.Interrupted(ctx, err))
}

// callFailed is the failure of a signed call, in the same words.
func callFailed(e *signedcall.Error) *Error {
	return &Error{Failure: Failure(e.Failure), Status: e.Status, Err: e.Err}
}

package conversation

import (
	"errors"
	"fmt"
	"strings"
)

// Code classifies an Error for programs. Codes are part of the API's contract:
// a problem+json body carries them, so they are never renamed.
type Code string

// The codes an Error may carry. An error without a code is internal: it is
// logged and shown to nobody.
const (
	CodeInvalid             Code = "invalid"              // the request itself is wrong; Fields says where
	CodeUnauthenticated     Code = "unauthenticated"      // no token, or one that is not accepted
	CodeForbidden           Code = "forbidden"            // the caller's role does not allow it
	CodeNotFound            Code = "not_found"            // no such thing, or none the caller may see
	CodeConflict            Code = "conflict"             // the thing's state does not allow it
	CodeInUse               Code = "in_use"               // something else still needs the thing
	CodeVersionRequired     Code = "version_required"     // a change needs If-Match
	CodeVersionStale        Code = "version_stale"        // somebody else changed it meanwhile
	CodeIdempotencyMismatch Code = "idempotency_mismatch" // same key, other request
	CodeInFlight            Code = "request_in_flight"    // the first request of this key is not done
	CodeUnavailable         Code = "unavailable"          // a part Kaiwa needs is away; try again
	CodeBehind              Code = "behind"               // the caller has not seen all that happened
	CodeLate                Code = "late_attempt"         // an attempt outlived its deadline and changed nothing
	CodeConversationClosed  Code = "conversation_closed"  // closed is final
	CodeOtherConversation   Code = "other_conversation"   // the action was meant for an earlier conversation
	CodeNotAssignedToYou    Code = "not_assigned_to_you"  // only the agent who holds it may do this
	CodeNotAllowedNow       Code = "not_allowed_now"      // the life table has no such step from here
	CodeOfferExpired        Code = "offer_expired"        // the agent did not answer in time
	CodeOfferDeclined       Code = "offer_declined"       // the agent declined it before
	CodeOfferRescinded      Code = "offer_rescinded"      // somebody else took the conversation, or it ended
	CodeOfferAccepted       Code = "offer_accepted"       // the agent accepted it before
	CodeConsentPending      Code = "consent_pending"      // the customer has not agreed to the privacy notice
	CodeLiveConversations   Code = "live_conversations"   // refused while conversations are open
	CodeLINERefused         Code = "line_refused"         // LINE answered no; the detail has its words
	CodeLINEUnreachable     Code = "line_unreachable"     // LINE did not answer
)

// Error is an error people and programs can act on: a code that is stable, a
// sentence that says what is wrong and what to do, and the fields concerned.
// Anything that is not an Error is internal and never reaches a client.
type Error struct {
	Code   Code
	Detail string
	Fields []FieldError
	Err    error // the cause, for the log only
}

// FieldError names one wrong field of a request by its JSON pointer (RFC 6901).
type FieldError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Pointer is a name as one step of a JSON pointer (RFC 6901).
func Pointer(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Detail
	for _, f := range e.Fields {
		s += fmt.Sprintf(" (%s: %s)", f.Pointer, f.Detail)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose detail is a sentence for people.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Invalid makes an error of CodeInvalid that names one field.
func Invalid(pointer, format string, args ...any) *Error {
	d := fmt.Sprintf(format, args...)
	return &Error{Code: CodeInvalid, Detail: "The request is not valid.", Fields: []FieldError{{Pointer: pointer, Detail: d}}}
}

// CodeOf returns the code of err, or "" when it is internal or nil.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

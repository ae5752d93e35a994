package line

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Class says what a failed call means for what to do next.
type Class string

// The classes of failure.
const (
	ClassInvalidReplyToken Class = "invalid_reply_token" // 400: used or expired; LINE does not say which
	ClassUnauthorized      Class = "unauthorized"        // 401, 403: the channel's token or plan does not allow it
	ClassRateLimited       Class = "rate_limited"        // 429: too many calls, or a cause LINE did not name
	ClassQuota             Class = "quota"               // 429: the month's paid messages are used up
	ClassTooManyToUser     Class = "too_many_to_user"    // 429: too many messages to one user
	ClassRefused           Class = "refused"             // any other 4xx, and what is refused before it is sent: final
	ClassNotFound          Class = "not_found"           // 404: no such thing, or the customer blocks the account
	ClassNotReady          Class = "not_ready"           // 202: LINE still prepares the content
	ClassGone              Class = "gone"                // 410: the message was unsent
	ClassServer            Class = "server"              // 5xx, or an answer that cannot be read
	ClassNoAnswer          Class = "no_answer"           // timeout, connection refused or reset
)

// What errors.Is may ask for, beside the class.
var (
	ErrNotReady = errors.New("LINE still prepares the content") // ClassNotReady
	ErrGone     = errors.New("the content is gone")             // ClassGone
)

// Error is a call that LINE did not accept. Of LINE's answer it holds the
// message and details only, never the rest of the body; it never holds a token.
type Error struct {
	Class     Class
	Status    int      // HTTP status; 0 when there was no answer
	Message   string   // LINE's words, at most 500 bytes; "" when it said none
	Details   []Detail // at most 10
	RequestID string   // LINE's x-line-request-id
	Err       error    // the cause when there was no answer
	// RetryAfter is for how long whoever answered wants to be left alone. LINE says
	// no such thing; what stands before it may.
	RetryAfter time.Duration

	unsent bool // LINE cannot have taken it: no connection came about, or it was refused
}

// Detail is LINE's complaint about one property of a request.
type Detail struct {
	Message  string `json:"message"`
	Property string `json:"property"` // such as messages[0].text
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code())
	if e.Status != 0 {
		fmt.Fprintf(&b, " (%d)", e.Status)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	for _, d := range e.Details {
		fmt.Fprintf(&b, " [%s: %s]", d.Property, d.Message)
	}
	if e.RequestID != "" {
		b.WriteString(" request " + e.RequestID)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrNotReady) and errors.Is(err, ErrGone) work.
func (e *Error) Is(target error) bool {
	return target == ErrNotReady && e.Class == ClassNotReady || target == ErrGone && e.Class == ClassGone
}

// Code is the class as stored and shown: "line_" and the class.
func (e *Error) Code() string { return "line_" + string(e.Class) }

// Retryable tells whether the same call may succeed later.
func (e *Error) Retryable() bool {
	switch e.Class {
	case ClassRateLimited, ClassTooManyToUser, ClassServer, ClassNoAnswer, ClassNotReady:
		return true
	}
	return false
}

// Ambiguous tells whether LINE may have taken the request nevertheless: it did
// not answer, or answered 5xx. It is false when no connection came about.
func (e *Error) Ambiguous() bool {
	return !e.unsent && (e.Class == ClassNoAnswer || e.Class == ClassServer)
}

// ClassOf returns the class of err, or "" when it is not an Error.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// NotSent is err, the failure of a call that had to come first, as the failure of
// one that was not made because of it: LINE cannot have taken that. A refusal
// becomes ClassUnauthorized, since nobody can speak for the channel.
func NotSent(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Class: ClassNoAnswer, Err: err, unsent: true}
	}
	out := *e
	if out.unsent = true; !out.Retryable() {
		out.Class = ClassUnauthorized
	}
	return &out
}

// RefusesToken tells whether LINE does not take the access token, or there is
// none: every call of the channel is refused alike until it has another. A 403
// is about what the channel's plan allows, and no such refusal.
func (e *Error) RefusesToken() bool { return e.Class == ClassUnauthorized && e.Status != 403 }

// AsTrouble is a refusal that does not mean what it says, as trouble of LINE's
// own: LINE has not taken the call, and the same one may succeed later.
func (e *Error) AsTrouble() *Error {
	out := *e
	out.Class, out.unsent = ClassServer, true
	return &out
}

// refused is a request that is wrong whatever LINE would say, so it is not sent.
func refused(format string, args ...any) *Error {
	return &Error{Class: ClassRefused, Message: fmt.Sprintf(format, args...), unsent: true}
}

const (
	maxMessageBytes = 500
	maxDetails      = 10
)

// errorOf classifies an answer that is not a success.
func errorOf(a *answer) *Error {
	e := &Error{Status: a.status, RequestID: a.requestID()}
	if seconds, err := strconv.ParseUint(a.header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	var said struct {
		Message     string   `json:"message"`
		Details     []Detail `json:"details"`
		Description string   `json:"error_description"` // the token endpoints' form of it
		Code        string   `json:"error"`
	}
	// A body in another form (a proxy's page) says nothing about the request;
	// the status alone decides then.
	if json.Unmarshal(a.body, &said) == nil {
		for _, s := range []string{said.Message, said.Description, said.Code} {
			if e.Message = shorten(s); e.Message != "" {
				break
			}
		}
		for _, d := range said.Details[:min(len(said.Details), maxDetails)] {
			e.Details = append(e.Details, Detail{Message: shorten(d.Message), Property: shorten(d.Property)})
		}
	}
	e.Class = classify(a.status, e.Message)
	return e
}

func classify(status int, message string) Class {
	message = strings.ToLower(message)
	switch {
	case status == 202:
		return ClassNotReady
	case status == 400 && strings.Contains(message, "invalid reply token"):
		return ClassInvalidReplyToken
	case status == 401 || status == 403:
		return ClassUnauthorized
	case status == 404:
		return ClassNotFound
	case status == 410:
		return ClassGone
	case status == 429 && strings.Contains(message, "monthly limit"):
		return ClassQuota // a hint only: Client.Classify429 knows
	case status == 429 && strings.Contains(message, "same user"):
		return ClassTooManyToUser
	case status == 429:
		return ClassRateLimited
	case status >= 500:
		return ClassServer
	}
	return ClassRefused
}

// shorten makes LINE's words fit to be stored and shown.
func shorten(s string) string {
	s = strings.ToValidUTF8(clean(s), "\uFFFD")
	if len(s) <= maxMessageBytes {
		return s
	}
	end := maxMessageBytes
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

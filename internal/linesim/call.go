package linesim

import (
	"encoding/json"
	"net/http"
	"time"
)

// Call is one call of LINE's API, answered or not.
type Call struct {
	RequestID string    `json:"request_id"`
	At        time.Time `json:"at"`
	// Endpoint is a name from Endpoints().
	Endpoint  string `json:"endpoint"`
	ChannelID string `json:"channel_id,omitempty"`
	Method    string `json:"method"`
	Path      string `json:"path"`
	// Header has the request's headers, without the access token.
	Header   http.Header     `json:"header"`
	RetryKey string          `json:"retry_key,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`
	// Status and Response are LINE's answer, also when a fault kept it from
	// the client. Binary content is not in Response.
	Status   int             `json:"status"`
	Response json.RawMessage `json:"response,omitempty"`
	// Accepted: messages were accepted by this very call.
	Accepted bool `json:"accepted"`
	// AcceptedRequestID is the earlier call with the same retry key (409).
	AcceptedRequestID string `json:"accepted_request_id,omitempty"`
	// OtherBody: the retry key was used before with another body, so the
	// client took a message for sent that never was.
	OtherBody bool `json:"other_body,omitempty"`
	// To is whom a reply or push went to.
	To string `json:"to,omitempty"`
	// Fault is the kind that struck, if one did; Unanswered if the client got nothing.
	Fault      FaultKind `json:"fault,omitempty"`
	Unanswered bool      `json:"unanswered,omitempty"`
	DurationMS int64     `json:"duration_ms"`
}

// CallFilter selects calls; zero fields match all.
type CallFilter struct {
	Endpoint  string
	ChannelID string
	Status    int
	RequestID string
	// Limit keeps the newest n.
	Limit int
}

// Calls lists the calls LINE received since the start, oldest first.
func (s *Simulator) Calls(f CallFilter) []Call {
	return s.calls.last(f.Limit, func(c Call) bool {
		return (f.Endpoint == "" || f.Endpoint == c.Endpoint) && (f.ChannelID == "" || f.ChannelID == c.ChannelID) &&
			(f.Status == 0 || f.Status == c.Status) && (f.RequestID == "" || f.RequestID == c.RequestID)
	})
}

// ForgetCalls and ForgetDeliveries empty the records; nothing else changes.
func (s *Simulator) ForgetCalls()      { s.calls.clear() }
func (s *Simulator) ForgetDeliveries() { s.posts.clear() }

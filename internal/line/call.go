package line

import (
	"net/http"
	"strings"
	"time"
)

// Call is one call to LINE, for metrics. It names no ids.
type Call struct {
	Endpoint string // reply, push, profile, content, …; other for what is rare
	Outcome  string // ok, duplicate (a retry key LINE knew), or the Class of the failure
	Took     time.Duration
}

// The outcomes of calls that are no failure.
const (
	callOK        = "ok"
	callDuplicate = "duplicate"
)

// endpoints name LINE's paths.
var endpoints = []struct{ part, name string }{
	{"/message/validate/", "validate"},
	{"/message/reply", "reply"},
	{"/message/push", "push"},
	{"/message/quota", "quota"},
	{"/richmenu", "rich_menu"},
	{"/content", "content"},
	{"/profile/", "profile"},
	{"/chat/loading/", "loading"},
	{"/chat/markAsRead", "mark_as_read"},
	{"/channel/webhook/", "webhook"},
	{"/bot/info", "info"},
	{"/oauth", "token"},
}

// Endpoint names what a path of LINE's is for.
func Endpoint(path string) string {
	for _, e := range endpoints {
		if strings.Contains(path, e.part) {
			return e.name
		}
	}
	return "other"
}

// note tells whoever wants to know of a call. a is nil when there was no answer.
func (a *API) note(req *http.Request, begun time.Time, got *answer) {
	if a.observe == nil {
		return
	}
	call := Call{Endpoint: Endpoint(req.URL.Path), Outcome: string(ClassNoAnswer), Took: time.Since(begun)}
	switch {
	case got == nil:
	case got.status/100 == 2 && got.status != http.StatusAccepted:
		call.Outcome = callOK
	case got.status == http.StatusConflict && req.Header.Get("X-Line-Retry-Key") != "":
		call.Outcome = callDuplicate
	default:
		call.Outcome = string(errorOf(got).Class)
	}
	a.observe(call)
}

package linesim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// endpoint is one line of LINE's API. limit is LINE's rate limit, calls of one
// channel per window. Source:
// https://developers.line.biz/en/reference/messaging-api/#rate-limits
type endpoint struct {
	name    string
	pattern string
	limit   int
	window  time.Duration
	open    bool // needs no access token
	retry   bool // takes X-Line-Retry-Key
	handle  func(*Simulator, *apiCall) answer
}

var endpoints = []endpoint{
	{name: "bot_info", pattern: "GET /v2/bot/info", limit: 2000, window: time.Second, handle: (*Simulator).botInfo},
	{name: "get_webhook_endpoint", pattern: "GET /v2/bot/channel/webhook/endpoint", limit: 1000, window: time.Minute, handle: (*Simulator).getWebhook},
	{name: "set_webhook_endpoint", pattern: "PUT /v2/bot/channel/webhook/endpoint", limit: 1000, window: time.Minute, handle: (*Simulator).setWebhook},
	{name: "test_webhook_endpoint", pattern: "POST /v2/bot/channel/webhook/test", limit: 60, window: time.Hour, handle: (*Simulator).testWebhook},
	{name: "profile", pattern: "GET /v2/bot/profile/{userId}", limit: 2000, window: time.Second, handle: (*Simulator).profile},
	{name: "group_member", pattern: "GET /v2/bot/group/{groupId}/member/{userId}", limit: 2000, window: time.Second, handle: (*Simulator).memberProfile},
	{name: "room_member", pattern: "GET /v2/bot/room/{groupId}/member/{userId}", limit: 2000, window: time.Second, handle: (*Simulator).memberProfile},
	{name: "group_summary", pattern: "GET /v2/bot/group/{groupId}/summary", limit: 2000, window: time.Second, handle: (*Simulator).groupSummary},
	{name: "group_count", pattern: "GET /v2/bot/group/{groupId}/members/count", limit: 2000, window: time.Second, handle: (*Simulator).memberCount},
	{name: "room_count", pattern: "GET /v2/bot/room/{groupId}/members/count", limit: 2000, window: time.Second, handle: (*Simulator).memberCount},
	{name: "leave_group", pattern: "POST /v2/bot/group/{groupId}/leave", limit: 2000, window: time.Second, handle: (*Simulator).leave},
	{name: "leave_room", pattern: "POST /v2/bot/room/{groupId}/leave", limit: 2000, window: time.Second, handle: (*Simulator).leave},
	{name: "reply", pattern: "POST /v2/bot/message/reply", limit: 2000, window: time.Second, handle: (*Simulator).reply},
	{name: "push", pattern: "POST /v2/bot/message/push", limit: 2000, window: time.Second, retry: true, handle: (*Simulator).push},
	{name: "multicast", pattern: "POST /v2/bot/message/multicast", limit: 200, window: time.Second, retry: true, handle: (*Simulator).multicast},
	{name: "validate_reply", pattern: "POST /v2/bot/message/validate/reply", limit: 2000, window: time.Second, handle: (*Simulator).validateOnly},
	{name: "validate_push", pattern: "POST /v2/bot/message/validate/push", limit: 2000, window: time.Second, handle: (*Simulator).validateOnly},
	{name: "content", pattern: "GET /v2/bot/message/{messageId}/content", limit: 2000, window: time.Second, handle: (*Simulator).content},
	{name: "transcoding", pattern: "GET /v2/bot/message/{messageId}/content/transcoding", limit: 2000, window: time.Second, handle: (*Simulator).transcoding},
	{name: "preview", pattern: "GET /v2/bot/message/{messageId}/content/preview", limit: 2000, window: time.Second, handle: (*Simulator).preview},
	{name: "loading", pattern: "POST /v2/bot/chat/loading/start", limit: 100, window: time.Second, handle: (*Simulator).loading},
	{name: "mark_as_read", pattern: "POST /v2/bot/chat/markAsRead", limit: 2000, window: time.Second, handle: (*Simulator).markAsRead},
	{name: "quota", pattern: "GET /v2/bot/message/quota", limit: 2000, window: time.Second, handle: (*Simulator).quota},
	{name: "consumption", pattern: "GET /v2/bot/message/quota/consumption", limit: 2000, window: time.Second, handle: (*Simulator).consumption},
	{name: "link_token", pattern: "POST /v2/bot/user/{userId}/linkToken", limit: 2000, window: time.Second, handle: (*Simulator).linkToken},
	{name: "create_rich_menu", pattern: "POST /v2/bot/richmenu", limit: 100, window: time.Hour, handle: (*Simulator).createRichMenu},
	{name: "validate_rich_menu", pattern: "POST /v2/bot/richmenu/validate", limit: 2000, window: time.Second, handle: (*Simulator).validateRichMenu},
	{name: "list_rich_menus", pattern: "GET /v2/bot/richmenu/list", limit: 2000, window: time.Second, handle: (*Simulator).listRichMenus},
	{name: "get_rich_menu", pattern: "GET /v2/bot/richmenu/{richMenuId}", limit: 2000, window: time.Second, handle: (*Simulator).getRichMenu},
	{name: "delete_rich_menu", pattern: "DELETE /v2/bot/richmenu/{richMenuId}", limit: 100, window: time.Hour, handle: (*Simulator).deleteRichMenu},
	{name: "upload_rich_menu_image", pattern: "POST /v2/bot/richmenu/{richMenuId}/content", limit: 2000, window: time.Second, handle: (*Simulator).uploadRichMenuImage},
	{name: "rich_menu_image", pattern: "GET /v2/bot/richmenu/{richMenuId}/content", limit: 2000, window: time.Second, handle: (*Simulator).richMenuImage},
	{name: "create_rich_menu_alias", pattern: "POST /v2/bot/richmenu/alias", limit: 2000, window: time.Second, handle: (*Simulator).createRichMenuAlias},
	{name: "delete_rich_menu_alias", pattern: "DELETE /v2/bot/richmenu/alias/{richMenuAliasId}", limit: 2000, window: time.Second, handle: (*Simulator).deleteRichMenuAlias},
	{name: "set_default_rich_menu", pattern: "POST /v2/bot/user/all/richmenu/{richMenuId}", limit: 2000, window: time.Second, handle: (*Simulator).setDefaultRichMenu},
	{name: "default_rich_menu", pattern: "GET /v2/bot/user/all/richmenu", limit: 2000, window: time.Second, handle: (*Simulator).defaultRichMenu},
	{name: "clear_default_rich_menu", pattern: "DELETE /v2/bot/user/all/richmenu", limit: 2000, window: time.Second, handle: (*Simulator).clearDefaultRichMenu},
	{name: "link_rich_menu", pattern: "POST /v2/bot/user/{userId}/richmenu/{richMenuId}", limit: 2000, window: time.Second, handle: (*Simulator).linkRichMenu},
	{name: "rich_menu_of_user", pattern: "GET /v2/bot/user/{userId}/richmenu", limit: 2000, window: time.Second, handle: (*Simulator).richMenuOfUser},
	{name: "unlink_rich_menu", pattern: "DELETE /v2/bot/user/{userId}/richmenu", limit: 2000, window: time.Second, handle: (*Simulator).unlinkRichMenu},
	{name: "token", pattern: "POST /oauth2/v3/token", open: true, handle: (*Simulator).statelessToken},
	{name: "token_v2_1", pattern: "POST /oauth2/v2.1/token", open: true, handle: (*Simulator).assertedToken},
	{name: "revoke_v2_1", pattern: "POST /oauth2/v2.1/revoke", open: true, handle: (*Simulator).revokeToken},
	{name: "verify_v2_1", pattern: "GET /oauth2/v2.1/verify", open: true, handle: (*Simulator).verifyIssuedToken},
	{name: "verify", pattern: "POST /v2/oauth/verify", open: true, handle: (*Simulator).verifyLongLivedToken},
	{name: "unknown", pattern: "/v2/", limit: 2000, window: time.Second, handle: (*Simulator).notSimulated},
}

// Endpoints lists the names that Call.Endpoint and Fault.Endpoint use;
// "unknown" are calls of endpoints that are not simulated.
func Endpoints() []string {
	return []string{
		"bot_info", "get_webhook_endpoint", "set_webhook_endpoint", "test_webhook_endpoint", "profile", "group_member", "room_member", "group_summary", "group_count", "room_count", "leave_group", "leave_room",
		"reply", "push", "multicast", "validate_reply", "validate_push", "content", "transcoding", "preview", "loading", "mark_as_read",
		"quota", "consumption", "link_token",
		"create_rich_menu", "validate_rich_menu", "list_rich_menus", "get_rich_menu", "delete_rich_menu", "upload_rich_menu_image", "rich_menu_image",
		"create_rich_menu_alias", "delete_rich_menu_alias", "set_default_rich_menu", "default_rich_menu", "clear_default_rich_menu",
		"link_rich_menu", "rich_menu_of_user", "unlink_rich_menu", "token", "token_v2_1", "revoke_v2_1", "verify_v2_1", "verify", "unknown",
	}
}

// apiCall is one request on its way through an endpoint.
type apiCall struct {
	*http.Request
	endpoint endpoint
	channel  Channel
	body     []byte
	record   Call
}

// answer is what LINE says; it is built before anything is sent, so that
// faults can come between.
type answer struct {
	status int
	header map[string]string
	json   any
	raw    []byte // instead of json
	kind   string // content type of raw
}

// apiError is LINE's error body. Source:
// https://developers.line.biz/en/reference/messaging-api/#error-responses
type apiError struct {
	Message      string        `json:"message"`
	Details      []errorDetail `json:"details,omitempty"`
	SentMessages []sentMessage `json:"sentMessages,omitempty"`
}

type errorDetail struct {
	Message  string `json:"message"`
	Property string `json:"property"`
}

func refuse(status int, message string, details ...errorDetail) answer {
	return answer{status: status, json: apiError{Message: message, Details: details}}
}

func ok(v any) answer { return answer{status: http.StatusOK, json: v} }

// broken is for faults of the simulator itself.
func (s *Simulator) broken(c *apiCall, err error) answer {
	s.log.Error("simulator failed", "endpoint", c.endpoint.name, "request_id", c.record.RequestID, "error", err)
	return refuse(http.StatusInternalServerError, "Internal server error")
}

// notSimulated answers as LINE does on a path it does not have.
func (s *Simulator) notSimulated(c *apiCall) answer {
	s.log.Warn("this endpoint is not simulated", "method", c.Method, "path", c.URL.Path)
	return refuse(http.StatusNotFound, "Not found")
}

// maxBody is LINE's limit of a request. Source:
// https://developers.line.biz/en/reference/messaging-api/#status-codes (413)
const maxBody = 2 << 20

const (
	messageRateLimit = "The API rate limit has been exceeded. Try again later."
	messageQuota     = "You have reached your monthly limit."
)

func (s *Simulator) serve(ep endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &apiCall{Request: r, endpoint: ep, record: Call{
			RequestID: uuid.NewString(), At: s.now().UTC(), Endpoint: ep.name, Method: r.Method, Path: r.URL.Path, RetryKey: r.Header.Get("X-Line-Retry-Key"),
		}}
		c.record.Header = r.Header.Clone()
		c.record.Header.Del("Authorization")
		a, cut := s.process(c)
		c.record.Status, c.record.Unanswered = a.status, cut
		payload, kind := a.raw, a.kind
		if a.raw == nil {
			var err error
			if payload, err = json.Marshal(a.json); err != nil {
				s.log.Error("answer is not JSON", "endpoint", ep.name, "error", err)
			}
			kind = "application/json"
			c.record.Response = payload
		}
		c.record.DurationMS = time.Since(start).Milliseconds()
		s.calls.add(c.record)
		s.hub.publish("call", c.record)
		if observe := s.observe.Load(); observe != nil {
			(*observe)(c.record)
		}
		if cut {
			s.cut(w)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Length", strconv.Itoa(len(payload)))
		h.Set("X-Line-Request-Id", c.record.RequestID)
		for k, v := range a.header {
			h.Set(k, v)
		}
		w.WriteHeader(a.status)
		if _, err := w.Write(payload); err != nil {
			s.log.Info("client left before the answer", "request_id", c.record.RequestID, "error", err)
		}
	}
}

// cut ends the connection without an answer.
func (s *Simulator) cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		err = conn.Close()
	}
	if err != nil {
		s.log.Error("could not cut the connection", "error", err)
	}
}

// process gives LINE's answer, and whether the client is not to get it.
func (s *Simulator) process(c *apiCall) (a answer, unanswered bool) {
	body, err := io.ReadAll(io.LimitReader(c.Body, maxBody+1))
	if err != nil {
		return refuse(http.StatusBadRequest, "The request body could not be read"), false
	}
	if len(body) > maxBody {
		return refuse(http.StatusRequestEntityTooLarge, "Request entity too large. The size limit is 2 MB"), false
	}
	c.body = body
	if json.Valid(body) {
		c.record.Body = json.RawMessage(body)
	}
	if !c.endpoint.open {
		if refusal, ok := s.authenticate(c); !ok {
			return refusal, false
		}
	}
	return s.withFaults(c)
}

func (s *Simulator) authenticate(c *apiCall) (answer, bool) {
	scheme, token, found := strings.Cut(c.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return refuse(http.StatusUnauthorized, "Authorization header required. Must follow the scheme, 'Authorization: Bearer <ACCESS TOKEN>'"), false
	}
	channel, known := s.accounts.authenticate(token, s.now())
	if !known {
		return refuse(http.StatusUnauthorized, "Authentication failed. Confirm that the access token in the authorization header is valid."), false
	}
	c.channel, c.record.ChannelID = channel, channel.ID
	return answer{}, true
}

func (s *Simulator) withFaults(c *apiCall) (a answer, unanswered bool) {
	var before, after time.Duration
	var verdict *Fault
	for _, f := range s.faults.take(s.now(), c.endpoint.name, c.channel.ID, "") {
		switch {
		case f.Kind == FaultSlow && f.AfterProcessing:
			after += f.delay()
		case f.Kind == FaultSlow:
			before += f.delay()
		case verdict == nil:
			verdict = &f
		}
		if c.record.Fault == "" {
			c.record.Fault = f.Kind
		}
	}
	time.Sleep(before)
	defer func() { time.Sleep(after) }()
	if verdict != nil {
		c.record.Fault = verdict.Kind
		switch verdict.Kind {
		case FaultRateLimit:
			return refuse(http.StatusTooManyRequests, messageRateLimit), false
		case FaultDropRequest:
			return answer{}, true
		case FaultStatus:
			if verdict.AfterProcessing {
				s.carryOut(c)
			}
			return verdict.answer(), false
		case FaultDropAnswer:
			return s.carryOut(c), true
		}
	}
	return s.carryOut(c), false
}

func (f Fault) answer() answer {
	a := answer{status: f.Status, json: apiError{Message: "Internal server error"}}
	if a.status == 0 {
		a.status = http.StatusInternalServerError
	}
	if f.Body != nil {
		a.json = f.Body
	} else if a.status != http.StatusInternalServerError {
		a.json = apiError{Message: http.StatusText(a.status)}
	}
	return a
}

func (s *Simulator) carryOut(c *apiCall) answer {
	if !c.endpoint.open && !s.rates.allow(c.channel, c.endpoint, s.now()) {
		return refuse(http.StatusTooManyRequests, messageRateLimit)
	}
	if c.record.RetryKey != "" {
		if !c.endpoint.retry {
			return refuse(http.StatusBadRequest, "The property, 'X-Line-Retry-Key', in the request header is invalid: this endpoint does not support retry keys")
		}
		if id, err := uuid.Parse(c.record.RetryKey); err != nil || !strings.EqualFold(id.String(), c.record.RetryKey) {
			return refuse(http.StatusBadRequest, "The property, 'X-Line-Retry-Key', in the request header is invalid: it must be a UUID in hexadecimal")
		}
	}
	return c.endpoint.handle(s, c)
}

// decode reads the body into an object, with numbers kept as they are written.
func (c *apiCall) decode() (map[string]any, *answer) {
	dec := json.NewDecoder(bytes.NewReader(c.body))
	dec.UseNumber()
	var v map[string]any
	err := dec.Decode(&v)
	if err == nil && dec.More() {
		err = errors.New("more than one JSON value")
	}
	if err == nil && v != nil {
		return v, nil
	}
	line, column := 1, 1
	at := dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = max(0, syntax.Offset-1) // Offset counts the byte that is wrong
	}
	before := c.body[:min(int(at), len(c.body))]
	line += bytes.Count(before, []byte("\n"))
	column += len(before) - 1 - bytes.LastIndexByte(before, '\n')
	a := refuse(http.StatusBadRequest, fmt.Sprintf("The request body could not be parsed as JSON (line: %d, column: %d)", line, column))
	return nil, &a
}

// rateLimits counts calls per channel, endpoint and window.
type rateLimits struct {
	mu sync.Mutex
	by map[string]*rateWindow
}

type rateWindow struct {
	from time.Time
	n    int
}

func newRateLimits() *rateLimits { return &rateLimits{by: map[string]*rateWindow{}} }

func (l *rateLimits) allow(c Channel, ep endpoint, now time.Time) bool {
	limit, window := ep.limit, ep.window
	if c.RatePerSecond != 0 {
		limit, window = c.RatePerSecond, time.Second
	}
	if limit < 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.by[c.ID+"|"+ep.name]
	if w == nil {
		w = &rateWindow{from: now}
		l.by[c.ID+"|"+ep.name] = w
	}
	if d := now.Sub(w.from); d >= window || d < 0 {
		w.from, w.n = now, 0
	}
	w.n++
	return w.n <= limit
}

package linesim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxUpload bounds a control request; LINE's largest media are 200 MB, and
// base64 adds a third.
const maxUpload = 300 << 20

// controlRoutes is the control API, documented in README.md.
func (s *Simulator) controlRoutes(mux *http.ServeMux) {
	handle := func(pattern string, h func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
			v, err := h(r)
			s.respond(w, v, err)
		})
	}
	handle("GET /_control/state", s.controlState)
	handle("GET /_control/channels", func(*http.Request) (any, error) { return s.Channels(), nil })
	handle("POST /_control/channels", s.controlAddChannel)
	handle("GET /_control/channels/{channel}", func(r *http.Request) (any, error) { return s.channel(r.PathValue("channel")) })
	handle("PATCH /_control/channels/{channel}", s.controlChangeChannel)
	handle("GET /_control/channels/{channel}/consumption", func(r *http.Request) (any, error) {
		return s.Consumption(r.Context(), r.PathValue("channel"))
	})
	handle("GET /_control/channels/{channel}/blocked", func(r *http.Request) (any, error) {
		return s.Blocked(r.Context(), r.PathValue("channel"))
	})
	handle("POST /_control/channels/{channel}/events", s.controlRaw)
	handle("POST /_control/channels/{channel}/bodies", s.controlRawBody)
	handle("POST /_control/channels/{channel}/redeliver", s.controlRedeliver)
	handle("GET /_control/users", func(r *http.Request) (any, error) { return s.Users(r.Context()) })
	handle("POST /_control/users", s.controlAddUser)
	handle("GET /_control/chats", func(r *http.Request) (any, error) { return s.Chats(r.Context()) })

	const chat = "/_control/channels/{channel}/users/{user}"
	handle("GET "+chat+"/chat", s.controlChat)
	handle("POST "+chat+"/messages", s.controlSend)
	handle("POST "+chat+"/messages/{message}/unsend", func(r *http.Request) (any, error) {
		return s.Unsend(r.Context(), r.PathValue("channel"), r.PathValue("user"), r.PathValue("message"))
	})
	handle("POST "+chat+"/messages/{message}/edit", s.controlEdit)
	handle("POST "+chat+"/postback", s.controlPostback)
	handle("POST "+chat+"/video-played", s.controlPlayVideo)
	handle("POST "+chat+"/beacon", s.controlBeacon)
	handle("POST "+chat+"/membership", s.controlMembership)
	handle("POST "+chat+"/follow", func(r *http.Request) (any, error) {
		return s.Follow(r.Context(), r.PathValue("channel"), r.PathValue("user"))
	})
	handle("POST "+chat+"/unfollow", func(r *http.Request) (any, error) {
		return s.Unfollow(r.Context(), r.PathValue("channel"), r.PathValue("user"))
	})
	handle("POST "+chat+"/account-link", s.controlAccountLink)
	handle("GET "+chat+"/rich-menu", s.controlRichMenu)
	handle("POST "+chat+"/rich-menu/tap", s.controlTapRichMenu)

	handle("POST /_control/channels/{channel}/suspension", s.controlSuspension)
	const group = "/_control/channels/{channel}/groups/{group}"
	handle("POST "+group+"/invite", s.controlMembers((*Simulator).Invite))
	handle("POST "+group+"/expel", func(r *http.Request) (any, error) {
		return s.Expel(r.Context(), r.PathValue("channel"), r.PathValue("group"))
	})
	handle("POST "+group+"/joined", s.controlMembers((*Simulator).MembersJoin))
	handle("POST "+group+"/left", s.controlMembers((*Simulator).MembersLeave))

	handle("GET /_control/calls", s.controlCalls)
	handle("DELETE /_control/calls", func(*http.Request) (any, error) { s.ForgetCalls(); return struct{}{}, nil })
	handle("GET /_control/deliveries", s.controlDeliveries)
	handle("DELETE /_control/deliveries", func(*http.Request) (any, error) { s.ForgetDeliveries(); return struct{}{}, nil })
	handle("GET /_control/endpoints", func(*http.Request) (any, error) { return Endpoints(), nil })
	handle("GET /_control/faults", func(*http.Request) (any, error) { return s.ActiveFaults(), nil })
	handle("POST /_control/faults", s.controlFaults)
	handle("DELETE /_control/faults", func(*http.Request) (any, error) { s.ResetFaults(); return struct{}{}, nil })
	handle("DELETE /_control/faults/{fault}", func(r *http.Request) (any, error) {
		if !s.RemoveFault(r.PathValue("fault")) {
			return nil, fmt.Errorf("fault %q: %w", r.PathValue("fault"), ErrNotFound)
		}
		return struct{}{}, nil
	})
	handle("POST /_control/hold", s.controlHold)
	handle("GET /_control/held", func(*http.Request) (any, error) { return s.Held(), nil })
	handle("POST /_control/release", s.controlRelease)
	handle("POST /_control/wait-idle", s.controlWaitIdle)
	mux.HandleFunc("GET /_control/stream", s.stream)
	mux.HandleFunc("GET /_control/channels/{channel}/rich-menus/{menu}/image", s.richMenuPicture)
	mux.HandleFunc("GET /_control/media/{message}", s.media)
	mux.HandleFunc("GET /_control/media/{message}/preview", s.media)
}

// respond gives 200 with v, or {"error"} with 404, 409 (blocked, not in the group) or 400.
func (s *Simulator) respond(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ErrBlocked), errors.Is(err, ErrNotMember):
		status = http.StatusConflict
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusRequestTimeout
	case err != nil:
		status = http.StatusBadRequest
	}
	if err != nil {
		v = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Info("control answer not sent", "error", err)
	}
}

// read decodes the body, which may be empty; unknown fields are mistakes.
func read[T any](r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
		return v, fmt.Errorf("request body: %w", err)
	}
	return v, nil
}

// State is a summary for people and scripts.
type State struct {
	Channels []ChannelState `json:"channels"`
	Users    int            `json:"users"`
	Messages struct {
		Customer int `json:"customer"`
		Account  int `json:"account"`
		Hidden   int `json:"hidden"`
	} `json:"messages"`
	// Events counts webhook events by state.
	Events     map[string]int `json:"events"`
	Held       int            `json:"held"`
	Pending    int            `json:"pending"`
	Calls      int            `json:"calls"`
	Deliveries int            `json:"deliveries"`
	Faults     []Fault        `json:"faults"`
}

// ChannelState is one channel in State.
type ChannelState struct {
	Channel
	Consumption Consumption `json:"consumption"`
}

// State summarises everything.
func (s *Simulator) State(ctx context.Context) (State, error) {
	st := State{Events: map[string]int{}, Faults: s.ActiveFaults(), Held: len(s.Held()), Channels: []ChannelState{}}
	s.outbox.mu.Lock()
	st.Pending = s.outbox.busy
	s.outbox.mu.Unlock()
	st.Calls, st.Deliveries = len(s.Calls(CallFilter{})), len(s.Deliveries(DeliveryFilter{}))
	for _, c := range s.Channels() {
		used, err := s.Consumption(ctx, c.ID)
		if err != nil {
			return State{}, err
		}
		st.Channels = append(st.Channels, ChannelState{c, used})
	}
	if err := s.store.r.GetContext(ctx, &st.Users, `SELECT count(*) FROM users`); err != nil {
		return State{}, fmt.Errorf("count users: %w", err)
	}
	err := s.store.r.QueryRowContext(ctx, `SELECT coalesce(sum(direction = 'customer'), 0), coalesce(sum(direction = 'account' AND hidden = 0), 0), coalesce(sum(hidden), 0) FROM messages`).
		Scan(&st.Messages.Customer, &st.Messages.Account, &st.Messages.Hidden)
	if err != nil {
		return State{}, fmt.Errorf("count messages: %w", err)
	}
	var states []struct {
		State string `db:"state"`
		N     int    `db:"n"`
	}
	if err := s.store.r.SelectContext(ctx, &states, `SELECT state, count(*) AS n FROM events GROUP BY state`); err != nil {
		return State{}, fmt.Errorf("count events: %w", err)
	}
	for _, e := range states {
		st.Events[e.State] = e.N
	}
	return st, nil
}

func (s *Simulator) controlState(r *http.Request) (any, error) { return s.State(r.Context()) }

func (s *Simulator) controlAddChannel(r *http.Request) (any, error) {
	c, err := read[Channel](r)
	if err != nil {
		return nil, err
	}
	if err := s.AddChannel(r.Context(), c); err != nil {
		return nil, err
	}
	return s.channel(c.ID)
}

func (s *Simulator) controlChangeChannel(r *http.Request) (any, error) {
	id := r.PathValue("channel")
	c, err := s.channel(id)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("request body: %w", err)
	}
	if err := s.ChangeChannel(r.Context(), id, func(now *Channel) { *now = c }); err != nil {
		return nil, err
	}
	return s.channel(id)
}

func (s *Simulator) controlAddUser(r *http.Request) (any, error) {
	u, err := read[User](r)
	if err != nil {
		return nil, err
	}
	if u.ID == "" {
		u.ID = NewUserID()
	}
	return u, s.AddUser(r.Context(), u)
}

func (s *Simulator) controlRaw(r *http.Request) (any, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return s.Raw(r.Context(), r.PathValue("channel"), raw)
}

func (s *Simulator) controlRawBody(r *http.Request) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return s.PostRaw(r.Context(), r.PathValue("channel"), body)
}

func (s *Simulator) controlRedeliver(r *http.Request) (any, error) {
	req, err := read[struct {
		EventIDs []string `json:"event_ids"`
	}](r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.Redeliver(r.Context(), r.PathValue("channel"), req.EventIDs...)
}

func (s *Simulator) controlChat(r *http.Request) (any, error) {
	limit, err := intParam(r, "limit", -1)
	if err != nil {
		return nil, err
	}
	return s.chatTail(r.Context(), r.PathValue("channel"), r.PathValue("user"), limit)
}

// controlSend takes a Message as JSON, its content in base64, or a multipart
// form whose fields are the Message's (part "message", JSON) and whose file
// parts "content" and "preview" are the bytes.
func (s *Simulator) controlSend(r *http.Request) (any, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return nil, fmt.Errorf("content type: %w", err)
	}
	var m Message
	if kind == "multipart/form-data" {
		m, err = messageFromForm(r)
	} else {
		m, err = read[Message](r)
	}
	if err != nil {
		return nil, err
	}
	return s.Send(r.Context(), r.PathValue("channel"), r.PathValue("user"), m)
}

func messageFromForm(r *http.Request) (Message, error) {
	var m Message
	parts, err := r.MultipartReader()
	if err != nil {
		return m, fmt.Errorf("multipart form: %w", err)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, fmt.Errorf("multipart form: %w", err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return m, fmt.Errorf("part %q: %w", part.FormName(), err)
		}
		switch part.FormName() {
		case "message":
			if err := json.Unmarshal(data, &m); err != nil {
				return m, fmt.Errorf("part message: %w", err)
			}
		case "content":
			m.Content = data
			if m.ContentType == "" {
				m.ContentType = part.Header.Get("Content-Type")
			}
			if m.FileName == "" {
				m.FileName = part.FileName()
			}
		case "preview":
			m.Preview = data
		default:
			return m, fmt.Errorf("part %q is unknown; the parts are message, content, preview", part.FormName())
		}
	}
}

func (s *Simulator) controlPostback(r *http.Request) (any, error) {
	req, err := read[struct {
		Data        string            `json:"data"`
		DisplayText string            `json:"display_text"`
		Params      map[string]string `json:"params"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.Postback(r.Context(), r.PathValue("channel"), r.PathValue("user"), req.Data, req.DisplayText, req.Params)
}

func (s *Simulator) controlAccountLink(r *http.Request) (any, error) {
	req, err := read[struct {
		Nonce string `json:"nonce"`
		OK    bool   `json:"ok"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.AccountLink(r.Context(), r.PathValue("channel"), r.PathValue("user"), req.Nonce, req.OK)
}

func (s *Simulator) controlCalls(r *http.Request) (any, error) {
	limit, err := intParam(r, "limit", 0)
	if err != nil {
		return nil, err
	}
	status, err := intParam(r, "status", 0)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	return s.Calls(CallFilter{Endpoint: q.Get("endpoint"), ChannelID: q.Get("channel_id"), RequestID: q.Get("request_id"), Status: status, Limit: limit}), nil
}

func (s *Simulator) controlDeliveries(r *http.Request) (any, error) {
	limit, err := intParam(r, "limit", 0)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	return s.Deliveries(DeliveryFilter{ChannelID: q.Get("channel_id"), EventID: q.Get("event_id"), Limit: limit}), nil
}

// controlFaults takes one fault or an array of them.
func (s *Simulator) controlFaults(r *http.Request) (any, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	text := strings.TrimSpace(string(raw))
	if strings.HasPrefix(text, "{") {
		text = "[" + text + "]"
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var faults []Fault
	if err := dec.Decode(&faults); err != nil {
		return nil, fmt.Errorf("request body: %w", err)
	}
	ids, err := s.Faults(faults...)
	return map[string]any{"ids": ids}, err
}

func (s *Simulator) controlHold(r *http.Request) (any, error) {
	req, err := read[struct {
		ChannelID string `json:"channel_id"`
	}](r)
	if err != nil {
		return nil, err
	}
	s.Hold(req.ChannelID)
	return struct{}{}, nil
}

func (s *Simulator) controlRelease(r *http.Request) (any, error) {
	req, err := read[ReleaseOptions](r)
	if err != nil {
		return nil, err
	}
	n, err := s.Release(req)
	return map[string]int{"released": n}, err
}

func (s *Simulator) controlWaitIdle(r *http.Request) (any, error) {
	ms, err := intParam(r, "timeout_ms", 30000)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(ms)*time.Millisecond)
	defer cancel()
	return struct{}{}, s.WaitIdle(ctx)
}

func intParam(r *http.Request, name string, otherwise int) (int, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, fmt.Errorf("%s %q must be a whole number", name, v)
	}
	return n, nil
}

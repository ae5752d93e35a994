package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/rig"
	"kaiwa/internal/store"
)

// office is the installation as those who work with it see it. It is furnished
// over the REST API.
type office struct {
	rig    *rig.Rig
	client *http.Client
	admins []string // tokens of the administrator's, of which each may ask 50 times a second
	turn   atomic.Int64
	seen   awaited
	eyes   *follower // the administrator's
	seed   uint64
	people int // customers there are

	refused atomic.Int64 // webhooks that were not acknowledged at once

	mu      sync.Mutex
	onOffer func(offer)
	queued  map[string]time.Time // when a conversation came to its queue, where that is noted
	agents  map[string]agent     // by id
}

// agent is somebody who answers customers.
type agent struct {
	id, token string
}

// offer is a conversation on offer to an agent.
type offer struct {
	id, agentID, conversationID string
	createdAt, seenAt           time.Time
}

// channel is a LINE Official Account.
type channel struct {
	id, lineID string
}

// chat is a customer's.
type chat struct {
	channel        channel
	user           string
	conversationID string
	agent          agent
}

// How things are named that are waited for.
func received(messageID string) string { return "message.received " + messageID }
func taken(text string) string         { return "LINE takes " + text }
func answered(user string) string      { return "LINE takes something for " + user }

// openOffice gives a fresh installation an administrator, and watches it.
func openOffice(ctx context.Context, r *rig.Rig, seed uint64) (*office, error) {
	o := &office{
		rig: r, seed: seed, agents: map[string]agent{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, IdleConnTimeout: time.Minute}},
	}
	by := store.Origin{AgentName: "kaiwa bench"}
	a, err := r.Store.CreateAgent(ctx, by, store.Agent{Name: "Bench", Email: "bench@example.com", Role: store.RoleAdmin, Locale: "en"})
	if err != nil {
		return nil, err
	}
	for range 20 {
		value := store.NewTokenValue()
		if _, err := r.Store.IssueToken(ctx, by, store.Token{AgentID: a.ID, Name: "bench", Role: store.RoleAdmin}, value); err != nil {
			return nil, err
		}
		o.admins = append(o.admins, value)
	}
	o.eyes, err = follow(ctx, o.client, o.api(), o.admin(), func(kind string) bool {
		return kind == "message.received" || kind == "offer.created" || kind == "conversation.changed"
	}, o.see)
	r.Simulator.Observe(o.hear)
	return o, err
}

func (o *office) close() {
	o.rig.Simulator.Observe(nil)
	o.eyes.close()
	o.client.CloseIdleConnections()
}

// admin is one of the administrator's tokens.
func (o *office) admin() string { return o.admins[int(o.turn.Add(1))%len(o.admins)] }

// api is where requests go: to the process itself, so that the balancer, which
// is in this one, is not measured.
func (o *office) api() string { return o.rig.APIs[0].URL() }

// see takes what the administrator's stream of events tells.
func (o *office) see(e event, at time.Time) {
	switch e.Type {
	case "message.received":
		o.seen.happened(received(e.SubjectID), at)
	case "conversation.changed":
		o.mu.Lock()
		if o.queued != nil {
			var data struct {
				Event conversation.Event `json:"event"`
			}
			if json.Unmarshal(e.Data, &data) == nil && data.Event == conversation.EventRouted {
				o.queued[e.ConversationID] = e.CreatedAt
			}
		}
		o.mu.Unlock()
	case "offer.created":
		var data struct {
			AgentID string `json:"agent_id"`
		}
		if json.Unmarshal(e.Data, &data) != nil {
			return
		}
		o.mu.Lock()
		on := o.onOffer
		o.mu.Unlock()
		if on != nil {
			on(offer{e.SubjectID, data.AgentID, e.ConversationID, e.CreatedAt, at})
		}
	}
}

// hear takes what LINE has accepted.
func (o *office) hear(c linesim.Call) {
	if !c.Accepted {
		return
	}
	at := time.Now()
	var body struct {
		Messages []struct {
			Text string `json:"text"`
		} `json:"messages"`
	}
	if json.Unmarshal(c.Body, &body) != nil {
		return
	}
	o.seen.happened(answered(c.To), at)
	for _, m := range body.Messages {
		o.seen.happened(taken(m.Text), at)
	}
}

// whenOffered has a function called with each offer that is seen; nil ends that.
func (o *office) whenOffered(f func(offer)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onOffer = f
}

// call asks the REST API; an answer that is no success is an error.
func (o *office) call(ctx context.Context, token, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, o.api()+"/api/v1"+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, bytes.TrimSpace(raw))
	}
	if into == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// post creates something and returns its id.
func (o *office) post(ctx context.Context, path string, body any) (string, error) {
	var out struct {
		ID string `json:"id"`
	}
	err := o.call(ctx, o.admin(), http.MethodPost, path, body, &out)
	return out.ID, err
}

// hire makes agents who work a queue, each with room for so many conversations.
func (o *office) hire(ctx context.Context, name, queueID string, n, capacity int) ([]agent, error) {
	agents := make([]agent, n)
	var all errgroup.Group
	all.SetLimit(4)
	for i := range agents {
		all.Go(func() error {
			label := fmt.Sprintf("%s %d", name, i+1)
			id, err := o.post(ctx, "/agents", map[string]any{
				"name": label, "email": fmt.Sprintf("%s-%d@example.com", name, i+1), "role": "agent", "locale": "en", "capacity": capacity,
			})
			if err != nil {
				return err
			}
			var token struct {
				Token string `json:"token"`
			}
			if err := o.call(ctx, o.admin(), http.MethodPost, "/agents/"+id+"/tokens", map[string]any{"name": "bench"}, &token); err != nil {
				return err
			}
			agents[i] = agent{id, token.Token}
			return o.call(ctx, o.admin(), http.MethodPut, "/queues/"+queueID+"/members/"+id, nil, nil)
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	for _, a := range agents {
		o.agents[a.id] = a
	}
	return agents, nil
}

// keeping are settings of assignment under which agents keep what they have
// though they are offline, as serve leaves them.
func keeping(assignment map[string]any) map[string]any {
	out := map[string]any{"absent": "keep"}
	maps.Copy(out, assignment)
	return out
}

func (o *office) present(ctx context.Context, agents []agent, presence conversation.Presence) error {
	var all errgroup.Group
	all.SetLimit(4)
	for _, a := range agents {
		all.Go(func() error {
			return o.call(ctx, a.token, http.MethodPut, "/me/presence", map[string]any{"presence": presence}, nil)
		})
	}
	return all.Wait()
}

// connect makes a channel of a workstream, at LINE and here.
func (o *office) connect(ctx context.Context, lineID, workstreamID string) (channel, error) {
	c := linesim.Channel{ID: lineID, Secret: "bench-secret-" + lineID, AccessToken: "bench-token-" + lineID, DisplayName: "Bench " + lineID, RatePerSecond: -1, WebhookActive: true}
	if err := o.rig.Simulator.AddChannel(ctx, c); err != nil {
		return channel{}, err
	}
	id, err := o.post(ctx, "/channels", map[string]any{
		"name": c.DisplayName, "line_channel_id": lineID, "channel_secret": c.Secret, "channel_access_token": c.AccessToken, "workstream_id": workstreamID, "locale": "en",
	})
	if err != nil {
		return channel{}, err
	}
	return channel{id, lineID}, o.call(ctx, o.admin(), http.MethodPost, "/channels/"+id+"/connect", nil, nil)
}

// customers are new people with LINE.
func (o *office) customers(ctx context.Context, c channel, n int) ([]*chat, error) {
	chats := make([]*chat, n)
	for i := range chats {
		o.people++
		user := linesim.User{ID: fmt.Sprintf("U%016x%016x", o.seed, o.people), DisplayName: fmt.Sprintf("Customer %d", o.people), Language: "en"}
		if err := o.rig.Simulator.AddUser(ctx, user); err != nil {
			return nil, err
		}
		chats[i] = &chat{channel: c, user: user.ID}
	}
	return chats, nil
}

// drafts are n messages of each chat, by chat. What each says is given by text.
func (o *office) drafts(ctx context.Context, chats []*chat, n int, text func(i int) string) ([][]linesim.Webhook, error) {
	list := make([]linesim.Draft, 0, len(chats)*n)
	for _, c := range chats {
		for range n {
			list = append(list, linesim.Draft{UserID: c.user, Message: linesim.Message{Type: "text", Text: text(len(list))}})
		}
	}
	hooks, err := o.rig.Simulator.Drafts(ctx, chats[0].channel.lineID, list)
	if err != nil {
		return nil, err
	}
	by := make([][]linesim.Webhook, len(chats))
	for i := range chats {
		by[i] = hooks[i*n : (i+1)*n]
	}
	return by, nil
}

// deliver posts a webhook as LINE does, and returns once it is acknowledged.
func (o *office) deliver(ctx context.Context, c channel, w linesim.Webhook) error {
	return o.deliverTo(ctx, o.api(), c, w)
}

// redelivery is how soon a webhook that was not acknowledged is delivered
// again.
const redelivery = 500 * time.Millisecond

// deliverTo delivers, to one of the APIs, until it is acknowledged. What was not
// at once is counted; the time until it was is part of the measurement.
func (o *office) deliverTo(ctx context.Context, api string, c channel, w linesim.Webhook) error {
	for {
		status, err := o.postWebhook(ctx, api, c, w)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case status == http.StatusOK:
			return nil
		case err == nil && status != http.StatusServiceUnavailable:
			return fmt.Errorf("a webhook was answered %d", status)
		}
		if o.refused.Add(1) > mostRefused {
			return fmt.Errorf("more than %d webhooks were not acknowledged, the last one with %d: %w", mostRefused, status, err)
		}
		if err := sleep(ctx, redelivery); err != nil {
			return err
		}
	}
}

// mostRefused ends a run that gets nowhere.
const mostRefused = 10_000

func (o *office) postWebhook(ctx context.Context, api string, c channel, w linesim.Webhook) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/webhooks/line/"+c.id, bytes.NewReader(w.Body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("X-Line-Signature", w.Signature)
	res, err := o.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode, err
}

// messageID is the id that a message will have.
func messageID(c channel, w linesim.Webhook) string {
	return conversation.DerivedID(conversation.PrefixMessage, c.id, w.WebhookEventID)
}

// write delivers a webhook and returns what to wait for: that its message is on
// the stream of events.
func (o *office) write(ctx context.Context, c channel, w linesim.Webhook) (*mark, error) {
	m := o.seen.expect(received(messageID(c, w)))
	return m, o.deliver(ctx, c, w)
}

// serve has the customers of chats write, and agents accept them.
func (o *office) serve(ctx context.Context, chats []*chat, agents []agent) error {
	hooks, err := o.drafts(ctx, chats, 1, func(int) string { return "hello" })
	if err != nil {
		return err
	}
	offers := make(chan offer, len(chats))
	o.whenOffered(func(f offer) { offers <- f })
	defer o.whenOffered(nil)
	if err := o.present(ctx, agents, conversation.PresenceAvailable); err != nil {
		return err
	}
	if _, err := Closed(ctx, min(8, len(chats)), (len(chats)+7)/8, func(ctx context.Context, lane, n int) error {
		if i := lane + 8*n; i < len(chats) {
			return o.deliver(ctx, chats[i].channel, hooks[i][0])
		}
		return nil
	}); err != nil {
		return err
	}
	byUser := map[string]*chat{}
	for _, c := range chats {
		byUser[c.user] = c
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("agents were not offered all of %d conversations: %w", len(chats), errTooSlow))
	defer cancel()
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(8)
	for range chats {
		var f offer
		select {
		case f = <-offers:
		case <-ctx.Done():
			if err := all.Wait(); err != nil {
				return err
			}
			return context.Cause(ctx)
		}
		all.Go(func() error {
			a := o.agents[f.agentID]
			var c struct {
				LINEUserID string `json:"line_user_id"`
			}
			if err := o.call(ctx, a.token, http.MethodPost, "/offers/"+f.id+"/accept", map[string]any{}, &c); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			of := byUser[c.LINEUserID]
			if of == nil {
				return fmt.Errorf("the offer %s is of somebody else's conversation", f.id)
			}
			of.conversationID, of.agent = f.conversationID, a
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return o.present(context.WithoutCancel(ctx), agents, conversation.PresenceOffline)
}

// greet has the customers of chats write to the bot, which answers.
func (o *office) greet(ctx context.Context, chats []*chat) error {
	hooks, err := o.drafts(ctx, chats, 1, func(int) string { return "a0" })
	if err != nil {
		return err
	}
	_, err = Closed(ctx, min(8, len(chats)), (len(chats)+7)/8, func(ctx context.Context, lane, n int) error {
		i := lane + 8*n
		if i >= len(chats) {
			return nil
		}
		m := o.seen.expect(answered(chats[i].user))
		if err := o.deliver(ctx, chats[i].channel, hooks[i][0]); err != nil {
			return err
		}
		return m.wait(ctx)
	})
	return err
}

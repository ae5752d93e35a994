package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// office is what everybody in it shares.
type office struct {
	seed         uint64
	front        string
	agents       []*agent // by number
	queues       []string
	bots         []string
	dispositions []string
	tally        *tally
	client       *http.Client
	// closing: nobody new comes, and whoever is there is served to the end.
	closing atomic.Bool
}

// agent serves customers over the REST API, the way people do: they accept,
// decline and ignore offers, write, send pictures, pass on, park, release and
// end.
type agent struct {
	*desk
	office  *office
	number  int
	id      string
	tongue  tongue
	streams bool // follows the events; else asks again and again

	dice   dice // decides about offers
	wake   chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	seen   map[string]bool // offers
	served map[string]bool // conversations in hand
	taken  int
}

func (o *office) hire(number int, id, token string) *agent {
	d := newDice(o.seed, roleAgent, number, 0)
	return &agent{
		desk:   &desk{front: o.front, token: token, name: fmt.Sprintf("a%d", number), client: o.client, tally: o.tally},
		office: o, number: number, id: id, tongue: one(d, tongues), streams: number%2 == 0, dice: d,
		wake: make(chan struct{}, 1), seen: map[string]bool{}, served: map[string]bool{},
	}
}

// item is a conversation as an agent sees it.
type item struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Owner   string `json:"owner"`
	AgentID string `json:"agent_id"`
}

type items struct {
	Items []item `json:"items"`
}

// work works until ctx ends, and then puts down what is in hand.
func (a *agent) work(ctx context.Context) error {
	defer a.wg.Wait()
	if err := a.puts(ctx, "/me/presence", map[string]string{"presence": "available"}); err != nil {
		return a.trouble(ctx, err)
	}
	every := time.Second
	if a.streams {
		every = 4 * time.Second
		a.wg.Go(func() { a.follow(ctx, func(happening) { a.nudge() }) })
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := a.look(ctx); err != nil {
			return a.trouble(ctx, err)
		}
		select {
		case <-a.wake:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// trouble is what an agent cannot work with: not the end of the day.
func (a *agent) trouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("agent %s: %w", a.name, err)
}

func (a *agent) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// look sees what is on offer and what is in hand, and gets at it.
func (a *agent) look(ctx context.Context) error {
	var offers items
	if err := a.reads(ctx, "/me/offers", &offers); err != nil {
		return err
	}
	for _, o := range offers.Items {
		if !a.first(a.seen, o.ID) {
			continue
		}
		after, answer := a.dice.between(100*time.Millisecond, 1500*time.Millisecond), weighted(a.dice, []share[string]{{74, "accept"}, {13, "decline"}, {13, ""}})
		key := a.key()
		a.wg.Go(func() { a.answers(ctx, o.ID, key, after, answer) })
	}
	for _, status := range []string{"active", "wrap_up"} {
		var mine items
		if err := a.reads(ctx, "/conversations?agent_id=me&limit=100&status="+status, &mine); err != nil {
			return err
		}
		for _, c := range mine.Items {
			if a.first(a.served, c.ID) {
				a.taken++
				h := &hand{agent: a, id: c.ID, dice: newDice(a.office.seed, roleServing, a.number, a.taken)}
				h.desk = &desk{front: a.front, token: a.token, name: fmt.Sprintf("%s.%d", a.name, a.taken), client: a.client, tally: a.tally}
				a.wg.Go(func() { h.serve(ctx) })
			}
		}
	}
	if a.office.closing.Load() {
		return a.clear(ctx)
	}
	return nil
}

// first tells whether an id is not in a set, and puts it there.
func (a *agent) first(set map[string]bool, id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if set[id] {
		return false
	}
	set[id] = true
	return true
}

// clear takes what waits in the queues, whoever else might.
func (a *agent) clear(ctx context.Context) error {
	var open items
	if err := a.reads(ctx, "/conversations?status=open&limit=200", &open); err != nil {
		return err
	}
	for _, c := range open.Items {
		whose := int(crc32.ChecksumIEEE([]byte(c.ID)) % uint32(len(a.office.agents)))
		if c.Owner != "queue" || whose != a.number {
			continue
		}
		if err := a.posts(ctx, "/conversations/"+c.ID+"/pick", a.key(), struct{}{}, nil); refused(err) == nil && err != nil {
			return err
		}
		a.nudge()
	}
	return nil
}

// refused is the refusal that an error is, nil for others.
func refused(err error) *refusal {
	var r *refusal
	errors.As(err, &r)
	return r
}

func (a *agent) answers(ctx context.Context, offer, key string, after time.Duration, answer string) {
	if a.office.closing.Load() {
		after, answer = 0, "accept"
	}
	if !rest(ctx, after) || answer == "" {
		a.tally.add("offers ignored", 1)
		return
	}
	body := map[string]string{}
	if answer == "decline" {
		body["reason"] = "busy"
	}
	if err := a.posts(ctx, "/offers/"+offer+"/"+answer, key, body, nil); err == nil {
		a.tally.add("offers: "+answer, 1)
	}
	a.nudge()
}

// hand is one conversation in an agent's hands.
type hand struct {
	*agent
	*desk
	id   string
	dice dice
	said int
}

// ending is how an agent lets go of a conversation.
type ending string

const (
	ends      ending = "end"
	passesOn  ending = "transfer to agent"
	passesTo  ending = "transfer to queue"
	passesBot ending = "transfer to bot"
	parks     ending = "park"
	releases  ending = "release"
	closes    ending = "close"
)

// serve does what is to be done as long as the agent has the conversation. What
// it is, the conversation says.
func (h *hand) serve(ctx context.Context) {
	defer func() {
		h.mu.Lock()
		delete(h.served, h.id)
		h.mu.Unlock()
		h.nudge()
	}()
	left := 1 + h.dice.IntN(4) // things to say
	way := weighted(h.dice, []share[ending]{{62, ends}, {7, passesOn}, {7, passesTo}, {4, passesBot}, {9, parks}, {7, releases}, {4, closes}})
	for rest(ctx, h.thinks()) {
		var c item
		if h.reads(ctx, "/conversations/"+h.id, &c) != nil || c.AgentID != h.agent.id {
			return
		}
		switch {
		case c.Status == "wrap_up":
			h.wrapsUp(ctx)
		case c.Status != "active":
			return
		case left > 0 && !h.office.closing.Load():
			left--
			h.speaks(ctx)
		default:
			if h.office.closing.Load() {
				way = ends
			}
			if h.lets(ctx, way) {
				return
			}
			left, way = 1, ends // it came back, or could not be
		}
	}
}

// thinks is how long the agent needs.
func (h *hand) thinks() time.Duration {
	if h.office.closing.Load() {
		return 0
	}
	return h.dice.between(300*time.Millisecond, 2500*time.Millisecond)
}

func (h *hand) path(action string) string { return "/conversations/" + h.id + "/" + action }

func (h *hand) speaks(ctx context.Context) {
	if h.dice.chance(12) {
		file := picture(h.dice.Uint64())
		if id, err := h.uploads(ctx, h.id, h.key(), "画像.png", file); err == nil {
			if h.posts(ctx, h.path("messages"), h.key(), map[string]string{"type": "attachment", "attachment_id": id}, nil) == nil {
				h.desk.tally.add("agents' pictures", 1)
			}
		}
		return
	}
	h.says(ctx, one(h.dice, h.tongue.helps))
}

// says writes to the customer what nobody else says.
func (h *hand) says(ctx context.Context, text string) {
	h.said++
	s := saying{conversationID: h.id, text: fmt.Sprintf("%s %s.%d", text, h.desk.name, h.said)}
	err := h.posts(ctx, h.path("messages"), h.key(), map[string]string{"type": "text", "text": s.text}, nil)
	switch {
	case err == nil:
		s.answer = yes
		h.desk.tally.add("agents' messages", 1)
	case refused(err) != nil:
		s.answer = no
	}
	h.desk.tally.say(s)
}

func (h *hand) wrapsUp(ctx context.Context) {
	body := map[string]string{"disposition_id": one(h.dice, h.office.dispositions)}
	if h.dice.chance(30) {
		body["note"] = "済み " + h.desk.name
	}
	h.does(ctx, "wrap-up", "wrap up", body)
}

// does takes a step, and tells whether it was taken.
func (h *hand) does(ctx context.Context, action, name string, body map[string]string) bool {
	if h.posts(ctx, h.path(action), h.key(), body, nil) != nil {
		return false
	}
	h.desk.tally.add("agents: "+name, 1)
	return true
}

// lets lets the conversation go in one of the ways, and tells whether it has
// gone.
func (h *hand) lets(ctx context.Context, way ending) bool {
	none := map[string]string{}
	switch way {
	case passesOn:
		others := len(h.office.agents) - 1
		to := h.office.agents[(h.number+1+h.dice.IntN(others))%len(h.office.agents)]
		return h.does(ctx, "transfer", string(way), map[string]string{"agent_id": to.id})
	case passesTo:
		return h.does(ctx, "transfer", string(way), map[string]string{"queue_id": one(h.dice, h.office.queues)})
	case passesBot:
		return h.does(ctx, "transfer", string(way), map[string]string{"bot_id": one(h.dice, h.office.bots)})
	case parks:
		if !h.does(ctx, "park", string(way), none) {
			return false
		}
		if h.dice.chance(50) {
			return true // until the customer writes again
		}
		return !rest(ctx, h.dice.between(time.Second, 5*time.Second)) || !h.does(ctx, "resume", "resume", none)
	case releases:
		return h.does(ctx, "release", string(way), none)
	case closes:
		return h.does(ctx, "close", string(way), none)
	}
	if h.dice.chance(70) && !h.office.closing.Load() {
		h.says(ctx, h.tongue.goodbye)
	}
	h.does(ctx, "end", string(way), none)
	return false // wrap-up is to be done
}

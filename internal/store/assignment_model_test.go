package store_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// Whatever customers, agents, supervisors, administrators and the clock do, in
// whatever order: what the database says of offers is what a model of the rules
// allows, after every look of the dispatcher.
func TestAssignmentKeepsItsRulesWhateverHappens(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Now = c.Now })
			rapid.Check(t, func(rt *rapid.T) {
				m := newOffice(rt, s, c)
				rt.Repeat(map[string]func(*rapid.T){
					"":                               m.check,
					"a customer comes":               m.comes,
					"time passes":                    m.passes,
					"a presence is set":              m.setsPresence,
					"an agent is changed":            m.changesAgent,
					"a member is changed":            m.changesMember,
					"an offer is accepted":           m.accepts,
					"an offer is declined":           m.declines,
					"an offer is rescinded":          m.rescinds,
					"an agent gives it back":         m.releases,
					"it moves to another queue":      m.transfers,
					"a supervisor assigns it":        m.assigns,
					"a customer comes back":          m.comesBack,
					"it is ended":                    m.ends,
					"an answer comes after the fact": m.answersLate,
				})
			})
		})
	}
}

// office is a model of queues, agents and conversations beside a database in
// which the same happens.
type office struct {
	s        *store.Store
	c        *clock
	stream   store.Workstream
	channel  store.Channel
	queues   []string
	skills   []string
	agents   []*seat
	visitors []*visitor
	offers   map[string]*promise
	steps    int
}

// seat is an agent as the model knows them.
type seat struct {
	id       string
	capacity int64
	levels   map[string]int
	queues   map[string]bool
	chosen   conversation.Presence
	presence conversation.Presence // the effective one
	seen     time.Time
}

// visitor is a conversation as the model knows it.
type visitor struct {
	id       string
	queue    string
	priority int64
	since    time.Time // when the customer first waited
	units    int64
	needs    []conversation.SkillNeed
	waits    bool
	agent    string // who holds it; "" nobody
	wrapUp   bool
	let      map[string]int64 // offers that agents let pass since it came to the queue
	keep     string           // who is waited for
	until    time.Time
}

// promise is an offer as the model knows it.
type promise struct {
	id      string
	visitor *visitor
	seat    *seat
	state   conversation.OfferState
	expires time.Time
	keeps   bool // made to who served last, whatever they hold
}

const modelPatience = 40 * time.Second

// newOffice empties the database and furnishes it anew.
func newOffice(t *rapid.T, s *store.Store, c *clock) *office {
	ctx := t.Context()
	for _, table := range []string{
		"routing_log", "offers", "transitions", "sessions", "events", "conversations", "chats", "channels", "workstreams",
		"queue_members", "agent_skills", "agent_states", "agents", "queues", "skills",
	} {
		require.NoError(t, s.ExecForTest(ctx, "DELETE FROM "+table))
	}
	m := &office{s: s, c: c, offers: map[string]*promise{}}
	for i := range rapid.IntRange(1, 3).Draw(t, "queues") {
		q, err := s.CreateQueue(ctx, admin, store.Queue{
			Name: fmt.Sprint("Queue ", i), Priority: rapid.Int64Range(1, 2).Draw(t, "queue priority"),
			Assignment: rapid.SampledFrom([]routing.Method{routing.HighestCapacity, routing.RoundRobin, routing.LongestIdle}).Draw(t, "method"),
		})
		require.NoError(t, err)
		m.queues = append(m.queues, q.ID)
	}
	for _, name := range []string{"billing", "thai"} {
		k, err := s.CreateSkill(ctx, admin, store.Skill{Name: name})
		require.NoError(t, err)
		m.skills = append(m.skills, k.ID)
	}
	w := store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: m.queues[0]}
	w.Settings.Assignment.OfferTimeoutSeconds = int64(modelPatience / time.Second)
	var err error
	m.stream, err = s.CreateWorkstream(ctx, admin, w)
	require.NoError(t, err)
	m.channel, err = s.CreateChannel(ctx, admin, store.Channel{
		Name: "Shop", LINEChannelID: "1", BotUserID: "U1", WorkstreamID: m.stream.ID, Locale: "en", Status: store.ChannelActive, Secrets: []string{"s"}, Token: "t",
	})
	require.NoError(t, err)
	for i := range rapid.IntRange(1, 4).Draw(t, "agents") {
		name := fmt.Sprint("agent", i)
		a := &seat{capacity: rapid.Int64Range(1, 3).Draw(t, "capacity"), levels: map[string]int{}, queues: map[string]bool{}}
		made, err := s.CreateAgent(ctx, admin, store.Agent{Name: name, Email: name + "@example.test", Role: store.RoleAgent, Locale: "en", Capacity: a.capacity})
		require.NoError(t, err)
		a.id = made.ID
		m.agents = append(m.agents, a)
		m.choose(t, a, conversation.PresenceAvailable)
		for _, q := range m.queues {
			if rapid.IntRange(0, 3).Draw(t, "works it") > 0 {
				m.member(t, a, q)
			}
		}
	}
	return m
}

// What happens.

func (m *office) comes(t *rapid.T) {
	v := &visitor{
		id: fmt.Sprintf("cnv_%04d", len(m.visitors)), queue: m.queue(t), priority: rapid.Int64Range(0, 1).Draw(t, "priority"),
		units: rapid.Int64Range(1, 2).Draw(t, "units"), waits: true, let: map[string]int64{},
		since: m.c.Now().Add(time.Duration(len(m.visitors)) * time.Microsecond),
	}
	if rapid.IntRange(0, 2).Draw(t, "asks for a skill") == 0 {
		v.needs = []conversation.SkillNeed{{SkillID: rapid.SampledFrom(m.skills).Draw(t, "skill"), Level: rapid.IntRange(1, 3).Draw(t, "level")}}
	}
	m.visitors = append(m.visitors, v)
	needs, err := json.Marshal(append([]conversation.SkillNeed{}, v.needs...))
	require.NoError(t, err)
	requirement := routing.Requirement{Units: v.units, Skills: v.needs, Matching: conversation.MatchingExact, Presences: []conversation.Presence{conversation.PresenceAvailable}}
	now := m.c.Now().UnixMicro()
	require.NoError(t, m.s.ExecForTest(t.Context(), `INSERT INTO conversations
		(id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, routed_at, waiting_since, first_waited_at, created_at, updated_at,
		priority, units, skills, matching, requirement)
		VALUES ($1, $2, $1, $3, 'open', 'queue', 1, $4, $5, $6, $6, $5, $5, $7, $8, $9, 'exact', $10)`,
		v.id, m.channel.ID, m.stream.ID, v.queue, now, v.since.UnixMicro(), v.priority, v.units, string(needs), requirement.Signature()))
}

func (m *office) passes(t *rapid.T) {
	m.c.Advance(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second)
	for _, a := range m.agents {
		if rapid.IntRange(0, 3).Draw(t, "shows they are there") > 0 {
			_, err := m.s.SignOfLife(t.Context(), a.id)
			require.NoError(t, err)
			a.seen, a.presence = m.c.Now(), a.chosen
		}
	}
}

func (m *office) setsPresence(t *rapid.T) {
	m.choose(t, rapid.SampledFrom(m.agents).Draw(t, "agent"), rapid.SampledFrom([]conversation.Presence{
		conversation.PresenceAvailable, conversation.PresenceAvailable, conversation.PresenceBusy, conversation.PresenceAway, conversation.PresenceOffline,
	}).Draw(t, "presence"))
}

func (m *office) choose(t *rapid.T, a *seat, p conversation.Presence) {
	_, err := m.s.SetPresence(t.Context(), a.id, p, true)
	require.NoError(t, err)
	a.chosen, a.presence, a.seen = p, p, m.c.Now()
}

func (m *office) changesAgent(t *rapid.T) {
	a := rapid.SampledFrom(m.agents).Draw(t, "agent")
	a.capacity = rapid.Int64Range(0, 3).Draw(t, "capacity")
	skill, level := rapid.SampledFrom(m.skills).Draw(t, "skill"), rapid.IntRange(0, 3).Draw(t, "level")
	if level == 0 {
		delete(a.levels, skill)
	} else {
		a.levels[skill] = level
	}
	_, err := m.s.UpdateAgent(t.Context(), admin, a.id, store.AnyVersion, func(x *store.Agent) error {
		x.Capacity, x.Skills = a.capacity, nil
		for _, id := range slices.Sorted(maps.Keys(a.levels)) {
			x.Skills = append(x.Skills, store.AgentSkill{SkillID: id, Level: int64(a.levels[id])})
		}
		return nil
	})
	require.NoError(t, err)
}

func (m *office) changesMember(t *rapid.T) {
	a, q := rapid.SampledFrom(m.agents).Draw(t, "agent"), m.queue(t)
	if !a.queues[q] {
		m.member(t, a, q)
		return
	}
	delete(a.queues, q)
	require.NoError(t, m.s.RemoveMember(t.Context(), admin, q, a.id))
}

func (m *office) member(t *rapid.T, a *seat, q string) {
	a.queues[q] = true
	require.NoError(t, m.s.AddMember(t.Context(), admin, q, a.id))
}

func (m *office) queue(t *rapid.T) string { return rapid.SampledFrom(m.queues).Draw(t, "queue") }

func (m *office) accepts(t *rapid.T) {
	o := m.some(t, conversation.OfferLive)
	_, err := m.do(t, o.visitor, store.TransitionRequest{Event: conversation.EventAccepted, OfferID: o.id, ParticipantID: o.seat.id, Actor: conversation.Actor{AgentID: o.seat.id}})
	require.NoError(t, err)
	o.state = conversation.OfferAccepted
	o.visitor.taken(o.seat.id)
}

func (m *office) declines(t *rapid.T) {
	o := m.some(t, conversation.OfferLive)
	_, err := m.s.DeclineOffer(t.Context(), o.id, o.seat.id, "not now")
	require.NoError(t, err)
	o.state = conversation.OfferDeclined
	o.visitor.let[o.seat.id]++
}

func (m *office) rescinds(t *rapid.T) {
	o := m.some(t, conversation.OfferLive)
	_, err := m.s.RescindOffer(t.Context(), o.id)
	require.NoError(t, err)
	o.state = conversation.OfferRescinded
}

// An offer that is over stays over, and whoever answers it hears what became of it.
func (m *office) answersLate(t *rapid.T) {
	o := m.some(t, conversation.OfferAccepted, conversation.OfferDeclined, conversation.OfferTimedOut, conversation.OfferRescinded)
	_, err := m.do(t, o.visitor, store.TransitionRequest{Event: conversation.EventAccepted, OfferID: o.id, ParticipantID: o.seat.id, Actor: conversation.Actor{AgentID: o.seat.id}})
	require.Error(t, err)
	want := map[conversation.OfferState]conversation.Code{
		conversation.OfferAccepted: conversation.CodeOfferAccepted, conversation.OfferDeclined: conversation.CodeOfferDeclined,
		conversation.OfferTimedOut: conversation.CodeOfferExpired, conversation.OfferRescinded: conversation.CodeOfferRescinded,
	}
	require.Equal(t, want[o.state], conversation.CodeOf(err), "%v", err)
}

func (m *office) releases(t *rapid.T) {
	v := m.served(t)
	m.must(t, v, store.TransitionRequest{Event: conversation.EventReleased, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: v.agent}})
	v.back(v.queue)
}

func (m *office) transfers(t *rapid.T) {
	v, q := m.one(t, func(v *visitor) bool { return v.waits || v.agent != "" && !v.wrapUp }), m.queue(t)
	req := store.TransitionRequest{Event: conversation.EventTransferredQueue, QueueID: q, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true}}
	m.rescindedBy(v)
	m.must(t, v, req)
	if v.waits {
		v.queue = q // it has waited all along: who let it pass is remembered
		return
	}
	v.back(q)
}

func (m *office) assigns(t *rapid.T) {
	v := m.one(t, func(v *visitor) bool { return v.waits || v.agent != "" && !v.wrapUp })
	a := rapid.SampledFrom(m.agents).Draw(t, "agent")
	if v.agent == a.id {
		t.Skip("they have it")
	}
	m.rescindedBy(v)
	m.must(t, v, store.TransitionRequest{Event: conversation.EventAssigned, ParticipantID: a.id, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true}})
	v.taken(a.id)
}

// comesBack parks a conversation, and its customer writes again: who served
// them is waited for.
func (m *office) comesBack(t *rapid.T) {
	v := m.served(t)
	agent := v.agent
	m.must(t, v, store.TransitionRequest{Event: conversation.EventParked, LeavingAgentID: agent, Actor: conversation.Actor{AgentID: agent}})
	until := m.c.Now().Add(time.Minute)
	m.must(t, v, store.TransitionRequest{Event: conversation.EventCustomerWrote, Keep: store.Affinity{On: true, Until: until}})
	v.back(v.queue)
	v.keep, v.until = agent, until
}

func (m *office) ends(t *rapid.T) {
	v := m.one(t, func(v *visitor) bool { return v.waits || v.agent != "" })
	switch {
	case v.waits:
		m.rescindedBy(v)
		m.must(t, v, store.TransitionRequest{Event: conversation.EventForceClosed, Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true}})
		v.waits = false
	case !v.wrapUp:
		m.must(t, v, store.TransitionRequest{Event: conversation.EventEnded, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: v.agent}})
		v.wrapUp = true
	default:
		m.must(t, v, store.TransitionRequest{Event: conversation.EventWrapUpDone, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: v.agent}})
		v.agent = ""
	}
}

func (m *office) do(t *rapid.T, v *visitor, req store.TransitionRequest) (store.TransitionResult, error) {
	m.steps++
	req.ID, req.ConversationID, req.ChannelID, req.ChatKey = fmt.Sprint("step", m.steps), v.id, m.channel.ID, v.id
	return m.s.Transition(t.Context(), req)
}

func (m *office) must(t *rapid.T, v *visitor, req store.TransitionRequest) {
	_, err := m.do(t, v, req)
	require.NoError(t, err)
}

// some draws an offer in one of the states.
func (m *office) some(t *rapid.T, states ...conversation.OfferState) *promise {
	var list []string
	for id, o := range m.offers {
		if slices.Contains(states, o.state) {
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		t.Skip("there is none")
	}
	slices.Sort(list)
	return m.offers[rapid.SampledFrom(list).Draw(t, "offer")]
}

func (m *office) served(t *rapid.T) *visitor {
	return m.one(t, func(v *visitor) bool { return v.agent != "" && !v.wrapUp })
}

func (m *office) one(t *rapid.T, which func(*visitor) bool) *visitor {
	list := slices.DeleteFunc(slices.Clone(m.visitors), func(v *visitor) bool { return !which(v) })
	if len(list) == 0 {
		t.Skip("there is none")
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(t, "conversation")]
}

// taken is what giving an agent a conversation changes in the model; back, what
// its return to a queue does.
func (v *visitor) taken(agent string) {
	v.agent, v.waits, v.keep, v.let = agent, false, "", map[string]int64{}
}

func (v *visitor) back(queue string) {
	v.queue, v.waits, v.agent, v.keep, v.let = queue, true, "", "", map[string]int64{}
}

// rescindedBy ends the offer that is live of v, as whatever moves it does.
func (m *office) rescindedBy(v *visitor) {
	if o := m.live(v); o != nil {
		o.state = conversation.OfferRescinded
	}
}

func (m *office) live(v *visitor) *promise {
	for _, o := range m.offers {
		if o.visitor == v && o.state == conversation.OfferLive {
			return o
		}
	}
	return nil
}

// What must hold.

// check has the dispatcher look, and holds what it did against the rules.
func (m *office) check(t *rapid.T) {
	m.look(t)
	now := m.c.Now()
	for _, a := range m.agents {
		if a.presence != conversation.PresenceOffline && !a.seen.After(now.Add(-conversation.PresenceGrace)) {
			a.presence = conversation.PresenceOffline
		}
	}
	for _, o := range m.offers {
		switch {
		case o.state != conversation.OfferLive:
		case !o.expires.After(now):
			o.state = conversation.OfferTimedOut
			o.visitor.let[o.seat.id]++
		case o.seat.presence == conversation.PresenceOffline:
			o.state = conversation.OfferRescinded
		}
	}
	fresh := m.readOffers(t)
	for _, o := range fresh {
		m.allowed(t, o, fresh)
	}
	for _, v := range m.visitors {
		if v.waits && m.live(v) == nil {
			m.mayWait(t, v, fresh)
		}
	}
	m.explained(t)
}

// look lets the dispatcher look until there is nothing to do.
func (m *office) look(t *rapid.T) {
	var req store.MatchRequest
	for range 20 {
		res, err := m.s.Match(t.Context(), req)
		require.NoError(t, err)
		require.Empty(t, res.Skipped)
		if req.After = res.After; !res.More {
			return
		}
	}
	t.Fatal("the dispatcher finds no end")
}

// readOffers reads every offer, requires those that are known to be as the model
// has them, and returns the new ones.
func (m *office) readOffers(t *rapid.T) []*promise {
	text, err := m.s.QueryForTest(t.Context(), `SELECT COALESCE('[' || string_agg('["' || id || '","' || conversation_id || '","' || agent_id || '","' || state || '",' || expires_at || ']', ',') || ']', '[]') FROM offers`)
	require.NoError(t, err)
	var rows [][]any
	require.NoError(t, json.Unmarshal([]byte(text), &rows))
	require.GreaterOrEqual(t, len(rows), len(m.offers), "an offer is gone")
	var fresh []*promise
	for _, r := range rows {
		id, state := r[0].(string), conversation.OfferState(r[3].(string))
		if o := m.offers[id]; o != nil {
			require.Equal(t, o.state, state, "offer %s of %s to %s", id, o.visitor.id, o.seat.id)
			continue
		}
		o := &promise{id: id, state: state, visitor: m.visitor(r[1].(string)), seat: m.seat(r[2].(string)), expires: time.UnixMicro(int64(r[4].(float64)))}
		require.Equal(t, conversation.OfferLive, state, "a new offer")
		require.Nil(t, m.live(o.visitor), "%s is on offer already", o.visitor.id)
		require.True(t, o.visitor.waits, "%s does not wait", o.visitor.id)
		o.keeps = m.waitsFor(o.visitor) == o.seat
		m.offers[id] = o
		fresh = append(fresh, o)
	}
	return fresh
}

func (m *office) visitor(id string) *visitor {
	return m.visitors[slices.IndexFunc(m.visitors, func(v *visitor) bool { return v.id == id })]
}

func (m *office) seat(id string) *seat {
	i := slices.IndexFunc(m.agents, func(a *seat) bool { return a.id == id })
	if i < 0 {
		return nil
	}
	return m.agents[i]
}

// waitsFor is the agent who is offered v before anybody else, nil for none.
func (m *office) waitsFor(v *visitor) *seat {
	if v.keep == "" || v.let[v.keep] > 0 || !m.c.Now().Before(v.until) {
		return nil
	}
	return m.seat(v.keep)
}

// load is what a holds and is offered, without what who served last is offered
// whatever they hold.
func (m *office) load(a *seat) (units int64) {
	for _, v := range m.visitors {
		if v.agent == a.id {
			units += v.units
		}
	}
	for _, o := range m.offers {
		if o.seat == a && o.state == conversation.OfferLive {
			units += o.visitor.units
		}
	}
	return units
}

// fits tells whether a may be offered v, but for their load.
func (a *seat) fits(v *visitor) bool {
	if a.presence != conversation.PresenceAvailable || !a.queues[v.queue] || v.let[a.id] >= routing.DefaultMaxOffers {
		return false
	}
	return !slices.ContainsFunc(v.needs, func(k conversation.SkillNeed) bool { return a.levels[k.SkillID] < k.Level })
}

// allowed requires that a new offer is one that the rules allow.
func (m *office) allowed(t *rapid.T, o *promise, fresh []*promise) {
	v, a := o.visitor, o.seat
	require.Equal(t, m.c.Now().Add(modelPatience).UnixMicro(), o.expires.UnixMicro())
	if kept := m.waitsFor(v); kept != nil {
		require.Same(t, kept, a, "%s waits for who served last", v.id)
		require.Equal(t, conversation.PresenceAvailable, a.presence)
		return
	}
	require.True(t, a.fits(v), "%s is offered to %s, who may not have it", v.id, a.id)
	over := m.load(a) - a.capacity
	for _, other := range fresh { // whatever they hold
		if other.seat == a && other.keeps {
			over -= other.visitor.units
		}
	}
	require.LessOrEqual(t, over, int64(0), "%s is over capacity", a.id)
	for _, other := range m.agents { // who let it pass comes after everybody else who could have it
		if other.fits(v) && other.capacity-m.load(other) >= v.units {
			require.GreaterOrEqual(t, v.let[other.id], v.let[a.id], "%s is asked again about %s before %s", a.id, v.id, other.id)
		}
	}
}

// mayWait requires that nobody could have v, and that nobody who asks the same
// and comes after it was served instead.
func (m *office) mayWait(t *rapid.T, v *visitor, fresh []*promise) {
	if kept := m.waitsFor(v); kept != nil {
		require.NotEqual(t, conversation.PresenceAvailable, kept.presence, "%s waits, and %s, who served last, is there", v.id, kept.id)
		return
	}
	for _, a := range m.agents {
		require.False(t, a.fits(v) && a.capacity-m.load(a) >= v.units, "%s waits, and %s could have it", v.id, a.id)
	}
	if len(v.let) > 0 || v.keep != "" {
		return
	}
	for _, o := range fresh {
		w := o.visitor
		same := w.queue == v.queue && w.units == v.units && slices.Equal(w.needs, v.needs) && len(w.let) == 0 && w.keep == ""
		if same {
			before := cmp.Or(cmp.Compare(w.priority, v.priority), v.since.Compare(w.since)) // more is sooner
			require.GreaterOrEqual(t, before, 0, "%s was served before %s", w.id, v.id)
		}
	}
}

// explained requires that the routing log has each offer once, with whom it
// was made to, and each end once.
func (m *office) explained(t *rapid.T) {
	text, err := m.s.QueryForTest(t.Context(), `SELECT COALESCE('[' || string_agg('["' || outcome || '",' || entry || ']', ',') || ']', '[]') FROM routing_log WHERE stage = 'assignment'`)
	require.NoError(t, err)
	var lines []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &lines))
	made, ended := map[string]string{}, map[string]string{}
	for _, line := range lines {
		var outcome string
		var entry struct {
			OfferID string         `json:"offer_id"`
			AgentID string         `json:"agent_id"`
			Why     routing.Why    `json:"why"`
			Counts  map[string]int `json:"counts"`
		}
		require.NoError(t, json.Unmarshal(line, &[]any{&outcome, &entry}))
		switch outcome {
		case string(routing.NoAgent): // nobody is counted when nobody is there
		case string(routing.WaitsForOne):
			require.Equal(t, map[string]int{string(routing.ReasonPresence): 1}, entry.Counts)
		case string(routing.Offered):
			require.Empty(t, made[entry.OfferID], "said twice")
			require.NotEmpty(t, entry.Why)
			made[entry.OfferID] = entry.AgentID
		default:
			require.Empty(t, ended[entry.OfferID], "ended twice")
			ended[entry.OfferID] = outcome
		}
	}
	require.Len(t, made, len(m.offers))
	for id, o := range m.offers {
		require.Equal(t, o.seat.id, made[id])
		if o.state == conversation.OfferLive {
			require.Empty(t, ended[id])
		} else {
			require.Equal(t, string(o.state), ended[id])
		}
	}
}

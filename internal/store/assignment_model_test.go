package store_test

import (
	"fmt"
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
// whatever order: each look of the dispatcher does what a model of the rules
// does that knows no kinds, no bounds and no SQL.
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
					"":                                   m.check,
					"a customer comes":                   m.comes,
					"another customer comes":             m.comes,
					"seconds pass":                       m.passes,
					"hours pass":                         m.passesLong,
					"a presence is set":                  m.setsPresence,
					"an agent is changed":                m.changesAgent,
					"a member is changed":                m.changesMember,
					"a queue is changed":                 m.changesQueue,
					"a workstream is changed":            m.changesShop,
					"an offer is accepted":               m.accepts,
					"an offer is accepted for its agent": m.acceptsForAgent,
					"an offer is declined":               m.declines,
					"an offer is rescinded":              m.rescinds,
					"an agent gives it back":             m.releases,
					"it moves to another queue":          m.transfers,
					"a supervisor assigns it":            m.assigns,
					"a customer comes back":              m.comesBack,
					"it is ended":                        m.ends,
					"an answer comes after the fact":     m.answersLate,
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
	shops    []*shop
	queues   []*counter
	pools    []*pool
	skills   []string
	agents   []*seat
	visitors []*visitor
	offers   map[string]*promise
	steps    int
}

// shop is a workstream as the model knows it, with its channel.
type shop struct {
	id, channelID string
	presences     []conversation.Presence
	maxOffers     int64
	affinity      store.AffinityMode
	missed        int64 // offers in a row after which an agent is away; 0 is never
	auto          bool  // offers are accepted for their agents
}

// seat is an agent as the model knows them.
type seat struct {
	id       string
	capacity int64
	limits   map[string]int64 // of capacity profiles
	used     map[use]time.Time
	levels   map[string]int
	queues   map[string]bool

	chosen, presence conversation.Presence // what they set, and the effective one
	seen             time.Time
	missedFrom       time.Time // offers that were made before do not count as missed
	idle, offered    time.Time // when they last let go of something, and were offered something
}

// visitor is a conversation as the model knows it.
type visitor struct {
	id, queue      string
	shop           *shop
	since          time.Time // when the customer first waited
	priority       int64
	units          int64  // 0 with a capacity profile
	pool           string // the capacity profile; "" is none
	needs          []conversation.SkillNeed
	language, plan string  // as classified
	first          []*seat // whom its contact prefers

	waits       bool
	agent       string // who holds it; "" nobody
	wrapUp      bool
	blocks      bool             // it counts for who holds it, though they finish notes
	blocksUntil time.Time        // zero: for as long as they hold it
	let         map[string]int64 // offers that agents let pass since it came to the queue
	keep        string           // who served last, and is waited for
	until       time.Time        // zero: for as long as it takes
}

// promise is an offer as the model knows it.
type promise struct {
	id               string
	visitor          *visitor
	seat             *seat
	state            conversation.OfferState
	created, expires time.Time
	auto             bool
	why              verdict // as the model decides it
}

const modelPatience = 40 * time.Second

// newOffice empties the database and furnishes it anew.
func newOffice(t *rapid.T, s *store.Store, c *clock) *office {
	for _, table := range []string{
		"routing_log", "offers", "transitions", "sessions", "events", "capacity_used", "conversations", "chats", "channels", "workstreams",
		"queue_members", "agent_skills", "agent_capacity_profiles", "agent_states", "agents", "queues", "calendars", "capacity_profiles", "skills",
	} {
		require.NoError(t, s.ExecForTest(t.Context(), "DELETE FROM "+table))
	}
	m := &office{s: s, c: c, offers: map[string]*promise{}}
	for _, name := range []string{"billing", "thai"} {
		k, err := s.CreateSkill(t.Context(), admin, store.Skill{Name: name})
		require.NoError(t, err)
		m.skills = append(m.skills, k.ID)
	}
	m.foundsPools(t)
	for i := range rapid.IntRange(1, 3).Draw(t, "queues") {
		m.opensQueue(t, i)
	}
	m.sendsAway(t)
	for i := range rapid.IntRange(1, 2).Draw(t, "workstreams") {
		m.foundsShop(t, i)
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "agents") {
		m.hires(t, i)
	}
	return m
}

func (m *office) foundsShop(t *rapid.T, i int) {
	x := &shop{}
	m.drawSettings(t, x)
	w := store.Workstream{Name: fmt.Sprint("Shop ", i), Mode: store.ModePush, FallbackQueueID: m.queues[0].id}
	x.settings(&w)
	w, err := m.s.CreateWorkstream(t.Context(), admin, w)
	require.NoError(t, err)
	channel, err := m.s.CreateChannel(t.Context(), admin, store.Channel{
		Name: w.Name, LINEChannelID: fmt.Sprint(i), BotUserID: fmt.Sprint("U", i), WorkstreamID: w.ID, Locale: "en", Status: store.ChannelActive,
		Secrets: []string{"s"}, Token: "t",
	})
	require.NoError(t, err)
	x.id, x.channelID = w.ID, channel.ID
	m.shops = append(m.shops, x)
}

// drawSettings decides what a workstream says of assignment.
func (m *office) drawSettings(t *rapid.T, x *shop) {
	x.presences = rapid.SampledFrom([][]conversation.Presence{
		{conversation.PresenceAvailable}, {conversation.PresenceAvailable}, {conversation.PresenceAvailable, conversation.PresenceBusy},
	}).Draw(t, "presences")
	x.maxOffers = rapid.Int64Range(1, 3).Draw(t, "most offers to one agent")
	x.affinity = rapid.SampledFrom([]store.AffinityMode{store.AffinityPrefer, store.AffinityPrefer, store.AffinityRequire, store.AffinityOff}).Draw(t, "affinity")
	x.missed = rapid.SampledFrom([]int64{0, 1, 2}).Draw(t, "missed offers that set away")
	x.auto = rapid.IntRange(0, 3).Draw(t, "accepts for agents") == 0
}

// settings writes them into a workstream. Nobody is gone for too long: that
// moves conversations, and has tests of its own.
func (x *shop) settings(w *store.Workstream) {
	a := &w.Settings.Assignment
	a.OfferTimeoutSeconds, a.MaxOffers, a.Presences = int64(modelPatience/time.Second), x.maxOffers, x.presences
	a.Affinity, a.MissedOffersAway, a.AutoAccept, a.Absent = x.affinity, x.missed, x.auto, store.AbsentKeep
}

func (x *shop) allows(a *seat) bool { return slices.Contains(x.presences, a.presence) }

func (m *office) hires(t *rapid.T, i int) {
	name := fmt.Sprint("agent", i)
	a := &seat{capacity: rapid.Int64Range(1, 3).Draw(t, "capacity"), levels: map[string]int{}, limits: map[string]int64{}, queues: map[string]bool{}, used: map[use]time.Time{}}
	made, err := m.s.CreateAgent(t.Context(), admin, store.Agent{Name: name, Email: name + "@example.test", Role: store.RoleAgent, Locale: "en", Capacity: a.capacity})
	require.NoError(t, err)
	a.id = made.ID
	m.agents = append(m.agents, a)
	m.limits(t, a)
	m.save(t, a)
	m.choose(t, a, conversation.PresenceAvailable)
	for _, q := range m.queues {
		if rapid.IntRange(0, 3).Draw(t, "works it") > 0 {
			m.member(t, a, q.id)
		}
	}
}

func (m *office) visitor(id string) *visitor {
	return m.visitors[slices.IndexFunc(m.visitors, func(v *visitor) bool { return v.id == id })]
}

// seat is nil when there is no such agent.
func (m *office) seat(id string) *seat {
	i := slices.IndexFunc(m.agents, func(a *seat) bool { return a.id == id })
	if i < 0 {
		return nil
	}
	return m.agents[i]
}

func (m *office) counter(id string) *counter {
	return m.queues[slices.IndexFunc(m.queues, func(q *counter) bool { return q.id == id })]
}

// live is the offer that is live for a conversation, or nil.
func (m *office) live(v *visitor) *promise {
	for _, o := range m.offers {
		if o.visitor == v && o.state == conversation.OfferLive {
			return o
		}
	}
	return nil
}

// requirement is what a conversation asks of agents.
func (v *visitor) requirement() routing.Requirement {
	r := routing.Requirement{Units: v.units, ProfileID: v.pool, Skills: v.needs, Matching: conversation.MatchingExact, Presences: v.shop.presences}
	for _, a := range v.first {
		r.First = append(r.First, a.id)
	}
	return r
}

// attributes is what classification found.
func (v *visitor) attributes() map[string]string {
	if v.plan == "" {
		return map[string]string{}
	}
	return map[string]string{"plan": v.plan}
}

package store_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// What happens: each act does the same in the database and in the model.

// comes has a customer come who wants a queue, and be routed; sometimes with
// others who ask the same.
func (m *office) comes(t *rapid.T) {
	v := m.drawVisitor(t)
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "how many alike") {
		alike := *v
		alike.let = map[string]int64{}
		m.arrives(t, &alike)
	}
}

func (m *office) drawVisitor(t *rapid.T) *visitor {
	v := &visitor{
		shop: drawn(t, "workstream", m.shops), queue: m.queue(t),
		priority: rapid.Int64Range(0, 1).Draw(t, "priority"), units: rapid.Int64Range(1, 2).Draw(t, "units"), waits: true,
		language: rapid.SampledFrom([]string{"", "ja"}).Draw(t, "language"), plan: rapid.SampledFrom([]string{"", "", "gold"}).Draw(t, "plan"),
	}
	if rapid.IntRange(0, 2).Draw(t, "counts against a profile") == 0 {
		v.pool, v.units = drawn(t, "profile", m.pools).id, 0
	}
	if rapid.IntRange(0, 2).Draw(t, "asks for a skill") == 0 {
		v.needs = []conversation.SkillNeed{{SkillID: drawn(t, "skill", m.skills), Level: rapid.IntRange(1, 3).Draw(t, "level")}}
	}
	if rapid.IntRange(0, 3).Draw(t, "prefers somebody") == 0 {
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(m.agents)-1), 1, min(2, len(m.agents)), rapid.ID).Draw(t, "preferred") {
			v.first = append(v.first, m.agents[i])
		}
	}
	return v
}

func (m *office) arrives(t *rapid.T, v *visitor) {
	now := m.c.Now()
	v.id, v.since = fmt.Sprintf("cnv_%04d", len(m.visitors)), now.Add(time.Duration(len(m.visitors))*time.Microsecond)
	m.visitors = append(m.visitors, v)
	require.NoError(t, m.s.ExecForTest(t.Context(), `INSERT INTO chats (channel_id, chat_key, tick, created_at) VALUES ($1, $2, 1, 1)`, v.shop.channelID, v.id))
	require.NoError(t, m.s.ExecForTest(t.Context(), `INSERT INTO conversations
		(id, channel_id, chat_key, workstream_id, status, owner, epoch, routed_at, waiting_since, first_waited_at, created_at, updated_at)
		VALUES ($1, $2, $1, $3, 'open', 'queue', 1, 0, $4, $4, $5, $5)`, v.id, v.shop.channelID, v.shop.id, v.since.UnixMicro(), now.UnixMicro()))

	decider := decide.Decider{Reader: m.s, Logger: slog.New(slog.DiscardHandler)}
	standing, err := decider.QueuesAt(t.Context(), now, v.queue)
	require.NoError(t, err)
	came, err := decider.Arrive(t.Context(), standing, routing.Arrival{QueueID: v.queue}, now)
	require.NoError(t, err)
	queue, ends := m.settles(v.queue)
	require.Equal(t, ends, came.Ends != "", "whether it ends that came to %s", v.queue)
	require.Equal(t, queue, came.QueueID, "where it waits that came to %s", v.queue)
	v.queue, v.waits = queue, !ends

	r := v.requirement()
	m.must(t, v, store.TransitionRequest{Event: came.Event(conversation.EventRouted), Routing: &store.Routing{
		QueueID: v.queue, Priority: v.priority, Skills: v.needs, Matching: r.Matching, Units: v.units, CapacityProfileID: v.pool, ContactAgents: r.First,
		Requirement: routing.KindOf(m.counter(v.queue).custom(), r, routing.FactsOf(r, v.priority, v.language, v.attributes())),
		Language:    v.language, Attributes: v.attributes(),
	}})
}

func (m *office) passes(t *rapid.T) {
	m.c.Advance(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second)
	m.showThemselves(t)
}

// passesLong brings queues to open and close, and days to end.
func (m *office) passesLong(t *rapid.T) {
	m.c.Advance(time.Duration(rapid.IntRange(1, 9).Draw(t, "hours")) * time.Hour)
	m.showThemselves(t)
}

func (m *office) showThemselves(t *rapid.T) {
	for _, a := range m.agents {
		if rapid.IntRange(0, 3).Draw(t, "shows they are there") > 0 {
			_, err := m.s.SignOfLife(t.Context(), a.id)
			require.NoError(t, err)
			a.seen, a.presence = m.c.Now(), a.chosen
		}
	}
}

func (m *office) setsPresence(t *rapid.T) {
	m.choose(t, drawn(t, "agent", m.agents), rapid.SampledFrom([]conversation.Presence{
		conversation.PresenceAvailable, conversation.PresenceAvailable, conversation.PresenceAvailable, conversation.PresenceBusy, conversation.PresenceAway,
		conversation.PresenceOffline,
	}).Draw(t, "presence"))
}

func (m *office) choose(t *rapid.T, a *seat, p conversation.Presence) {
	_, err := m.s.SetPresence(t.Context(), a.id, p, true)
	require.NoError(t, err)
	a.chosen, a.presence, a.seen, a.missedFrom = p, p, m.c.Now(), m.c.Now()
}

func (m *office) changesAgent(t *rapid.T) {
	a := drawn(t, "agent", m.agents)
	a.capacity = rapid.Int64Range(0, 3).Draw(t, "capacity")
	skill, level := drawn(t, "skill", m.skills), rapid.IntRange(0, 3).Draw(t, "level")
	if level == 0 {
		delete(a.levels, skill)
	} else {
		a.levels[skill] = level
	}
	m.limits(t, a)
	m.save(t, a)
}

// save writes what an agent can do and hold.
func (m *office) save(t *rapid.T, a *seat) {
	_, err := m.s.UpdateAgent(t.Context(), admin, a.id, store.AnyVersion, func(x *store.Agent) error {
		x.Capacity, x.Skills, x.CapacityProfiles = a.capacity, nil, nil
		for _, id := range slices.Sorted(maps.Keys(a.levels)) {
			x.Skills = append(x.Skills, store.AgentSkill{SkillID: id, Level: int64(a.levels[id])})
		}
		for _, id := range slices.Sorted(maps.Keys(a.limits)) {
			x.CapacityProfiles = append(x.CapacityProfiles, store.AgentCapacityProfile{ProfileID: id, Limit: a.limits[id]})
		}
		return nil
	})
	require.NoError(t, err)
}

func (m *office) changesMember(t *rapid.T) {
	a, q := drawn(t, "agent", m.agents), m.queue(t)
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

func (m *office) queue(t *rapid.T) string { return drawn(t, "queue", m.queues).id }

func (m *office) changesQueue(t *rapid.T) {
	q := drawn(t, "queue", m.queues)
	q.priority = rapid.Int64Range(1, 2).Draw(t, "queue priority")
	q.method, q.rules = m.drawMethod(t)
	_, err := m.s.UpdateQueue(t.Context(), admin, q.id, store.AnyVersion, func(x *store.Queue) error {
		x.Priority, x.Assignment, x.Custom = q.priority, q.method, q.custom()
		return nil
	})
	require.NoError(t, err)
}

func (m *office) changesShop(t *rapid.T) {
	x := drawn(t, "workstream", m.shops)
	m.drawSettings(t, x)
	_, err := m.s.UpdateWorkstream(t.Context(), admin, x.id, store.AnyVersion, func(w *store.Workstream) error {
		x.settings(w)
		return nil
	})
	require.NoError(t, err)
}

func (m *office) accepts(t *rapid.T) {
	o := m.some(t, conversation.OfferLive)
	m.must(t, o.visitor, store.TransitionRequest{Event: conversation.EventAccepted, OfferID: o.id, ParticipantID: o.seat.id, Actor: conversation.Actor{AgentID: o.seat.id}})
	o.state = conversation.OfferAccepted
	o.visitor.taken(o.seat.id)
}

// acceptsForAgent is the conversation's workflow: it learns of the offer by its
// ingest, and its step is named by the offer, so that it is done once.
func (m *office) acceptsForAgent(t *rapid.T) {
	o := m.some(t, conversation.OfferLive)
	got, err := m.s.Ingest(t.Context(), store.IngestRequest{
		ChannelID: o.visitor.shop.channelID, ChatKey: o.visitor.id, ConversationID: o.visitor.id, Seen: 1 << 40,
	}, read)
	require.NoError(t, err)
	if !o.auto {
		require.Empty(t, got.AutoOffer)
		return
	}
	require.Equal(t, o.id, got.AutoOffer)
	for range 2 {
		res, err := m.s.Transition(t.Context(), store.TransitionRequest{
			ID: "auto" + o.id, ConversationID: o.visitor.id, ChannelID: o.visitor.shop.channelID, ChatKey: o.visitor.id, Event: conversation.EventAccepted,
			OfferID: o.id, ParticipantID: got.OfferedTo, Actor: conversation.Actor{AgentID: got.OfferedTo},
		})
		require.NoError(t, err)
		require.Equal(t, o.seat.id, res.AgentID)
	}
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
	_, err := m.s.RescindOffer(t.Context(), o.id, "agt_sofie")
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
	m.leaves(v)
	v.first = nil
	v.back(v.queue)
}

func (m *office) transfers(t *rapid.T) {
	v, q := m.one(t, func(v *visitor) bool { return v.waits || v.agent != "" && !v.wrapUp }), m.queue(t)
	m.rescindedBy(v)
	m.must(t, v, store.TransitionRequest{
		Event: conversation.EventTransferredQueue, QueueID: q, CustomQueue: m.counter(q).rules != nil, LeavingAgentID: v.agent,
		Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true},
	})
	if v.waits {
		v.queue = q // it has waited all along: who let it pass is remembered
		return
	}
	m.leaves(v)
	v.first = nil
	v.back(q)
}

func (m *office) assigns(t *rapid.T) {
	v := m.one(t, func(v *visitor) bool { return v.waits || v.agent != "" && !v.wrapUp })
	a := drawn(t, "agent", m.agents)
	if v.agent == a.id {
		t.Skip("they have it")
	}
	m.rescindedBy(v)
	m.must(t, v, store.TransitionRequest{Event: conversation.EventAssigned, ParticipantID: a.id, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true}})
	m.leaves(v)
	v.taken(a.id)
}

// comesBack parks a conversation, and its customer writes again: who served
// them is waited for, as the workstream says.
func (m *office) comesBack(t *rapid.T) {
	v := m.served(t)
	agent := v.agent
	m.must(t, v, store.TransitionRequest{Event: conversation.EventParked, LeavingAgentID: agent, Actor: conversation.Actor{AgentID: agent}})
	m.leaves(v)
	m.c.Advance(time.Millisecond)
	var keep store.Affinity
	switch v.shop.affinity {
	case store.AffinityPrefer:
		keep = store.Affinity{On: true, Until: m.c.Now().Add(time.Minute)}
	case store.AffinityRequire:
		keep = store.Affinity{On: true}
	}
	m.must(t, v, store.TransitionRequest{Event: conversation.EventCustomerWrote, Keep: keep})
	v.back(v.queue)
	if keep.On {
		v.keep, v.until = agent, keep.Until
	}
}

// ends brings a conversation one step nearer to its end.
func (m *office) ends(t *rapid.T) {
	v := m.one(t, func(v *visitor) bool { return v.waits || v.agent != "" })
	switch {
	case v.waits:
		m.rescindedBy(v)
		m.must(t, v, store.TransitionRequest{Event: conversation.EventForceClosed, Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true}})
		v.waits = false
	case !v.wrapUp:
		w := rapid.SampledFrom([]store.WrapUp{{}, {Blocks: store.WrapUpNever}, {Blocks: store.WrapUpForSeconds, ForSeconds: 60}}).Draw(t, "wrap-up")
		m.must(t, v, store.TransitionRequest{Event: conversation.EventEnded, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: v.agent}, WrapUp: w})
		v.wrapUp, v.blocks = true, w.Blocks != store.WrapUpNever
		if w.ForSeconds > 0 {
			v.blocksUntil = m.c.Now().Add(time.Minute)
		}
	default:
		m.must(t, v, store.TransitionRequest{Event: conversation.EventWrapUpDone, LeavingAgentID: v.agent, Actor: conversation.Actor{AgentID: v.agent}})
		m.leaves(v)
		v.agent = ""
	}
}

func (m *office) do(t *rapid.T, v *visitor, req store.TransitionRequest) (store.TransitionResult, error) {
	m.steps++
	req.ID, req.ConversationID, req.ChannelID, req.ChatKey = fmt.Sprint("step", m.steps), v.id, v.shop.channelID, v.id
	return m.s.Transition(t.Context(), req)
}

func (m *office) must(t *rapid.T, v *visitor, req store.TransitionRequest) {
	_, err := m.do(t, v, req)
	require.NoError(t, err)
}

// drawn draws one of a list, by its place.
func drawn[T any](t *rapid.T, what string, of []T) T {
	return of[rapid.IntRange(0, len(of)-1).Draw(t, what)]
}

// some draws an offer in one of the states.
func (m *office) some(t *rapid.T, states ...conversation.OfferState) *promise {
	list := slices.DeleteFunc(slices.Collect(maps.Values(m.offers)), func(o *promise) bool { return !slices.Contains(states, o.state) })
	if len(list) == 0 {
		t.Skip("there is none")
	}
	slices.SortFunc(list, func(a, b *promise) int { return strings.Compare(a.id, b.id) })
	return drawn(t, "offer", list)
}

func (m *office) served(t *rapid.T) *visitor {
	return m.one(t, func(v *visitor) bool { return v.agent != "" && !v.wrapUp })
}

func (m *office) one(t *rapid.T, which func(*visitor) bool) *visitor {
	list := slices.DeleteFunc(slices.Clone(m.visitors), func(v *visitor) bool { return !which(v) })
	if len(list) == 0 {
		t.Skip("there is none")
	}
	return drawn(t, "conversation", list)
}

// taken is what giving an agent a conversation changes in the model; back, what
// its return to a queue does.
func (v *visitor) taken(agent string) {
	v.agent, v.waits, v.keep, v.let = agent, false, "", map[string]int64{}
	v.blocks, v.blocksUntil = true, time.Time{}
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

package store_test

import (
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// explained requires that the routing log has each offer once, with whom it was
// made to and why, and each end once; that it says, step by step, how each
// conversation came to whoever has it; and that of those who wait and ask the
// same the first is told why nobody has it.
func (m *office) explained(t *rapid.T) {
	var lines []struct {
		Conversation, Outcome string
		Current               bool // of the present wait
		Entry                 struct {
			verdict
			OfferID  string `json:"offer_id"`
			From, To *hand
		}
	}
	m.read(t, &lines, `SELECT COALESCE('[' || string_agg('{"Conversation":"' || c.id || '","Outcome":"' || outcome || '","Current":' || CASE WHEN l.epoch = c.epoch THEN 'true' ELSE 'false' END
		|| ',"Entry":' || entry || '}', ',' ORDER BY l.created_at, l.id) || ']', '[]') FROM routing_log l JOIN conversations c ON c.id = l.conversation_id WHERE stage = 'assignment'`)
	made, ended, last, has := map[string]verdict{}, map[string]string{}, map[string]verdict{}, map[string]hand{}
	for _, line := range lines {
		if line.Entry.To != nil {
			before, known := has[line.Conversation]
			require.True(t, !known || before == *line.Entry.From, "%s goes from %v, where %v was", line.Outcome, line.Entry.From, before)
			has[line.Conversation] = *line.Entry.To
			continue
		}
		switch routing.Placement(line.Outcome) {
		case routing.Offered:
			require.Empty(t, made[line.Entry.OfferID], "said twice")
			made[line.Entry.OfferID] = line.Entry.verdict
			fallthrough
		case routing.NoAgent, routing.WaitsForOne:
			require.Equal(t, routing.Placement(line.Outcome), line.Entry.Placement)
			if line.Current {
				last[line.Conversation] = line.Entry.verdict
			}
		case "taken_back":
			require.Equal(t, conversation.OfferRescinded, m.offers[line.Entry.OfferID].state)
		default:
			require.Empty(t, ended[line.Entry.OfferID], "ended twice")
			ended[line.Entry.OfferID] = line.Outcome
			if line.Outcome == string(conversation.OfferAccepted) {
				has[line.Conversation] = hand{Owner: conversation.OwnerAgent, AgentID: line.Entry.AgentID}
			}
		}
	}
	for _, v := range m.visitors {
		if known, moved := has[v.id]; moved && (v.waits || v.agent != "") {
			require.Equal(t, v.hand(), known, "who has %s, by its log", v.id)
		} else if v.agent != "" {
			require.Fail(t, "the log does not say why", "%s has %s", v.agent, v.id)
		}
	}
	require.Len(t, made, len(m.offers))
	for id, o := range m.offers {
		require.Equal(t, o.why, made[id], "why %s was offered to %s", o.visitor.id, o.seat.id)
		if o.state == conversation.OfferLive {
			require.Empty(t, ended[id])
		} else {
			require.Equal(t, string(o.state), ended[id])
		}
	}
	m.excused(t, last)
}

// hand is who has a conversation, or where it waits.
type hand struct {
	Owner   conversation.Owner `json:"owner"`
	QueueID string             `json:"queue_id"`
	AgentID string             `json:"agent_id"`
}

func (v *visitor) hand() hand {
	if v.waits {
		return hand{Owner: conversation.OwnerQueue, QueueID: v.queue}
	}
	return hand{Owner: conversation.OwnerAgent, AgentID: v.agent}
}

// excused requires of those who wait and are not on offer that the log says why.
// Of those that ask the same, and that nobody let pass, it is enough that it says
// so of the first.
func (m *office) excused(t *rapid.T, last map[string]verdict) {
	waiting := slices.DeleteFunc(slices.Clone(m.visitors), func(v *visitor) bool { return !v.waits || m.live(v) != nil })
	slices.SortFunc(waiting, m.before)
	l := m.begins(nil)
	type kind struct{ queue, asks string }
	said := map[kind]bool{}
	for _, v := range waiting {
		_, want := l.choose(v)
		r := v.requirement()
		k := kind{v.queue, r.Signature() + routing.KindOf(m.counter(v.queue).custom(), r, routing.FactsOf(r, v.priority, v.language, v.attributes()))}
		if want.Placement == routing.NoAgent && len(v.let) == 0 {
			if said[k] {
				continue
			}
			said[k] = true
		}
		got := last[v.id]
		got.BucketID = want.BucketID // which a change of the queue may have made another
		require.Equal(t, want, got, "why %s waits", v.id)
	}
}

// weighed requires that the load of each agent is what they hold.
func (m *office) weighed(t *rapid.T) {
	var ids []string
	for _, a := range m.agents {
		ids = append(ids, a.id)
	}
	states, err := m.s.AgentStates(t.Context(), ids)
	require.NoError(t, err)
	for _, a := range m.agents {
		require.Equal(t, m.load(a), states[a.id].Load, "what %s holds", a.id)
		require.Equal(t, a.presence, states[a.id].Presence, "presence of %s", a.id)
	}
}

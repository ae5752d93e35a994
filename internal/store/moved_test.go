package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// followed is the routing log of the desk's conversation from a line on: outcome
// and entry.
func (d *desk) followed(after int) (lines []string) {
	d.t.Helper()
	log, err := d.s.RoutingLog(d.t.Context(), d.id, store.Position{}, 1000)
	require.NoError(d.t, err)
	for _, l := range log[after:] {
		require.Equal(d.t, store.StageAssignment, l.Stage)
		lines = append(lines, l.Outcome+" "+l.Entry)
	}
	return lines
}

func TestWhoeverDecidesWhoHasAConversationLeavesALine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		mei, mali := anAgent(t, s, "mei"), anAgent(t, s, "mali")
		by, boss := conversation.Actor{AgentID: mei.ID}, conversation.Actor{AgentID: "agt_sofie", Supervisor: true}
		first := d.row().QueueID
		other, err := s.CreateQueue(t.Context(), store.Origin{}, store.Queue{Name: "Other"})
		require.NoError(t, err)
		until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		queue := func(id string) string { return fmt.Sprintf(`{"owner":"queue","queue_id":%q}`, id) }
		agent := func(id string) string { return fmt.Sprintf(`{"owner":"agent","agent_id":%q}`, id) }
		const nobody, bot = `{"owner":"none"}`, `{"owner":"bot","bot_id":"bot_1"}`

		for i, step := range []struct {
			req          store.TransitionRequest
			from, to     string
			actor, extra string
		}{
			{store.TransitionRequest{Event: conversation.EventPicked, ParticipantID: mei.ID, Actor: by}, queue(first), agent(mei.ID), mei.ID, ""},
			{store.TransitionRequest{Event: conversation.EventReleased, LeavingAgentID: mei.ID, Actor: by}, agent(mei.ID), queue(first), mei.ID, ""},
			{store.TransitionRequest{Event: conversation.EventTransferredQueue, QueueID: other.ID, Actor: boss, Note: "queue_no_members"},
				queue(first), queue(other.ID), "agt_sofie", `"why":"queue_no_members",`},
			{store.TransitionRequest{Event: conversation.EventAssigned, ParticipantID: mali.ID, Actor: boss}, queue(other.ID), agent(mali.ID), "agt_sofie", ""},
			{store.TransitionRequest{Event: conversation.EventTransferredAgent, ParticipantID: mei.ID, LeavingAgentID: mali.ID, Actor: boss},
				agent(mali.ID), agent(mei.ID), "agt_sofie", ""},
			{store.TransitionRequest{Event: conversation.EventParked, LeavingAgentID: mei.ID, Note: "timeout_rule"}, agent(mei.ID), nobody, "", `"why":"timeout_rule",`},
			{store.TransitionRequest{Event: conversation.EventResumed, ParticipantID: mei.ID, Actor: by}, nobody, agent(mei.ID), mei.ID, ""},
			{store.TransitionRequest{Event: conversation.EventParked, LeavingAgentID: mei.ID, Actor: by}, agent(mei.ID), nobody, mei.ID, ""},
			{store.TransitionRequest{Event: conversation.EventCustomerWrote, Keep: store.Affinity{On: true, Until: until}}, nobody, queue(other.ID), "",
				fmt.Sprintf(`"preferred_agent_id":%q,"preferred_until":"2030-01-02T03:04:05Z",`, mei.ID)},
			{store.TransitionRequest{Event: conversation.EventPicked, ParticipantID: mei.ID, Actor: by}, queue(other.ID), agent(mei.ID), mei.ID, ""},
			{store.TransitionRequest{Event: conversation.EventTransferredBot, ParticipantID: "bot_1", LeavingAgentID: mei.ID, Actor: by}, agent(mei.ID), bot, mei.ID, ""},
			{store.TransitionRequest{Event: conversation.EventHandedOff, Actor: boss}, bot, queue(""), "agt_sofie", ""},
		} {
			step.req.ID, step.req.ActorID = fmt.Sprint("step", i), step.req.Actor.AgentID
			d.must(step.req)
			d.must(step.req) // the answer was lost
			lines := d.followed(i)
			require.Len(t, lines, 1, "%s", step.req.Event)
			outcome, entry, _ := strings.Cut(lines[0], " ")
			require.Equal(t, string(step.req.Event), outcome)
			who := ""
			if step.actor != "" {
				who = fmt.Sprintf(`"actor_id":%q,`, step.actor)
			}
			to := step.to
			if to == queue("") {
				to = `{"owner":"queue"}` // rules decide which
			}
			require.JSONEq(t, `{`+who+step.extra+`"from":`+step.from+`,"to":`+to+`}`, entry)
		}
	})
}

func TestTheLineOfAStepComesAfterThatOfTheOfferItEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		mei := anAgent(t, s, "mei")
		offered(t, s, d.id, mei.ID)
		before := len(d.followed(0))
		mali := anAgent(t, s, "mali")
		d.must(store.TransitionRequest{Event: conversation.EventAssigned, ParticipantID: mali.ID, Actor: conversation.Actor{AgentID: "agt_sofie", Supervisor: true}, ActorID: "agt_sofie"})
		lines := d.followed(before)
		require.Len(t, lines, 2)
		require.Contains(t, lines[0], `rescinded {`)
		require.Contains(t, lines[0], `"why":"assigned"`)
		require.Contains(t, lines[1], `assigned {"actor_id":"agt_sofie"`)
	})
}

// A step that leaves the conversation where it is decides nothing.
func TestWhatChangesNothingLeavesNoLine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		mei := anAgent(t, s, "mei")
		boss := conversation.Actor{AgentID: "agt_sofie", Supervisor: true}
		d.must(store.TransitionRequest{Event: conversation.EventTransferredQueue, QueueID: d.row().QueueID, Actor: boss})
		d.must(store.TransitionRequest{Event: conversation.EventCustomerWrote})
		require.Empty(t, d.followed(0))
		d.pick(mei.ID)
		d.must(store.TransitionRequest{Event: conversation.EventEnded, LeavingAgentID: mei.ID, Actor: conversation.Actor{AgentID: mei.ID}})
		d.must(store.TransitionRequest{Event: conversation.EventCustomerWrote})
		require.Len(t, d.followed(0), 1)
		d.must(store.TransitionRequest{Event: conversation.EventForceClosed, LeavingAgentID: mei.ID, Actor: boss})
		require.Len(t, d.followed(0), 1, "a close decides where no work goes")
	})
}

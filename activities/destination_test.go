package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

var sofie = conversation.Actor{AgentID: "agt_sofie", Supervisor: true}

// step carries out a step of the conversation's life.
func (o *office) step(in activities.TransitionInput) (activities.TransitionOutput, error) {
	in.ConversationID, in.ChannelID, in.ChatKey = o.id, o.channel.ID, o.chat
	if in.ID == "" {
		in.ID = "tsn_" + string(in.Event)
	}
	return o.acts.Transition(o.t.Context(), in)
}

// lines are the lines of the routing log with an outcome.
func (o *office) lines(outcome string) (entries []map[string]any) {
	o.t.Helper()
	outcomes, all := o.log()
	for i := range outcomes {
		if outcomes[i] == outcome {
			entries = append(entries, all[i])
		}
	}
	return entries
}

func (o *office) note(event conversation.Event) string {
	o.t.Helper()
	return o.rows(`SELECT note FROM transitions WHERE conversation_id = $1 AND event = $2`, o.id, string(event))[0][0]
}

func TestAQueueThatNobodyWorksTakesNobodyAndTheLogNamesIt(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.writes("hello")
		o.route()
		out, err := o.step(activities.TransitionInput{Event: conversation.EventTransferredQueue, QueueID: o.empty.ID, Actor: sofie})
		require.NoError(t, err)
		require.Equal(t, o.orders.ID, out.QueueID)
		require.Equal(t, "queue_no_members", o.note(conversation.EventTransferredQueue))
		require.Equal(t, []map[string]any{{"queue_id": o.empty.ID, "reason": "queue_no_members", "to_queue_id": o.orders.ID}}, o.lines("skipped"))
		require.Empty(t, o.lines("kept"))

		_, err = o.step(activities.TransitionInput{Event: conversation.EventTransferredQueue, QueueID: "que_none", Actor: sofie, ID: "tsn_none"})
		require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(err))
		require.ErrorContains(t, err, "names something that is not there")
		require.Len(t, o.lines("skipped"), 1)
	})
}

// The fallback queue is the last one: it is taken once, and however it stands.
func TestAFallbackQueueThatNobodyWorksIsTakenAndSaid(t *testing.T) {
	t.Parallel()
	var nobody store.Queue
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.FallbackQueueID = o.empty.ID
	}, func(t *testing.T, o *office) {
		o.writes("hello")
		o.route()
		nobody = o.queue("Nobody")
		kept := map[string]any{"queue_id": o.empty.ID, "reason": "queue_no_members", "action": "assign", "why": "no_other_queue"}
		out, err := o.step(activities.TransitionInput{Event: conversation.EventTransferredQueue, QueueID: nobody.ID, Actor: sofie, ID: "tsn_1"})
		require.NoError(t, err)
		require.Equal(t, o.empty.ID, out.QueueID)
		require.Equal(t, []map[string]any{{"queue_id": nobody.ID, "reason": "queue_no_members", "to_queue_id": o.empty.ID}}, o.lines("skipped"))
		require.Equal(t, []map[string]any{kept}, o.lines("kept"))

		out, err = o.step(activities.TransitionInput{Event: conversation.EventTransferredQueue, QueueID: o.empty.ID, Actor: sofie, ID: "tsn_2"})
		require.NoError(t, err)
		require.Equal(t, o.empty.ID, out.QueueID)
		require.Len(t, o.lines("skipped"), 1)
		require.Equal(t, []map[string]any{kept, kept}, o.lines("kept"))
	})
}

// A bot may name what is no more: rules decide then, and the log says what was
// named.
func TestAQueueThatABotNamesAndThatIsNotThereIsInTheLog(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.writes("hello")
		require.Len(t, o.rows(`UPDATE conversations SET status = 'active', owner = 'bot', bot_id = 'bot_1' WHERE id = $1 RETURNING id`, o.id), 1)
		out, err := o.step(activities.TransitionInput{Event: conversation.EventBotEscalated, QueueID: "que_none"})
		require.NoError(t, err)
		require.False(t, out.Routed)
		require.Equal(t, "queue_missing", o.note(conversation.EventBotEscalated))
		require.Equal(t, []map[string]any{{"queue_id": "que_none", "reason": "queue_missing"}}, o.lines("skipped"))
		require.Equal(t, o.orders.ID, o.route().QueueID)
		require.Len(t, o.lines("fallback"), 1)
	})
}

func TestAQueueThatIsDeletedAfterABotNamedItIsInTheLog(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.writes("hello")
		require.Len(t, o.rows(`UPDATE conversations SET queue_id = 'que_gone' WHERE id = $1 RETURNING id`, o.id), 1)
		require.Equal(t, o.orders.ID, o.route().QueueID)
		lines := o.lines("fallback")
		require.Len(t, lines, 1)
		require.Equal(t, map[string]any{"queue_id": "que_gone", "reason": "queue_missing"}, lines[0]["named"])
	})
}

// Whatever comes back to a queue that nobody works any more goes to the fallback
// queue, too.
func TestWhatComesBackToAQueueThatNobodyWorksGoesToTheFallbackQueue(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(o *office, agent string){
		"released": func(o *office, agent string) {
			out, err := o.step(activities.TransitionInput{Event: conversation.EventReleased, Actor: conversation.Actor{AgentID: agent}})
			require.NoError(o.t, err)
			require.Equal(o.t, o.orders.ID, out.QueueID)
			require.True(o.t, out.Routed)
		},
		"parked, and the customer writes": func(o *office, agent string) {
			_, err := o.step(activities.TransitionInput{Event: conversation.EventParked, Actor: conversation.Actor{AgentID: agent}})
			require.NoError(o.t, err)
			out, err := o.step(activities.TransitionInput{Event: conversation.EventCustomerWrote})
			require.NoError(o.t, err)
			require.Equal(o.t, o.orders.ID, out.QueueID)
			require.True(o.t, out.Routed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOffice(t, nil, func(t *testing.T, o *office) {
				o.writes("hello")
				o.route()
				_, err := o.step(activities.TransitionInput{Event: conversation.EventTransferredQueue, QueueID: o.refunds.ID, Actor: sofie})
				require.NoError(t, err)
				agents, err := o.store.Agents(t.Context(), store.Cursor{}, 10)
				require.NoError(t, err)
				_, err = o.step(activities.TransitionInput{Event: conversation.EventPicked, Actor: conversation.Actor{AgentID: agents[0].ID}})
				require.NoError(t, err)
				require.NoError(t, o.store.RemoveMember(t.Context(), store.Origin{}, o.refunds.ID, agents[0].ID))
				how(o, agents[0].ID)
				require.Equal(t, []map[string]any{{"queue_id": o.refunds.ID, "reason": "queue_no_members", "to_queue_id": o.orders.ID}}, o.lines("skipped"))
			})
		})
	}
}

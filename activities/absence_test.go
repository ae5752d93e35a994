package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// Where a conversation waits whose agent is gone: where it waited before, or in
// the fallback queue when nobody is there any more.
func TestAConversationWhoseAgentIsGoneWaitsWhereSomebodyIs(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]bool{"as before": true, "nobody works that queue any more": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOffice(t, func(o *office, w *store.Workstream) {
				w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Name: "all", Condition: "true", QueueID: o.refunds.ID})
			}, func(t *testing.T, o *office) {
				ctx := t.Context()
				o.writes("返金")
				require.Equal(t, o.refunds.ID, o.route().QueueID)
				agents, err := o.store.Agents(ctx, store.Cursor{}, 1)
				require.NoError(t, err)
				mai := agents[0].ID
				step := func(id string, event conversation.Event, by string) (activities.TransitionOutput, error) {
					return o.acts.Transition(ctx, activities.TransitionInput{
						ID: id, ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Event: event, Actor: conversation.Actor{AgentID: by},
					})
				}
				_, err = step("tsn_pick", conversation.EventPicked, mai)
				require.NoError(t, err)
				_, err = step("tsn_early", conversation.EventAgentLost, "")
				require.Error(t, err, "she may yet come")
				if !members {
					require.NoError(t, o.store.RemoveMember(ctx, store.Origin{}, o.refunds.ID, mai))
				}
				o.rows(`UPDATE sessions SET started_at = $1 RETURNING id`, monday.Add(-time.Hour).UnixMicro())
				out, err := step("tsn_lost", conversation.EventAgentLost, "")
				require.NoError(t, err)
				require.Equal(t, conversation.OwnerQueue, out.Owner)
				want := o.refunds.ID
				if !members {
					want = o.orders.ID
				}
				require.Equal(t, want, out.QueueID)
				require.True(t, out.Routed)
			})
		})
	}
}

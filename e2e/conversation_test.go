package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

func TestAConversationWithTheBotFromFirstMessageToQueue(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		emma := k.newCustomer("Emma")
		emma.writes("hello")
		emma.isAnswered(1)
		emma.writes("talk to a person")
		k.eventually(func() bool {
			list := emma.conversations()
			return len(list) == 1 && list[0].Status == conversation.StatusOpen
		}, "the conversation waits in a queue")
		conv := emma.conversations()[0]
		require.Equal(t, "Emma", conv.DisplayName)
		require.Equal(t, conversation.OwnerQueue, conv.Owner)
		k.eventually(func() bool {
			for _, m := range emma.transcript() {
				if m.State == conversation.MessagePending {
					return false
				}
			}
			return true
		}, "everything is sent")
		for _, m := range emma.transcript() {
			require.Equal(t, conversation.MessageAccepted, m.State)
			if m.Direction == conversation.Outbound {
				require.Equal(t, "reply", m.Via, "a fresh reply token is free")
				require.NotEmpty(t, m.LINERequestID)
				require.NotEmpty(t, m.LINEMessageID)
			}
		}
		require.Len(t, emma.reads(), len(emma.transcript())-2)

		_, item := k.call("GET", "/conversations/"+conv.ID, nil, nil)
		require.Equal(t, "open", item["status"])
		require.Equal(t, emma.workflowID(), item["workflow_id"])
		_, page := k.call("GET", "/conversations/"+conv.ID+"/messages", nil, nil)
		require.Len(t, page["items"], len(emma.transcript()))
		k.eventually(func() bool {
			_, events := k.call("GET", "/events?after=0", nil, nil)
			return len(events["items"].([]any)) > 4
		}, "the events are numbered")

		res, problem := k.call("POST", "/conversations/"+conv.ID+"/close", map[string]any{}, nil)
		require.Equal(t, 200, res.StatusCode, problem)
		require.Equal(t, conversation.ReasonForceClosed, emma.conversations()[0].ClosureReason)
		res, problem = k.call("POST", "/conversations/"+conv.ID+"/close", map[string]any{}, nil)
		require.Equal(t, 409, res.StatusCode)
		require.Equal(t, "conversation_closed", problem["code"])
	})
}

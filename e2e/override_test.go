package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

// reroutes changes what a waiting conversation asks for.
func (a agent) reroutes(conversationID string, change map[string]any) (status int, out item) {
	status = a.call(http.MethodPatch, "/conversations/"+conversationID+"/routing", nil, change, &out)
	return status, out
}

// bulk does the same with many conversations, and returns what came of each.
func (a agent) bulk(key string, body map[string]any) (statuses []int) {
	a.t.Helper()
	var out struct {
		Items []struct {
			Status int    `json:"status"`
			Detail string `json:"detail"`
		} `json:"items"`
	}
	require.Equal(a.t, http.StatusOK, a.call(http.MethodPost, "/conversations/bulk", map[string]string{"Idempotency-Key": key}, body, &out))
	for _, i := range out.Items {
		statuses = append(statuses, i.Status)
	}
	return statuses
}

func TestASupervisorMovesWhoWaitsToAnotherQueueAndDoesMuchAtOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		kenta, sofie := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-sofie")
		kenta.isThere(conversation.PresenceAvailable)
		var ids []string
		for _, name := range []string{"Emma", "Somchai"} {
			ids = append(ids, k.newCustomer(name).asksForAPerson())
		}
		first := k.isOffered(kenta, ids[0])
		from := sofie.conversation(ids[0]).QueueID
		res, made := k.call("POST", "/queues", map[string]any{"name": "Complaints"}, nil)
		require.Equal(t, http.StatusCreated, res.StatusCode, made)
		to := made["id"].(string)
		res, said := k.call("PUT", "/queues/"+to+"/members/"+kenta.id, nil, nil)
		require.Less(t, res.StatusCode, 300, said)

		status, moved := sofie.reroutes(ids[0], map[string]any{"queue_id": to, "priority": 9})
		require.Equal(t, http.StatusOK, status, moved.Detail)
		require.Equal(t, to, moved.QueueID)
		var refusal problem
		require.Equal(t, http.StatusConflict, kenta.answers(first, "accept", &refusal))
		require.Equal(t, "offer_rescinded", refusal.Code)
		require.NotEqual(t, first.ID, k.isOffered(kenta, ids[0]).ID, "it is offered anew")

		// What is repeated with the same key is not repeated.
		transfer := map[string]any{"action": "routing", "conversation_ids": append(ids, "cnv_none"), "queue_id": from}
		require.Equal(t, []int{200, 200, 404}, sofie.bulk("k1", transfer))
		require.Equal(t, []int{200, 200, 404}, sofie.bulk("k1", transfer))
		require.Equal(t, from, sofie.conversation(ids[0]).QueueID)
		assign := map[string]any{"action": "assign", "conversation_ids": ids, "agent_id": kenta.id}
		require.Equal(t, []int{200, 200}, sofie.bulk("k2", assign))
		status, refused := sofie.reroutes(ids[0], map[string]any{"queue_id": to})
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "not_allowed_now", refused.Code)
		require.Equal(t, kenta.id, sofie.conversation(ids[0]).AgentID, "what is served is not taken away by it")
		require.Equal(t, []int{200, 200}, sofie.bulk("k3", map[string]any{"action": "close", "conversation_ids": ids}))
		for _, id := range ids {
			require.Equal(t, conversation.ReasonForceClosed, sofie.conversation(id).ClosureReason)
		}
	})
}

func TestAcceptRacesWithAChangeOfQueue(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		kenta, sofie := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-sofie")
		kenta.isThere(conversation.PresenceAvailable)
		res, made := k.call("POST", "/queues", map[string]any{"name": "Complaints"}, nil)
		require.Equal(t, http.StatusCreated, res.StatusCode, made)
		to := made["id"].(string)
		mali := k.as("kaiwa-dev-mali")
		res, said := k.call("PUT", "/queues/"+to+"/members/"+mali.id, nil, nil)
		require.Less(t, res.StatusCode, 300, said)
		for range raceRounds {
			id := k.newCustomer("Emma").asksForAPerson()
			offer := k.isOffered(kenta, id)
			var accepted, moved int
			var refusal, change item
			together(
				func() { accepted = kenta.answers(offer, "accept", &refusal) },
				func() { moved, change = sofie.reroutes(id, map[string]any{"queue_id": to}) },
			)
			now := sofie.conversation(id)
			if accepted == http.StatusOK {
				require.Equal(t, http.StatusConflict, moved)
				require.Equal(t, "not_allowed_now", change.Code)
				require.Equal(t, kenta.id, now.AgentID)
			} else {
				require.Equal(t, "offer_rescinded", refusal.Code)
				require.Equal(t, http.StatusOK, moved, change.Detail)
				require.Equal(t, conversation.OwnerQueue, now.Owner)
				require.Equal(t, to, now.QueueID)
			}
			sofie.does("close", id, nil)
			k.offersAddUp(id)
			t.Logf("accept %d, move %d", accepted, moved)
		}
	})
}

package api_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestAConversationHasEveryFieldThatWasPromised(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		id := b.conversation(channel, "open", "queue")
		r := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id, nil)
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		for _, field := range []string{"id", "status", "owner", "channel_id", "workstream_id", "queue_id", "agent_id", "contact", "line_user_id", "priority", "skills", "context",
			"waiting_since", "created_at", "updated_at", "closed_at", "closure_reason", "workflow_id", "run_id"} {
			require.Contains(t, r.Body, field)
		}
		require.Equal(t, "open", r.text(t, "status"))
		require.Equal(t, "queue", r.text(t, "owner"))
		require.Equal(t, someUser, r.text(t, "line_user_id"))
		require.Equal(t, "line/"+channel+"/"+id, r.text(t, "workflow_id"))
		require.Equal(t, []any{}, r.get(t, "skills"))
		require.Equal(t, map[string]any{}, r.get(t, "context"))
		require.Nil(t, r.get(t, "closed_at"))
		require.Nil(t, r.get(t, "agent_id"))
		requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations/cnv_none", nil), 404, conversation.CodeNotFound)
	})
}

func TestConversationsAreFoundByWhatTheyAreAndWhatWasSaid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		open := b.conversation(channel, "open", "queue")
		closed := b.conversation(channel, "closed", "none")
		mine := b.conversation(channel, "active", "agent")
		b.sql("UPDATE conversations SET agent_id = $1 WHERE id = $2", b.agents[store.RoleAgent].ID, mine)
		for i, text := range []string{"返品したい 100%", "ยกเลิกออเดอร์ครับ", "Return POLICY_1"} {
			b.message([]string{open, closed, mine}[i], int64(i+1), text)
		}
		for query, want := range map[string][]string{
			"":               {mine, closed, open},
			"status=open":    {open},
			"status=closed":  {closed},
			"agent_id=me":    {mine},
			"queue_id=que_x": {},
			"channel_id=" + channel + "&status=active": {mine},
			"q=" + url.QueryEscape("返品"):               {open},
			"q=" + url.QueryEscape("ออเดอร์"):          {closed},
			"q=" + url.QueryEscape("return policy"):    {mine},
			"q=" + url.QueryEscape("0%"):               {open},
			"q=" + url.QueryEscape("y_1"):              {mine},
			"q=" + url.QueryEscape("%"):                {open},
			"q=" + url.QueryEscape("山田 "+closed):       {closed},
		} {
			r := b.as(store.RoleAgent, "GET", "/api/v1/conversations?"+query, nil)
			require.Equal(t, 200, r.Status, "%s", r.Raw)
			got := []string{}
			for i := range r.get(t, "items").([]any) {
				got = append(got, r.text(t, "items", i, "id"))
			}
			require.Equal(t, want, got, query)
		}
		first := b.as(store.RoleAgent, "GET", "/api/v1/conversations?limit=2", nil)
		second := b.as(store.RoleAgent, "GET", "/api/v1/conversations?limit=2&cursor="+first.text(t, "next_cursor"), nil)
		require.Equal(t, open, second.text(t, "items", 0, "id"))
		require.Nil(t, second.get(t, "next_cursor"))
	})
}

func TestATranscriptIsPagedInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.conversation(b.channel(), "open", "queue")
		for i := range 5 {
			b.message(id, int64(10-i), fmt.Sprint(i))
		}
		path := "/api/v1/conversations/" + id + "/messages?limit=3"
		first := b.as(store.RoleAgent, "GET", path, nil)
		require.Equal(t, 200, first.Status, "%s", first.Raw)
		second := b.as(store.RoleAgent, "GET", path+"&cursor="+first.text(t, "next_cursor"), nil)
		var texts []string
		for _, r := range []response{first, second} {
			for i := range r.get(t, "items").([]any) {
				texts = append(texts, r.text(t, "items", i, "text"))
			}
		}
		require.Equal(t, []string{"4", "3", "2", "1", "0"}, texts)
		require.Equal(t, "customer", first.text(t, "items", 0, "sender", "kind"))
		require.Equal(t, "accepted", first.text(t, "items", 0, "state"))
		require.Nil(t, first.get(t, "items", 0, "attachment"))
		requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations/cnv_none/messages", nil), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations/cnv_none/timeline", nil), 404, conversation.CodeNotFound)
		require.Empty(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/timeline", nil).get(t, "items"))
	})
}

func TestClosingIsAskedOfTheEngineInTheCallersName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		id := b.conversation(channel, "open", "queue")
		path := "/api/v1/conversations/" + id + "/close"
		b.engine.onClose(func(r conversation.ActionRequest) error {
			b.sql("UPDATE conversations SET status = 'closed', owner = 'none', closure_reason = 'force_closed', closed_at = 5 WHERE id = $1", r.ConversationID)
			return nil
		})
		requireProblem(t, b.as(store.RoleAgent, "POST", path, nil), 403, conversation.CodeForbidden)
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, map[string]any{"reason": "x"}), 400, conversation.CodeInvalid, "/reason")
		r := b.as(store.RoleSupervisor, "POST", path, map[string]any{}, key("k"))
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, "closed", r.text(t, "status"))
		require.Equal(t, "force_closed", r.text(t, "closure_reason"))
		requests, _ := b.engine.requests()
		require.Len(t, requests, 1, "what the life table refuses asks no workflow")
		require.Equal(t, conversation.ActionRequest{ConversationID: id, Event: conversation.EventForceClosed,
			Actor: conversation.Actor{AgentID: b.agents[store.RoleSupervisor].ID, Supervisor: true}}, requests[0])
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, nil), 409, conversation.CodeConversationClosed)
		requests, _ = b.engine.requests()
		require.Len(t, requests, 1, "what is closed wakes no workflow")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", "/api/v1/conversations/cnv_none/close", nil), 404, conversation.CodeNotFound)
	})
}

// A step whose answer was lost with its process is not asked of a workflow
// again, which may know less than the database; it is woken, and will.
func TestAStepThatWasDoneIsAnsweredAndItsWorkflowWoken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		id := b.conversation(channel, "open", "queue")
		path := "/api/v1/conversations/" + id + "/close"
		b.engine.onClose(func(r conversation.ActionRequest) error {
			_, updates := b.engine.requests()
			b.sql("UPDATE conversations SET status = 'closed', owner = 'none', closure_reason = 'force_closed', closed_at = 5 WHERE id = $1", r.ConversationID)
			b.sql(`INSERT INTO transitions (id, conversation_id, event, from_status, from_owner, to_status, to_owner, epoch, created_at)
				VALUES ($1, $2, 'force_closed', 'open', 'queue', 'closed', 'none', 2, 5)`, conversation.UpdateStepID(id, updates[0]), id)
			return conversation.Errorf(conversation.CodeUnavailable, "The workflow engine does not answer. Try again.")
		})
		woken := len(b.inbox.woken())
		require.Equal(t, "closed", b.as(store.RoleSupervisor, "POST", path, map[string]any{}, key("k")).text(t, "status"))
		require.Len(t, b.inbox.woken(), woken+1)
	})
}

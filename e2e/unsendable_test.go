package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

// The customer gets what can be sent, agents see what cannot and why, and the
// conversation goes on; only when nothing is left to send do people take over.
func TestAMessageThatABotGotWrongIsShownToAgentsAndTheOthersAreSent(t *testing.T) {
	t.Parallel()
	wrong := `{"type": "quick_replies", "text": "Which?", "quick_replies": [{"label": "` + strings.Repeat("x", 21) + `", "text": "x"}]}`
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(serves(t, 30, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "application/json")
			if strings.Contains(string(body), "m001") {
				_, _ = io.WriteString(w, `{"messages": [`+wrong+`], "context": {"colour": "blue"}}`)
				return
			}
			_, _ = io.WriteString(w, `{"messages": [{"type": "text", "text": "one"}, `+wrong+`, {"type": "text", "text": "two"}], "context": {"colour": "red"}}`)
		}))
		emma := k.newCustomer("Emma")
		emma.writes("m000")
		emma.isAnswered(2)
		emma.isQuiet()
		require.Equal(t, []string{"one", "two"}, emma.reads())
		require.Equal(t, conversation.OwnerBot, emma.conversations()[0].Owner)
		require.JSONEq(t, `{"colour": "red"}`, emma.conversations()[0].Context)

		id := emma.conversations()[0].ID
		failures := func() (out []map[string]any) {
			_, page := k.call("GET", "/conversations/"+id+"/messages?limit=200", nil, nil)
			for _, item := range page["items"].([]any) {
				if m := item.(map[string]any); m["state"] == "failed" {
					out = append(out, m)
				}
			}
			return out
		}
		failed := failures()
		require.Len(t, failed, 1)
		require.Equal(t, "quick_replies", failed[0]["type"])
		require.Equal(t, "Which?", failed[0]["text"])
		require.Equal(t, "bot", failed[0]["sender"].(map[string]any)["kind"])
		require.Equal(t, map[string]any{"code": "unsendable", "detail": "/messages/1/quick_replies/0/label: This is longer than 20 characters."}, failed[0]["failure"])
		told := func(subject any) (kinds []string) {
			_, page := k.call("GET", "/events?after=0&limit=200", nil, nil)
			for _, item := range page["items"].([]any) {
				if e := item.(map[string]any); e["subject_id"] == subject {
					kinds = append(kinds, e["type"].(string))
				}
			}
			return kinds
		}
		k.eventually(func() bool { return len(told(failed[0]["id"])) == 2 }, "the failure is told of")
		require.Equal(t, []string{"message.created", "message.failed"}, told(failed[0]["id"]))

		emma.writes("m001")
		k.eventually(func() bool { return emma.conversations()[0].Owner == conversation.OwnerQueue }, "people take over")
		emma.isQuiet()
		require.NotContains(t, emma.reads(), "Which?")
		require.Len(t, failures(), 2)
		require.Contains(t, failures()[1]["failure"].(map[string]any)["detail"], "/messages/0/quick_replies/0/label: ")
		require.JSONEq(t, `{"colour": "red"}`, emma.conversations()[0].Context)
		steps, err := k.Store.Timeline(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, conversation.EventBotFailed, steps[1].Event)
		require.Equal(t, "invalid_answer", steps[1].Note)
	})
}

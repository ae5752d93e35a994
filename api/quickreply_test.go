package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestQuickRepliesAreOfEverybodyOrPersonal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		hello := b.create("quick-replies", map[string]any{"title": "Hello", "text": "Hello {customer_name}, {agent_name} here", "locale": "en", "tags": []string{"greeting"}})
		mine := b.as(store.RoleAgent, "POST", "/api/v1/quick-replies", map[string]any{"title": "Mine", "text": "x", "personal": true})
		require.Equal(t, 201, mine.Status, "%s", mine.Raw)
		require.Equal(t, b.agents[store.RoleAgent].ID, mine.text(t, "agent_id"))
		requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/quick-replies", map[string]any{"title": "All", "text": "x"}), 403, conversation.CodeForbidden)

		own := "/api/v1/quick-replies/" + mine.text(t, "id")
		requireProblem(t, b.as(store.RoleAdmin, "GET", own, nil), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleAdmin, "PATCH", own, map[string]any{"title": "Yours"}, header{"If-Match", mine.Header.Get("Etag")}), 404, conversation.CodeNotFound)
		require.Len(t, b.as(store.RoleAdmin, "GET", "/api/v1/quick-replies", nil).get(t, "items"), 1)
		require.Len(t, b.as(store.RoleAgent, "GET", "/api/v1/quick-replies", nil).get(t, "items"), 2)

		shared := "/api/v1/quick-replies/" + hello.text(t, "id")
		requireProblem(t, b.as(store.RoleAgent, "PATCH", shared, map[string]any{"title": "Mine"}, header{"If-Match", hello.Header.Get("Etag")}), 403, conversation.CodeForbidden)
		requireProblem(t, b.as(store.RoleAgent, "DELETE", shared, nil, header{"If-Match", hello.Header.Get("Etag")}), 403, conversation.CodeForbidden)
		requireProblem(t, b.as(store.RoleAdmin, "PATCH", shared, map[string]any{"title": "Hi"}), 428, conversation.CodeVersionRequired)
		changed := b.patch(shared, map[string]any{"title": "Hi", "locale": nil, "tags": []string{}})
		require.Equal(t, "Hi", changed.text(t, "title"))
		require.Nil(t, changed.get(t, "locale"))
		require.Equal(t, "Hello {customer_name}, {agent_name} here", changed.text(t, "text"))
		requireProblem(t, b.patch(shared, map[string]any{"text": "{position}", "locale": "xx-nowhere-at-all", "workstream_ids": []string{}}), 400, conversation.CodeInvalid, "/locale", "/text")
		requireProblem(t, b.patch(shared, map[string]any{"workstream_ids": []string{"wst_none"}}), 400, conversation.CodeInvalid, "/workstream_ids/0")

		require.Equal(t, 204, b.as(store.RoleAgent, "DELETE", own, nil, header{"If-Match", mine.Header.Get("Etag")}).Status)
		require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", shared, nil, header{"If-Match", changed.Header.Get("Etag")}).Status)
	})
}

func TestAConversationsQuickRepliesAreFilledInAndFitItsLanguage(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.live() // its locale is ja
	b.sql(`UPDATE conversations SET context = '{"order":"A-1"}' WHERE id = $1`, id)
	b.sql(`UPDATE social_profiles SET display_name = '葵' WHERE id = $1`, id)
	w := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id, nil).text(t, "workstream_id")
	other := b.workstream()
	b.create("quick-replies", map[string]any{"title": "A", "text": "Hello {customer_name}", "locale": "en"})
	b.create("quick-replies", map[string]any{"title": "B", "text": "{customer_name}様、ご注文{$order}は{agent_name}が承りました。", "locale": "ja", "workstream_ids": []string{w}, "tags": []string{"注文"}})
	b.create("quick-replies", map[string]any{"title": "C", "text": "👍"})
	b.create("quick-replies", map[string]any{"title": "D", "text": "elsewhere", "workstream_ids": []string{other}})
	filled := func(query string) (out []string) {
		for _, item := range b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/quick-replies"+query, nil).get(t, "items").([]any) {
			out = append(out, item.(map[string]any)["text"].(string))
		}
		return out
	}
	require.Equal(t, []string{"葵様、ご注文A-1はagentが承りました。", "👍", "Hello 葵"}, filled(""))
	require.Equal(t, []string{"葵様、ご注文A-1はagentが承りました。"}, filled("?q=注文"))
	require.Equal(t, []string{"Hello 葵"}, filled("?q=HELLO"))
	require.Empty(t, filled("?q=nothing"))
}

package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestANoticeNeedsAVersion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		path := "/api/v1/workstreams/" + b.workstream()
		made := b.as(store.RoleAdmin, "GET", path, nil)
		require.Equal(t, map[string]any{"notice": false, "consent": false, "version": ""}, made.get(t, "settings", "privacy"))
		privacy := func(p map[string]any) response {
			return b.patch(path, map[string]any{"settings": map[string]any{"privacy": p}})
		}
		for _, wrong := range []map[string]any{
			{"notice": true}, {"consent": true}, {"notice": true, "version": "  "}, {"consent": true, "version": "a\nb"}, {"version": strings.Repeat("語", 41)},
		} {
			requireProblem(t, privacy(wrong), 400, conversation.CodeInvalid, "/settings/privacy/version")
		}
		requireProblem(t, privacy(map[string]any{"ask": true}), 400, conversation.CodeInvalid, "/settings/privacy/ask")
		r := privacy(map[string]any{"consent": true, "version": strings.Repeat("語", 40)})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		r = privacy(map[string]any{"version": "2026-04"})
		require.Equal(t, map[string]any{"notice": false, "consent": true, "version": "2026-04"}, r.get(t, "settings", "privacy"), "what is left out stays")
		requireProblem(t, privacy(map[string]any{"version": nil}), 400, conversation.CodeInvalid, "/settings/privacy/version")
	})
}

func TestAChannelHasAutomatedMessagesOfItsOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		own := []any{map[string]any{"trigger": "greeting", "locale": "ja", "text": "こんにちは、{customer_name}様"}}
		body := channelBody(b.workstream())
		body["automated_messages"] = []any{map[string]any{"trigger": "greeting", "text": "Hi {who}"}}
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/channels", body), 400, conversation.CodeInvalid, "/automated_messages/0/text")
		body["automated_messages"] = own
		made := b.as(store.RoleAdmin, "POST", "/api/v1/channels", body)
		require.Equal(t, 201, made.Status, "%s", made.Raw)
		require.Equal(t, own, made.get(t, "automated_messages"))
		path := "/api/v1/channels/" + made.text(t, "id")

		require.Equal(t, own, b.patch(path, map[string]any{"name": "Other"}).get(t, "automated_messages"), "what is left out stays")
		off := map[string]any{"trigger": "closed", "locale": "", "enabled": false}
		r := b.patch(path, map[string]any{"automated_messages": []any{own[0], off}})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, []any{own[0], off}, b.as(store.RoleAdmin, "GET", path, nil).get(t, "automated_messages"))
		plan, err := b.store.Plan(t.Context(), made.text(t, "id"))
		require.NoError(t, err)
		require.Len(t, plan.Channel.AutomatedMessages, 2)

		for pointer, wrong := range map[string][]any{
			"/automated_messages/0/trigger": {map[string]any{"trigger": "no_such", "enabled": true}},
			"/automated_messages/0/enabled": {map[string]any{"trigger": "consent_question", "enabled": false}},
			"/automated_messages/1":         {own[0], own[0]},
		} {
			requireProblem(t, b.patch(path, map[string]any{"automated_messages": wrong}), 400, conversation.CodeInvalid, pointer)
		}
		require.Empty(t, b.patch(path, map[string]any{"automated_messages": []any{}}).get(t, "automated_messages"))
	})
}

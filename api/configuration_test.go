package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

func TestAChannelIsCreatedWhenLINEAcceptsItsToken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		body := channelBody(b.workstream())
		r := b.as(store.RoleAdmin, "POST", "/api/v1/channels", body)
		require.Equal(t, 201, r.Status, "%s", r.Raw)
		require.Equal(t, `"1"`, r.Header.Get("Etag"))
		require.Equal(t, botUserID, r.text(t, "bot_user_id"))
		require.Equal(t, "@shop", r.text(t, "basic_id"))
		require.Equal(t, "bot", r.text(t, "chat_mode"))
		require.Equal(t, "active", r.text(t, "status"))
		require.Equal(t, b.url+"/webhooks/line/"+r.text(t, "id"), r.text(t, "callback_url"))
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, r.text(t, "created_at"))
		list := b.as(store.RoleAdmin, "GET", "/api/v1/channels", nil)
		require.Equal(t, r.Body, list.get(t, "items", 0))
		for _, answer := range []response{r, list, b.as(store.RoleAdmin, "GET", "/api/v1/channels/"+r.text(t, "id"), nil), b.as(store.RoleAdmin, "GET", "/api/v1/audit-log", nil)} {
			require.NotContains(t, string(answer.Raw), lineSecret)
			require.NotContains(t, string(answer.Raw), lineToken)
		}
		require.NotContains(t, b.log.String(), lineSecret)
		require.NotContains(t, b.log.String(), lineToken)

		taken := b.as(store.RoleAdmin, "POST", "/api/v1/channels", body)
		requireProblem(t, taken, 409, conversation.CodeConflict, taken.pointers()...)
		require.Subset(t, []string{"/line_channel_id", "/channel_access_token"}, taken.pointers(), "both are; a database names one")
		body["channel_access_token"] = "not-a-token"
		refused := b.as(store.RoleAdmin, "POST", "/api/v1/channels", body)
		requireProblem(t, refused, 422, conversation.CodeLINERefused, "/channel_access_token")
		require.NotContains(t, string(refused.Raw), "not-a-token")
		body["workstream_id"] = "wst_none"
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/channels", body), 400, conversation.CodeInvalid, "/workstream_id")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/channels", map[string]any{}), 400, conversation.CodeInvalid,
			"/channel_secret", "/line_channel_id", "/name", "/workstream_id")
		delete(body, "channel_access_token")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/channels", body), 400, conversation.CodeInvalid, "/channel_access_token")
	})
}

func TestAnAccessTokenIsReplacedByOneOfTheSameBotOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.channel()
	require.NoError(t, b.sim.AddChannel(t.Context(), linesim.Channel{ID: "2000", Secret: "s", AccessToken: "others-token", DisplayName: "Other"}))
	requireProblem(t, b.patch("/api/v1/channels/"+id, map[string]any{"channel_access_token": "others-token"}), 400, conversation.CodeInvalid, "/channel_access_token")
	requireProblem(t, b.patch("/api/v1/channels/"+id, map[string]any{"channel_access_token": "nonsense"}), 422, conversation.CodeLINERefused, "/channel_access_token")
	require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.AccessToken = "fresh-token" }))
	require.Equal(t, 200, b.patch("/api/v1/channels/"+id, map[string]any{"channel_access_token": "fresh-token"}).Status)
	c, err := b.store.Channel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "fresh-token", c.Token)
	requireProblem(t, b.patch("/api/v1/channels/"+id, map[string]any{"line_channel_id": "7", "name": nil}), 400, conversation.CodeInvalid, "/line_channel_id", "/name")

	require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.AccessToken = "yet another" }))
	check := b.as(store.RoleAdmin, "POST", "/api/v1/channels/"+id+"/check", nil)
	require.Equal(t, false, check.get(t, "token", "ok"), "%s", check.Raw)
	require.NotContains(t, string(check.Raw), "fresh-token")
}

func TestAChangeNeedsTheVersionItWasMadeTo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		made := b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "q"})
		path := "/api/v1/queues/" + made.text(t, "id")
		change := map[string]any{"priority": 5}
		requireProblem(t, b.as(store.RoleAdmin, "PATCH", path, change), 428, conversation.CodeVersionRequired)
		requireProblem(t, b.as(store.RoleAdmin, "DELETE", path, nil), 428, conversation.CodeVersionRequired)
		for _, stale := range []string{`"2"`, "1", `W/"1"`, `"x"`, `"0"`} {
			requireProblem(t, b.as(store.RoleAdmin, "PATCH", path, change, header{"If-Match", stale}), 412, conversation.CodeVersionStale)
		}
		r := b.as(store.RoleAdmin, "PATCH", path, change, header{"If-Match", made.Header.Get("Etag")}, header{"Content-Type", "application/merge-patch+json"})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, `"2"`, r.Header.Get("Etag"))
		require.Equal(t, float64(2), r.get(t, "version"))
		require.Equal(t, "q", r.text(t, "name"))
		require.Equal(t, float64(5), r.get(t, "priority"))
		requireProblem(t, b.as(store.RoleAdmin, "DELETE", path, nil, header{"If-Match", `"1"`}), 412, conversation.CodeVersionStale)
		require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", path, nil, header{"If-Match", "*"}).Status)
		requireProblem(t, b.as(store.RoleAdmin, "GET", path, nil), 404, conversation.CodeNotFound)
	})
}

func TestAChannelWithLiveConversationsGoesWithThemOrNotAtAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		live := b.conversation(id, "open", "queue")
		b.conversation(id, "closed", "none")
		path := "/api/v1/channels/" + id
		for _, query := range []string{"", "?live=refuse"} {
			requireProblem(t, b.as(store.RoleAdmin, "DELETE", path+query, nil, header{"If-Match", `"1"`}), 409, conversation.CodeLiveConversations)
		}
		requireProblem(t, b.as(store.RoleAdmin, "DELETE", path+"?live=maybe", nil, header{"If-Match", `"1"`}), 400, conversation.CodeInvalid, "/live")
		// The engine is away: the channel goes all the same, its conversations later.
		b.engine.onClose(func(conversation.ActionRequest) error {
			return conversation.Errorf(conversation.CodeUnavailable, "away")
		})
		require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", path+"?live=close", nil, header{"If-Match", `"1"`}).Status)
		requests, updates := b.engine.requests()
		require.Equal(t, []conversation.ActionRequest{{ConversationID: live, Event: conversation.EventChannelDeleted}}, requests)
		requireProblem(t, b.deliver(id, lineSecret, message("e", someUser, "a")), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleAdmin, "GET", path, nil), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleAdmin, "POST", path+"/check", nil), 404, conversation.CodeNotFound)
		require.Empty(t, b.as(store.RoleAdmin, "GET", "/api/v1/channels", nil).get(t, "items"))
		require.Equal(t, 200, b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+live, nil).Status, "transcripts stay")

		require.Error(t, b.api.CloseOrphans(t.Context()))
		again, sameUpdates := b.engine.requests()
		require.Len(t, again, 2)
		require.Equal(t, updates[0], sameUpdates[1], "asking again is the same update")
	})
}

func TestAWorkstreamIsChangedInPartAndCopied(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		queue := b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "q"}).text(t, "id")
		made := b.as(store.RoleAdmin, "POST", "/api/v1/workstreams", map[string]any{
			"name": "Support", "fallback_queue_id": queue, "bot_id": nil,
			"settings": map[string]any{
				"bot": map[string]any{"deadline_seconds": 5}, "context": map[string]any{"tier": "gold", "gone": nil},
				"automated_messages": []any{map[string]any{"trigger": "greeting", "locale": "ja", "text": "こんにちは、{customer_name}様"}},
			},
		})
		require.Equal(t, 201, made.Status, "%s", made.Raw)
		require.Equal(t, "push", made.text(t, "mode"))
		require.Nil(t, made.get(t, "bot_id"))
		require.Equal(t, float64(5), made.get(t, "settings", "bot", "deadline_seconds"))
		require.Equal(t, float64(1800), made.get(t, "settings", "bot", "idle_seconds"))
		require.Equal(t, map[string]any{"tier": "gold"}, made.get(t, "settings", "context"))
		path := "/api/v1/workstreams/" + made.text(t, "id")

		r := b.patch(path, map[string]any{"mode": "pick", "fallback_queue_id": nil, "settings": map[string]any{
			"auto_close": map[string]any{"waiting_seconds": 60}, "context": map[string]any{"lang": "ja", "tier": nil},
		}})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, "pick", r.text(t, "mode"))
		require.Nil(t, r.get(t, "fallback_queue_id"))
		require.Equal(t, float64(60), r.get(t, "settings", "auto_close", "waiting_seconds"))
		require.Equal(t, float64(5), r.get(t, "settings", "bot", "deadline_seconds"), "what is left out stays")
		require.Equal(t, map[string]any{"lang": "ja"}, r.get(t, "settings", "context"))
		require.Equal(t, made.get(t, "settings", "automated_messages"), r.get(t, "settings", "automated_messages"))
		requireProblem(t, b.patch(path, map[string]any{"bot_id": "bot_none"}), 400, conversation.CodeInvalid, "/bot_id")

		copied := b.as(store.RoleAdmin, "POST", path+"/copy", map[string]any{"name": "Support 2"})
		require.Equal(t, 201, copied.Status, "%s", copied.Raw)
		require.NotEqual(t, made.text(t, "id"), copied.text(t, "id"))
		require.Equal(t, r.get(t, "settings"), copied.get(t, "settings"))
		require.Equal(t, float64(1), copied.get(t, "version"))
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/workstreams/wst_none/copy", map[string]any{"name": "x"}), 404, conversation.CodeNotFound)

		require.Equal(t, 201, b.as(store.RoleAdmin, "POST", "/api/v1/channels", channelBody(made.text(t, "id"))).Status)
		requireProblem(t, b.as(store.RoleAdmin, "DELETE", path, nil, header{"If-Match", "*"}), 409, conversation.CodeInUse)
		defaults := b.as(store.RoleAgent, "GET", "/api/v1/automated-messages/defaults", nil)
		require.Equal(t, "greeting", defaults.text(t, "items", 0, "trigger"))
		require.NotEmpty(t, defaults.text(t, "items", 0, "texts", "th"))
	})
}

func TestABotsSecretIsMadeOnceAndNeverShownAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		made := b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "webhook", "url": "https://bot.example/hook"})
		require.Equal(t, 201, made.Status, "%s", made.Raw)
		secret := made.text(t, "secret")
		require.Regexp(t, `^whsec_`, secret)
		path := "/api/v1/bots/" + made.text(t, "id")
		hidden := func(r response) {
			t.Helper()
			require.Equal(t, 200, r.Status, "%s", r.Raw)
			require.NotContains(t, r.Body, "secret")
		}
		hidden(b.as(store.RoleAdmin, "GET", path, nil))
		hidden(b.patch(path, map[string]any{"name": "c"}))
		kept, err := b.store.Bot(t.Context(), made.text(t, "id"))
		require.NoError(t, err)
		require.Equal(t, secret, kept.Secret)

		own := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
		hidden(b.patch(path, map[string]any{"secret": own}))
		fresh := b.patch(path, map[string]any{"secret": nil})
		require.Regexp(t, `^whsec_`, fresh.text(t, "secret"))
		require.NotEqual(t, own, fresh.text(t, "secret"))
		log := string(b.as(store.RoleAdmin, "GET", "/api/v1/audit-log", nil).Raw)
		for _, s := range []string{secret, own, fresh.text(t, "secret")} {
			require.NotContains(t, log, s)
			require.NotContains(t, b.log.String(), s)
		}
		requireProblem(t, b.patch(path, map[string]any{"secret": "whsec_short"}), 400, conversation.CodeInvalid, "/secret")
	})
}

func TestABotsURLMayNotLeadInside(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	for _, url := range []string{"http://bot.example", "https://127.0.0.1/x", "https://localhost", "https://10.0.0.1", "https://user:pw@bot.example", "ftp://bot.example", "nonsense"} {
		r := b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "webhook", "url": url})
		requireProblem(t, r, 400, conversation.CodeInvalid, "/url")
		require.NotContains(t, string(r.Raw), "refused:")
	}
	_, open := b.serve(b.store, func(c *api.Config) { c.AllowPrivateAddresses = true })
	r := b.send(open, b.tokens[store.RoleAdmin], "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "webhook", "url": "http://127.0.0.1:9000/hook"})
	require.Equal(t, 201, r.Status, "%s", r.Raw)
}

func TestAScriptIsCheckedAndItsMistakesPointedAt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		bad := b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "script", "script": map[string]any{"nonsense": 1}})
		require.Equal(t, 400, bad.Status, "%s", bad.Raw)
		require.NotEmpty(t, bad.pointers())
		for _, p := range bad.pointers() {
			require.True(t, strings.HasPrefix(p, "/script"), p)
		}
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "script", "url": "https://x.example", "secret": "s"}),
			400, conversation.CodeInvalid, "/url", "/secret", "/script")
		deep := strings.Replace(string(demoScript(t)), `"greeting": [`, `"greeting": [{"type": "flex", "alt_text": "x", "contents": {"type": "cube"}}, `, 1)
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "script", "script": json.RawMessage(deep)}),
			400, conversation.CodeInvalid, "/script/greeting/0/contents/type")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "webhook", "script": map[string]any{}}),
			400, conversation.CodeInvalid, "/script", "/url")

		made := b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "b", "kind": "script", "script": demoScript(t)})
		require.Equal(t, 201, made.Status, "%s", made.Raw)
		require.NotContains(t, made.Body, "secret")
		var want any
		require.NoError(t, json.Unmarshal(demoScript(t), &want))
		require.Equal(t, want, made.get(t, "script"))
		path := "/api/v1/bots/" + made.text(t, "id")
		renamed := b.patch(path, map[string]any{"name": "c"})
		require.Equal(t, want, renamed.get(t, "script"), "%s", renamed.Raw)
		require.Equal(t, 400, b.patch(path, map[string]any{"script": map[string]any{}}).Status, "a script is replaced as a whole")
		requireProblem(t, b.patch(path, map[string]any{"kind": "webhook"}), 400, conversation.CodeInvalid, "/kind")
	})
}

func demoScript(t *testing.T) json.RawMessage {
	t.Helper()
	doc, err := os.ReadFile("../internal/bot/demo.json")
	require.NoError(t, err)
	return doc
}

func TestAgentsHaveOneEmailAddressEachAndALanguage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		made := b.as(store.RoleAdmin, "POST", "/api/v1/agents", map[string]any{"name": "สมชาย", "email": "Somchai@Example.com", "role": "agent", "locale": "th"})
		require.Equal(t, 201, made.Status, "%s", made.Raw)
		require.Equal(t, "somchai@example.com", made.text(t, "email"))
		path := "/api/v1/agents/" + made.text(t, "id")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/agents", map[string]any{"name": "x", "email": "somchai@example.COM", "role": "agent"}), 409, conversation.CodeConflict, "/email")
		requireProblem(t, b.patch(path, map[string]any{"email": "agent@example.com"}), 409, conversation.CodeConflict, "/email")
		requireProblem(t, b.patch(path, map[string]any{"locale": "xx-nonsense-"}), 400, conversation.CodeInvalid, "/locale")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/agents", map[string]any{"name": "x", "email": "nobody", "role": "boss"}), 400, conversation.CodeInvalid, "/email", "/role")
		require.Equal(t, "supervisor", b.patch(path, map[string]any{"role": "supervisor"}).text(t, "role"))
		requireProblem(t, b.patch("/api/v1/agents/"+b.agents[store.RoleAdmin].ID, map[string]any{"role": "agent"}), 409, conversation.CodeInUse)
		require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", path, nil, header{"If-Match", "*"}).Status)
	})
}

func TestTheAuditLogTellsWhoWhatWhenAndFromWhere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		made := b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "q"}, header{"X-Request-Id", "ticket-7"})
		require.Equal(t, 200, b.patch("/api/v1/queues/"+made.text(t, "id"), map[string]any{"name": "r"}).Status)
		log := b.as(store.RoleAdmin, "GET", "/api/v1/audit-log?limit=1&subject_id="+made.text(t, "id"), nil)
		require.Equal(t, "changed", log.text(t, "items", 0, "action"))
		require.Equal(t, map[string]any{"name": map[string]any{"from": "q", "to": "r"}}, log.get(t, "items", 0, "changes"))
		log = b.as(store.RoleAdmin, "GET", "/api/v1/audit-log?limit=1&subject_id="+made.text(t, "id")+"&cursor="+log.text(t, "next_cursor"), nil)
		require.Equal(t, "created", log.text(t, "items", 0, "action"))
		require.Equal(t, "127.0.0.1", log.text(t, "items", 0, "by", "address"))
		require.Equal(t, "ticket-7", log.text(t, "items", 0, "by", "request_id"))
		require.Equal(t, b.agents[store.RoleAdmin].ID, log.text(t, "items", 0, "by", "agent_id"))
		require.Nil(t, log.get(t, "next_cursor"))
	})
}

func TestAListGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		var want []string
		for i := range 7 {
			want = append(want, b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": fmt.Sprint(i)}).text(t, "id"))
		}
		var got []string
		for path := "/api/v1/queues?limit=3"; path != ""; {
			r := b.as(store.RoleAgent, "GET", path, nil)
			require.Equal(t, http.StatusOK, r.Status)
			for _, item := range r.get(t, "items").([]any) {
				got = append(got, item.(map[string]any)["id"].(string))
			}
			path = ""
			if next, more := r.get(t, "next_cursor").(string); more {
				path = "/api/v1/queues?limit=3&cursor=" + next
			}
		}
		require.Equal(t, want, got)
	})
}

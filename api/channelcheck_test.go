package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// steps are the states and reasons of a check's steps, by step.
func steps(t *testing.T, r response) (states, reasons map[string]string) {
	t.Helper()
	require.Equal(t, 200, r.Status, "%s", r.Raw)
	states, reasons = map[string]string{}, map[string]string{}
	for _, s := range r.get(t, "steps").([]any) {
		step := s.(map[string]any)
		states[step["step"].(string)], reasons[step["step"].(string)] = step["state"].(string), step["reason"].(string)
		require.NotEmpty(t, step["title"])
		require.NotEmpty(t, step["detail"])
		require.NotContains(t, step["detail"], "{")
	}
	require.Len(t, states, 11)
	return states, reasons
}

func TestANewcomerIsLedThroughTheSetup(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		path := "/api/v1/channels/" + b.channel()
		states, reasons := steps(t, b.as(store.RoleAdmin, "POST", path+"/check", nil))
		require.Equal(t, map[string]string{
			"access_token": "done", "channel_id": "done", "channel_secret": "done", "webhook_url": "todo", "use_webhook": "blocked", "webhook_test": "blocked",
			"redelivery": "confirm", "response_mode": "done", "auto_reply": "confirm", "greeting": "confirm", "rich_menus": "done",
		}, states)
		require.Equal(t, "webhook_url_missing", reasons["webhook_url"])

		for range 2 { // again changes nothing
			connect := b.as(store.RoleAdmin, "POST", path+"/connect", nil)
			states, reasons = steps(t, connect)
			require.Equal(t, "done", states["webhook_url"])
			require.Equal(t, "done", states["webhook_test"])
			require.Equal(t, "todo", states["use_webhook"])
			require.Equal(t, "use_webhook_off", reasons["use_webhook"])
			require.Equal(t, false, connect.get(t, "ok"))
		}
		require.Len(t, b.sim.Calls(linesim.CallFilter{Endpoint: "set_webhook_endpoint"}), 1, "what is set is not set again")

		require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.WebhookActive, c.ChatMode = true, "chat" }))
		check := b.as(store.RoleAdmin, "POST", path+"/check", nil)
		states, reasons = steps(t, check)
		require.Equal(t, true, check.get(t, "ok"), "%s", check.Raw)
		require.Equal(t, "response_mode_chat", reasons["response_mode"])
		require.Equal(t, "confirm", states["response_mode"])
		require.Len(t, check.get(t, "todo"), 4, "what LINE does not tell")

		ja := b.as(store.RoleAdmin, "POST", path+"/check?locale=ja-JP", nil)
		require.Contains(t, string(ja.Raw), "応答メッセージ")
		require.Equal(t, true, ja.get(t, "ok"))
	})
}

// LINE takes a minute to follow a change of the webhook's address.
func TestWhatLINEHasTakenIsSetThoughItDoesNotSayYet(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{200: `{"endpoint":"https://before.example.com/","active":true}`, 404: `{"message":"Not found"}`} {
		b := setup(t, "sqlite")
		path := "/api/v1/channels/" + b.channel()
		_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "get_webhook_endpoint", Status: status, Body: json.RawMessage(body)})
		require.NoError(t, err)
		states, _ := steps(t, b.as(store.RoleAdmin, "POST", path+"/connect", nil))
		require.Equal(t, "done", states["webhook_url"], status)
		require.Equal(t, "done", states["webhook_test"], status)
		require.Equal(t, map[int]string{200: "done", 404: "todo"}[status], states["use_webhook"])
	}
}

func TestATestThatLINERefusesIsAStepToDo(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "test_webhook_endpoint", Status: 400, Body: json.RawMessage(`{"message":"Invalid endpoint"}`)})
	require.NoError(t, err)
	connect := b.as(store.RoleAdmin, "POST", "/api/v1/channels/"+b.channel()+"/connect", nil)
	states, reasons := steps(t, connect)
	require.Equal(t, [2]string{"todo", "unclassified"}, [2]string{states["webhook_test"], reasons["webhook_test"]})
	require.Contains(t, string(connect.Raw), "LINE says: Invalid endpoint")
	require.Equal(t, "done", states["webhook_url"])
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.channel()
	path := "/api/v1/channels/" + id
	found := func(step string) (state, reason string) {
		states, reasons := steps(t, b.as(store.RoleAdmin, "POST", path+"/connect", nil))
		return states[step], reasons[step]
	}
	line := func(change func(*linesim.Channel)) {
		require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", change))
	}
	requires := func(step, state, reason string) {
		t.Helper()
		isState, is := found(step)
		require.Equal(t, []string{state, reason}, []string{isState, is})
	}
	requires("webhook_test", "done", "test_passed")

	line(func(c *linesim.Channel) { c.Secret = "reissued" })
	requires("channel_secret", "todo", "channel_secret_wrong")
	requires("webhook_test", "todo", "signature_refused")
	line(func(c *linesim.Channel) { c.Secret = lineSecret })

	_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultRateLimit, Endpoint: "test_webhook_endpoint", Times: 1})
	require.NoError(t, err)
	requires("webhook_test", "confirm", "test_not_now")

	// A token that works, of a LINE channel with another id.
	require.NoError(t, b.sim.AddChannel(t.Context(), linesim.Channel{ID: "3000", Secret: "s", AccessToken: "same-bot", BotUserID: botUserID}))
	require.Equal(t, 200, b.patch(path, map[string]any{"channel_access_token": "same-bot"}).Status)
	requires("channel_id", "todo", "channel_id_wrong")
	requires("channel_secret", "blocked", "another_step_first")
	line(func(c *linesim.Channel) { c.AccessToken = lineToken })
	require.Equal(t, 200, b.patch(path, map[string]any{"channel_access_token": lineToken}).Status)

	line(func(c *linesim.Channel) { c.BotUserID = "U" + strings.Repeat("0", 32) })
	requires("access_token", "todo", "token_of_another_bot")
	requires("webhook_test", "blocked", "another_step_first")
}

func TestAnAddressThatLINECannotReachIsExplained(t *testing.T) {
	t.Parallel()
	// What stands where LINE looks for Kaiwa.
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/moved") {
			http.Redirect(w, r, "/", http.StatusMovedPermanently)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(elsewhere.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct{ url, step, reason string }{
		"http":        {"http://kaiwa.example.com", "webhook_url", "webhook_url_not_https"},
		"too long":    {"https://kaiwa.example.com/" + strings.Repeat("k", 500), "webhook_url", "webhook_url_too_long"},
		"nobody":      {gone.URL, "webhook_test", "could_not_connect"},
		"a proxy":     {elsewhere.URL, "webhook_test", "error_status_code"},
		"it is moved": {elsewhere.URL + "/moved", "webhook_test", "redirected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "sqlite", func(conf *api.Config) { conf.PublicURL = c.url })
			states, reasons := steps(t, b.as(store.RoleAdmin, "POST", "/api/v1/channels/"+b.channel()+"/connect", nil))
			require.Equal(t, "todo", states[c.step])
			require.Equal(t, c.reason, reasons[c.step])
		})
	}
}

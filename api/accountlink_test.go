package api_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// linking has the channel link accounts.
func (b *bundle) linking(channelID string) {
	b.t.Helper()
	r := b.patch("/api/v1/channels/"+channelID, map[string]any{"account_linking": map[string]any{"login_url": "https://shop.example.com/sign-in?from=line"}})
	require.Equal(b.t, 200, r.Status, "%s", r.Raw)
	require.Equal(b.t, "https://shop.example.com/sign-in?from=line", r.text(b.t, "account_linking", "login_url"))
}

// linkPage is the page of a conversation's customer.
func (b *bundle) linkPage(conversationID string, life time.Duration) string {
	return accountlink.Path + accountlink.Token(b.store.Keys(), conversationID, time.Now().Add(life))
}

// started has a customer go on to the sign-in, and returns what they bring there.
func (b *bundle) started(path string) url.Values {
	b.t.Helper()
	p := b.browse("POST", path, url.Values{"action": {"continue"}})
	require.Equal(b.t, 200, p.status, p.raw)
	_, rest, ok := strings.Cut(p.raw, `<a class="button" href="`)
	require.True(b.t, ok, p.raw)
	address, _, _ := strings.Cut(rest, `"`)
	u, err := url.Parse(strings.ReplaceAll(address, "&amp;", "&"))
	require.NoError(b.t, err)
	require.Equal(b.t, "shop.example.com", u.Host)
	return u.Query()
}

// profiled makes the profile of a conversation one that tokens can name.
func (b *bundle) profiled(conversationID string) string {
	b.t.Helper()
	id := string(conversation.PrefixProfile) + strings.TrimPrefix(conversationID, string(conversation.PrefixConversation))
	b.sql(`UPDATE social_profiles SET id = $1 WHERE id = $2`, id, conversationID)
	b.sql(`UPDATE conversations SET profile_id = $1 WHERE id = $2`, id, conversationID)
	b.sql(`INSERT INTO chats (channel_id, chat_key, source_id, tick, created_at) SELECT channel_id, chat_key, $1, 1, 1 FROM conversations WHERE id = $2`, someUser, conversationID)
	return id
}

func TestTheSettingOfAccountLinkingIsChecked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		r := b.as(store.RoleAdmin, "GET", "/api/v1/channels/"+channel, nil)
		require.Nil(t, r.get(t, "account_linking"), "off, at first")
		for _, wrong := range []string{
			"http://shop.example.com/", "https://", "sign-in", "https://a:b@shop.example.com/", "https://shop.example.com/#x", "https://shop.example.com/?reference=1", "javascript:alert(1)",
		} {
			r := b.patch("/api/v1/channels/"+channel, map[string]any{"account_linking": map[string]any{"login_url": wrong}})
			requireProblem(t, r, 400, conversation.CodeInvalid, "/account_linking/login_url")
		}
		require.Equal(t, 400, b.patch("/api/v1/channels/"+channel, map[string]any{"account_linking": map[string]any{"log_in": "https://x.example.com"}}).Status)
		b.linking(channel)
		named := b.patch("/api/v1/channels/"+channel, map[string]any{"name": "Another"})
		require.NotNil(t, named.get(t, "account_linking"), "what is left out stays")
		off := b.patch("/api/v1/channels/"+channel, map[string]any{"account_linking": nil})
		require.Nil(t, off.get(t, "account_linking"), "null is off: %s", off.Raw)
		require.Equal(t, "Another", off.text(t, "name"))

		body := channelBody(b.workstream())
		body["line_channel_id"], body["account_linking"] = "1001", map[string]any{"login_url": "http://shop.example.com"}
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/channels", body), 400, conversation.CodeInvalid, "/account_linking/login_url")
	})
}

func TestThePageOfAccountLinkingSaysHowItStands(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		profile := b.profiled(b.conversation(channel, "active", "agent"))
		page := b.linkPage(profile, time.Hour)
		require.Equal(t, 410, b.browse("GET", page, nil).status, "linking is off")
		require.Equal(t, 410, b.browse("POST", page, url.Values{"action": {"continue"}}).status)
		b.linking(channel)
		shown := b.browse("GET", page, nil)
		require.Equal(t, 200, shown.status)
		require.Contains(t, shown.raw, "アカウントの連携", "in the channel's language")
		require.Contains(t, shown.header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Equal(t, "no-store", shown.header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", shown.header.Get("Referrer-Policy"))
		for language, title := range map[string]string{"en": "Link your accounts", "th": "เชื่อมบัญชี", "zh-Hant": "連結帳號", "da-DK": "Tilknyt din konto", "fr": "アカウントの連携"} {
			b.sql(`UPDATE social_profiles SET language = $1 WHERE id = $2`, language, profile)
			require.Contains(t, b.browse("GET", page, nil).raw, "<h1>"+title+"</h1>", "in the customer's")
		}
		require.Equal(t, 410, b.browse("GET", b.linkPage(profile, -time.Minute), nil).status, "too old")
		for _, wrong := range []string{page + "x", accountlink.Path + "x", b.linkPage("prf_none", time.Hour), accountlink.Path + strings.Repeat("a.", 30)} {
			p := b.browse("GET", wrong, nil, header{"Accept-Language", "th"})
			require.Equal(t, 404, p.status)
			require.Contains(t, p.raw, "เปิดลิงก์นี้ไม่ได้")
		}
		require.Equal(t, 400, b.browse("POST", page, url.Values{"action": {"other"}}).status)
		require.Equal(t, 400, b.browse("POST", page, url.Values{"action": {strings.Repeat("x", 2000)}}).status)
		for range 5 {
			b.started(page)
		}
		require.Equal(t, 429, b.browse("POST", page, url.Values{"action": {"continue"}}).status, "nobody needs more in ten minutes")
		require.NotContains(t, b.log.String(), page[len(accountlink.Path):], "who has the link may unlink: it is in no log")
	})
}

func TestTheCompanyConfirmsWhoHasSignedIn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		require.NoError(t, b.sim.AddUser(t.Context(), linesim.User{ID: someUser, DisplayName: "Emma"}))
		channel := b.channel()
		id := b.conversation(channel, "active", "agent")
		page := b.linkPage(b.profiled(id), time.Hour)
		b.linking(channel)
		brought := b.started(page)
		require.Equal(t, []string{"line", "ja"}, []string{brought.Get("from"), brought.Get("locale")})
		confirm := "/api/v1/account-links/" + brought.Get("link") + "/confirm"
		said := map[string]any{"reference": brought.Get("reference"), "customer_id": "C-1001"}

		issued := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+b.agents[store.RoleAdmin].ID+"/tokens", map[string]any{"name": "website", "scope": []string{"account_links.confirm"}})
		token := issued.text(t, "token")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", confirm, said), 403, conversation.CodeForbidden)
		other := b.started(page)
		for _, wrong := range []string{"x", other.Get("reference"), brought.Get("reference") + "A"} {
			requireProblem(t, b.send(b.url, token, "POST", confirm, map[string]any{"reference": wrong, "customer_id": "C-1001"}), 404, conversation.CodeNotFound)
		}
		requireProblem(t, b.send(b.url, token, "POST", confirm, map[string]any{"reference": brought.Get("reference"), "customer_id": " "}), 400, conversation.CodeInvalid, "/customer_id")

		first := b.send(b.url, token, "POST", confirm, said, header{"Idempotency-Key", "one"})
		require.Equal(t, 200, first.Status, "%s", first.Raw)
		again := b.send(b.url, token, "POST", confirm, said, header{"Idempotency-Key", "one"})
		require.Equal(t, 200, again.Status, "a lost answer is asked for again")
		require.Empty(t, again.Header.Get("Idempotency-Replayed"))
		var nonces, tokens []string
		for _, r := range []response{first, again} {
			u, err := url.Parse(r.text(t, "redirect_url"))
			require.NoError(t, err)
			require.Equal(t, accountlink.DefaultAccessURL+"/dialog/bot/accountLink", u.Scheme+"://"+u.Host+u.Path)
			nonces, tokens = append(nonces, u.Query().Get("nonce")), append(tokens, u.Query().Get("linkToken"))
		}
		require.Regexp(t, `^[\w-]{43}$`, nonces[0])
		require.Equal(t, nonces[0], nonces[1], "whichever answer arrives is good")
		require.NotEqual(t, tokens[0], tokens[1])
		said["customer_id"] = "C-2002"
		requireProblem(t, b.send(b.url, token, "POST", confirm, said), 409, conversation.CodeConflict)
		for _, secret := range append(nonces, append(tokens, brought.Get("reference"), token)...) {
			require.NotContains(t, b.log.String(), secret)
		}

		list := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/account-links", nil)
		require.Equal(t, []any{"started", nil}, []any{list.get(t, "items", 0, "state"), list.get(t, "items", 0, "customer_id")})
		require.Equal(t, []any{"confirmed", "C-1001"}, []any{list.get(t, "items", 1, "state"), list.get(t, "items", 1, "customer_id")})
		for _, secret := range append(nonces, append(tokens, brought.Get("reference"))...) {
			require.NotContains(t, string(list.Raw), secret)
		}
		requireProblem(t, b.as(store.RoleAgent, "DELETE", "/api/v1/account-links/"+brought.Get("link"), nil), 409, conversation.CodeNotAllowedNow)
		requireProblem(t, b.as(store.RoleAgent, "DELETE", "/api/v1/account-links/lnk_none", nil), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/contacts/cnt_none/account-links", nil), 404, conversation.CodeNotFound)

		// LINE says, without a source, that it failed; and says it again.
		failed := `{"destination":"` + botUserID + `","events":[{"type":"accountLink","webhookEventId":"e-failed","timestamp":1767225600000,"mode":"active","link":{"result":"failed","nonce":"` + nonces[0] + `"}}]}`
		for range 2 {
			require.Equal(t, 200, b.deliver(channel, lineSecret, failed).Status)
		}
		require.Equal(t, "failed", b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/account-links", nil).get(t, "items", 1, "state"))
		require.Equal(t, []string{channel + "/" + id}, b.inbox.woken(), "its workflow tells the customer, once")
		requireProblem(t, b.send(b.url, token, "POST", confirm, map[string]any{"reference": brought.Get("reference"), "customer_id": "C-1001"}), 409, conversation.CodeNotAllowedNow)
		off := b.patch("/api/v1/channels/"+channel, map[string]any{"account_linking": nil})
		require.Equal(t, 200, off.Status)
		requireProblem(t, b.send(b.url, token, "POST", "/api/v1/account-links/"+other.Get("link")+"/confirm",
			map[string]any{"reference": other.Get("reference"), "customer_id": "C-1001"}), 409, conversation.CodeNotAllowedNow)
	})
}

func TestAnAgentsCardOfAccountLinkingIsChecked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		id := b.conversation(channel, "active", "agent")
		b.profiled(id)
		b.sql(`UPDATE conversations SET agent_id = $1, locale = 'da' WHERE id = $2`, b.agents[store.RoleAgent].ID, id)
		validate := "/api/v1/conversations/" + id + "/messages/validate"
		requireProblem(t, b.as(store.RoleAgent, "POST", validate, map[string]any{"type": "account_link"}), 400, conversation.CodeInvalid, "/type")
		b.linking(channel)
		r := b.as(store.RoleAgent, "POST", validate, map[string]any{"type": "account_link"})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Contains(t, string(r.Raw), "Tilknyt min konto")
		requireProblem(t, b.as(store.RoleAgent, "POST", validate, map[string]any{"type": "account_link", "text": strings.Repeat("x", 2001)}), 400, conversation.CodeInvalid, "/text")
		requireProblem(t, b.as(store.RoleAgent, "POST", validate, map[string]any{"type": "account_link", "url": "https://x.example.com"}), 400, conversation.CodeInvalid, "/url")
		b.sql(`UPDATE social_profiles SET line_user_id = 'C0123456789abcdef0123456789abcdef'`)
		requireProblem(t, b.as(store.RoleAgent, "POST", validate, map[string]any{"type": "account_link"}), 400, conversation.CodeInvalid, "/type")
	})
}

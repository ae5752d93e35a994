package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// company is the website of a company: whoever comes to its sign-in is signed in as
// one customer.
type company struct {
	*httptest.Server
	customerID string

	mu     sync.Mutex
	api    string // where Kaiwa is
	token  string
	brings []url.Values // what browsers have brought
	secret []string     // what nobody else may see: references and where LINE's dialog was
}

func newCompany(t *testing.T, customerID, api, token string) *company {
	c := &company{customerID: customerID, api: api, token: token}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := c.confirm(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *company) confirm(brought url.Values) (redirect string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.brings = append(c.brings, brought)
	c.secret = append(c.secret, brought.Get("reference"))
	body, err := json.Marshal(map[string]string{"reference": brought.Get("reference"), "customer_id": c.customerID})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequest(http.MethodPost, c.api+"/api/v1/account-links/"+brought.Get("link")+"/confirm", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	var out struct {
		RedirectURL string `json:"redirect_url"`
		Detail      string `json:"detail"`
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%d %s: %w", res.StatusCode, out.Detail, err)
	}
	if u, err := url.Parse(out.RedirectURL); err == nil {
		c.secret = append(c.secret, u.Query().Get("nonce"), u.Query().Get("linkToken"))
	}
	return out.RedirectURL, nil
}

// secrets are the references, nonces and link tokens so far.
func (c *company) secrets() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.secret...)
}

var pageLink = regexp.MustCompile(`https?://[^"\\ ]+/link/[\w.-]+`)

// linkOn is the address of the page in the latest message on a phone that has one.
func linkOn(chat []linesim.ChatMessage) string {
	for i := len(chat) - 1; i >= 0; i-- {
		if link := pageLink.FindString(string(chat[i].Body)); link != "" {
			return link
		}
	}
	return ""
}

func browse(t *testing.T, get func() (*http.Response, error)) (status int, page string) {
	t.Helper()
	res, err := get()
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(raw)
}

var href = regexp.MustCompile(`<a class="button" href="([^"]+)"`)

// goOn has the customer go on from the page, and returns where the sign-in is.
func goOn(t *testing.T, page string) string {
	t.Helper()
	status, shown := browse(t, func() (*http.Response, error) { return http.PostForm(page, url.Values{"action": {"continue"}}) })
	require.Equal(t, http.StatusOK, status, shown)
	found := href.FindStringSubmatch(shown)
	require.Len(t, found, 2, shown)
	return html.UnescapeString(found[1])
}

// linking has the channel link accounts with a company.
func (k *kaiwa) linking(t *testing.T, customerID string) *company {
	t.Helper()
	c := newCompany(t, customerID, k.APIURL, "kaiwa-dev-admin")
	k.change("/channels/"+k.Seeded.ChannelID, map[string]any{"account_linking": map[string]any{"login_url": c.URL + "/sign-in?from=line"}})
	return c
}

// page waits until the phone has the link to the page.
func (c customer) page() (link string) {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
		require.NoError(c.k.t, err)
		link = linkOn(chat)
		return link != ""
	}, "the customer has the link")
	return link
}

// shows waits until the latest message on the phone holds a text, whatever its type.
func (c customer) seesInTheEnd(text string) {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
		require.NoError(c.k.t, err)
		return len(chat) > 0 && strings.Contains(string(chat[len(chat)-1].Body), text)
	}, "the customer sees %q", text)
}

// linked are the states of the account links of a conversation's customer.
func (k *kaiwa) links(conversationID string) (list []map[string]any) {
	k.t.Helper()
	res, answer := k.call("GET", "/conversations/"+conversationID+"/account-links", nil, nil)
	require.Equal(k.t, http.StatusOK, res.StatusCode, answer)
	for _, l := range answer["items"].([]any) {
		list = append(list, l.(map[string]any))
	}
	return list
}

func (k *kaiwa) customerID(conversationID string) any {
	k.t.Helper()
	_, conv := k.call("GET", "/conversations/"+conversationID, nil, nil)
	return conv["contact"].(map[string]any)["customer_id"]
}

func TestACustomerLinksTheirAccountAndUndoesIt(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)

		// Off, nobody is offered it.
		var refused item
		require.Equal(t, http.StatusBadRequest, kenta.call(http.MethodPost, "/conversations/"+id+"/messages", nil, map[string]any{"type": "account_link"}, &refused))
		shop := k.linking(t, "C-1001")
		var sent written
		require.Less(t, kenta.call(http.MethodPost, "/conversations/"+id+"/messages", nil, map[string]any{"type": "account_link", "text": "Please sign in."}, &sent), 300)
		page := emma.page()
		emma.seesInTheEnd("Please sign in.")
		status, shown := browse(t, func() (*http.Response, error) { return http.Get(page) })
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, shown, "Link your accounts")
		require.Empty(t, k.links(id), "looking at the page begins nothing")

		// The browser goes from the page to the company, and from there to LINE.
		signIn := goOn(t, page)
		require.Equal(t, "started", k.links(id)[0]["state"])
		require.Contains(t, signIn, "from=line")
		status, shown = browse(t, func() (*http.Response, error) { return http.Get(signIn) })
		require.Equal(t, http.StatusOK, status, shown)
		require.Contains(t, shown, "Your accounts are linked")
		k.eventually(func() bool { return k.customerID(id) == "C-1001" }, "agents see who it is")
		emma.seesInTheEnd("now linked with your customer account")
		link := k.links(id)[0]
		require.Equal(t, []any{"linked", "C-1001", "created"}, []any{link["state"], link["customer_id"], link["contact"]})
		_, contact := k.call("GET", "/contacts/"+link["contact_id"].(string), nil, nil)
		require.Equal(t, "C-1001", contact["customer_number"])
		_, of := k.call("GET", "/contacts/"+link["contact_id"].(string)+"/account-links", nil, nil)
		require.Len(t, of["items"], 1)
		require.Equal(t, "en", shop.brings[0].Get("locale"))

		// LINE delivers it again: nothing is done twice.
		before := len(emma.reads())
		for _, d := range k.Sim.Deliveries(linesim.DeliveryFilter{ChannelID: dev.SimChannelID}) {
			if strings.Contains(d.Body, "accountLink") {
				require.NoError(t, k.Sim.Redeliver(t.Context(), dev.SimChannelID, d.EventIDs...))
			}
		}
		require.NoError(t, k.Sim.WaitIdle(t.Context()))
		emma.isQuiet()
		require.Len(t, emma.reads(), before)
		require.Equal(t, 1, k.count("SELECT count(*) FROM events WHERE type = 'account_link.linked'"))

		// The reference was good for this customer once.
		again := shop.brings[0]
		shop.customerID = "C-6666"
		_, err := shop.confirm(again)
		require.ErrorContains(t, err, "has come to its end")

		// The way back stands on the page.
		status, shown = browse(t, func() (*http.Response, error) { return http.Get(page) })
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, shown, "unlink")
		require.NotContains(t, shown, "C-1001", "who finds the link learns nothing")
		for range 2 {
			status, _ = browse(t, func() (*http.Response, error) { return http.PostForm(page, url.Values{"action": {"unlink"}}) })
			require.Equal(t, http.StatusOK, status)
		}
		emma.latest("Your LINE account is no longer linked")
		require.Nil(t, k.customerID(id))
		require.Equal(t, []any{"unlinked", "customer"}, []any{k.links(id)[0]["state"], k.links(id)[0]["ended_by"]})

		// What nobody may see is nowhere but on the phone.
		raw, err := json.Marshal(k.run(emma.workflowID(), ""))
		require.NoError(t, err)
		token := page[strings.LastIndex(page, "/")+1:]
		for _, secret := range append(shop.secrets(), token) {
			require.NotContains(t, string(raw), secret, "histories")
			for _, m := range emma.transcript() {
				require.NotContains(t, m.Payload+m.Text, secret, "transcripts")
			}
			require.Zero(t, k.count("SELECT count(*) FROM events WHERE data LIKE '%"+secret+"%'"))
			require.Zero(t, k.count("SELECT count(*) FROM audit_log WHERE changes LIKE '%"+secret+"%'"))
			require.Zero(t, k.count("SELECT count(*) FROM messages WHERE payload LIKE '%"+secret+"%'"))
		}
	})
}

// A customer asks by a button, without a conversation; LINE fails; the agent undoes
// what the second attempt came to.
func TestLinkingBesideAConversation(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		shop := k.linking(t, "C-2002")
		yuki := k.newCustomer("Yuki")
		_, err := k.Sim.Postback(t.Context(), dev.SimChannelID, yuki.id, "kaiwa:account_link:link", "", nil)
		require.NoError(t, err)
		page := yuki.page()
		require.Empty(t, yuki.conversations(), "it begins no conversation")

		// LINE says that it failed, without a source.
		brought, err := url.Parse(goOn(t, page))
		require.NoError(t, err)
		redirect, err := shop.confirm(brought.Query())
		require.NoError(t, err)
		dialog, err := url.Parse(redirect)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(dialog.Query().Get("nonce")), 43)
		_, err = k.Sim.AccountLink(t.Context(), dev.SimChannelID, yuki.id, dialog.Query().Get("nonce"), false)
		require.NoError(t, err)
		yuki.latest("Your accounts could not be linked")
		require.Equal(t, 1, k.count("SELECT count(*) FROM account_links WHERE state = 'failed'"))

		status, _ := browse(t, func() (*http.Response, error) { return http.Get(goOn(t, page)) })
		require.Equal(t, http.StatusOK, status)
		yuki.seesInTheEnd("now linked with your customer account")
		var id string
		k.eventually(func() bool {
			list, err := k.Store.AccountLinksOfChat(t.Context(), k.Seeded.ChannelID, yuki.chatKey())
			require.NoError(t, err)
			id = list[0].ID
			return list[0].State == store.LinkLinked
		}, "it is linked")
		kenta := k.as("kaiwa-dev-kenta")
		require.Equal(t, http.StatusNoContent, kenta.call(http.MethodDelete, "/account-links/"+id, nil, nil, nil))
		yuki.latest("Your LINE account is no longer linked")
		require.Equal(t, http.StatusConflict, kenta.call(http.MethodDelete, "/account-links/"+id, nil, nil, nil))
		require.Equal(t, 1, k.count("SELECT count(*) FROM audit_log WHERE subject_kind = 'account_link' AND action = 'deleted' AND agent_id <> ''"))

		// Who has blocked the account gets no link token.
		_, err = k.Sim.Unfollow(t.Context(), dev.SimChannelID, yuki.id)
		require.NoError(t, err)
		status, shown := browse(t, func() (*http.Response, error) { return http.Get(goOn(t, page)) })
		require.Equal(t, http.StatusBadGateway, status)
		require.Contains(t, shown, "do not have the account as a friend")
	})
}

// The process dies while the customer is at LINE's dialog, and again before its
// word is taken in: they are linked, and told once.
func TestALinkSurvivesTheDeathOfTheProcess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			m := newMortal(t, dialect)
			m.ready()
			u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Emma", Language: "en"}
			require.NoError(t, m.sim.AddUser(ctx, u))
			admin, err := m.store.CreateAgent(ctx, store.Origin{}, store.Agent{Name: "website", Email: "website@example.com", Role: store.RoleAdmin, Locale: "en", Capacity: 1})
			require.NoError(t, err)
			_, err = m.store.IssueToken(ctx, store.Origin{}, store.Token{AgentID: admin.ID, Name: "website", Role: store.RoleAdmin, Scope: []string{"account_links.confirm"}}, "crash-token-of-website")
			require.NoError(t, err)
			m.mu.Lock()
			api := m.api
			m.mu.Unlock()
			shop := newCompany(t, "C-1001", api, "crash-token-of-website")
			_, err = m.store.UpdateChannel(ctx, store.Origin{}, m.channel.ID, store.AnyVersion, func(c *store.Channel) error {
				c.AccountLinking = store.AccountLinking{LoginURL: shop.URL + "/sign-in"}
				return nil
			})
			require.NoError(t, err)
			_, err = m.sim.Postback(ctx, mortalLINE, u.ID, "kaiwa:account_link:link", "", nil)
			require.NoError(t, err)
			page := ""
			require.NoError(t, m.until(func() bool {
				chat, err := m.sim.Chat(ctx, mortalLINE, u.ID)
				require.NoError(t, err)
				page = linkOn(chat)
				return page != ""
			}))
			brought, err := url.Parse(goOn(t, page))
			require.NoError(t, err)
			to, err := shop.confirm(brought.Query())
			require.NoError(t, err)

			m.kill() // the customer is at LINE's dialog
			status, _ := browse(t, func() (*http.Response, error) { return http.Get(to) })
			require.Equal(t, http.StatusOK, status)
			told := func() (n int) {
				chat, err := m.sim.Chat(ctx, mortalLINE, u.ID)
				require.NoError(t, err)
				for _, c := range chat {
					if strings.Contains(string(c.Body), "now linked with your customer account") {
						n++
					}
				}
				return n
			}
			require.NoError(t, m.until(func() bool { return told() == 1 }), "what LINE delivers again links, and they are told")
			m.kill()
			m.ready()
			require.NoError(t, m.sim.WaitIdle(ctx))
			require.Equal(t, 1, told())
		})
	}
}

package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// besides are the families of failpoints that crashPlay does not pass, with what
// is played to pass each.
var besides = map[string][]func(b *beside, point string){
	"link":    {(*beside).confirms, (*beside).cannotLink, (*beside).unlinks},
	"errand":  {(*beside).asksForTheCard, (*beside).unlinks, (*beside).isInvited},
	"hold":    {(*beside).isRefused},
	"wait":    {(*beside).isRefused},
	"resume":  {(*beside).isRefused},
	"members": {(*beside).speaksInAGroup},
}

func family(point string) string { f, _, _ := strings.Cut(point, "."); return f }

// The crash matrix of what is done beside conversations. One product of each
// database goes through it: for every point and situation it is killed there once,
// while a customer of its own passes it.
func TestTheProcessMayDieAtAnyPointBesideConversations(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			crashing <- struct{}{}
			defer func() { <-crashing }()
			b := newBeside(t, dialect)
			cases := 0
			for _, point := range failpoint.Names() {
				for _, play := range besides[family(point.Name)] {
					b.customer = b.addCustomer()
					died := b.died() - b.kills
					play(b, point.Name)
					require.Equal(t, died+1, b.died()-b.kills, "%s: once", point.Name)
					cases++
				}
			}
			require.Equal(t, besideCases, cases)
		})
	}
}

// besideCases is how many cases a database has, as docs/durability.md counts them.
const besideCases = 26

// beside is a product in which a customer does what is no conversation.
type beside struct {
	*mortal
	shop     *company
	customer string
	tokens   int // that LINE has taken, one after the other
	groups   int
	kills    int // by the test, not at a point
}

const crashCard, crashLinked = "/link/", "now linked with your customer account"

func newBeside(t *testing.T, dialect string) *beside {
	t.Helper()
	ctx := t.Context()
	b := &beside{mortal: newMortal(t, dialect)}
	admin, err := b.store.CreateAgent(ctx, store.Origin{}, store.Agent{Name: "website", Email: "website@example.com", Role: store.RoleAdmin, Locale: "en", Capacity: 1})
	require.NoError(t, err)
	_, err = b.store.IssueToken(ctx, store.Origin{}, store.Token{AgentID: admin.ID, Name: "website", Role: store.RoleAdmin, Scope: []string{"account_links.confirm"}}, "crash-token-of-website")
	require.NoError(t, err)
	b.shop = newCompany(t, "C-1001", "", "crash-token-of-website")
	b.changes(func(c *store.Channel) { c.AccountLinking = store.AccountLinking{LoginURL: b.shop.URL + "/sign-in"} })
	return b
}

// changes sets up the channel, and has the product read it.
func (b *beside) changes(change func(*store.Channel)) {
	b.t.Helper()
	_, err := b.store.UpdateChannel(b.t.Context(), store.Origin{}, b.channel.ID, store.AnyVersion, func(c *store.Channel) error { change(c); return nil })
	require.NoError(b.t, err)
	b.ready()
	died := b.died()
	b.kills++
	b.kill()
	b.waits("the product starts anew", func() bool { return b.died() > died })
	b.ready()
}

func (b *beside) waits(what string, ok func() bool) {
	b.t.Helper()
	if err := b.until(ok); err != nil {
		require.Fail(b.t, what, "%v; the phone has %q\n%s", err, b.phone(b.customer), b.mortal.told(b.customer))
	}
}

// dies arms a point, has something done and waits until the process has died
// there.
func (b *beside) dies(point string, do func()) {
	b.t.Helper()
	armed := filepath.Join(b.dir, point+".armed")
	require.NoError(b.t, os.WriteFile(armed, nil, 0o600))
	died := b.died()
	do()
	b.waits("the process dies at "+point, func() bool { return b.died() > died })
	require.NoFileExists(b.t, armed)
}

func (b *beside) phone(chat string) (out []string) {
	b.t.Helper()
	list, err := b.sim.Chat(context.Background(), mortalLINE, chat)
	require.NoError(b.t, err)
	for _, c := range list {
		if c.Direction == "account" {
			out = append(out, string(c.Body))
		}
	}
	return out
}

// has counts what the account has said in a chat that holds a text.
func (b *beside) has(chat, text string) (n int) {
	for _, said := range b.phone(chat) {
		if strings.Contains(said, text) {
			n++
		}
	}
	return n
}

// idle tells whether nothing is under way or due in a chat.
func (b *beside) idle(kind, id string) bool {
	chat := conversation.ChatKey(kind, id)
	if due, err := b.store.NextErrand(context.Background(), b.channel.ID, chat); err != nil || due != nil {
		return false
	}
	b.mu.Lock()
	address := b.temporal
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return false
	}
	defer c.Close()
	run, err := c.DescribeWorkflowExecution(ctx, conversation.WorkflowID(b.channel.ID, chat), "")
	if err != nil {
		return false
	}
	done := run.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	return done || len(run.PendingActivities) == 0 && run.PendingWorkflowTask == nil
}

// onceTold waits until nothing is under way, and holds the phone against it: a text
// is there once.
func (b *beside) onceTold(text string) {
	b.t.Helper()
	b.waits("the customer is told "+text, func() bool { return b.has(b.customer, text) > 0 })
	b.waits("nothing is under way", func() bool { return b.idle("user", b.customer) })
	require.Equal(b.t, 1, b.has(b.customer, text), "told %q", text)
}

func (b *beside) tapsLink() {
	b.t.Helper()
	_, err := b.sim.Postback(b.t.Context(), mortalLINE, b.customer, "kaiwa:account_link:link", "", nil)
	require.NoError(b.t, err)
}

func (b *beside) asksForTheCard(point string) {
	b.dies(point, b.tapsLink)
	b.onceTold(crashCard)
}

// signsIn has the customer go as far as the company's sign-in.
func (b *beside) signsIn() url.Values {
	b.t.Helper()
	b.tapsLink()
	b.onceTold(crashCard)
	chat, err := b.sim.Chat(b.t.Context(), mortalLINE, b.customer)
	require.NoError(b.t, err)
	page, err := url.Parse(linkOn(chat))
	require.NoError(b.t, err)
	b.mu.Lock()
	now, err := url.Parse(b.api) // the product is elsewhere after each start
	b.mu.Unlock()
	require.NoError(b.t, err)
	page.Host = now.Host
	brought, err := url.Parse(goOn(b.t, page.String()))
	require.NoError(b.t, err)
	return brought.Query()
}

// confirmed has the company's server say who it is, until it is answered.
func (b *beside) confirmed(brought url.Values) (dialog string) {
	b.t.Helper()
	b.waits("the company is answered", func() bool {
		b.mu.Lock()
		api := b.api
		b.mu.Unlock()
		b.shop.mu.Lock()
		b.shop.api = api
		b.shop.mu.Unlock()
		var err error
		dialog, err = b.shop.confirm(brought)
		return err == nil
	})
	return dialog
}

func (b *beside) finishes(dialog string) store.AccountLink {
	b.t.Helper()
	status, _ := browse(b.t, func() (*http.Response, error) { return http.Get(dialog) })
	require.Equal(b.t, http.StatusOK, status)
	b.onceTold(crashLinked)
	return b.link(store.LinkLinked)
}

// link is the customer's only account link.
func (b *beside) link(state string) store.AccountLink {
	b.t.Helper()
	list, err := b.store.AccountLinksOfChat(b.t.Context(), b.channel.ID, conversation.ChatKey("user", b.customer))
	require.NoError(b.t, err)
	require.Len(b.t, list, 1)
	require.Equal(b.t, state, list[0].State)
	return list[0]
}

func (b *beside) confirms(point string) {
	brought, dialog := b.signsIn(), ""
	b.dies(point, func() { dialog = b.confirmed(brought) })
	b.finishes(dialog)
	b.events(b.link(store.LinkLinked).ID, "account_link.started", "account_link.confirmed", "account_link.linked")
}

// events holds the record of a subject against what is to be told of it.
func (b *beside) events(subject string, want ...string) {
	b.t.Helper()
	var got []string
	b.waits("the record is numbered", func() bool {
		got = nil
		list, err := b.store.Events(context.Background(), 0, 5000, "")
		require.NoError(b.t, err)
		for _, e := range list {
			if e.SubjectID == subject {
				got = append(got, e.Type)
			}
		}
		return len(got) >= len(want)
	})
	require.Equal(b.t, want, got)
}

func (b *beside) cannotLink(point string) {
	dialog, err := url.Parse(b.confirmed(b.signsIn()))
	require.NoError(b.t, err)
	b.dies(point, func() {
		_, err := b.sim.AccountLink(b.t.Context(), mortalLINE, b.customer, dialog.Query().Get("nonce"), false)
		require.NoError(b.t, err)
	})
	b.onceTold("could not be linked")
	b.events(b.link(store.LinkFailed).ID, "account_link.started", "account_link.confirmed", "account_link.failed")
}

// unlinks has an agent undo it: no event brings a reply token, so that the customer
// is told by a push.
func (b *beside) unlinks(point string) {
	id := b.finishes(b.confirmed(b.signsIn())).ID
	b.dies(point, func() {
		b.waits("the agent is answered", func() bool {
			b.mu.Lock()
			a := agent{t: b.t, url: b.api, token: b.mortal.tokens[0]}
			b.mu.Unlock()
			var answer item
			switch a.call(http.MethodDelete, "/account-links/"+id, nil, nil, &answer) {
			case http.StatusNoContent, http.StatusConflict: // done by the request that was not answered
				return true
			}
			return false
		})
	})
	b.onceTold("no longer linked")
	b.events(b.link(store.LinkUnlinked).ID, "account_link.started", "account_link.confirmed", "account_link.linked", "account_link.unlinked")
}

// group is a new group of the customer and the account.
func (b *beside) group() string {
	b.t.Helper()
	b.groups++
	id := fmt.Sprintf("C%032x", b.groups)
	_, err := b.sim.Invite(b.t.Context(), mortalLINE, id, b.customer)
	require.NoError(b.t, err)
	return id
}

// isInvited has the account leave a group, with a word.
func (b *beside) isInvited(point string) {
	b.inGroups(store.GroupsLeft)
	left := func() (n int) {
		for _, c := range b.sim.Calls(linesim.CallFilter{Endpoint: "leave_group"}) {
			if c.Accepted {
				n++
			}
		}
		return n
	}
	before, group := left(), ""
	b.dies(point, func() { group = b.group() })
	b.waits("the account leaves", func() bool { return left() > before && b.idle("group", group) })
	require.Equal(b.t, before+1, left())
	require.Equal(b.t, 1, b.has(group, automessage.Default(automessage.GroupLeft, "en")))
}

func (b *beside) inGroups(do string) {
	b.t.Helper()
	if c, err := b.store.Channel(b.t.Context(), b.channel.ID); err != nil || c.GroupChats != do {
		require.NoError(b.t, err)
		b.changes(func(c *store.Channel) { c.GroupChats = do })
	}
}

func (b *beside) speaksInAGroup(point string) {
	b.inGroups(store.GroupsServed)
	group := b.group()
	b.dies(point, func() {
		_, err := b.sim.Send(b.t.Context(), mortalLINE, b.customer, linesim.Message{Type: "text", Text: "hi", GroupID: group})
		require.NoError(b.t, err)
	})
	b.waits("the group is answered", func() bool { return b.has(group, "Welcome") > 0 && b.idle("group", group) })
	require.Equal(b.t, []int{1, 1, 2}, []int{b.has(group, "Greetings"), b.has(group, "Welcome"), len(b.phone(group))})
	list, err := b.store.Conversations(b.t.Context(), store.ConversationFilter{}, store.Position{}, 1000)
	require.NoError(b.t, err)
	i := slices.IndexFunc(list, func(c store.Conversation) bool { return c.ChatKey == conversation.ChatKey("group", group) })
	require.GreaterOrEqual(b.t, i, 0)
	b.waits("agents see who speaks", func() bool {
		said, err := b.store.Messages(context.Background(), list[i].ID, store.MessagePosition{}, 100)
		require.NoError(b.t, err)
		spoken := slices.IndexFunc(said, func(m store.Message) bool { return m.Direction == conversation.Inbound && m.Text == "hi" })
		return spoken >= 0 && said[spoken].SenderName == "Crash tester"
	})
}

// isRefused has LINE take no access token while a customer asks for the card and
// another sends a picture, and take one again.
func (b *beside) isRefused(point string) {
	at := func(families string, do func()) {
		if family(point) == families {
			b.dies(point, do)
			return
		}
		do()
	}
	ctx := b.t.Context()
	held := func() store.Channel {
		c, err := b.store.Channel(context.Background(), b.channel.ID)
		require.NoError(b.t, err)
		return c
	}
	asks, sends := b.customer, b.addCustomer()
	b.tokens++
	token := fmt.Sprintf("crash-token-%d", b.tokens)
	require.NoError(b.t, b.sim.ChangeChannel(ctx, mortalLINE, func(c *linesim.Channel) { c.AccessToken = token }))
	at("hold", b.tapsLink)
	b.waits("the channel is held", func() bool { return !held().HeldAt.IsZero() })
	at("wait", func() {
		_, err := b.sim.Send(ctx, mortalLINE, sends, linesim.Message{Type: "image", Content: photo(b.t)})
		require.NoError(b.t, err)
	})
	file := func() string {
		for _, said := range b.transcript(sends) {
			if said.AttachmentID != "" {
				return said.AttachmentID
			}
		}
		return ""
	}
	b.waits("the file waits", func() bool {
		id := file()
		if id == "" {
			return false
		}
		f, err := b.store.Fetch(context.Background(), id)
		return err == nil && f.WaitsSince > 0
	})
	require.Empty(b.t, b.phone(asks))
	require.Empty(b.t, b.phone(sends))
	at("resume", func() {
		c, err := b.store.UpdateChannel(ctx, store.Origin{}, b.channel.ID, store.AnyVersion, func(c *store.Channel) error {
			c.Replace(token, time.Time{}, time.Now())
			return nil
		})
		require.NoError(b.t, err)
		require.NoError(b.t, b.store.RestoreChannel(ctx, c))
	})
	b.onceTold(crashCard)
	b.waits("the picture is there", func() bool {
		a, err := b.store.Attachment(context.Background(), file())
		return err == nil && a.State == conversation.AttachmentStored
	})
	b.waits("the picture is answered", func() bool { return len(b.shows(sends)) >= 2 && b.idle("user", sends) })
	require.Equal(b.t, []string{"Greetings", "Welcome"}, b.shows(sends))
	b.waits("nothing is left to resume", func() bool { return held().ResumedAt.IsZero() })
	p, err := b.store.Profile(ctx, b.channel.ID, conversation.ChatKey("user", sends))
	require.NoError(b.t, err)
	require.Equal(b.t, "Crash tester", p.DisplayName)
	var want []string
	for range b.tokens {
		want = append(want, "channel.token_refused", "channel.token_accepted")
	}
	b.events(b.channel.ID, want...)
}

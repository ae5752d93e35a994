package activities_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// menu adds a rich menu at LINE.
func (w *world) menu(name string) string {
	w.t.Helper()
	id, err := w.sim.AddRichMenu(w.t.Context(), lineChannel, linesim.RichMenu{Name: name, ChatBarText: "Menu", Size: linesim.RichMenuSize{Width: 800, Height: 270}})
	require.NoError(w.t, err)
	return id
}

// menus has the channel show a menu for everybody who may have a conversation.
func (w *world) menus() store.RichMenus {
	w.t.Helper()
	m := store.RichMenus{Bot: w.menu("bot"), Queue: w.menu("queue"), Agent: w.menu("agent"), None: w.menu("none")}
	w.shows(m)
	return m
}

func (w *world) shows(m store.RichMenus) {
	w.t.Helper()
	w.does(func(c *store.Channel) { c.SetRichMenus(m) })
}

// sees is the name of the menu that a customer sees; "" for none.
func (w *world) sees(user string) string {
	w.t.Helper()
	m, err := w.sim.ShownRichMenu(w.t.Context(), lineChannel, user)
	require.NoError(w.t, err)
	if m == nil {
		return ""
	}
	return m.Name
}

// had has somebody have the conversation.
func (c *chat) had(by conversation.Owner) {
	c.t.Helper()
	status := map[conversation.Owner]conversation.Status{
		conversation.OwnerBot: conversation.StatusActive, conversation.OwnerAgent: conversation.StatusActive,
		conversation.OwnerQueue: conversation.StatusOpen, conversation.OwnerNone: conversation.StatusClosed,
	}[by]
	_, err := c.db.Exec(`UPDATE conversations SET status = $1, owner = $2 WHERE id = $3`, string(status), string(by), c.id)
	require.NoError(c.t, err)
}

func (c *chat) showsMenu(a *activities.Activities) {
	c.t.Helper()
	require.NoError(c.t, c.menuErr(a))
}

func (c *chat) menuErr(a *activities.Activities) error {
	return a.ShowRichMenu(c.t.Context(), activities.RichMenuInput{ChannelID: c.channel.ID, ChatKey: c.key()})
}

// menuCalls are the calls that link and unlink menus, taken or not.
func (w *world) menuCalls() int {
	return len(w.sim.Calls(linesim.CallFilter{Endpoint: "link_rich_menu"})) + len(w.sim.Calls(linesim.CallFilter{Endpoint: "unlink_rich_menu"}))
}

func TestACustomerSeesTheMenuOfWhoeverHasTheConversation(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		menus := w.menus()
		c := w.newChat()
		for _, owner := range []conversation.Owner{conversation.OwnerBot, conversation.OwnerQueue, conversation.OwnerAgent, conversation.OwnerNone} {
			c.had(owner)
			calls := w.menuCalls()
			for range 2 { // what is shown is not asked for again
				c.showsMenu(c.acts)
				require.Equal(t, string(owner), w.sees(c.user))
				require.Equal(t, calls+1, w.menuCalls())
			}
		}
		menus.Bot = ""
		w.shows(menus)
		c.had(conversation.OwnerBot)
		c.showsMenu(w.activities())
		require.Empty(t, w.sees(c.user), "the account's default menu, which it has not")
	})
}

func TestWithoutMenusLINEIsNotAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	c.showsMenu(c.acts)
	require.Zero(t, w.menuCalls())
	var rows int
	require.NoError(t, w.db.Get(&rows, `SELECT count(*) FROM rich_menus_shown`))
	require.Zero(t, rows)
}

// Wherever the process dies, also when LINE has answered and nobody knows, the
// customer sees the menu of how things stand in the end.
func TestWhereverTheProcessDiesTheLastMenuIsShown(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.menus()
		c := w.newChat()
		c.had(conversation.OwnerQueue)
		w.dies(func(a *activities.Activities) error { return c.menuErr(a) })
		require.Equal(t, "queue", w.sees(c.user))
		c.had(conversation.OwnerAgent)
		w.dies(func(a *activities.Activities) error { return c.menuErr(a) })
		require.Equal(t, "agent", w.sees(c.user))
	})
}

// While LINE is asked for one menu, the conversation moves on, and another process
// asks for the next one; LINE has the first one come last, and tells of it first.
func TestCallsThatOvertakeEachOtherEndAtTheLastMenu(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		menus := w.menus()
		c := w.newChat()
		c.had(conversation.OwnerQueue)
		asked, late, noted := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var first, second atomic.Bool
		w.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
			switch {
			case strings.HasSuffix(r.URL.Path, menus.Queue):
				if first.CompareAndSwap(false, true) { // LINE takes it when it has taken the other
					close(asked)
					<-late
				}
			case strings.HasSuffix(r.URL.Path, menus.Agent):
				res, err := carry()
				if second.CompareAndSwap(false, true) {
					close(late)
					<-noted
				}
				return res, err
			}
			return carry()
		})
		var both sync.WaitGroup
		both.Go(func() {
			defer close(noted)
			assert.NoError(t, c.menuErr(w.activities()))
		})
		<-asked
		c.had(conversation.OwnerAgent)
		c.showsMenu(w.activities())
		both.Wait()
		require.Equal(t, "agent", w.sees(c.user))
	})
}

func TestAMenuThatLINEDoesNotHaveIsToldOfOnceAndNotAskedForByEverybody(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		gone := "richmenu-" + strings.Repeat("0", 32)
		w.shows(store.RichMenus{Queue: gone, Agent: w.menu("agent")})
		a, b := w.newChat(), w.newChat()
		a.had(conversation.OwnerQueue)
		b.had(conversation.OwnerQueue)
		a.showsMenu(w.activities())
		require.Equal(t, []string{"channel.rich_menu_refused"}, w.told())
		refused := w.read().RichMenusRefused[gone]
		require.Equal(t, store.RichMenuRefusal{Since: w.Now(), Because: "richmenu not found", RetryAt: w.Now().Add(10 * time.Minute)}, refused)
		calls := w.menuCalls()
		for _, c := range []*chat{a, b, a} {
			c.showsMenu(w.activities())
		}
		a.tends()
		require.Equal(t, calls, w.menuCalls())
		// Others are shown meanwhile.
		b.had(conversation.OwnerAgent)
		b.showsMenu(w.activities())
		require.Equal(t, "agent", w.sees(b.user))

		// It is tried again some time, by whoever looks after channels.
		w.pass(10 * time.Minute)
		calls = w.menuCalls()
		a.tends()
		require.Equal(t, calls+1, w.menuCalls())
		require.Equal(t, refused.Since, w.read().RichMenusRefused[gone].Since)
		require.Len(t, w.told(), 1)

		// The administrator names another one: who should see it, does.
		w.shows(store.RichMenus{Queue: w.menu("queue"), Agent: w.read().RichMenus.Agent})
		a.tends()
		require.Equal(t, []string{"queue", "agent"}, []string{w.sees(a.user), w.sees(b.user)})
		require.Empty(t, w.read().RichMenusRefused)
		require.Zero(t, w.read().TendAt, "there is nothing to look after any more")
		require.Len(t, w.told(), 1)
	})
}

// A menu gets its image late.
func TestAMenuThatLINEShowsAfterAllIsToldOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.menu("queue")
	w.shows(store.RichMenus{Queue: id})
	c := w.newChat()
	c.had(conversation.OwnerQueue)
	w.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/richmenu/") {
			r.URL.Path = strings.Replace(r.URL.Path, id, "richmenu-0", 1)
		}
		return carry()
	})
	c.showsMenu(w.activities())
	require.Contains(t, w.read().RichMenusRefused, id)
	w.line.stand(nil)
	w.pass(10 * time.Minute)
	c.tends()
	require.Equal(t, "queue", w.sees(c.user))
	require.Empty(t, w.read().RichMenusRefused)
	require.Equal(t, []string{"channel.rich_menu_refused", "channel.rich_menu_accepted"}, w.told())
	require.Zero(t, w.read().TendAt)
}

// That LINE refuses one customer says nothing of the menu.
func TestACustomerToWhomLINEShowsNothingIsNoFaultOfTheMenu(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.menus()
	c := w.newChat()
	c.had(conversation.OwnerQueue)
	w.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "link_rich_menu", Status: 400, Times: 1})
	c.showsMenu(w.activities())
	require.Empty(t, w.sees(c.user))
	require.Empty(t, w.read().RichMenusRefused)
	require.Zero(t, w.read().TendAt)
	c.had(conversation.OwnerAgent)
	c.showsMenu(w.activities())
	require.Equal(t, "agent", w.sees(c.user))
}

func TestAMenuWaitsForATokenThatLINETakes(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.menus()
		c := w.newChat()
		c.had(conversation.OwnerQueue)
		w.lineTakes("good")
		c.showsMenu(w.activities())
		require.Equal(t, w.Now(), w.read().HeldAt)
		calls := len(w.sim.Calls(linesim.CallFilter{}))
		c.had(conversation.OwnerAgent)
		c.showsMenu(w.activities())
		require.Len(t, w.sim.Calls(linesim.CallFilter{}), calls, "LINE is left alone")
		w.pass(time.Hour)
		w.isGiven(func(c *store.Channel) { c.Replace("good", time.Time{}, w.Now()) })
		c.acts = w.activities()
		c.tends()
		require.Equal(t, "agent", w.sees(c.user))
		require.Zero(t, w.read().TendAt)
	})
}

// LINE has trouble, or too much to do: the activity is tried again, and what is due
// is looked after every minute.
func TestWhileLINEHasTroubleMenusWait(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.menus()
		c := w.newChat()
		c.had(conversation.OwnerQueue)
		for _, f := range []linesim.Fault{{Kind: linesim.FaultStatus}, {Kind: linesim.FaultRateLimit}, {Kind: linesim.FaultDropAnswer}} {
			f.Endpoint, f.Times = "link_rich_menu", 1
			w.faults(f)
			require.Error(t, c.menuErr(w.activities()))
		}
		require.NoError(t, w.store.RichMenuDue(t.Context(), w.channel.ID, c.key(), w.Now()))
		c.had(conversation.OwnerAgent)
		w.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "link_rich_menu", Times: 1})
		c.tends()
		require.NotEqual(t, "agent", w.sees(c.user))
		require.Equal(t, w.Now().Add(time.Minute), w.read().TendAt)
		w.pass(time.Minute)
		c.tends()
		require.Equal(t, "agent", w.sees(c.user))
		require.Zero(t, w.read().TendAt)
	})
}

func TestWhoWasShownAMenuFollowsAChangeOfTheChannel(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		menus := w.menus()
		a, b := w.newChat(), w.newChat()
		a.had(conversation.OwnerAgent)
		b.had(conversation.OwnerNone)
		a.showsMenu(w.activities())
		b.showsMenu(w.activities())
		menus.Agent, menus.None = w.menu("new"), ""
		w.shows(menus)
		a.tends()
		require.Equal(t, []string{"new", ""}, []string{w.sees(a.user), w.sees(b.user)})
		w.shows(store.RichMenus{})
		a.tends()
		require.Equal(t, []string{"", ""}, []string{w.sees(a.user), w.sees(b.user)}, "off: everybody has the account's own again")
		require.Zero(t, w.read().TendAt)
		calls := w.menuCalls()
		w.does(func(c *store.Channel) { c.Name = "Another name" })
		a.tends()
		require.Equal(t, calls, w.menuCalls())
	})
}

func TestNoMenuIsShownToThoseWhoBlockTheAccountOrAreServedElsewhere(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.menus()
		c := w.newChat()
		c.had(conversation.OwnerAgent)
		c.showsMenu(w.activities())
		_, err := w.sim.Unfollow(t.Context(), lineChannel, c.user)
		require.NoError(t, err)
		w.takes(w.activities(), c.key())
		c.had(conversation.OwnerNone)
		calls := w.menuCalls()
		c.showsMenu(w.activities())
		require.Equal(t, calls, w.menuCalls())
		// Back again, they see what they are to see now.
		_, err = w.sim.Follow(t.Context(), lineChannel, c.user)
		require.NoError(t, err)
		w.takes(w.activities(), c.key())
		c.tends()
		require.Equal(t, "none", w.sees(c.user))

		_, err = w.db.Exec(`UPDATE chats SET standby = $1`, true)
		require.NoError(t, err)
		c.had(conversation.OwnerAgent)
		c.showsMenu(w.activities())
		require.Equal(t, "none", w.sees(c.user))
		c.writes() // an event that is not in standby
		w.takes(w.activities(), c.key())
		c.tends()
		require.Equal(t, "agent", w.sees(c.user))
	})
}

func TestMenusKeepToLINEsCallsASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.menus()
	c := w.newChat()
	a := w.activities()
	for i := range 25 { // a worker's own part
		c.had([]conversation.Owner{conversation.OwnerAgent, conversation.OwnerQueue}[i%2])
		c.showsMenu(a)
	}
	ok, err := w.store.TakeCalls(t.Context(), w.channel.ID, "rich_menu", w.Now(), 750, 750)
	require.NoError(t, err)
	require.True(t, ok, "what is shared was not touched")
	c.had(conversation.OwnerQueue)
	err = c.menuErr(a)
	require.ErrorContains(t, err, "rich_menu")
	w.pass(time.Second)
	c.showsMenu(a)
	require.Equal(t, "queue", w.sees(c.user))
}

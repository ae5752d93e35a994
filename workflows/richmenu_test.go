package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// menus has the channel show a menu for everybody who may have a conversation.
func (l *life) menus() {
	l.t.Helper()
	menu := func(name string) string {
		id, err := l.sim.AddRichMenu(l.t.Context(), lineChannel, linesim.RichMenu{Name: name, Size: linesim.RichMenuSize{Width: 800, Height: 270}})
		require.NoError(l.t, err)
		return id
	}
	m := store.RichMenus{Bot: menu("bot"), Queue: menu("queue"), None: menu("none")}
	_, err := l.store.UpdateChannel(l.t.Context(), store.Origin{}, l.channel.ID, store.AnyVersion, func(c *store.Channel) error { c.SetRichMenus(m); return nil })
	require.NoError(l.t, err)
}

// sees is the name of the menu that the customer sees; "" for none.
func (l *life) sees() string {
	l.t.Helper()
	m, err := l.sim.ShownRichMenu(l.t.Context(), lineChannel, l.user)
	require.NoError(l.t, err)
	if m == nil {
		return ""
	}
	return m.Name
}

func (l *life) menuCalls() int {
	return len(l.sim.Calls(linesim.CallFilter{Endpoint: "link_rich_menu"}))
}

func TestTheRichMenuFollowsTheConversation(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, _ *store.Bot) { w.Settings.AutoClose.OpenSeconds = 3600 })
	l.menus()
	l.write("hi")
	var saw []string
	look := func() { saw = append(saw, l.sees()) }
	l.env.RegisterDelayedCallback(look, time.Minute)
	l.at(2*time.Minute, func() { l.write("hello?") })
	l.env.RegisterDelayedCallback(func() { require.Equal(t, 1, l.menuCalls(), "nobody else has it") }, 3*time.Minute)
	l.at(4*time.Minute, func() { l.write("talk to a person") })
	l.env.RegisterDelayedCallback(look, 5*time.Minute)
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, []string{"bot", "queue"}, saw)
	require.Equal(t, "none", l.sees(), "a run ends when the last menu is shown")
	require.Equal(t, 3, l.menuCalls())
}

// While LINE has trouble with menus the conversation goes on and ends; the menu is
// due in the database.
func TestARichMenuThatLINEDoesNotTakeHoldsUpNothing(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, _ *store.Bot) { w.Settings.AutoClose.OpenSeconds = 3600 })
	l.menus()
	_, err := l.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "link_rich_menu"})
	require.NoError(t, err)
	l.write("talk to a person")
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Empty(t, l.sees())
	due, _, err := l.store.RichMenusDue(t.Context(), l.channel.ID, 10)
	require.NoError(t, err)
	next, err := l.store.Channel(t.Context(), l.channel.ID)
	require.NoError(t, err)
	require.True(t, len(due) > 0 || !next.TendAt.IsZero())
	require.LessOrEqual(t, l.menuCalls(), 18, "each change is tried for a while only")
}

package e2e

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// The customer's phone has the menu of whoever has their conversation, all the
// way from the bot to the end, and what they tap arrives.
func TestTheRichMenuIsOfWhoHasTheConversation(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		kenta := k.as("kaiwa-dev-kenta")
		menus := map[string]any{
			"bot":   k.addsMenu("With the bot", `{"type": "message", "text": "m001"}`),
			"queue": k.addsMenu("In the queue", `{"type": "postback", "data": "still here", "displayText": "I am still here"}`),
			"agent": k.addsMenu("With an agent", `{"type": "uri", "uri": "https://example.com/"}`),
		}
		k.setsMenus(menus)
		emma := k.newCustomer("Emma")
		emma.writes("hello")
		emma.sees("With the bot")
		before := len(emma.reads())
		_, err := k.Sim.TapRichMenu(t.Context(), dev.SimChannelID, emma.id, 0)
		require.NoError(t, err)
		emma.isAnswered(before + 1)
		require.Contains(t, emma.reads(), "heard m001")

		id := emma.asksForAPerson()
		emma.sees("In the queue")
		_, err = k.Sim.TapRichMenu(t.Context(), dev.SimChannelID, emma.id, 0)
		require.NoError(t, err)
		k.eventually(func() bool { return len(emma.inbound()) == 4 }, "the tap is in the transcript")

		// LINE is in trouble when the agent takes it: the agent serves meanwhile, and
		// the menu follows.
		_, err = k.Sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "link_rich_menu", Times: 2})
		require.NoError(t, err)
		kenta.does("pick", id, nil)
		emma.sees("With an agent")
		kenta.does("end", id, nil)
		emma.sees("With an agent") // who has it in wrap-up still has it
		require.Equal(t, conversation.StatusClosed, kenta.does("wrap-up", id, nil).Status)
		emma.sees("")

		// What the setting no longer names, nobody sees, though nothing happens in the chat.
		emma.writes("again")
		emma.sees("With the bot")
		menus["bot"] = nil
		k.setsMenus(menus)
		emma.sees("")
		emma.isQuiet()
	})
}

// LINE shows no menu in a group: nothing is done about one, whoever has the
// conversation.
func TestAGroupCostsNothingOfTheRichMenu(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		k.groups(store.GroupsServed)
		kenta := k.as("kaiwa-dev-kenta")
		menu := k.addsMenu("Served", `{"type": "message", "text": "m001"}`)
		k.setsMenus(map[string]any{"bot": menu, "queue": menu, "agent": menu})
		hana := k.newCustomer("Hana")
		g := k.group(hana)
		hana.writesIn(g, linesim.Message{Text: "hello"})
		k.eventually(func() bool { return len(g.reads()) == 1 }, "the bot answers the group")
		hana.writesIn(g, linesim.Message{Text: "talk to a person"})
		list, err := k.Store.Conversations(t.Context(), store.ConversationFilter{}, store.Position{}, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		id := list[0].ID
		waits := func(what func(store.Conversation) bool) {
			k.eventually(func() bool {
				c, err := k.Store.Conversation(context.Background(), id)
				return err == nil && what(c)
			}, "the group's conversation goes on")
		}
		waits(func(c store.Conversation) bool { return c.Owner == conversation.OwnerQueue })
		kenta.does("pick", id, nil)
		kenta.does("end", id, nil)
		kenta.does("wrap-up", id, nil)
		waits(func(c store.Conversation) bool { return c.Status == conversation.StatusClosed })
		asked := 0
		for _, e := range k.history(conversation.WorkflowID(k.Seeded.ChannelID, conversation.ChatKey("group", g.id))) {
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil && a.ActivityType.Name == "ShowRichMenu" {
				asked++
			}
		}
		require.Zero(t, asked)
	})
}

// addsMenu adds a menu of one area to the account, and returns its id.
func (k *kaiwa) addsMenu(name, action string) string {
	k.t.Helper()
	area := linesim.RichMenuArea{Action: json.RawMessage(action)}
	area.Bounds.RichMenuSize = linesim.RichMenuSize{Width: 800, Height: 270}
	id, err := k.Sim.AddRichMenu(k.t.Context(), dev.SimChannelID, linesim.RichMenu{
		Size: area.Bounds.RichMenuSize, Name: name, ChatBarText: "Menu", Areas: []linesim.RichMenuArea{area},
	})
	require.NoError(k.t, err)
	return id
}

// setsMenus sets the channel's rich menus over the API.
func (k *kaiwa) setsMenus(menus map[string]any) {
	k.t.Helper()
	path := "/channels/" + k.Seeded.ChannelID
	res, _ := k.call("GET", path, nil, nil)
	res, body := k.call("PATCH", path, map[string]any{"rich_menus": menus}, map[string]string{"If-Match": res.Header.Get("Etag")})
	require.Equal(k.t, 200, res.StatusCode, "%v", body)
	require.Empty(k.t, body["rich_menu_problems"])
}

// sees waits until the customer's phone shows the menu of this name; none for "".
func (c customer) sees(name string) {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		menu, err := c.k.Sim.ShownRichMenu(c.k.t.Context(), dev.SimChannelID, c.id)
		if err != nil {
			return false
		}
		shown := ""
		if menu != nil {
			shown = menu.Name
		}
		return shown == name
	}, "the phone shows the rich menu %q", name)
}

package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// groups has the seeded channel do something in groups. It must come before the
// first event.
func (k *kaiwa) groups(do string) {
	k.t.Helper()
	c, err := k.Store.Channel(k.t.Context(), k.Seeded.ChannelID)
	require.NoError(k.t, err)
	_, err = k.Store.UpdateChannel(k.t.Context(), store.Origin{}, c.ID, c.Version, func(c *store.Channel) error { c.GroupChats = do; return nil })
	require.NoError(k.t, err)
}

// group is a group chat with these customers and the account.
func (k *kaiwa) group(members ...customer) customer {
	k.t.Helper()
	g := customer{k, "C" + strings.Repeat("7", 32)}
	var ids []string
	for _, m := range members {
		ids = append(ids, m.id)
	}
	_, err := k.Sim.Invite(k.t.Context(), dev.SimChannelID, g.id, ids...)
	require.NoError(k.t, err)
	return g
}

func (c customer) writesIn(g customer, m linesim.Message) linesim.Sent {
	c.k.t.Helper()
	m.GroupID = g.id
	if m.Type == "" {
		m.Type = "text"
	}
	sent, err := c.k.Sim.Send(c.k.t.Context(), dev.SimChannelID, c.id, m)
	require.NoError(c.k.t, err)
	return sent
}

func TestAGroupIsServedAsOneConversation(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		k.groups(store.GroupsServed)
		hana, ken := k.newCustomer("Hana"), k.newCustomer("Ken")
		g := k.group(hana, ken)
		chat := conversation.ChatKey("group", g.id)
		first := hana.writesIn(g, linesim.Message{Text: "hello"})
		k.eventually(func() bool { return len(g.reads()) == 1 }, "the bot answers the group")
		chatNow, err := k.Sim.Chat(t.Context(), dev.SimChannelID, g.id)
		require.NoError(t, err)
		welcome := chatNow[len(chatNow)-1]
		ken.writesIn(g, linesim.Message{Text: "m001", QuotedMessageID: welcome.ID})
		k.eventually(func() bool { return len(g.reads()) == 2 }, "the bot answers the group again")
		require.Equal(t, []string{"welcome", "heard m001"}, g.reads())
		_, err = k.Sim.Edit(t.Context(), dev.SimChannelID, hana.id, first.MessageID, "hello all")
		require.NoError(t, err)
		_, err = k.Sim.MembersLeave(t.Context(), dev.SimChannelID, g.id, ken.id)
		require.NoError(t, err)

		list, err := k.Store.Conversations(t.Context(), store.ConversationFilter{}, store.Position{}, 10)
		require.NoError(t, err)
		require.Len(t, list, 1, "one conversation a group")
		require.Equal(t, chat, list[0].ChatKey)
		require.True(t, strings.HasPrefix(list[0].DisplayName, "Group "), list[0].DisplayName)
		var said, lines []store.Message
		k.eventually(func() bool {
			said, lines = nil, nil
			list, err := k.Store.Messages(context.Background(), list[0].ID, store.MessagePosition{}, 20)
			for _, m := range list {
				if m.Type == store.MessageEvent {
					lines = append(lines, m)
				} else {
					said = append(said, m)
				}
			}
			return err == nil && len(said) == 4 && said[0].EditedAt > 0 && len(lines) > 0 && strings.Contains(lines[len(lines)-1].Payload, "memberLeft")
		}, "the edit and who left are shown")
		require.Equal(t, []string{"Hana", "Ken", "Ken"}, []string{said[0].SenderName, said[2].SenderName, lines[len(lines)-1].SenderName})
		require.Equal(t, "hello all", said[0].Text)
		quotes, err := k.Store.Quoted(t.Context(), list[0].ID, []string{welcome.ID}, nil)
		require.NoError(t, err)
		require.Equal(t, said[1].ID, quotes[welcome.ID].ID, "what the account said is quoted")

		// The group removes the account.
		_, err = k.Sim.Expel(t.Context(), dev.SimChannelID, g.id)
		require.NoError(t, err)
		k.eventually(func() bool {
			c, err := k.Store.Conversation(context.Background(), list[0].ID)
			return err == nil && c.ClosureReason == conversation.ReasonCustomerBlocked
		}, "the conversation is closed")
	})
}

func TestAGroupIsLeftPolitely(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.groups(store.GroupsLeft)
		hana := k.newCustomer("Hana")
		g := k.group(hana)
		left := func() int {
			n := 0
			for _, c := range k.Sim.Calls(linesim.CallFilter{Endpoint: "leave_group"}) {
				if c.Accepted {
					n++
				}
			}
			return n
		}
		k.eventually(func() bool { return left() == 1 }, "the account leaves")
		channel, err := k.Store.Channel(t.Context(), k.Seeded.ChannelID)
		require.NoError(t, err)
		require.Equal(t, []string{automessage.Default(automessage.GroupLeft, channel.Locale)}, g.reads())
		require.NoError(t, k.Sim.WaitIdle(t.Context()))
		list, err := k.Store.Conversations(t.Context(), store.ConversationFilter{}, store.Position{}, 10)
		require.NoError(t, err)
		require.Empty(t, list)
		require.Empty(t, k.Sim.Calls(linesim.CallFilter{Endpoint: "push"}), "nothing paid")
	})
}

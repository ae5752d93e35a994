package activities_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

const aGroup = "C0123456789abcdef0123456789abcdef"

// does changes what the channel does.
func (w *world) does(change func(*store.Channel)) {
	w.t.Helper()
	c, err := w.store.UpdateChannel(w.t.Context(), store.Origin{}, w.channel.ID, w.channel.Version, func(c *store.Channel) error { change(c); return nil })
	require.NoError(w.t, err)
	w.channel = c
}

// takes ingests what a chat has for a run that knows nothing.
func (w *world) takes(a *activities.Activities, chatKey string) activities.IngestOutput {
	w.t.Helper()
	require.NoError(w.t, w.sim.WaitIdle(w.t.Context()))
	out, err := a.Ingest(w.t.Context(), activities.IngestInput{ChannelID: w.channel.ID, ChatKey: chatKey, RunID: "run"})
	require.NoError(w.t, err)
	return out
}

// dies runs a step in processes that die before their first statement, their
// second and so on, until one comes through.
func (w *world) dies(step func(a *activities.Activities) error) {
	w.t.Helper()
	w.sim.Hold(lineChannel) // whoever receives webhooks does not die
	defer func() {
		_, err := w.sim.Release(linesim.ReleaseOptions{})
		require.NoError(w.t, err)
	}()
	for n := int64(1); ; n++ {
		require.Less(w.t, n, int64(50))
		died := func() (died bool) {
			defer func() { died = recover() != nil }()
			w.crashAt.Store(n)
			err := step(w.activities())
			w.crashAt.Store(0)
			require.NoError(w.t, err)
			return false
		}()
		w.crashAt.Store(0)
		if !died {
			return
		}
	}
}

// calls counts what LINE accepted of an endpoint.
func (w *world) calls(endpoint string) int {
	n := 0
	for _, c := range w.sim.Calls(linesim.CallFilter{Endpoint: endpoint}) {
		if c.Accepted {
			n++
		}
	}
	return n
}

func (w *world) said(chatID string) []string {
	w.t.Helper()
	chat, err := w.sim.Chat(w.t.Context(), lineChannel, chatID)
	require.NoError(w.t, err)
	var out []string
	for _, m := range chat {
		if m.Direction == "account" {
			out = append(out, m.Text())
		}
	}
	return out
}

func (w *world) invited() (chatKey string) {
	w.t.Helper()
	u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Hanako"}
	require.NoError(w.t, w.sim.AddUser(w.t.Context(), u))
	_, err := w.sim.Invite(w.t.Context(), lineChannel, aGroup, u.ID)
	require.NoError(w.t, err)
	return conversation.ChatKey("group", aGroup)
}

func errandsOf(_ activities.ErrandsOutput, err error) error { return err }

// Wherever the process dies, the account says one word and leaves once.
func TestAGroupIsLeftOnceWithAWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.does(func(c *store.Channel) { c.GroupChats = store.GroupsLeft })
	chat := w.invited()
	require.True(t, w.takes(w.activities(), chat).Errands)
	in := activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat}
	w.dies(func(a *activities.Activities) error { return errandsOf(a.RunErrands(t.Context(), in)) })
	want := automessage.Default(automessage.GroupLeft, "en")
	require.Equal(t, []string{want}, w.said(aGroup))
	require.Equal(t, 1, w.calls("reply"))
	require.Equal(t, 1, w.calls("leave_group"))
	require.Zero(t, w.calls("push"))
	out := w.takes(w.activities(), chat) // LINE tells that it has left
	require.False(t, out.Errands)
	require.Empty(t, out.ConversationID)
}

// LINE does what it is asked and does not say so, or says that it is busy.
func TestAGroupIsLeftOnceThoughLINEDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.does(func(c *store.Channel) { c.GroupChats = store.GroupsLeft })
	chat := w.invited()
	w.takes(w.activities(), chat)
	w.faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "reply", Times: 1}, linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "leave_group", Times: 1})
	in := activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat}
	failed := 0
	for {
		_, err := w.activities().RunErrands(t.Context(), in)
		if err == nil {
			break
		}
		var refusal *line.Error
		require.True(t, errors.As(err, &refusal) && refusal.Retryable(), "%v", err)
		failed++
		require.Less(t, failed, 10)
	}
	require.Equal(t, 2, failed)
	require.Len(t, w.said(aGroup), 1)
	require.Equal(t, 1, w.calls("leave_group"))
}

func TestANewFriendIsWelcomedOnceWhereThatIsOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on, unblocks bool
		want         int
	}{
		"off by default":      {},
		"on":                  {on: true, want: 1},
		"who unblocks is not": {on: true, unblocks: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.on {
				yes := true
				w.does(func(ch *store.Channel) {
					ch.AutomatedMessages = []store.AutomatedMessage{{Trigger: string(automessage.Followed), Enabled: &yes}}
				})
			}
			ctx := t.Context()
			u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Hanako"}
			require.NoError(t, w.sim.AddUser(ctx, u))
			if c.unblocks {
				_, err := w.sim.Unfollow(ctx, lineChannel, u.ID)
				require.NoError(t, err)
			}
			_, err := w.sim.Follow(ctx, lineChannel, u.ID)
			require.NoError(t, err)
			chat := conversation.ChatKey("user", u.ID)
			out := w.takes(w.activities(), chat)
			require.Equal(t, c.want > 0, out.Errands)
			w.dies(func(a *activities.Activities) error {
				return errandsOf(a.RunErrands(context.WithoutCancel(ctx), activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat}))
			})
			require.Len(t, w.said(u.ID), c.want)
			require.Zero(t, w.calls("push"))
		})
	}
}

package activities_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// finds counts the messages on a phone that hold a text.
func (w *world) finds(chatID, text string) (n int) {
	w.t.Helper()
	chat, err := w.sim.Chat(w.t.Context(), lineChannel, chatID)
	require.NoError(w.t, err)
	for _, m := range chat {
		if strings.Contains(string(m.Body), text) {
			n++
		}
	}
	return n
}

// Wherever the process dies, the customer gets the card once, is told once that
// they are linked, and once that they are not any more: for free where an event
// brought a token, and otherwise by one push.
func TestWhatIsSaidOfLinkingIsSaidOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.does(func(c *store.Channel) {
		c.AccountLinking = store.AccountLinking{LoginURL: "https://shop.example.com/sign-in"}
	})
	u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Hanako", Language: "th"}
	require.NoError(t, w.sim.AddUser(ctx, u))
	chat := conversation.ChatKey("user", u.ID)
	in := activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat}
	errands := func() {
		t.Helper()
		out := w.takes(w.activities(), chat)
		require.True(t, out.Errands)
		require.Empty(t, out.ConversationID)
		w.dies(func(a *activities.Activities) error { _, err := a.RunErrands(ctx, in); return err })
		require.False(t, w.takes(w.activities(), chat).Errands)
	}

	_, err := w.sim.Postback(ctx, lineChannel, u.ID, accountlink.TapLink.Data(), "", nil)
	require.NoError(t, err)
	errands()
	require.Equal(t, 1, w.finds(u.ID, "https://kaiwa.example.com/link/"))
	require.Equal(t, 1, w.calls("reply"))

	profile, err := w.store.Profile(ctx, w.channel.ID, chat)
	require.NoError(t, err)
	link, err := w.store.StartAccountLink(ctx, profile.ID)
	require.NoError(t, err)
	nonce := accountlink.Nonce(w.store.Keys(), link.ID)
	_, err = w.store.ConfirmAccountLink(ctx, store.Origin{}, link.ID, "C-1", accountlink.Digest(nonce))
	require.NoError(t, err)
	_, err = w.sim.AccountLink(ctx, lineChannel, u.ID, nonce, true)
	require.NoError(t, err)
	errands()
	require.Equal(t, 1, w.finds(u.ID, "now linked with your customer account"))
	require.Equal(t, 2, w.calls("reply"))
	require.Zero(t, w.calls("push"))

	_, err = w.store.UnlinkAccount(ctx, store.Origin{}, link.ID, store.UnlinkedByAgent)
	require.NoError(t, err)
	errands()
	require.Equal(t, 1, w.finds(u.ID, "no longer linked"))
	require.Equal(t, 1, w.calls("push"), "no event brought a token")
}

// A token that was tried and is over by now may have said it: nothing is pushed in
// its place. Who has asked too long ago for a free answer gets a push.
func TestAnErrandInDoubtIsNotPushed(t *testing.T) {
	t.Parallel()
	for name, tried := range map[string]bool{"tried": true, "late": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx := t.Context()
			w.does(func(c *store.Channel) {
				c.AccountLinking = store.AccountLinking{LoginURL: "https://shop.example.com/sign-in"}
			})
			u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Hanako"}
			require.NoError(t, w.sim.AddUser(ctx, u))
			chat := conversation.ChatKey("user", u.ID)
			_, err := w.sim.Postback(ctx, lineChannel, u.ID, accountlink.TapLink.Data(), "", nil)
			require.NoError(t, err)
			w.takes(w.activities(), chat)
			want := 1
			if tried {
				e, err := w.store.NextErrand(ctx, w.channel.ID, chat) // and the process dies
				require.NoError(t, err)
				require.NotEmpty(t, e.ReplyToken)
				want = 0
			}
			w.now.Add(time.Minute.Microseconds())
			_, err = w.activities().RunErrands(ctx, activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat})
			require.NoError(t, err)
			require.Equal(t, want, w.calls("push"))
			require.Zero(t, w.calls("reply"))
		})
	}
}

package activities_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/accountlink"
	"kaiwa/internal/automessage"
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

// asksToLink has a new friend ask for the card by a button. It returns their id and
// the chat, in which that is due.
func (w *world) asksToLink() (user string, in activities.ErrandsInput) {
	w.t.Helper()
	u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Hanako"}
	require.NoError(w.t, w.sim.AddUser(w.t.Context(), u))
	_, err := w.sim.Postback(w.t.Context(), lineChannel, u.ID, accountlink.TapLink.Data(), "", nil)
	require.NoError(w.t, err)
	chat := conversation.ChatKey("user", u.ID)
	require.True(w.t, w.takes(w.activities(), chat).Errands)
	return u.ID, activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat}
}

func (w *world) links() {
	w.t.Helper()
	w.does(func(c *store.Channel) {
		c.AccountLinking = store.AccountLinking{LoginURL: "https://shop.example.com/sign-in"}
	})
}

const theCard = "https://kaiwa.example.com/link/"

// What nobody knows whether LINE took is asked again while the token lives, and
// left after that; what LINE clearly did not take is said, late by a push.
func TestWhatLINEDidNotTakeIsSaidLater(t *testing.T) {
	t.Parallel()
	const late = time.Minute
	refuse := func(status int, message string) linesim.Fault {
		return linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: status, Body: json.RawMessage(`{"message": "` + message + `"}`)}
	}
	for name, c := range map[string]struct {
		fault         linesim.Fault
		after         time.Duration
		onePhone      int
		replies, push int // that LINE took
	}{
		"429":                          {refuse(429, ""), 0, 1, 1, 0},
		"429, late":                    {refuse(429, ""), late, 1, 0, 1},
		"500":                          {refuse(500, ""), 0, 1, 1, 0},
		"500, late":                    {refuse(500, ""), late, 0, 0, 0},
		"taken without an answer":      {linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "reply", Times: 1}, 0, 1, 1, 0},
		"taken without one, late":      {linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "reply", Times: 1}, late, 1, 1, 0},
		"401 of the endpoint":          {refuse(401, ""), 0, 1, 1, 0},
		"401 of the endpoint, late":    {refuse(401, ""), late, 1, 0, 1},
		"the token is no good at once": {refuse(400, "Invalid reply token"), -1, 1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWorld(t, func(t *testing.T, w *world) {
				w.links()
				user, in := w.asksToLink()
				w.faults(c.fault)
				err := errandsOf(w.activities().RunErrands(t.Context(), in))
				require.Equal(t, c.after >= 0, err != nil, "%v", err)
				w.pass(max(c.after, 0))
				for range 2 {
					require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), in)))
				}
				require.Equal(t, c.onePhone, w.finds(user, theCard))
				require.Equal(t, []int{c.replies, c.push}, []int{w.calls("reply"), w.calls("push")})
				require.True(t, w.read().HeldAt.IsZero())
			})
		})
	}
}

// The first call to meet a refused access token is the errand's own: LINE has not
// taken its reply token. Wherever the process dies, it is said once when LINE takes
// an access token again, for free or late by a push; only who dies between LINE's
// answer and its note leaves a doubt, which a fresh token clears up.
func TestWhatMeetsARefusedAccessTokenIsSaidOnceItIsGood(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{"fresh": 0, "late": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWorld(t, func(t *testing.T, w *world) {
				w.links()
				doubts := 0
				for n := int64(1); ; n++ {
					require.Less(t, n, int64(60))
					user, in := w.asksToLink()
					replies, pushes := w.calls("reply"), w.calls("push")
					token := "good-" + user
					w.lineTakes(token)
					a := w.activities()
					w.sim.Hold(lineChannel) // whoever receives webhooks does not die
					died := func() (died bool) {
						defer func() { died = recover() != nil }()
						w.crashAt.Store(n)
						require.NoError(t, errandsOf(a.RunErrands(t.Context(), in)))
						return false
					}()
					w.crashAt.Store(0)
					_, err := w.sim.Release(linesim.ReleaseOptions{})
					require.NoError(t, err)
					require.Zero(t, w.finds(user, theCard))
					var tried int64
					require.NoError(t, w.db.Get(&tried, `SELECT tried_at FROM errands WHERE state = 'due'`))
					if !died {
						require.False(t, w.read().HeldAt.IsZero())
						require.Zero(t, tried)
					}
					w.pass(late)
					w.isGiven(func(c *store.Channel) { c.Replace(token, time.Time{}, w.Now()) })
					w.looks()
					for range 2 {
						require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), in)))
					}
					want := 1
					if tried > 0 && late > 0 {
						want, doubts = 0, doubts+1
					}
					require.Equal(t, want, w.finds(user, theCard), "who dies before statement %d", n)
					require.Equal(t, want, w.calls("reply")-replies+w.calls("push")-pushes)
					require.Equal(t, late == 0, w.calls("push") == 0)
					if !died {
						break
					}
				}
				if late > 0 {
					require.Positive(t, doubts)
					require.LessOrEqual(t, doubts, 4, "from LINE's answer until it is noted")
				}
			})
		})
	}
}

// A greeting and the word of a leave go for free or not at all.
func TestAGreetingThatMeetsARefusedAccessTokenIsSaidWhileThatIsFree(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		want  int
	}{"fresh": {0, 1}, "late": {time.Hour, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWorld(t, func(t *testing.T, w *world) {
				yes := true
				w.does(func(ch *store.Channel) {
					ch.AutomatedMessages = []store.AutomatedMessage{{Trigger: string(automessage.Followed), Enabled: &yes}}
					ch.GroupChats = store.GroupsLeft
				})
				u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Hanako"}
				require.NoError(t, w.sim.AddUser(t.Context(), u))
				_, err := w.sim.Follow(t.Context(), lineChannel, u.ID)
				require.NoError(t, err)
				chats := []string{conversation.ChatKey("user", u.ID), w.invited()}
				run := func(chat string) {
					t.Helper()
					require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat})))
				}
				for _, chat := range chats {
					require.True(t, w.takes(w.activities(), chat).Errands)
				}
				for i, chat := range chats {
					token := "good-" + chat
					w.lineTakes(token)
					run(chat)
					require.False(t, w.read().HeldAt.IsZero())
					w.pass(c.after)
					w.isGiven(func(c *store.Channel) { c.Replace(token, time.Time{}, w.Now()) })
					require.Subset(t, chats[i:], w.looks())
					run(chat)
					run(chat)
				}
				require.Len(t, w.said(u.ID), c.want)
				require.Len(t, w.said(aGroup), c.want)
				require.Equal(t, 1, w.calls("leave_group"))
				require.Zero(t, w.calls("push"))
				var welcomed int
				require.NoError(t, w.db.Get(&welcomed, `SELECT count(*) FROM events WHERE type = 'customer.welcomed'`))
				require.Equal(t, c.want, welcomed, "nobody was welcomed without a word")
			})
		})
	}
}

// A database that is away while LINE's refusal is weighed is no refusal of the
// errand: it stays due.
func TestAnErrandStaysDueWhoeverCannotNoteTheRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.links()
	user, in := w.asksToLink()
	w.lineTakes("good")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.line.stand(func(req *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		if strings.HasSuffix(req.URL.Path, "/reply") {
			defer cancel() // nothing can be noted from here on
		}
		return carry()
	})
	require.Error(t, errandsOf(w.activities().RunErrands(ctx, in)))
	w.line.stand(nil)
	w.lineTakes(lineToken)
	require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), in)))
	require.Equal(t, 1, w.finds(user, theCard))
}

// An errand in doubt is not said once more in a conversation that has begun since.
func TestWhatWasSaidBesideIsNotSaidInTheConversation(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.links()
		user, in := w.asksToLink()
		w.faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "reply", Times: 1})
		require.Error(t, errandsOf(w.activities().RunErrands(t.Context(), in)))
		_, err := w.sim.SendText(t.Context(), lineChannel, user, "hello")
		require.NoError(t, err)
		out := w.takes(w.activities(), in.ChatKey)
		require.NotEmpty(t, out.ConversationID)
		require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), in)))
		for more := true; more; {
			sent, err := w.activities().Send(t.Context(), activities.SendInput{ConversationID: out.ConversationID})
			require.NoError(t, err)
			more = sent.More
		}
		require.Equal(t, 1, w.finds(user, theCard))
	})
}

// In a conversation the event's token is for what is said there.
func TestWhatIsSaidOfLinkingInAConversationIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.links()
	c := w.newChat()
	w.pass(time.Minute) // no other token is fresh
	_, err := w.sim.Postback(t.Context(), lineChannel, c.user, accountlink.TapLink.Data(), "", nil)
	require.NoError(t, err)
	require.NoError(t, w.sim.WaitIdle(t.Context()))
	_, err = w.activities().Ingest(t.Context(), activities.IngestInput{ChannelID: w.channel.ID, ChatKey: c.key(), RunID: "run", ConversationID: c.id})
	require.NoError(t, err)
	require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: c.key()})))
	require.Empty(t, c.empty())
	require.Equal(t, 1, w.finds(c.user, theCard))
	require.Zero(t, w.calls("push"))
}

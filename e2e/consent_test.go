package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// asking requires consent to a version of the notice, and has the echo answer.
func asking(version string) func(w *store.Workstream, b *store.Bot) {
	return func(w *store.Workstream, b *store.Bot) {
		withEcho(w, b)
		w.Settings.Privacy = store.Privacy{Notice: true, Consent: true, Version: version}
		w.Settings.AutomatedMessages = []store.AutomatedMessage{
			{Trigger: "privacy_notice", Text: "notice"}, {Trigger: "consent_question", Text: "agree?"}, {Trigger: "consent_refused", Text: "sorry"},
		}
	}
}

// taps taps the quick reply at a place under the last message.
func (c customer) taps(i int) {
	c.k.t.Helper()
	chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
	require.NoError(c.k.t, err)
	var body struct {
		QuickReply struct {
			Items []struct {
				Action struct{ Type, Data, DisplayText string } `json:"action"`
			} `json:"items"`
		} `json:"quickReply"`
	}
	require.NoError(c.k.t, json.Unmarshal(chat[len(chat)-1].Body, &body))
	require.Greater(c.k.t, len(body.QuickReply.Items), i, "the last message has buttons")
	a := body.QuickReply.Items[i].Action
	require.Equal(c.k.t, "postback", a.Type)
	_, err = c.k.Sim.Postback(c.k.t.Context(), dev.SimChannelID, c.id, a.Data, a.DisplayText, nil)
	require.NoError(c.k.t, err)
}

// isAsked waits until the customer has been asked n times, and nothing is
// under way.
func (c customer) isAsked(n int) {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		asked := 0
		for _, text := range c.reads() {
			if text == "agree?" {
				asked++
			}
		}
		return asked == n
	}, "the customer is asked %d times", n)
	c.isQuiet()
}

// shows is everything the API tells of what the customer said.
func (c customer) shows() string {
	c.k.t.Helper()
	k := c.k
	var b strings.Builder
	show := func(path string) {
		_, page := k.call("GET", path, nil, nil)
		raw, err := json.Marshal(page)
		require.NoError(k.t, err)
		b.Write(raw)
	}
	for _, conv := range c.conversations() {
		show("/conversations/" + conv.ID)
		show("/conversations/" + conv.ID + "/messages")
		show("/conversations/" + conv.ID + "/timeline")
	}
	show("/conversations?q=private")
	show("/events?after=0&limit=200")
	return b.String()
}

func TestWhatIsWrittenBeforeTheYesIsHeldUntilThen(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(asking("v1"))
		emma := k.newCustomer("Emma")
		emma.writes("private")
		emma.isAsked(1)
		require.Equal(t, []string{"notice", "agree?"}, emma.reads())
		emma.writes("m001")
		emma.isAsked(2)
		require.Len(t, emma.reads(), 3)
		shown := emma.shows()
		require.NotContains(t, shown, "private")
		require.NotContains(t, shown, "m001")
		require.NotContains(t, shown, "message.received")
		conv := emma.conversations()[0]
		res, problem := k.call("POST", "/conversations/"+conv.ID+"/pick", map[string]any{}, nil)
		require.Equal(t, 409, res.StatusCode, problem)
		require.Equal(t, "consent_pending", problem["code"])

		emma.taps(0)
		k.eventually(func() bool { return len(emma.heard()) == 1 }, "the bot answers what was held")
		require.Equal(t, []string{"notice", "agree?", "agree?", "welcome", "heard m001"}, emma.reads())
		require.Equal(t, []string{"private", "m001"}, emma.inbound())
		emma.allAccepted()
		for _, m := range emma.transcript() {
			if m.Direction == conversation.Outbound {
				require.Equal(t, "reply", m.Via, "each had a fresh token")
			}
		}
		k.eventually(func() bool { return strings.Contains(emma.shows(), "message.received") }, "the events are numbered")

		// Who agreed is asked no more.
		emma.writes("bye")
		k.eventually(func() bool { return emma.conversations()[0].Status == conversation.StatusClosed }, "the bot ends it")
		emma.isQuiet()
		said := len(emma.reads())
		emma.writes("m002")
		emma.isAnswered(said + 1)
		require.Equal(t, "welcome", emma.reads()[said])
	})
}

func TestANoIsHeardAndTheNextMessageAsksAgain(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(asking("v1"))
		emma := k.newCustomer("Emma")
		emma.writes("private")
		emma.isAsked(1)
		emma.taps(1)
		k.eventually(func() bool { return emma.reads()[len(emma.reads())-1] == "sorry" }, "the customer is told")
		require.Equal(t, conversation.ReasonConsentRefused, emma.conversations()[0].ClosureReason)
		emma.isQuiet()

		emma.writes("m001")
		emma.isAsked(2)
		require.Equal(t, []string{"notice", "agree?", "sorry", "notice", "agree?"}, emma.reads())
		require.Len(t, emma.conversations(), 2)
		emma.writes("ja")
		k.eventually(func() bool { return len(emma.inbound()) == 1 }, "a typed yes is one")
		emma.isAnswered(6)
		require.Equal(t, []string{"m001"}, emma.inbound(), "what was written before the no is gone")
		require.Equal(t, "welcome", emma.reads()[5])
	})
}

func TestANewNoticeIsShownAndAskedAbout(t *testing.T) {
	t.Parallel()
	k := start(t, "sqlite")
	k.arrange(asking("v1"))
	emma := k.newCustomer("Emma")
	emma.writes("m001")
	emma.isAsked(1)
	emma.writes("yes")
	emma.isAnswered(3)
	k.arrange(asking("v2"))
	// Running steps keep a configuration for two seconds.
	k.eventually(func() bool {
		if last := emma.conversations(); last[len(last)-1].Status != conversation.StatusClosed {
			emma.writes("bye")
		}
		emma.isQuiet()
		before := len(emma.conversations())
		emma.writes("m002")
		emma.isQuiet()
		list := emma.conversations()
		return len(list) > before && list[len(list)-1].Owner == conversation.OwnerNone && list[len(list)-1].Status == conversation.StatusOpen
	}, "the customer is asked again")
	last := emma.reads()
	require.Equal(t, []string{"notice", "agree?"}, last[len(last)-2:])
}

func TestANoticeWithoutAQuestionComesOnce(t *testing.T) {
	t.Parallel()
	k := start(t, "sqlite")
	k.arrange(func(w *store.Workstream, b *store.Bot) {
		asking("v1")(w, b)
		w.Settings.Privacy.Consent = false
	})
	emma := k.newCustomer("Emma")
	emma.writes("m001")
	emma.isAnswered(2)
	emma.writes("bye")
	k.eventually(func() bool { return emma.conversations()[0].Status == conversation.StatusClosed }, "the bot ends it")
	emma.isQuiet()
	said := len(emma.reads())
	emma.writes("m002")
	emma.isAnswered(said + 1)
	require.Equal(t, []string{"notice", "welcome", "goodbye", "welcome"}, emma.reads())
	require.Equal(t, []string{"m001", "bye", "m002"}, emma.inbound())
}

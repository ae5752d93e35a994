package activities_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/accesstoken"
	"kaiwa/internal/callrate"
	"kaiwa/internal/conversation"
	"kaiwa/internal/courtesy"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// polite is a chat that an agent serves.
type polite struct {
	*chat
	agent string
}

// newPolite has a customer write and an agent take the conversation, with
// courtesies set.
func (w *world) newPolite(set store.Courtesies) *polite {
	w.t.Helper()
	ctx := w.t.Context()
	w.setCourtesies(set)
	require.NoError(w.t, w.sim.ChangeChannel(ctx, lineChannel, func(c *linesim.Channel) { c.ChatMode = "chat" }))
	c := &polite{chat: &chat{world: w, acts: w.activities(), user: linesim.NewUserID()}}
	require.NoError(w.t, w.sim.AddUser(ctx, linesim.User{ID: c.user, DisplayName: "Aoi"}))
	c.writes()
	c.id = c.takesIn().ConversationID
	a, err := w.store.CreateAgent(ctx, store.Origin{}, store.Agent{Name: "Mai", Email: c.id + "@example.com", Role: store.RoleAgent, Locale: "en", Capacity: 5})
	require.NoError(w.t, err)
	c.agent = a.ID
	_, err = w.db.ExecContext(ctx, `UPDATE conversations SET status = 'active', owner = 'agent', agent_id = '`+c.agent+`' WHERE id = '`+c.id+`'`)
	require.NoError(w.t, err)
	return c
}

func (w *world) setCourtesies(set store.Courtesies) {
	w.t.Helper()
	now, err := w.store.Workstream(w.t.Context(), w.channel.WorkstreamID)
	require.NoError(w.t, err)
	_, err = w.store.UpdateWorkstream(w.t.Context(), store.Origin{}, now.ID, now.Version, func(s *store.Workstream) error {
		s.Settings.Courtesies = set
		return nil
	})
	require.NoError(w.t, err)
}

// takesIn ingests what the customer has written.
func (c *chat) takesIn() activities.IngestOutput {
	c.t.Helper()
	out, err := c.acts.Ingest(c.t.Context(), activities.IngestInput{ChannelID: c.channel.ID, ChatKey: c.key(), ConversationID: c.id})
	require.NoError(c.t, err)
	return out
}

// process is an API process's courtesies.
func (w *world) process() *courtesy.Courtesy {
	logger := slog.New(slog.DiscardHandler)
	return &courtesy.Courtesy{
		Store: w.store, Tokens: accesstoken.New(w.bare, w.Now), Rates: callrate.New(w.store.TakeCalls, w.Now, logger), Logger: logger, Now: w.Now,
	}
}

func (c *polite) present() (store.Plan, store.Conversation) {
	c.t.Helper()
	plan, err := c.store.Plan(c.t.Context(), c.channel.ID)
	require.NoError(c.t, err)
	conv, err := c.store.Conversation(c.t.Context(), c.id)
	require.NoError(c.t, err)
	return plan, conv
}

func (c *polite) types(by *courtesy.Courtesy) {
	c.t.Helper()
	plan, conv := c.present()
	require.NoError(c.t, by.Typing(c.t.Context(), plan, conv))
}

// lastMessage is the newest message of the customer.
func (c *polite) lastMessage() string {
	c.t.Helper()
	var id string
	require.NoError(c.t, c.db.GetContext(c.t.Context(), &id, `SELECT id FROM messages WHERE conversation_id = '`+c.id+`' AND direction = 'inbound' ORDER BY occurred_at DESC, ordinal DESC LIMIT 1`))
	return id
}

func (c *polite) reads(by *courtesy.Courtesy, messageID string) {
	c.t.Helper()
	plan, conv := c.present()
	require.NoError(c.t, by.Read(c.t.Context(), plan, conv, messageID))
}

func (w *world) asked(endpoint string) int {
	return len(w.sim.Calls(linesim.CallFilter{Endpoint: endpoint}))
}

// read tells of each message of the customer whether their phone shows it as read.
func (c *polite) read() (list []bool) {
	c.t.Helper()
	messages, err := c.sim.Chat(c.t.Context(), lineChannel, c.user)
	require.NoError(c.t, err)
	for _, m := range messages {
		if m.Direction == "customer" {
			list = append(list, m.Read)
		}
	}
	return list
}

func TestTypingIsShownOnceForAsLongAsItLastsWhateverProcessIsTold(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		c := w.newPolite(store.Courtesies{})
		processes := []*courtesy.Courtesy{w.process(), w.process(), w.process()}
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() { c.types(processes[i%3]) })
		}
		all.Wait()
		require.Equal(t, 1, w.asked("loading"))
		require.JSONEq(t, `{"chatId":"`+c.user+`","loadingSeconds":20}`, string(w.sim.Calls(linesim.CallFilter{Endpoint: "loading"})[0].Body))
		w.pass(courtesy.TypingTime - time.Second)
		c.types(processes[1])
		require.Equal(t, 1, w.asked("loading"))
		w.pass(time.Second)
		c.types(processes[1])
		require.Equal(t, 2, w.asked("loading"))

		// A message of the account has ended it.
		w.pass(time.Second)
		c.saysAs(conversation.SenderAgent, 1)
		require.Empty(t, c.empty())
		c.types(processes[2])
		require.Equal(t, 3, w.asked("loading"))
		c.types(processes[0])
		require.Equal(t, 3, w.asked("loading"))
	})
}

func TestTypingIsShownToNobodyWhoIsNotToSeeIt(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		c := w.newPolite(store.Courtesies{})
		by := w.process()
		exec := func(q string) {
			t.Helper()
			_, err := w.db.ExecContext(t.Context(), q)
			require.NoError(t, err)
		}
		for name, change := range map[string][2]string{
			"a group":              {`UPDATE social_profiles SET line_user_id = 'C` + strings.Repeat("1", 32) + `'`, `UPDATE social_profiles SET line_user_id = '` + c.user + `'`},
			"who blocks":           {`UPDATE social_profiles SET friendship = 'blocked'`, `UPDATE social_profiles SET friendship = 'friend'`},
			"a chat in standby":    {`UPDATE chats SET standby = TRUE`, `UPDATE chats SET standby = FALSE`},
			"without a good token": {`UPDATE channels SET held_at = 1`, `UPDATE channels SET held_at = 0`},
		} {
			exec(change[0])
			c.types(by)
			require.Zero(t, w.asked("loading"), name)
			exec(change[1])
		}
		for mode, shown := range map[store.TypingMode]int{store.TypingNever: 0, store.TypingBot: 0, store.TypingAgent: 1, store.TypingAlways: 1} {
			w.setCourtesies(store.Courtesies{Typing: mode})
			w.pass(time.Minute)
			before := w.asked("loading")
			c.types(by)
			require.Equal(t, shown, w.asked("loading")-before, mode)
		}

		// LINE does not take it: the agent is not bothered, nor is LINE.
		w.setCourtesies(store.Courtesies{})
		w.pass(time.Minute)
		w.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "loading", Status: http.StatusInternalServerError})
		before := w.asked("loading")
		c.types(by)
		c.types(by)
		require.Equal(t, 1, w.asked("loading")-before)
	})
}

func TestABotsThinkingIsShownWhereTheWorkstreamWantsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	var asked []byte
	bot := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var err error
		if asked, err = io.ReadAll(r.Body); err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		if _, err := rw.Write([]byte(`{"messages":[{"type":"text","text":"hi"}],"action":"continue"}`)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(bot.Close)
	b, err := w.store.CreateBot(ctx, store.Origin{}, store.Bot{Name: "Guide", Kind: store.BotWebhook, URL: bot.URL, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	require.NoError(t, err)
	ws, err := w.store.Workstream(ctx, w.channel.WorkstreamID)
	require.NoError(t, err)
	_, err = w.store.UpdateWorkstream(ctx, store.Origin{}, ws.ID, ws.Version, func(s *store.Workstream) error { s.BotID = b.ID; return nil })
	require.NoError(t, err)
	for i, c := range []struct {
		mode  store.TypingMode
		shown int
	}{{"", 1}, {store.TypingBot, 1}, {store.TypingAlways, 1}, {store.TypingAgent, 0}, {store.TypingNever, 0}} {
		w.setCourtesies(store.Courtesies{Typing: c.mode})
		x := &chat{world: w, acts: w.activities(), user: linesim.NewUserID()}
		require.NoError(t, w.sim.AddUser(ctx, linesim.User{ID: x.user, DisplayName: "Aoi"}))
		x.writes()
		in := x.takesIn()
		before := w.asked("loading")
		out, err := x.acts.BotTurn(ctx, activities.TurnInput{ID: fmt.Sprint("trn_", i), ConversationID: in.ConversationID, Epoch: in.Epoch})
		require.NoError(t, err)
		require.Equal(t, store.TurnAnswered, out.Outcome, out.Failure)
		require.Equal(t, c.shown, w.asked("loading")-before, c.mode)
		require.NotContains(t, string(asked), "oken", "a bot is given no token of LINE's")
	}
}

func TestWhatAnAgentHasReadIsShownAsReadOnceAndUpToThere(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		c := w.newPolite(store.Courtesies{MarkAsRead: store.ReadByAgent})
		by := w.process()
		first := c.lastMessage()
		w.pass(time.Second)
		c.writes()
		c.takesIn()
		second := c.lastMessage()
		require.Equal(t, []bool{false, false}, c.read())
		unread := func() int64 {
			t.Helper()
			n, err := w.store.Unread(t.Context(), []string{c.id})
			require.NoError(t, err)
			return n[c.id]
		}
		require.Equal(t, int64(2), unread())

		c.reads(by, first)
		require.Equal(t, []bool{true, false}, c.read())
		require.Equal(t, int64(1), unread())
		c.reads(w.process(), first)
		require.Equal(t, 1, w.asked("mark_as_read"), "LINE knows")

		// The newest of the customer's before an answer of the agent's own.
		w.pass(time.Second)
		c.saysAs(conversation.SenderAgent, 1)
		var ours string
		require.NoError(t, w.db.GetContext(t.Context(), &ours, `SELECT id FROM messages WHERE direction = 'outbound'`))
		c.reads(by, ours)
		require.Equal(t, []bool{true, true}, c.read())
		require.Zero(t, unread())
		c.reads(by, second)
		c.reads(by, first)
		require.Equal(t, 2, w.asked("mark_as_read"), "what was read stays read")
		require.Zero(t, unread())
		require.NoError(t, by.TellDue(t.Context()))
		require.Equal(t, 2, w.asked("mark_as_read"))

		plan, conv := c.present()
		require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(by.Read(t.Context(), plan, conv, "msg_none")))

		for _, never := range []store.ReadMode{store.ReadNever, ""} {
			w.setCourtesies(store.Courtesies{MarkAsRead: never})
			w.pass(time.Second)
			c.writes()
			c.takesIn()
			require.Equal(t, int64(1), unread())
			c.reads(by, c.lastMessage())
			require.Zero(t, unread())
		}
		require.Equal(t, 2, w.asked("mark_as_read"))
	})
}

func TestLINEIsToldWhatWasReadThoughAProcessDiesOrLINEDoesNotAnswer(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.newPolite(store.Courtesies{MarkAsRead: store.ReadByAgent})

		// It dies with the reading stored and LINE not called.
		due, err := w.store.Read(ctx, c.id, c.agent, c.lastMessage(), true)
		require.NoError(t, err)
		require.True(t, due)
		require.NoError(t, w.process().TellDue(ctx))
		require.Zero(t, w.asked("mark_as_read"), "it may be at it")
		w.pass(store.MarkLease)
		processes := []*courtesy.Courtesy{w.process(), w.process(), w.process()}
		var all sync.WaitGroup
		for _, p := range processes {
			all.Go(func() {
				if err := p.TellDue(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, w.asked("mark_as_read"))
		require.Equal(t, []bool{true}, c.read())

		// It dies after LINE's answer: LINE is told the same once more.
		w.pass(time.Second)
		c.writes()
		c.takesIn()
		_, err = w.store.Read(ctx, c.id, c.agent, c.lastMessage(), true)
		require.NoError(t, err)
		w.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
			res, err := carry()
			if err != nil {
				return nil, err
			}
			if err := res.Body.Close(); err != nil {
				return nil, err
			}
			return nil, io.ErrUnexpectedEOF
		})
		w.pass(store.MarkLease)
		require.NoError(t, processes[0].TellDue(ctx))
		w.line.stand(nil)
		require.NoError(t, processes[0].TellDue(ctx))
		require.Equal(t, 2, w.asked("mark_as_read"), "not at once")
		w.pass(time.Hour)
		require.NoError(t, processes[0].TellDue(ctx))
		w.pass(time.Hour)
		require.NoError(t, processes[0].TellDue(ctx))
		require.Equal(t, 3, w.asked("mark_as_read"))

		// A trouble of LINE's passes; the token that it refuses is replaced.
		for _, status := range []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusUnauthorized} {
			w.pass(time.Second)
			c.writes()
			c.takesIn()
			w.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "mark_as_read", Status: status, Times: 1})
			before := w.asked("mark_as_read")
			c.reads(processes[1], c.lastMessage())
			w.pass(time.Hour)
			require.NoError(t, processes[2].TellDue(ctx))
			require.Equal(t, 2, w.asked("mark_as_read")-before, status)
			require.NotContains(t, c.read(), false)
		}

		// What LINE refuses is not said again.
		w.pass(time.Second)
		c.writes()
		c.takesIn()
		w.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "mark_as_read", Status: http.StatusBadRequest, Times: 1})
		before := w.asked("mark_as_read")
		c.reads(processes[1], c.lastMessage())
		w.pass(time.Hour)
		require.NoError(t, processes[1].TellDue(ctx))
		require.Equal(t, 1, w.asked("mark_as_read")-before)
	})
}

func TestWhatLINENoLongerTellsOfACustomerStaysKnown(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.newPolite(store.Courtesies{})
		in := activities.ProfileInput{ChannelID: c.channel.ID, ChatKey: c.key()}
		_, err := c.acts.FetchProfile(ctx, in)
		require.NoError(t, err)
		changed := func() (n int) {
			t.Helper()
			require.NoError(t, w.db.GetContext(ctx, &n, `SELECT count(*) FROM events WHERE type = 'customer.changed' AND conversation_id = '`+c.id+`'`))
			return n
		}
		in.Refresh = true
		require.NoError(t, w.sim.AddUser(ctx, linesim.User{ID: c.user, DisplayName: "山田 葵"}))
		for range 2 {
			_, err = c.acts.FetchProfile(ctx, in)
			require.NoError(t, err)
		}
		require.Equal(t, 1, changed())
		_, err = w.sim.Unfollow(ctx, lineChannel, c.user)
		require.NoError(t, err)
		w.pass(48 * time.Hour)
		_, err = c.acts.FetchProfile(ctx, in)
		require.NoError(t, err)
		known, err := w.store.Profile(ctx, c.channel.ID, c.key())
		require.NoError(t, err)
		require.Equal(t, "山田 葵", known.DisplayName)
		require.Equal(t, w.Now().UnixMicro(), known.FetchedAt, "it was asked")
		require.Equal(t, 1, changed())

		// Above LINE's limit it is not asked; the activity comes again.
		before := w.asked("profile")
		_, err = w.db.ExecContext(ctx, fmt.Sprintf(`INSERT INTO line_calls (channel_id, endpoint, second, taken) VALUES ('%s', 'profile', %d, 2000)`, c.channel.ID, w.Now().Unix()))
		require.NoError(t, err)
		var busy error
		for range 100 { // what a process may do unasked
			if _, err := c.acts.FetchProfile(ctx, in); err != nil {
				busy = err
				break
			}
		}
		require.ErrorContains(t, busy, "than LINE takes in a second")
		require.Less(t, w.asked("profile")-before, 100)
	})
}

func TestNothingIsToldLINEOfWhatItIsNotToKnow(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		by := w.process()
		for name, change := range map[string]string{
			"a message taken back": `UPDATE messages SET read_token = '' WHERE conversation_id = '%s'`,
			"a chat in standby":    `UPDATE chats SET standby = TRUE WHERE chat_key = (SELECT chat_key FROM conversations WHERE id = '%s')`,
		} {
			c := w.newPolite(store.Courtesies{MarkAsRead: store.ReadByAgent})
			_, err := w.store.Read(ctx, c.id, c.agent, c.lastMessage(), true)
			require.NoError(t, err)
			_, err = w.db.ExecContext(ctx, fmt.Sprintf(change, c.id))
			require.NoError(t, err)
			for range 2 {
				w.pass(time.Hour)
				require.NoError(t, by.TellDue(ctx), name)
			}
			require.Zero(t, w.asked("mark_as_read"), name)
		}
	})
}

package activities_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
)

// service is a bot of the workstream that answers every turn with the same.
type service struct {
	*world
	answer string
	asked  int
	turns  int
}

func (w *world) newService() *service {
	w.t.Helper()
	s := &service{world: w}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.asked++
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, s.answer)
	}))
	w.t.Cleanup(server.Close)
	w.hasBot(store.Bot{Name: "Guide", Kind: store.BotWebhook, URL: server.URL, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	return s
}

// hasBot gives the workstream a bot.
func (w *world) hasBot(b store.Bot) {
	w.t.Helper()
	b, err := w.store.CreateBot(w.t.Context(), store.Origin{}, b)
	require.NoError(w.t, err)
	ws, err := w.store.Workstream(w.t.Context(), w.channel.WorkstreamID)
	require.NoError(w.t, err)
	_, err = w.store.UpdateWorkstream(w.t.Context(), store.Origin{}, ws.ID, ws.Version, func(s *store.Workstream) error { s.BotID = b.ID; return nil })
	require.NoError(w.t, err)
}

// asks opens a chat in which the bot owes an answer, and names the turn.
func (s *service) asks() (*chat, activities.TurnInput) {
	s.t.Helper()
	c := s.newChat()
	now, err := s.store.Conversation(s.t.Context(), c.id)
	require.NoError(s.t, err)
	require.Equal(s.t, conversation.OwnerBot, now.Owner)
	s.turns++
	return c, activities.TurnInput{ID: fmt.Sprint("trn_", s.turns), ConversationID: c.id, Epoch: now.Epoch}
}

// answers has the bot answer a turn in processes that die before each statement.
func (s *service) answers(in activities.TurnInput, answer string) (out activities.TurnOutput) {
	s.t.Helper()
	s.answer = answer
	s.dies(func(a *activities.Activities) (err error) {
		out, err = a.BotTurn(s.t.Context(), in)
		return err
	})
	return out
}

// happened are the kinds of event of a conversation that tell of its messages
// and turns, in order.
func (c *chat) happened() (kinds []string) {
	c.t.Helper()
	_, err := c.store.SequenceEvents(c.t.Context())
	require.NoError(c.t, err)
	list, err := c.store.Events(c.t.Context(), 0, 1000, c.id)
	require.NoError(c.t, err)
	for _, e := range list {
		if strings.HasPrefix(e.Type, "message.") && e.Type != "message.received" || strings.HasPrefix(e.Type, "bot_turn.") {
			kinds = append(kinds, e.Type)
		}
	}
	return kinds
}

func template(label string) string {
	return `{"type": "template", "alt_text": "Choose", "template": {"type": "buttons", "text": "Choose", "actions": [{"type": "message", "label": "` + label + `", "text": "a"}]}}`
}

var tooLong = template(strings.Repeat("x", 21))

const one, two, hologram = `{"type": "text", "text": "one"}`, `{"type": "text", "text": "two"}`, `{"type": "hologram", "text": "boo"}`

// Wherever the process dies, the customer gets what can be sent, once and in
// order, agents see what cannot and why, and what else the bot answered holds.
func TestAMessageOfABotThatCannotBeSentDoesNotTakeTheOthersWithIt(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		s := w.newService()
		c, in := s.asks()
		out := s.answers(in, `{"messages": [`+strings.Join([]string{one, tooLong, hologram, two}, ",")+`], "context": {"colour": "red"}}`)
		require.Equal(t, store.TurnResult{Outcome: store.TurnAnswered, Action: "continue", Messages: 2}, out.TurnResult)
		require.Zero(t, out.Unanswered)

		require.Empty(t, c.empty())
		require.Equal(t, []string{"one", "two"}, c.reads())
		said := c.messages()
		require.Len(t, said, 4)
		for i, want := range []struct{ kind, text, detail string }{
			{"text", "one", ""},
			{"template", "", "/messages/1/template/actions/0/label: must be 1 to 20 characters, not 21"},
			{line.MessageUnsupported, "boo", `/messages/2/type: There is no type of message "hologram".`},
			{"text", "two", ""},
		} {
			require.Equal(t, want.kind, said[i].Type)
			require.Equal(t, want.text, said[i].Text)
			require.Equal(t, want.detail, said[i].FailureDetail)
			require.Equal(t, conversation.SenderBot, said[i].SenderKind)
			if want.detail == "" {
				require.Equal(t, conversation.MessageAccepted, said[i].State)
				continue
			}
			require.Equal(t, conversation.MessageFailed, said[i].State)
			require.Equal(t, store.FailureUnsendable, said[i].Failure)
		}
		require.JSONEq(t, `{"type":"template","alt_text":"Choose","template":{"type":"buttons","text":"Choose","actions":[{"type":"message","label":"`+strings.Repeat("x", 21)+`","text":"a"}]}}`, said[1].Payload)
		require.Equal(t, []string{"message.created", "message.created", "message.failed", "message.created", "message.failed", "message.created", "message.accepted", "message.accepted"}, c.happened())
		now, err := w.store.Conversation(t.Context(), c.id)
		require.NoError(t, err)
		require.JSONEq(t, `{"colour": "red"}`, now.Context)
	})
}

// What an answer asks for beside its messages, where none or not all of them can
// be sent.
func TestWhatABotAsksForHoldsWhateverBecomesOfItsMessages(t *testing.T) {
	t.Parallel()
	const failed = "bot_turn.failed"
	eachWorld(t, func(t *testing.T, w *world) {
		s := w.newService()
		for _, tc := range []struct {
			name, answer string
			want         store.TurnResult
			kept         int // messages in the transcript
			context      string
		}{
			{"the end, after what can be sent", `{"messages": [` + one + `,` + tooLong + `], "action": "end", "context": {"a": "1"}}`,
				store.TurnResult{Outcome: store.TurnAnswered, Action: "end", Messages: 1}, 2, `{"a": "1"}`},
			{"people, with nothing that can be sent", `{"messages": [` + tooLong + `], "action": "handoff", "context": {"a": "1"}}`,
				store.TurnResult{Outcome: store.TurnAnswered, Action: "handoff"}, 1, `{"a": "1"}`},
			{"nothing that can be sent", `{"messages": [` + tooLong + `,` + hologram + `], "context": {"a": "1"}}`,
				store.TurnResult{Outcome: store.TurnFailed, Failure: "invalid_answer"}, 2, `{}`},
			{"the end, with nothing that can be sent", `{"messages": [` + hologram + `], "action": "end"}`,
				store.TurnResult{Outcome: store.TurnFailed, Failure: "invalid_answer"}, 1, `{}`},
			{"nothing understood, and nothing that can be sent", `{"messages": [` + hologram + `], "understood": false}`,
				store.TurnResult{Outcome: store.TurnFailed, Failure: "invalid_answer"}, 1, `{}`},
			{"nothing understood, and something is said", `{"messages": [` + hologram + `,` + one + `], "understood": false}`,
				store.TurnResult{Outcome: store.TurnAnswered, Action: activities.ActionMissed, Messages: 1}, 2, `{}`},
			{"no message at all", `{"context": {"a": "1"}}`, store.TurnResult{Outcome: store.TurnAnswered, Action: "continue"}, 0, `{"a": "1"}`},
			{"an answer that is wrong elsewhere", `{"messages": [` + one + `], "context": {"a": []}}`,
				store.TurnResult{Outcome: store.TurnFailed, Failure: "invalid_answer"}, 0, `{}`},
			{"what is too long to be kept whole", `{"messages": [` + one + `,{"type": "flex", "text": "` + strings.Repeat("界", 6000) + `", "alt_text": "x", "contents": {"type": "` + strings.Repeat("y", 200_000) + `"}}]}`,
				store.TurnResult{Outcome: store.TurnAnswered, Action: "continue", Messages: 1}, 2, `{}`},
			{"a quote of nothing", `{"messages": [` + one + `,{"type": "text", "text": "x", "quote_message_id": "msg_nowhere"}]}`,
				store.TurnResult{Outcome: store.TurnAnswered, Action: "continue", Messages: 1}, 2, `{}`},
			{"account linking, which is off", `{"messages": [` + one + `,{"type": "account_link"}]}`,
				store.TurnResult{Outcome: store.TurnAnswered, Action: "continue", Messages: 1}, 2, `{}`},
		} {
			c, in := s.asks()
			out := s.answers(in, tc.answer)
			require.Equal(t, tc.want, out.TurnResult, tc.name)
			said := c.messages()
			require.Len(t, said, tc.kept, tc.name)
			for _, m := range said {
				if m.State == conversation.MessageFailed {
					require.Equal(t, store.FailureUnsendable, m.Failure, tc.name)
					require.Contains(t, m.FailureDetail, "/messages/", tc.name)
					require.Less(t, len(m.Payload)+len(m.Text), 128<<10, tc.name)
				}
			}
			now, err := w.store.Conversation(t.Context(), c.id)
			require.NoError(t, err)
			require.JSONEq(t, tc.context, now.Context, tc.name)
			if tc.want.Outcome == store.TurnFailed {
				require.Contains(t, c.happened(), failed, tc.name)
			} else {
				require.NotContains(t, c.happened(), failed, tc.name)
			}
			require.Empty(t, c.empty(), tc.name)
			require.Len(t, c.reads(), tc.want.Messages, tc.name)
		}
	})
}

func TestACardOfAccountLinkingIsNotSentToAGroup(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.does(func(c *store.Channel) { c.GroupChats = store.GroupsServed })
		s := w.newService()
		s.answer = `{"messages": [{"type": "account_link"}]}`
		c := w.newGroup(2)
		now, err := w.store.Conversation(t.Context(), c.id)
		require.NoError(t, err)
		out, err := c.acts.BotTurn(t.Context(), activities.TurnInput{ID: "trn_group", ConversationID: c.id, Epoch: now.Epoch})
		require.NoError(t, err)
		require.Equal(t, store.TurnFailed, out.Outcome)
		require.Equal(t, "/messages/0/type: accounts are linked in a chat with one customer, not in a group", c.messages()[0].FailureDetail)
	})
}

// A script's messages are whole only when they are filled in.
func TestAMessageOfAScriptThatCannotBeSentDoesNotTakeTheOthersWithIt(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.hasBot(store.Bot{Name: "Script", Kind: store.BotScript, Script: []byte(`{
			"version": 1, "default_locale": "en", "start": "all", "handoff": {"node": "person"},
			"nodes": {
				"person": {"handoff": {}},
				"all": {"set": {"long": "` + strings.Repeat("x", 21) + `"}, "say": ["one", ` + strings.Replace(tooLong, `"`+strings.Repeat("x", 21)+`"`, `{"$text": "{$long}"}`, 1) + `, "two"],
					"menu": {"text": "And now?", "options": [{"label": "Again", "goto": "all"}]}}
			}}`)})
		c := w.newChat()
		now, err := w.store.Conversation(t.Context(), c.id)
		require.NoError(t, err)
		in := activities.TurnInput{ID: "trn_script", ConversationID: c.id, Epoch: now.Epoch}
		w.dies(func(a *activities.Activities) error { _, err := a.BotTurn(t.Context(), in); return err })
		require.Empty(t, c.empty())
		require.Equal(t, []string{"one", "two", "And now?"}, c.reads())
		require.Equal(t, "/messages/1/template/actions/0/label: must be 1 to 20 characters, not 21", c.messages()[1].FailureDetail)
		require.Equal(t, conversation.MessageFailed, c.messages()[1].State)
	})
}

// What cannot be sent is stored with what can, in the same statements, and counted.
func TestWhatABotCannotSendCostsNoStatementAndIsCounted(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		s := w.newService()
		w.setCourtesies(store.Courtesies{Typing: store.TypingNever})
		registry := prometheus.NewRegistry()
		options := w.options(nil)
		var err error
		options.Metrics, err = telemetry.NewWorker(registry)
		require.NoError(t, err)
		const many = 1 << 40
		statements := func(answer string) int64 {
			_, in := s.asks()
			s.answer = answer
			a := activities.New(options) // which has read no configuration yet
			w.crashAt.Store(many)
			_, err := a.BotTurn(t.Context(), in)
			require.NoError(t, err)
			return many - w.crashAt.Swap(0)
		}
		good := statements(`{"messages": [` + one + `,` + two + `]}`)
		require.Positive(t, good)
		require.Equal(t, good, statements(`{"messages": [`+one+`,`+tooLong+`,`+hologram+`,`+two+`]}`))
		counted := func(n int) {
			t.Helper()
			require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`# HELP kaiwa_bot_messages_unsendable_total Messages of bots that could not be sent as they are, by kind of bot. The others of the same answer are sent.
# TYPE kaiwa_bot_messages_unsendable_total counter
kaiwa_bot_messages_unsendable_total{kind="webhook"} %d
`, n)), "kaiwa_bot_messages_unsendable_total"))
		}
		counted(2)
		statements(`{"messages": [` + hologram + `]}`)
		counted(3)
	})
}

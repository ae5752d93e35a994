package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// asksTheSilent has the workstream ask a silent customer after two seconds, by an
// automated message that waits so many seconds for a free reply.
func asksTheSilent(holdSeconds int64) func(*store.Workstream, *store.Bot) {
	return func(w *store.Workstream, b *store.Bot) {
		plain(w, b)
		picked(w, b)
		w.Settings.Sending.HoldSeconds = holdSeconds
		w.Settings.TimeoutRules = []store.TimeoutRule{
			{Name: "ask", When: store.CustomerSilent, AfterSeconds: 2, Action: store.TimeoutTellCustomer, Texts: map[string]string{"en": "Are you still there?"}},
		}
	}
}

// withoutTokens has an agent write until nothing is left to reply with.
func (c customer) withoutTokens(a agent, id string) {
	c.k.t.Helper()
	for {
		status, said := a.says(id, canary+": one moment")
		require.Contains(c.k.t, stored, status)
		var m store.Message
		c.k.eventually(func() bool {
			var err error
			m, err = c.k.Store.Message(c.k.t.Context(), said.ID)
			return err == nil && m.State == conversation.MessageAccepted
		}, "LINE takes it")
		if m.Via == "push" {
			return
		}
	}
}

// asked is the automated message to a silent customer; nil while there is none.
func (c customer) asked() *store.Message {
	for _, m := range c.transcript() {
		if m.Automated == store.AutomatedTimeoutRule {
			return &m
		}
	}
	return nil
}

// isHeld waits until the lane holds something back for so long.
func (c customer) isHeld(hold time.Duration) {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		return slices.ContainsFunc(c.k.history(c.workflowID()), func(e *history.HistoryEvent) bool {
			timer := e.GetTimerStartedEventAttributes().GetStartToFireTimeout().AsDuration()
			return timer > hold/2 && timer <= hold
		})
	}, "the lane holds it back")
}

func TestAnAutomatedMessageWaitsForTheNextTokenAndIsFree(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(asksTheSilent(3600))
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		emma.withoutTokens(kenta, id)
		pushes := len(k.Sim.Calls(linesim.CallFilter{Endpoint: "push"}))
		emma.isHeld(time.Hour)

		emma.writes("I am here")
		k.eventually(func() bool { return emma.asked().State == conversation.MessageAccepted }, "the message goes with the customer's next")
		require.Equal(t, "reply", emma.asked().Via)
		require.Zero(t, emma.asked().Charged)
		require.Len(t, k.Sim.Calls(linesim.CallFilter{Endpoint: "push"}), pushes, "nothing was paid")
		require.LessOrEqual(t, mostOpenTimers(k.history(emma.workflowID())), 2)
	})
}

func TestAnAutomatedMessageIsPushedWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(asksTheSilent(2))
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		emma.withoutTokens(kenta, id)
		k.eventually(func() bool { m := emma.asked(); return m != nil && m.State == conversation.MessageAccepted }, "the customer is asked")
		m := emma.asked()
		require.Equal(t, "push", m.Via)
		require.Equal(t, int64(1), m.Charged)
		onTime(t, 2, (time.Duration(m.SentAt-m.CreatedAt) * time.Microsecond).Seconds())
	})
}

func TestWhatIsHeldGoesBeforeTheConversationIsOver(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(asksTheSilent(3600))
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		emma.withoutTokens(kenta, id)
		k.eventually(func() bool { return emma.asked() != nil }, "the customer is to be asked")
		kenta.does("close", id, nil)
		k.eventually(func() bool { return emma.asked().State == conversation.MessageAccepted }, "a closed conversation gets no reply")
		require.Equal(t, "push", emma.asked().Via)
	})
}

func TestWhatWaitsForPaidMessagesGoesWhenMoreAreBought(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			asksTheSilent(0)(w, b)
			w.Settings.Sending.WhenSpent = store.SpentHold
		})
		quota := func(n int) {
			require.NoError(t, k.Sim.ChangeChannel(t.Context(), dev.SimChannelID, func(c *linesim.Channel) { c.Quota = n }))
		}
		quota(1)
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		emma.withoutTokens(kenta, id)
		isTold := func() bool {
			return slices.ContainsFunc(emma.transcript(), func(m store.Message) bool {
				return m.Automated == "quota_spent" && m.Direction == conversation.Internal
			})
		}
		k.eventually(isTold, "the agent is told")
		require.Equal(t, conversation.MessagePending, emma.asked().State)
		quota(3)
		require.Equal(t, http.StatusOK, k.as("kaiwa-dev-sofie").call(http.MethodGet, "/channels/"+k.Seeded.ChannelID+"/quota", nil, nil, nil))
		k.eventually(func() bool { return emma.asked().State == conversation.MessageAccepted }, "it goes")
		require.Equal(t, "push", emma.asked().Via)
	})
}

func TestAnAgentSendsAFailedMessageAgainAndSeesWhatItCost(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		emma.withoutTokens(kenta, id)
		quota := func(n int) {
			require.NoError(t, k.Sim.ChangeChannel(t.Context(), dev.SimChannelID, func(c *linesim.Channel) { c.Quota = n }))
		}
		quota(1) // which is used
		status, m := kenta.says(id, "Your parcel has left.")
		require.Equal(t, http.StatusAccepted, status)
		k.eventually(func() bool {
			m, err := k.Store.Message(t.Context(), m.ID)
			return err == nil && m.State == conversation.MessageFailed
		}, "the quota is spent")
		quota(0)

		again := func(key string) (status int, out written) {
			status = kenta.call(http.MethodPost, "/conversations/"+id+"/messages/"+m.ID+"/retry", map[string]string{"Idempotency-Key": key}, map[string]any{}, &out)
			return status, out
		}
		status, first := again("one")
		require.Contains(t, stored, status, first)
		status, second := again("two")
		require.Contains(t, stored, status, second)
		require.Equal(t, first.ID, second.ID, "whoever asks, and however often")
		emma.isQuiet()
		sent := 0
		for _, text := range emma.reads() {
			if text == "Your parcel has left." {
				sent++
			}
		}
		require.Equal(t, 1, sent)

		var shown struct {
			Items []map[string]json.RawMessage `json:"items"`
		}
		require.Equal(t, http.StatusOK, kenta.call(http.MethodGet, "/conversations/"+id+"/messages?limit=200", nil, nil, &shown))
		last := shown.Items[len(shown.Items)-1]
		require.JSONEq(t, `1`, string(last["charged"]))
		require.NotEqual(t, "null", string(last["line_request_id"]))
		for _, item := range shown.Items {
			if string(item["id"]) == `"`+m.ID+`"` {
				require.JSONEq(t, `"`+first.ID+`"`, string(item["retry_id"]))
			}
		}
		var conv struct {
			Usage store.LINEUsage `json:"line_usage"`
		}
		require.Equal(t, http.StatusOK, kenta.call(http.MethodGet, "/conversations/"+id, nil, nil, &conv))
		require.Equal(t, int64(2), conv.Usage.Charged)

		used, err := k.Sim.Consumption(t.Context(), dev.SimChannelID)
		require.NoError(t, err)
		require.Equal(t, 2, used.Pushes)
		var q struct {
			Used  int64           `json:"used"`
			Limit *int64          `json:"limit"`
			Sent  store.LINEUsage `json:"sent"`
		}
		sofie := k.as("kaiwa-dev-sofie")
		require.Equal(t, http.StatusOK, sofie.call(http.MethodGet, "/channels/"+k.Seeded.ChannelID+"/quota", nil, nil, &q))
		require.Equal(t, int64(2), q.Used)
		require.Nil(t, q.Limit)
		require.Equal(t, store.LINEUsage{Replies: int64(used.Replies), Pushes: 2, Charged: 2}, q.Sent)
	})
}

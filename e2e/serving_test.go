package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// stored are the answers to a message that is stored: LINE has accepted it, or
// the machine was too slow to know within two seconds.
var stored = []int{http.StatusCreated, http.StatusAccepted}

// picked mode: agents take conversations themselves, and nothing is offered.
func picked(w *store.Workstream, b *store.Bot) {
	withEcho(w, b)
	w.Mode = store.ModePick
}

// asksForAPerson has a customer ask for a person, and returns the conversation,
// which waits in its queue.
func (c customer) asksForAPerson() string {
	c.k.t.Helper()
	c.writes("person please")
	c.k.eventually(func() bool {
		list := c.conversations()
		return len(list) > 0 && list[len(list)-1].Owner == conversation.OwnerQueue && list[len(list)-1].QueueID != ""
	}, "the conversation waits in a queue")
	list := c.conversations()
	return list[len(list)-1].ID
}

func TestAgentsServeTransferEndAndWrapUpAConversation(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		kenta, mali, sofie := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-mali"), k.as("kaiwa-dev-sofie")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		queue := kenta.conversation(id).QueueID

		status, refused := kenta.says(id, "hello?")
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "not_allowed_now", refused.Code)
		require.Equal(t, kenta.id, kenta.does("pick", id, nil).AgentID)
		status, again := mali.tries("pick", id, nil)
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "not_allowed_now", again.Code)

		before := len(emma.reads())
		status, said := kenta.says(id, "こんにちは、健太です")
		require.Contains(t, stored, status, said)
		require.Equal(t, status == http.StatusCreated, said.State == conversation.MessageAccepted)
		emma.isAnswered(before + 1)
		require.Equal(t, "こんにちは、健太です", emma.reads()[before])
		status, refused = mali.says(id, "me too")
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "not_assigned_to_you", refused.Code)

		// Passed on to a colleague, back to a queue, and taken by force.
		status, refusal := kenta.tries("transfer", id, map[string]any{"agent_id": "agt_none"})
		require.Equal(t, http.StatusBadRequest, status)
		require.Equal(t, []fieldError{{"/agent_id", "There is no such thing."}}, refusal.Errors)
		require.Equal(t, mali.id, kenta.does("transfer", id, map[string]any{"agent_id": mali.id}).AgentID)
		status, refused = kenta.says(id, "still me?")
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "not_assigned_to_you", refused.Code)
		released := mali.does("release", id, nil)
		require.Equal(t, conversation.OwnerQueue, released.Owner)
		require.Equal(t, queue, released.QueueID)
		status, _ = mali.tries("assign", id, map[string]any{"agent_id": mali.id})
		require.Equal(t, http.StatusForbidden, status)
		require.Equal(t, mali.id, sofie.does("assign", id, map[string]any{"agent_id": mali.id}).AgentID)

		// Parked until the customer writes, and resumed by hand.
		require.Equal(t, conversation.StatusWaiting, mali.does("park", id, nil).Status)
		require.Equal(t, conversation.StatusActive, mali.does("resume", id, nil).Status)
		mali.does("park", id, nil)
		emma.writes("I am back")
		k.eventually(func() bool { return mali.conversation(id).Owner == conversation.OwnerQueue }, "who comes back waits")
		mali.does("pick", id, nil)

		// Sent to the bot, which begins with what comes next.
		bot := emma.conversations()[0].BotID
		require.Equal(t, conversation.OwnerBot, mali.does("transfer", id, map[string]any{"bot_id": bot}).Owner)
		said2 := len(emma.reads())
		emma.writes("b1")
		emma.isAnswered(said2 + 1)
		emma.writes("person please")
		k.eventually(func() bool { return mali.conversation(id).Owner == conversation.OwnerQueue }, "the bot hands off again")
		mali.does("pick", id, nil)

		// Ended; the customer writes again; ended for good.
		require.Equal(t, conversation.StatusWrapUp, mali.does("end", id, nil).Status)
		emma.writes("one more thing")
		k.eventually(func() bool { return mali.conversation(id).Status == conversation.StatusActive }, "the same agent has it again")
		require.Equal(t, mali.id, mali.conversation(id).AgentID)
		mali.does("end", id, nil)
		closed := mali.does("wrap-up", id, map[string]any{"note": "回答済み"})
		require.Equal(t, conversation.StatusClosed, closed.Status)
		require.Equal(t, conversation.ReasonAgentEnded, closed.ClosureReason)

		require.Len(t, emma.conversations(), 1)
		require.Equal(t, []string{"person please", "I am back", "b1", "person please", "one more thing"}, emma.inbound())
		var notes []string
		for _, m := range emma.transcript() {
			require.NotEqual(t, conversation.MessagePending, m.State)
			if m.Direction == conversation.Internal {
				notes = append(notes, m.Text)
			}
		}
		require.Equal(t, []string{"回答済み"}, notes)
		require.NotContains(t, emma.reads(), "回答済み")
	})
}

func TestTenMessagesOnASlowLINEDoNotKeepAnAgentFromEnding(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		emma.isQuiet()
		_, err := k.Sim.Faults(linesim.Fault{ID: "slow", Kind: linesim.FaultSlow, Endpoint: "", DelayMS: 8000})
		require.NoError(t, err)
		before := len(emma.reads())
		var sending sync.WaitGroup
		var pending atomic.Int64
		for i := range 10 {
			sending.Go(func() {
				if status, m := kenta.says(id, fmt.Sprintf("slow %d", i)); status == http.StatusAccepted && m.State == conversation.MessagePending {
					pending.Add(1)
				}
			})
		}
		sending.Wait()
		require.EqualValues(t, 10, pending.Load(), "each is stored, and says that LINE has not taken it")
		require.Equal(t, conversation.StatusWrapUp, kenta.does("end", id, nil).Status)
		require.Len(t, emma.reads(), before, "LINE has taken none of them when the agent has ended")
		require.Equal(t, conversation.StatusClosed, kenta.does("wrap-up", id, nil).Status)
		require.True(t, k.Sim.RemoveFault("slow"))
		emma.isAnswered(before + 10)
		emma.isQuiet()
		require.Len(t, emma.reads(), before+10)
	})
}

func TestTheSameKeyOfTwoAgentsIsTwoRequests(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		kenta, sofie := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-sofie")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		key := map[string]string{"Idempotency-Key": "the same"}
		var first, again, theirs written
		body := map[string]any{"type": "text", "text": "hello"}
		path := "/conversations/" + id + "/messages"
		require.Contains(t, stored, kenta.call(http.MethodPost, path, key, body, &first))
		require.Contains(t, stored, kenta.call(http.MethodPost, path, key, body, &again))
		require.Equal(t, first.ID, again.ID)
		require.Contains(t, stored, sofie.call(http.MethodPost, path, key, body, &theirs))
		require.NotEqual(t, first.ID, theirs.ID)
		emma.isQuiet()
		hello := 0
		for _, text := range emma.reads() {
			if text == "hello" {
				hello++
			}
		}
		require.Equal(t, 2, hello)
		require.Equal(t, http.StatusUnprocessableEntity, kenta.call(http.MethodPost, path, key, map[string]any{"type": "text", "text": "other"}, nil))
	})
}

func TestAMessageThatIsWrittenWhileAConversationClosesIsAnsweredInOne(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(picked)
		kenta := k.as("kaiwa-dev-kenta")
		for i := range 6 {
			emma := k.newCustomer("Emma")
			id := emma.asksForAPerson()
			kenta.does("pick", id, nil)
			kenta.does("end", id, nil)
			var both sync.WaitGroup
			both.Go(func() { _, _ = k.Sim.SendText(t.Context(), dev.SimChannelID, emma.id, "b9") })
			both.Go(func() { _, _ = kenta.tries("wrap-up", id, nil) })
			both.Wait()
			emma.isQuiet()
			list := emma.conversations()
			require.Equal(t, []string{"person please", "b9"}, emma.inbound(), "it is in one conversation")
			switch last := list[len(list)-1]; {
			case len(list) == 1:
				require.Equal(t, conversation.PhaseServed, conversation.Phase{Status: last.Status, Owner: last.Owner}, "its agent answers it")
			default:
				require.Len(t, list, 2)
				require.Equal(t, conversation.OwnerBot, last.Owner)
				require.Contains(t, emma.reads()[len(emma.reads())-1], "welcome", "the bot answers it")
			}
			t.Logf("round %d: %d conversations", i, len(list))
		}
	})
}

func TestWhatAnAgentServesCosts(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		var sql statements
		k := start(t, dialect, observing(&sql))
		k.arrange(picked)
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		emma.isQuiet()
		const n = 100
		events, asked := func() func() float64 {
			before := emma.historyLength()
			sql.reset()
			return func() float64 { return float64(emma.historyLength()-before) / n }
		}, func() (float64, string) { count, list := sql.foreground(n); return float64(count) / n, list }

		perMessage := events()
		for i := range n {
			emma.writes(fmt.Sprintf("b%d", i))
			emma.isQuiet()
		}
		inbound := perMessage()
		statements, _ := asked()
		t.Logf("%s: %.2f history events and %.2f SQL statements a customer's message while an agent serves", dialect, inbound, statements)
		require.LessOrEqual(t, inbound, 5.2)

		perMessage = events()
		for i := range n {
			status, m := kenta.says(id, fmt.Sprintf("answer %d", i))
			require.Contains(t, stored, status, m)
			emma.isQuiet()
		}
		outbound := perMessage()
		statements, list := asked()
		t.Logf("%s: %.2f history events and %.2f SQL statements an agent's message\n%s", dialect, outbound, statements, list)
		require.LessOrEqual(t, outbound, 7.0)
		require.LessOrEqual(t, statements, 20.0, list)
		require.LessOrEqual(t, mostOpenTimers(k.history(emma.workflowID())), 2)
		require.Len(t, emma.conversations(), 1)
	})
}

package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/linesim"
)

// The costs of a message are counted, never timed: in events of the workflow's
// history and in statements of the database.

func TestAMessageAnsweredByTheScriptBotCostsSixEvents(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		var sql statements
		k := start(t, dialect, observing(&sql))
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		const n = 100
		emma.writes("a0")
		emma.isAnswered(1)
		emma.isQuiet()
		before := emma.historyLength()
		sql.reset()
		for i := range n {
			emma.writes(fmt.Sprintf("b%d", i))
			emma.isAnswered(i + 2)
			emma.isQuiet()
		}
		perMessage := float64(emma.historyLength()-before) / n
		asked, list := sql.foreground(n)
		t.Logf("%s: %.2f history events and %.2f SQL statements a message answered by the script bot\n%s", dialect, perMessage, float64(asked)/n, list)
		require.LessOrEqual(t, perMessage, 7.0)
		require.LessOrEqual(t, float64(asked)/n, 23.0, list)
		require.LessOrEqual(t, mostOpenTimers(k.history(emma.workflowID())), 2)
		require.Len(t, emma.conversations(), 1)
	})
}

func TestAMessageThatNobodyAnswersCostsFiveEventsAndSixStatements(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		var sql statements
		k := start(t, dialect, observing(&sql))
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		const n = 100
		emma.writes("person please")
		emma.isAnswered(1)
		emma.isQuiet()
		said := len(emma.reads())
		before := emma.historyLength()
		sql.reset()
		for i := range n {
			emma.writes(fmt.Sprintf("b%d", i))
			emma.isQuiet()
		}
		perMessage := float64(emma.historyLength()-before) / n
		asked, list := sql.foreground(n)
		t.Logf("%s: %.2f history events and %.2f SQL statements a message that nobody answers\n%s", dialect, perMessage, float64(asked)/n, list)
		require.LessOrEqual(t, perMessage, 5.2)
		require.LessOrEqual(t, float64(asked)/n, 6.0, list)
		require.Len(t, emma.reads(), said, "nobody answers")
		require.LessOrEqual(t, mostOpenTimers(k.history(emma.workflowID())), 2)
	})
}

// Where a channel sets no rich menus, which is how it begins, neither a message nor
// a change of who has the conversation costs a statement for them.
func TestWithoutRichMenusNoStatementIsForThem(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		var without, with statements
		talk := func(k *kaiwa) customer {
			k.arrange(withEcho)
			emma := k.newCustomer("Emma")
			for i := range 10 {
				emma.writes(fmt.Sprintf("b%d", i))
				emma.isAnswered(i + 1)
			}
			emma.asksForAPerson()
			emma.isQuiet()
			return emma
		}
		k := start(t, dialect, observing(&without))
		talk(k)
		require.Positive(t, without.about("bot_turns"))
		require.Zero(t, without.about("rich_menus_shown"))
		require.Empty(t, k.Sim.Calls(linesim.CallFilter{Endpoint: "link_rich_menu"}))

		k = start(t, dialect, observing(&with))
		k.setsMenus(map[string]any{"queue": k.addsMenu("In the queue", `{"type": "message", "text": "still here"}`)})
		talk(k).sees("In the queue")
		require.Positive(t, with.about("rich_menus_shown"), "where it sets some, they are")
	})
}

func TestAWebhookCostsOneStatement(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		var sql statements
		k := start(t, dialect, observing(&sql), func(o *dev.Options) {
			o.DropWakeups = func() bool { return true } // so that what is asked is asked by the webhook
		})
		emma := k.newCustomer("Emma")
		const n = 50
		sql.reset()
		for _, text := range numbered(n) {
			emma.writes(text)
		}
		require.NoError(t, k.Sim.WaitIdle(t.Context()))
		deliveries := k.Sim.Deliveries(linesim.DeliveryFilter{})
		require.Len(t, deliveries, n)
		for _, d := range deliveries {
			require.Equal(t, 200, d.Status)
		}
		asked, list := sql.foreground(n)
		t.Logf("%s: %.2f SQL statements a webhook", dialect, float64(asked)/n)
		require.Equal(t, n, asked, list)
	})
}

package activities_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// asksMuch has rules about everything that is kept: texts, context, time, the
// conversation, the customer, and queues that some of them cannot use.
func asksMuch(o *office, w *store.Workstream) {
	w.Settings.DefaultPriority, w.Settings.CapacityUnits = 3, 2
	w.Settings.Context = map[string]string{"plan": "free"}
	w.Settings.ClassificationRulesetIDs = []string{
		o.classification(
			routing.Rule{Condition: `message.texts.exists(t, t.contains("返金"))`, Outputs: routing.Outputs{
				Attributes: map[string]string{"intent": "refund"}, Skills: []conversation.SkillNeed{{SkillID: o.japanese.ID, Level: 6}},
			}},
			routing.Rule{Condition: `context.amount == "1"`, Outputs: routing.Outputs{Units: 3}},
			routing.Rule{Condition: `size(message.texts) > 2 && message.text != message.texts[0]`, Outputs: routing.Outputs{Priority: priority(9)}},
		),
		o.classification(
			routing.Rule{Condition: `conversation.messages % 2 == 0 && now.getHours("Asia/Tokyo") == 18`, Outputs: routing.Outputs{Language: "ja"}},
			routing.Rule{Condition: `customer.earlier_conversations == 0 && channel.locale == "ja" && context.plan == "gold"`, Outputs: routing.Outputs{Priority: priority(40)}},
		),
	}
	w.Settings.RouteRulesetID = o.routes(
		routing.RouteRule{Condition: `conversation.priority > 8`, QueueID: o.empty.ID},
		routing.RouteRule{Condition: `conversation.attributes[?"intent"].orValue("") == "refund"`, Split: []routing.Share{
			{QueueID: o.refunds.ID, Percent: 50}, {QueueID: o.empty.ID, Percent: 20}, {QueueID: o.orders.ID, Percent: 30},
		}},
		routing.RouteRule{Condition: `conversation.language == "ja"`, QueueID: o.refunds.ID},
	)
}

// dryRun asks what would be decided about a conversation that was routed, and
// holds still meanwhile.
func (o *office) dryRun(id string) []decide.Line {
	o.t.Helper()
	holdsStill := func(statement string) {
		assert.Regexp(o.t, `^\s*(SELECT|WITH)\b`, statement, "a dry run changes nothing")
	}
	o.watch.Store(&holdsStill)
	defer o.watch.Store(nil)
	facts, queues, recorded, err := o.store.RecordedFacts(o.t.Context(), id, "")
	require.NoError(o.t, err)
	require.True(o.t, recorded)
	w, err := o.store.Workstream(o.t.Context(), o.workstream.ID)
	require.NoError(o.t, err)
	lines, err := o.decider().DryRun(o.t.Context(), o.store, decide.Question{Facts: facts, Workstream: w, Queues: queues})
	require.NoError(o.t, err)
	return lines
}

func (o *office) decider() decide.Decider {
	return decide.Decider{Reader: o.store, Logger: slog.New(slog.DiscardHandler)}
}

func TestADryRunSaysWhatTheRoutingLogHasWhateverHasHappenedSince(t *testing.T) {
	t.Parallel()
	eachOffice(t, asksMuch, func(t *testing.T, o *office) {
		var ids []string
		rapid.Check(t, func(r *rapid.T) {
			if len(ids) == 40 {
				return // enough for a database
			}
			n := len(ids)
			o.chat, o.id = conversation.ChatKey("user", fmt.Sprint("U", n)), ""
			texts := rapid.SliceOfN(rapid.SampledFrom([]string{"返金してください", "hello", "急いでいます", "order 7"}), 1, 5).Draw(r, "texts")
			o.writes(texts...)
			for _, variable := range []string{"amount", "plan"} {
				if value := rapid.SampledFrom([]string{"", "1", "gold"}).Draw(r, variable); value != "" {
					require.NoError(t, o.store.SetContext(t.Context(), o.id, map[string]string{variable: value}, nil))
				}
			}
			_, err := o.acts.Route(t.Context(), activities.RouteInput{
				ID: conversation.DerivedID(conversation.PrefixStep, o.id), ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat,
			})
			require.NoError(t, err)
			ids = append(ids, o.id)
		})
		// The world goes on: contexts, members, and what there was to wait for.
		agents, err := o.store.Agents(t.Context(), store.Cursor{}, 10)
		require.NoError(t, err)
		require.NoError(t, o.store.AddMember(t.Context(), store.Origin{}, o.empty.ID, agents[0].ID))
		require.NoError(t, o.store.RemoveMember(t.Context(), store.Origin{}, o.refunds.ID, agents[0].ID))
		for _, id := range ids {
			require.NoError(t, o.store.SetContext(t.Context(), id, map[string]string{"amount": "2"}, []string{"plan"}))
		}
		different := map[string]bool{}
		for _, id := range ids {
			log, err := o.store.RoutingLog(t.Context(), id, store.Position{}, 1000)
			require.NoError(t, err)
			lines := o.dryRun(id)
			require.GreaterOrEqual(t, len(lines), 2)
			for i := range 2 {
				require.Equal(t, log[i].Stage, lines[i].Stage)
				require.Equal(t, log[i].Outcome, lines[i].Outcome)
				require.Equal(t, log[i].Entry, string(lines[i].Entry), "the same, to the letter")
			}
			different[log[0].Entry+log[1].Entry] = true
		}
		require.Greater(t, len(different), 5, "they were decided differently")
	})
}

func TestFactsAreKeptWithoutWhatTheCustomerWroteAndWithoutAStatementMore(t *testing.T) {
	t.Parallel()
	eachOffice(t, asksMuch, func(t *testing.T, o *office) {
		o.writes("昨日の注文を返金してください", "急いでいます", "あと一つ")
		before := o.store.Statements()
		o.route()
		t.Logf("%d statements", o.store.Statements()-before)
		rows := o.rows(`SELECT stage, facts FROM routing_log WHERE conversation_id = $1 ORDER BY stage`, o.id)
		require.Equal(t, "classification", rows[0][0])
		require.NotEmpty(t, rows[0][1])
		require.NotContains(t, rows[0][1], "返金")
		require.Empty(t, rows[1][1])
		log, err := o.store.RoutingLog(t.Context(), o.id, store.Position{}, 1000)
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprint(log), "message_ids", "facts are shown to nobody")

		// What was taken back is gone from them, too.
		require.Len(t, o.rows(`UPDATE messages SET state = 'recalled', text = '' WHERE text LIKE '%返金%' RETURNING id`), 1)
		facts, _, _, err := o.store.RecordedFacts(t.Context(), o.id, "")
		require.NoError(t, err)
		require.Equal(t, []string{"急いでいます", "あと一つ"}, facts.Message.Texts)
		require.Equal(t, "あと一つ", facts.Message.Text)
		require.EqualValues(t, 3, facts.Conversation.Messages)
		require.True(t, facts.Now.Equal(monday))
	})
}

func TestAProposedConfigurationStandsInThePlaceOfThePresentOne(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		require.Len(t, o.rows(`INSERT INTO agent_states (agent_id, chosen, presence) SELECT id, 'available', 'available' FROM agents RETURNING agent_id`), 1)
		o.writes("返金してください")
		facts, err := o.store.RoutingFacts(t.Context(), o.id)
		require.NoError(t, err)
		facts.Now = monday.Add(time.Hour)
		w := o.workstream
		w.Settings.RouteRulesetID = "rul_proposed"
		ask := func(members int) []decide.Line {
			lines, err := o.decider().DryRun(t.Context(), o.store, decide.Question{
				Facts: facts, Workstream: w,
				Rulesets: map[string]store.Ruleset{"rul_proposed": {ID: "rul_proposed", Kind: store.RulesetRoute, RouteRules: []routing.RouteRule{
					{ID: "r", Condition: `message.text.contains("返金")`, QueueID: o.empty.ID},
				}}},
				Queues: []store.KeptQueue{{QueueState: store.QueueState{ID: o.empty.ID, Members: members}}},
			})
			require.NoError(t, err)
			return lines
		}
		lines := ask(1)
		require.Equal(t, []string{"no_rule_matched", "rule", "no_agent"}, []string{lines[0].Outcome, lines[1].Outcome, lines[2].Outcome})
		require.Contains(t, string(lines[1].Entry), o.empty.ID)
		lines = ask(0)
		require.Equal(t, []string{"no_rule_matched", "fallback", "offered"}, []string{lines[0].Outcome, lines[1].Outcome, lines[2].Outcome})
		require.True(t, strings.Contains(string(lines[2].Entry), `"why":"only_one"`), "%s", lines[2].Entry)
		require.Equal(t, [][]string{{"0"}}, o.rows(`SELECT count(*) FROM routing_log`))
		require.Equal(t, [][]string{{"0"}}, o.rows(`SELECT count(*) FROM offers`))
	})
}

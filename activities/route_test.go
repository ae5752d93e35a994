package activities_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/bot"
	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// office is a shop with three queues, of which one has no members.
type office struct {
	t       *testing.T
	store   *store.Store
	url     string
	acts    *activities.Activities
	settles atomic.Int64 // kicks of the dispatcher

	refunds, orders, empty store.Queue
	japanese               store.Skill
	workstream             store.Workstream
	channel                store.Channel
	chat, id               string // of the conversation
	said                   int
	oracle                 *oracle              // where a service classifies
	metrics                *prometheus.Registry // once services are reachable
	watch                  atomic.Pointer[func(statement string)]
}

// A Monday, 18:00 in Tokyo.
var monday = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// observe is told of every statement.
func (o *office) observe(statement string) {
	if f := o.watch.Load(); f != nil {
		(*f)(statement)
	}
}

func (o *office) Kick(context.Context) { o.settles.Add(1) }

// eachOffice runs f on every database. arrange changes the workstream before
// anybody writes.
func eachOffice(t *testing.T, arrange func(o *office, w *store.Workstream), f func(t *testing.T, o *office)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			onOffice(t, dialect, arrange, f)
		})
	}
}

// onOffice is eachOffice on one database.
func onOffice(t *testing.T, dialect string, arrange func(o *office, w *store.Workstream), f func(t *testing.T, o *office)) {
	t.Helper()
	ctx := t.Context()
	o := &office{t: t, chat: conversation.ChatKey("user", "U1")}
	now := func() time.Time { return monday }
	o.store, o.url = storetest.New(t, dialect, func(opts *store.Options) { opts.Now, opts.Observe = now, o.observe })
	o.acts = activities.New(activities.Options{Store: o.store, Logger: slog.New(slog.DiscardHandler), Dispatcher: o, Now: now})
	agent, err := o.store.CreateAgent(ctx, store.Origin{}, store.Agent{Name: "Mai", Email: "mai@example.test", Role: store.RoleAgent, Locale: "ja", Capacity: 3})
	require.NoError(t, err)
	o.japanese, err = o.store.CreateSkill(ctx, store.Origin{}, store.Skill{Name: "日本語"})
	require.NoError(t, err)
	o.refunds, o.orders, o.empty = o.queue("Refunds"), o.queue("Orders"), o.queue("Empty")
	for _, q := range []store.Queue{o.refunds, o.orders} {
		require.NoError(t, o.store.AddMember(ctx, store.Origin{}, q.ID, agent.ID))
	}
	w := store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: o.orders.ID}
	if arrange != nil {
		arrange(o, &w)
	}
	o.workstream, err = o.store.CreateWorkstream(ctx, store.Origin{}, w)
	require.NoError(t, err)
	o.channel, err = o.store.CreateChannel(ctx, store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: "1000", BotUserID: "U" + strings.Repeat("b", 32), WorkstreamID: o.workstream.ID, Locale: "ja",
		Status: store.ChannelActive, Secrets: []string{"s"}, Token: "t",
	})
	require.NoError(t, err)
	f(t, o)
}

func (o *office) queue(name string) store.Queue {
	o.t.Helper()
	q, err := o.store.CreateQueue(o.t.Context(), store.Origin{}, store.Queue{Name: name})
	require.NoError(o.t, err)
	return q
}

func (o *office) classification(rules ...routing.Rule) string {
	o.t.Helper()
	for i := range rules {
		rules[i].ID = fmt.Sprint("rule", i)
	}
	r, err := o.store.CreateRuleset(o.t.Context(), store.Origin{}, store.Ruleset{Name: "what", Kind: store.RulesetClassification, Rules: rules})
	require.NoError(o.t, err)
	return r.ID
}

func (o *office) routes(rules ...routing.RouteRule) string {
	o.t.Helper()
	for i := range rules {
		rules[i].ID = fmt.Sprint("rule", i)
	}
	r, err := o.store.CreateRuleset(o.t.Context(), store.Origin{}, store.Ruleset{Name: "where", Kind: store.RulesetRoute, RouteRules: rules})
	require.NoError(o.t, err)
	return r.ID
}

// withCalendar gives a queue hours.
func (o *office) withCalendar(q store.Queue, k calendar.Calendar) {
	o.t.Helper()
	made, err := o.store.CreateCalendar(o.t.Context(), store.Origin{}, store.Calendar{Name: "hours", Calendar: k})
	require.NoError(o.t, err)
	_, err = o.store.UpdateQueue(o.t.Context(), store.Origin{}, q.ID, store.AnyVersion, func(q *store.Queue) error {
		q.CalendarID = made.ID
		return nil
	})
	require.NoError(o.t, err)
}

// writes has the customer write, and the conversation take it in.
func (o *office) writes(texts ...string) {
	o.t.Helper()
	var events []store.InboxEvent
	for _, text := range texts {
		o.said++
		raw := fmt.Sprintf(`{"type":"message","webhookEventId":"e%[1]d","timestamp":%[2]d,"mode":"active","source":{"type":"user","userId":"U1"},"message":{"type":"text","id":"%[1]d","text":%[3]q}}`,
			o.said, monday.UnixMilli()+int64(o.said), text)
		events = append(events, store.InboxEvent{
			WebhookEventID: fmt.Sprint("e", o.said), ChatKey: o.chat, Kind: "message", SourceType: "user", SourceID: "U1",
			LineTime: monday.Add(time.Duration(o.said) * time.Millisecond), Raw: []byte(raw),
		})
	}
	_, err := o.store.AppendLINEEvents(o.t.Context(), o.channel.ID, monday, events)
	require.NoError(o.t, err)
	out, err := o.acts.Ingest(o.t.Context(), activities.IngestInput{ChannelID: o.channel.ID, ChatKey: o.chat, ConversationID: o.id})
	require.NoError(o.t, err)
	o.id = out.ConversationID
}

func (o *office) route() activities.TransitionOutput {
	o.t.Helper()
	out, err := o.acts.Route(o.t.Context(), activities.RouteInput{ID: "tsn_route", ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Seen: 1 << 40})
	require.NoError(o.t, err)
	return out
}

// rows reads the database behind the store's back.
func (o *office) rows(query string, args ...any) (out [][]string) {
	o.t.Helper()
	driver, source := "postgres", o.url
	if path, ok := strings.CutPrefix(o.url, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	require.NoError(o.t, err)
	defer func() { require.NoError(o.t, db.Close()) }()
	rows, err := db.Query(query, args...)
	require.NoError(o.t, err)
	defer func() { require.NoError(o.t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(o.t, err)
	for rows.Next() {
		line, into := make([]string, len(columns)), make([]any, len(columns))
		for i := range line {
			into[i] = &line[i]
		}
		require.NoError(o.t, rows.Scan(into...))
		out = append(out, line)
	}
	require.NoError(o.t, rows.Err())
	return out
}

// log is the routing log: outcome by stage, and the entries.
func (o *office) log() (outcomes []string, entries []map[string]any) {
	o.t.Helper()
	for _, row := range o.rows(`SELECT outcome, entry FROM routing_log WHERE conversation_id = $1 ORDER BY stage`, o.id) {
		var entry map[string]any
		require.NoError(o.t, json.Unmarshal([]byte(row[1]), &entry))
		outcomes, entries = append(outcomes, row[0]), append(entries, entry)
	}
	return outcomes, entries
}

// announced lists the automated messages that wait to be sent.
func (o *office) announced() (triggers []string) {
	o.t.Helper()
	for _, row := range o.rows(`SELECT automated FROM messages WHERE conversation_id = $1 AND automated <> '' ORDER BY created_at, id`, o.id) {
		triggers = append(triggers, row[0])
	}
	return triggers
}

func withBot(arrange func(o *office, w *store.Workstream)) func(*office, *store.Workstream) {
	return func(o *office, w *store.Workstream) {
		b, err := o.store.CreateBot(o.t.Context(), store.Origin{}, store.Bot{Name: "Guide", Kind: store.BotScript, Script: bot.DemoDocument()})
		require.NoError(o.t, err)
		w.BotID = b.ID
		if arrange != nil {
			arrange(o, w)
		}
	}
}

func priority(n int64) *int64 { return &n }

func TestAConversationIsClassifiedAndRoutedByTheWorkstreamsRules(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.DefaultPriority, w.Settings.CapacityUnits = 5, 2
		w.Settings.ClassificationRulesetIDs = []string{
			o.classification(
				routing.Rule{Condition: `context.missing == "x"`},
				routing.Rule{Condition: `message.texts.exists(t, t.matches("返金|refund"))`, Outputs: routing.Outputs{Priority: priority(50), Attributes: map[string]string{"intent": "refund"}}},
				routing.Rule{Condition: `true`, Outputs: routing.Outputs{Priority: priority(-1)}},
			),
			o.classification(routing.Rule{
				Condition: `conversation.attributes[?"intent"].orValue("") == "refund" && conversation.priority == 50 && channel.locale == "ja"`,
				Outputs:   routing.Outputs{Language: "ja", Skills: []conversation.SkillNeed{{SkillID: o.japanese.ID, Level: 7}}},
			}),
		}
		w.Settings.RouteRulesetID = o.routes(
			routing.RouteRule{Condition: `conversation.priority == 50`, QueueID: o.empty.ID},
			routing.RouteRule{Condition: `conversation.units == 2 && conversation.skills["` + o.japanese.ID + `"] == 7 && conversation.language == "ja"`, QueueID: o.refunds.ID},
		)
	}, func(t *testing.T, o *office) {
		o.writes("昨日の注文を返金してください", "急いでいます")
		before := o.rows(`SELECT queue_id, routed_at FROM conversations WHERE id = $1`, o.id)
		require.Equal(t, [][]string{{"", "0"}}, before)

		first := o.route()
		require.True(t, first.Routed)
		require.Equal(t, o.refunds.ID, first.QueueID)
		require.Equal(t, conversation.StatusOpen, first.Status)
		require.Equal(t, first, o.route(), "again it answers the same")
		require.Equal(t, int64(2), o.settles.Load())

		requirement := routing.Requirement{Units: 2, Skills: []conversation.SkillNeed{{SkillID: o.japanese.ID, Level: 7}}, Matching: conversation.MatchingExact}
		require.Equal(t, [][]string{{
			o.refunds.ID, "50", fmt.Sprintf(`[{"skill_id":%q,"level":7}]`, o.japanese.ID), "exact", "2", "ja", `{"intent":"refund"}`, requirement.Signature(), fmt.Sprint(monday.UnixMicro()),
		}}, o.rows(`SELECT queue_id, priority, skills, matching, units, language, attributes, requirement, routed_at FROM conversations WHERE id = $1`, o.id))

		outcomes, entries := o.log()
		require.Equal(t, []string{"rules_matched", "rule"}, outcomes, "once, though it ran twice")
		rules := entries[0]["rules"].([]any)
		require.Len(t, rules, 3)
		require.Equal(t, "error", rules[0].(map[string]any)["verdict"])
		require.Equal(t, "no_such_key", rules[0].(map[string]any)["failure"])
		require.Equal(t, "matched", rules[1].(map[string]any)["verdict"])
		require.Equal(t, "skipped", entries[1]["rules"].([]any)[0].(map[string]any)["verdict"])
		require.Equal(t, "rule1", entries[1]["rule_id"])
		require.Equal(t, "always", entries[1]["hours"])
		text, err := json.Marshal(entries)
		require.NoError(t, err)
		require.NotContains(t, string(text), "返金", "the log has nothing of what was written")
	})
}

func TestARuleSeesTheLastTwentyTextsButNoneHeldOrTakenBack(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{o.classification(routing.Rule{
			Condition: `size(message.texts) == 20 && message.texts[0] == "text 3" && message.texts[19] == "text 24" && message.text == "text 24" && conversation.messages == 24`,
			Outputs:   routing.Outputs{Priority: priority(1)},
		})}
	}, func(t *testing.T, o *office) {
		for i := range 25 {
			o.writes(fmt.Sprint("text ", i+1))
		}
		require.Len(t, o.rows(`UPDATE messages SET state = 'recalled', text = '' WHERE text IN ('text 10', 'text 11') RETURNING id`), 2)
		require.Len(t, o.rows(`UPDATE messages SET held = TRUE WHERE text = 'text 25' RETURNING id`), 1)
		o.route()
		outcomes, entries := o.log()
		require.Equal(t, "rules_matched", outcomes[0], "%v", entries[0])
	})
}

func TestWithoutARuleThatDecidesItIsTheFallbackQueue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(o *office, w *store.Workstream)
		break_  func(o *office)
		outcome string
		check   func(t *testing.T, route map[string]any)
	}{
		"no rules at all": {nil, nil, "fallback", func(t *testing.T, route map[string]any) { require.Empty(t, route["rules"]) }},
		"a rule's queue has no members": {func(o *office, w *store.Workstream) {
			w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: "true", QueueID: o.empty.ID})
		}, nil, "fallback", func(t *testing.T, route map[string]any) { require.Len(t, route["rules"], 1) }},
		"the rules cannot be read": {func(o *office, w *store.Workstream) {
			w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: "true", QueueID: o.refunds.ID})
			w.Settings.ClassificationRulesetIDs = []string{o.classification(routing.Rule{Condition: "true"})}
		}, func(o *office) { o.rows(`UPDATE rulesets SET rules = '{nonsense' RETURNING id`) }, "fallback",
			func(t *testing.T, route map[string]any) { require.NotEmpty(t, route["missing"]) }},
		"a rule that does not compile any more": {func(o *office, w *store.Workstream) {
			w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: "no longer a condition", QueueID: o.refunds.ID})
		}, nil, "fallback", func(t *testing.T, route map[string]any) {
			require.Equal(t, "bad_condition", route["rules"].([]any)[0].(map[string]any)["failure"])
		}},
		"the rule's queue is gone": {func(o *office, w *store.Workstream) {
			w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: "true", QueueID: o.refunds.ID})
		}, func(o *office) { o.rows(`DELETE FROM queues WHERE id = $1 RETURNING id`, o.refunds.ID) }, "fallback", func(t *testing.T, route map[string]any) {
			require.Equal(t, "queue_missing", route["rules"].([]any)[0].(map[string]any)["queues"].([]any)[0].(map[string]any)["reason"])
		}},
		"the fallback queue has no members": {func(o *office, w *store.Workstream) { w.FallbackQueueID = o.empty.ID }, nil, "fallback",
			func(t *testing.T, route map[string]any) { require.Equal(t, "queue_no_members", route["warning"]) }},
		"no fallback queue either": {func(_ *office, w *store.Workstream) { w.FallbackQueueID = "" }, nil, "no_queue",
			func(t *testing.T, route map[string]any) { require.Equal(t, "queue_missing", route["warning"]) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOffice(t, c.arrange, func(t *testing.T, o *office) {
				o.writes("hello")
				if c.break_ != nil {
					c.break_(o)
				}
				out := o.route()
				require.True(t, out.Routed)
				require.Equal(t, o.workstream.FallbackQueueID, out.QueueID)
				outcomes, entries := o.log()
				require.Equal(t, []string{"no_rule_matched", c.outcome}, outcomes)
				c.check(t, entries[1])
			})
		})
	}
}

func TestAQueueThatABotNamedIsKeptAndTheRestClassified(t *testing.T) {
	t.Parallel()
	eachOffice(t, withBot(func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{o.classification(routing.Rule{
			Condition: `bot.escalated && bot.reason == "bot_escalated" && bot.id != ""`, Outputs: routing.Outputs{Priority: priority(9)},
		})}
		w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: "true", QueueID: o.orders.ID})
	}), func(t *testing.T, o *office) {
		o.writes("hello")
		_, err := o.acts.Transition(t.Context(), activities.TransitionInput{
			ID: "tsn_hand", ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Event: conversation.EventBotEscalated, QueueID: o.refunds.ID,
		})
		require.NoError(t, err)
		out := o.route()
		require.Equal(t, o.refunds.ID, out.QueueID)
		outcomes, entries := o.log()
		require.Equal(t, []string{"rules_matched", "queue_named"}, outcomes)
		require.Equal(t, float64(9), entries[0]["priority"])
		require.Equal(t, []string{"no_agent_available"}, o.announced(), "who comes from a bot is told that people take over")
	})
}

func TestAClosedQueueSaysSoAndStillTakesTheConversation(t *testing.T) {
	t.Parallel()
	daytime := []calendar.Span{{Day: calendar.Monday, Opens: "09:00", Closes: "18:00"}, {Day: calendar.Tuesday, Opens: "09:00", Closes: "18:00"}}
	for name, c := range map[string]struct {
		calendar  calendar.Calendar
		hours     string
		announced []string
		opens     any
	}{
		"open":         {calendar.Calendar{Zone: "Europe/Copenhagen", Hours: daytime}, "open", []string{"no_agent_available"}, nil},
		"after hours":  {calendar.Calendar{Zone: "Asia/Tokyo", Hours: daytime}, "closed", []string{"out_of_hours"}, "2026-01-06T00:00:00Z"},
		"on a holiday": {calendar.Calendar{Zone: "Asia/Tokyo", Hours: daytime, Holidays: []calendar.Holiday{{Date: "2026-01-05", Name: "振替休日"}}}, "holiday", []string{"holiday"}, "2026-01-06T00:00:00Z"},
		"no such zone": {calendar.Calendar{Zone: "Mars/Olympus", Hours: daytime}, "unknown", []string{"no_agent_available"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOffice(t, withBot(func(o *office, _ *store.Workstream) { o.withCalendar(o.orders, c.calendar) }), func(t *testing.T, o *office) {
				o.writes("hello")
				_, err := o.acts.Transition(t.Context(), activities.TransitionInput{
					ID: "tsn_hand", ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Event: conversation.EventCustomerAsked,
				})
				require.NoError(t, err)
				require.Empty(t, o.announced(), "until the queue is known nobody can say whether somebody comes")
				out := o.route()
				require.Equal(t, o.orders.ID, out.QueueID)
				require.True(t, out.Pending)
				require.Equal(t, c.announced, o.announced())
				_, entries := o.log()
				require.Equal(t, c.hours, entries[1]["hours"])
				require.Equal(t, c.opens, entries[1]["opens_at"])
			})
		})
	}
}

func TestNobodyIsToldThatNobodyIsFreeWhileSomebodyIs(t *testing.T) {
	t.Parallel()
	said := []string{"no_agent_available"}
	for name, c := range map[string]struct {
		units     int64 // of the three that the agent has
		level     int   // of Japanese, of the agent's five; 0 asks for none
		matching  conversation.Matching
		profile   bool // counts against a capacity profile instead of units
		announced []string
	}{
		"room": {units: 3}, "no room": {units: 4, announced: said},
		"speaks it": {units: 1, level: 5}, "does not speak it": {units: 1, level: 6, announced: said}, "speaks it somehow": {units: 1, level: 6, matching: conversation.MatchingClosest},
		"has the profile, and speaks it": {profile: true, level: 5}, "has the profile, and does not": {profile: true, level: 6, announced: said},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOffice(t, func(o *office, w *store.Workstream) {
				w.Settings.CapacityUnits, w.Settings.Assignment.SkillMatching = c.units, c.matching
				agents, err := o.store.Agents(o.t.Context(), store.Cursor{}, 1)
				require.NoError(o.t, err)
				limits := []store.AgentCapacityProfile{}
				if c.profile {
					p, err := o.store.CreateCapacityProfile(o.t.Context(), store.Origin{}, store.CapacityProfile{Name: "cases", LimitDefault: 1, Reset: store.ResetImmediate})
					require.NoError(o.t, err)
					w.Settings.CapacityProfileID, limits = p.ID, append(limits, store.AgentCapacityProfile{ProfileID: p.ID, Limit: 1})
				}
				_, err = o.store.UpdateAgent(o.t.Context(), store.Origin{}, agents[0].ID, store.AnyVersion, func(a *store.Agent) error {
					a.Skills, a.CapacityProfiles = []store.AgentSkill{{SkillID: o.japanese.ID, Level: 5}}, limits
					return nil
				})
				require.NoError(o.t, err)
				if c.level > 0 {
					w.Settings.ClassificationRulesetIDs = []string{o.classification(routing.Rule{Condition: "true", Outputs: routing.Outputs{Skills: []conversation.SkillNeed{{SkillID: o.japanese.ID, Level: c.level}}}})}
				}
			}, func(t *testing.T, o *office) {
				require.Len(t, o.rows(`INSERT INTO agent_states (agent_id, chosen, presence) SELECT id, 'available', 'available' FROM agents RETURNING agent_id`), 1)
				o.writes("hello")
				o.route()
				require.Equal(t, c.announced, o.announced())
			})
		})
	}
}

func TestAConversationIsRoutedByProfileContactAndTheQueuesOwnRules(t *testing.T) {
	t.Parallel()
	custom := &routing.CustomAssignment{
		Buckets: []routing.PriorityBucket{{ID: "gold", Condition: `conversation.attributes[?"plan"].orValue("") == "gold"`, Order: routing.ByAge}},
		Rules:   []routing.AssignmentRule{{ID: "r", Condition: "true"}},
	}
	for _, c := range []struct {
		text, profile string
		units         int64
		attributes    map[string]string
	}{{"refund", "cpf_refunds", 0, map[string]string{"plan": "gold"}}, {"hello", "cpf_all", 0, nil}, {"small", "", 2, nil}} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			eachOffice(t, func(o *office, w *store.Workstream) {
				for _, name := range []string{"all", "refunds"} {
					_, err := o.store.CreateCapacityProfile(o.t.Context(), store.Origin{}, store.CapacityProfile{ID: "cpf_" + name, Name: name, LimitDefault: 2, Reset: store.ResetImmediate})
					require.NoError(o.t, err)
				}
				w.Settings.CapacityProfileID = "cpf_all"
				w.Settings.ClassificationRulesetIDs = []string{o.classification(
					routing.Rule{Condition: `message.text == "refund"`, Outputs: routing.Outputs{CapacityProfileID: "cpf_refunds", Attributes: c.attributes}},
					routing.Rule{Condition: `message.text == "small"`, Outputs: routing.Outputs{Units: 2}},
				)}
				_, err := o.store.UpdateQueue(o.t.Context(), store.Origin{}, o.orders.ID, store.AnyVersion, func(q *store.Queue) error {
					q.Assignment, q.Custom = routing.Custom, custom
					return nil
				})
				require.NoError(o.t, err)
			}, func(t *testing.T, o *office) {
				agents, err := o.store.Agents(t.Context(), store.Cursor{}, 1)
				require.NoError(t, err)
				k, err := o.store.CreateContact(t.Context(), store.Origin{}, store.Contact{Name: "Emma", PreferredAgentIDs: []string{agents[0].ID}})
				require.NoError(t, err)
				o.writes(c.text)
				o.rows(`UPDATE conversations SET contact_id = $1 WHERE id = $2 RETURNING id`, k.ID, o.id)
				require.Equal(t, o.orders.ID, o.route().QueueID)
				r := routing.Requirement{Units: c.units, ProfileID: c.profile, First: []string{agents[0].ID}}
				require.Equal(t, [][]string{{c.profile, fmt.Sprint(c.units), agents[0].ID, routing.KindOf(custom, r, routing.FactsOf(r, 0, "", c.attributes))}},
					o.rows(`SELECT capacity_profile_id, units, contact_agents, requirement FROM conversations WHERE id = $1`, o.id))
				_, entries := o.log()
				require.Equal(t, float64(c.units), entries[0]["units"])
				require.Equal(t, c.profile != "", entries[0]["capacity_profile_id"] == c.profile)
			})
		})
	}
}

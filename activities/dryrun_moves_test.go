package activities_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/activities"
	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// dryRunAt is dryRun of the classification whose line has an id, as far as rules
// and queues decide.
func (o *office) dryRunAt(id, line string) (lines []decide.Line) {
	o.t.Helper()
	facts, queues, recorded, err := o.store.RecordedFacts(o.t.Context(), id, line)
	require.NoError(o.t, err)
	require.True(o.t, recorded)
	all, err := o.decider().DryRun(o.t.Context(), o.store, decide.Question{Facts: facts, Workstream: o.workstream, Queues: queues})
	require.NoError(o.t, err)
	for _, l := range all {
		if l.Stage != store.StageAssignment {
			lines = append(lines, l)
		}
	}
	return lines
}

// What a conversation went through is told again from what was kept: services
// that answered or failed, queues that were named (and are there, nobody works, or
// are gone), that are closed, full, or pass on to each other, and a second routing
// after the first.
func TestADryRunSaysTheSameOfServicesNamedQueuesOverflowAndASecondRouting(t *testing.T) {
	t.Parallel()
	eachOffice(t, asksMuch, func(t *testing.T, o *office) {
		ctx := t.Context()
		service := o.service("https://classify.example.test")
		w, err := o.store.UpdateWorkstream(ctx, store.Origin{}, o.workstream.ID, store.AnyVersion, func(w *store.Workstream) error {
			w.Settings.ClassificationRulesetIDs = append([]string{service}, w.Settings.ClassificationRulesetIDs...)
			return nil
		})
		require.NoError(t, err)
		o.workstream = w
		o.withCalendar(o.refunds, calendar.Calendar{Zone: "Asia/Tokyo", Hours: []calendar.Span{{Day: calendar.Monday, Opens: "09:00", Closes: "18:00"}}})
		o.set(o.refunds, func(s *store.QueueSettings) { s.OutOfHours = to(o.orders) })
		o.set(o.orders, fullFrom(4, to(o.refunds)))

		findings := []routing.Finding{
			{Failure: routing.ServiceTimeout}, {Intent: "refund", Confidence: map[string]float64{"intent": 0.9}, Milliseconds: 12},
			{Intent: "delivery", Language: "th", Cached: true, Confidence: map[string]float64{"intent": 0.7, "language": 1}},
			{Ignored: []routing.Ignored{{Output: "intent", Reason: routing.IgnoredConfidence}}},
		}
		type routed struct{ id, step string }
		var all []routed
		route := func(r *rapid.T, step string) {
			in := activities.RouteInput{ID: step, ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Seen: 1 << 40}
			if n := rapid.IntRange(-1, len(findings)-1).Draw(r, "what the service found"); n >= 0 {
				in.FindingsID = "fnd_" + step
				_, err := o.store.KeepFindings(ctx, in.FindingsID, map[string]routing.Finding{service: findings[n]}, time.Hour)
				require.NoError(t, err)
			}
			if named := rapid.SampledFrom([]string{"", "", o.refunds.ID, o.orders.ID, o.empty.ID, "que_gone"}).Draw(r, "the queue that is named"); named != "" {
				require.Len(t, o.rows(`UPDATE conversations SET queue_id = $1 WHERE id = $2 RETURNING id`, named, o.id), 1)
			}
			_, err := o.acts.Route(ctx, in)
			require.NoError(t, err)
			all = append(all, routed{o.id, step})
		}
		rapid.Check(t, func(r *rapid.T) {
			n := len(all)
			if n >= 50 {
				return // enough for a database
			}
			o.chat, o.id = conversation.ChatKey("user", fmt.Sprint("U", n)), ""
			o.writes(rapid.SliceOfN(rapid.SampledFrom([]string{"返金してください", "hello", "order 7"}), 1, 4).Draw(r, "texts")...)
			if value := rapid.SampledFrom([]string{"", "gold"}).Draw(r, "plan"); value != "" {
				require.NoError(t, o.store.SetContext(ctx, o.id, map[string]string{"plan": value}, nil))
			}
			route(r, fmt.Sprint("tsn_a", n))
			if !rapid.Bool().Draw(r, "goes to a bot, and comes back") {
				return
			}
			o.writes("急いでいます")
			require.Len(t, o.rows(`UPDATE conversations SET routed_at = 0, queue_id = '' WHERE id = $1 RETURNING id`, o.id), 1)
			route(r, fmt.Sprint("tsn_b", n))
		})

		// Queues fill, empty and open; services forget.
		o.set(o.orders, func(s *store.QueueSettings) { s.Overflow = store.Overflow{} })
		o.set(o.refunds, func(s *store.QueueSettings) { s.OutOfHours = routing.Deflection{} })
		require.NotEmpty(t, o.rows(`DELETE FROM service_findings RETURNING id`))
		seen := map[string]int{}
		for _, x := range all {
			classification := conversation.DerivedID(conversation.PrefixRoutingEntry, x.step, 0)
			lines := o.dryRunAt(x.id, classification)
			for i, l := range lines {
				row := o.rows(`SELECT stage, outcome, entry FROM routing_log WHERE id = $1`, conversation.DerivedID(conversation.PrefixRoutingEntry, x.step, i))
				require.Len(t, row, 1, "%s has no line %d", x.step, i)
				require.Equal(t, row[0], []string{l.Stage, l.Outcome, string(l.Entry)}, "the same, to the letter")
				seen[l.Outcome]++
			}
			require.Empty(t, o.rows(`SELECT id FROM routing_log WHERE id = $1`, conversation.DerivedID(conversation.PrefixRoutingEntry, x.step, len(lines))), "a line more than the dry run has")
		}
		for _, outcome := range []string{"queue_named", "fallback", "passed_on", "kept"} {
			require.Positive(t, seen[outcome], "%v", seen)
		}
	})
}

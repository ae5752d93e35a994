package activities_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// set changes what a queue does by time and by fullness.
func (o *office) set(q store.Queue, change func(*store.QueueSettings)) {
	o.t.Helper()
	_, err := o.store.UpdateQueue(o.t.Context(), store.Origin{}, q.ID, store.AnyVersion, func(q *store.Queue) error {
		change(&q.Settings)
		return nil
	})
	require.NoError(o.t, err)
}

// shut closes a queue at the time of the tests, which then does what it is told.
func (o *office) shut(q store.Queue, d routing.Deflection) {
	o.t.Helper()
	o.withCalendar(q, calendar.Calendar{Zone: "Asia/Tokyo", Hours: []calendar.Span{{Day: calendar.Monday, Opens: "09:00", Closes: "18:00"}}})
	o.set(q, func(s *store.QueueSettings) { s.OutOfHours = d })
}

// wait has n others wait in a queue.
func (o *office) wait(q store.Queue, n int) {
	o.t.Helper()
	for i := range n {
		id := fmt.Sprint("cnv_", q.ID, i)
		require.Len(o.t, o.rows(`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, routed_at, waiting_since, first_waited_at, created_at, updated_at)
			VALUES ($1, 'chn_other', $1, $2, 'open', 'queue', 1, $3, 1, 1, 1, 1, 1) RETURNING id`, id, o.workstream.ID, q.ID), 1)
	}
}

func to(q store.Queue) routing.Deflection {
	return routing.Deflection{Action: routing.DeflectTransfer, QueueID: q.ID}
}

var end = routing.Deflection{Action: routing.DeflectEnd}

func fullFrom(n int64, d routing.Deflection) func(*store.QueueSettings) {
	return func(s *store.QueueSettings) { s.Overflow = store.Overflow{MaxWaiting: n, Deflection: d} }
}

// deflections are the lines of the routing log about queues that did not keep the
// conversation: outcome, reason, why.
func (o *office) deflections() (list []string) {
	o.t.Helper()
	for _, row := range o.rows(`SELECT outcome, entry FROM routing_log WHERE conversation_id = $1 AND stage = 'route' ORDER BY created_at`, o.id) {
		var step routing.Step
		require.NoError(o.t, json.Unmarshal([]byte(row[1]), &step))
		if step.Reason != "" {
			list = append(list, fmt.Sprintf("%s %s %s", row[0], step.Reason, step.Why))
		}
	}
	return list
}

func TestAQueueThatDoesNotKeepAConversationPassesItOnOrEndsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange  func(o *office)
		where    func(o *office) store.Queue
		reason   conversation.ClosureReason
		told     string
		log      []string
		overflow bool
	}{
		"closed, to another": {
			arrange: func(o *office) { o.shut(o.orders, to(o.refunds)) },
			where:   func(o *office) store.Queue { return o.refunds }, told: "no_agent_available", log: []string{"passed_on queue_closed "},
		},
		"closed, the end": {
			arrange: func(o *office) { o.shut(o.orders, end) },
			where:   func(o *office) store.Queue { return o.orders }, reason: conversation.ReasonOutOfHours, told: "out_of_hours", log: []string{"ended queue_closed "},
		},
		"a holiday, the end": {
			arrange: func(o *office) {
				o.shut(o.orders, end)
				o.withCalendar(o.orders, calendar.Calendar{Zone: "Asia/Tokyo", Holidays: []calendar.Holiday{{Date: "2026-01-05", Name: "x"}}})
			},
			where: func(o *office) store.Queue { return o.orders }, reason: conversation.ReasonOutOfHours, told: "holiday", log: []string{"ended queue_closed "},
		},
		"closed, and nobody works the other": {
			arrange: func(o *office) { o.shut(o.orders, to(o.empty)) },
			where:   func(o *office) store.Queue { return o.orders }, told: "out_of_hours", log: []string{"kept queue_closed no_such_queue"},
		},
		"in a circle": {
			arrange: func(o *office) { o.shut(o.orders, to(o.refunds)); o.shut(o.refunds, to(o.orders)) },
			where:   func(o *office) store.Queue { return o.orders }, told: "out_of_hours", log: []string{"passed_on queue_closed ", "kept queue_closed in_a_circle"},
		},
		"full, to another": {
			arrange: func(o *office) { o.wait(o.orders, 2); o.set(o.orders, fullFrom(2, to(o.refunds))) },
			where:   func(o *office) store.Queue { return o.refunds }, told: "no_agent_available", log: []string{"passed_on queue_full "}, overflow: true,
		},
		"not full yet": {
			arrange: func(o *office) { o.wait(o.orders, 1); o.set(o.orders, fullFrom(2, to(o.refunds))) },
			where:   func(o *office) store.Queue { return o.orders }, told: "no_agent_available",
		},
		"full, the end": {
			arrange: func(o *office) { o.wait(o.orders, 2); o.set(o.orders, fullFrom(2, end)) },
			where:   func(o *office) store.Queue { return o.orders }, reason: conversation.ReasonOverflow, told: "overflow_end", log: []string{"ended queue_full "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOffice(t, nil, func(t *testing.T, o *office) {
				c.arrange(o)
				o.writes("hello")
				first := o.route()
				require.Equal(t, c.where(o).ID, first.QueueID)
				require.Equal(t, c.reason, first.Reason)
				require.Equal(t, c.reason != "", first.Status == conversation.StatusClosed)
				again := o.route()
				require.Equal(t, first, again, "again it answers the same")
				require.Equal(t, []string{c.told}, o.announced())
				require.Equal(t, c.log, o.deflections())
				want := "[]"
				if c.overflow {
					want = fmt.Sprintf(`[%q]`, o.orders.ID)
				}
				require.Equal(t, [][]string{{want}}, o.rows(`SELECT overflowed FROM conversations WHERE id = $1`, o.id))
			})
		})
	}
}

func TestAConversationThatEndsTakesInFirstWhatItHasNotSeen(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.shut(o.orders, end)
		o.writes("hello")
		in := activities.RouteInput{ID: "tsn_route", ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Seen: -1}
		out, err := o.acts.Route(t.Context(), in)
		require.NoError(t, err)
		require.True(t, out.Behind)
		require.Equal(t, conversation.StatusOpen, out.Status)
		in.Seen = 1 << 40
		out, err = o.acts.Route(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, conversation.ReasonOutOfHours, out.Reason)
	})
}

func TestRulesWhoseQueuesTurnAwayAreSkipped(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: "true", QueueID: o.refunds.ID}, routing.RouteRule{Condition: "true", QueueID: o.orders.ID})
		w.FallbackQueueID = o.empty.ID
	}, func(t *testing.T, o *office) {
		o.shut(o.refunds, end)
		o.wait(o.orders, 1)
		o.writes("hello")
		require.Equal(t, o.orders.ID, o.route().QueueID)
		outcomes, entries := o.log()
		require.Equal(t, []string{"no_rule_matched", "rule"}, outcomes)
		require.Equal(t, "queue_closed", entries[1]["rules"].([]any)[0].(map[string]any)["queues"].([]any)[0].(map[string]any)["reason"])
	})
}

func TestWhereEveryQueueTurnsAwayTheOneThatIsAvailableSoonestDecides(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: "true", QueueID: o.refunds.ID}, routing.RouteRule{Condition: "true", QueueID: o.orders.ID})
		w.FallbackQueueID = o.empty.ID
	}, func(t *testing.T, o *office) {
		o.shut(o.refunds, end)
		o.wait(o.orders, 1)
		o.set(o.orders, fullFrom(1, end))
		o.writes("hello")
		out := o.route()
		require.Equal(t, o.orders.ID, out.QueueID, "it is open, so it is available sooner")
		require.Equal(t, conversation.ReasonOverflow, out.Reason)
	})
}

// tend does what the queue's rules want done so long after the conversation came.
func (o *office) tend(after time.Duration) activities.TransitionOutput {
	o.t.Helper()
	out, err := o.acts.Tend(o.t.Context(), activities.TendInput{
		ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, ByMS: monday.Add(after).UnixMilli(), Seen: 1 << 40,
	})
	require.NoError(o.t, err)
	return out
}

func TestAConversationThatHasWaitedTooLongIsPassedOnOnceAQueue(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		for q, next := range map[store.Queue]store.Queue{o.orders: o.refunds, o.refunds: o.orders} {
			o.set(q, func(s *store.QueueSettings) { s.Overflow = store.Overflow{MaxWaitSeconds: 600, Deflection: to(next)} })
		}
		o.writes("hello")
		due := monday.Add(10 * time.Minute).UnixMilli()
		require.Equal(t, due, o.route().TendMS)
		out := o.tend(10*time.Minute - time.Millisecond)
		require.Equal(t, o.orders.ID, out.QueueID)
		require.Equal(t, due, out.TendMS)
		out = o.tend(10 * time.Minute)
		require.Equal(t, o.refunds.ID, out.QueueID)
		require.Equal(t, due, out.TendMS, "the clock of the tests stands still, so it has just come")
		require.Equal(t, o.orders.ID, o.tend(10*time.Minute).QueueID)
		require.Zero(t, o.tend(10*time.Minute).TendMS)
		require.ElementsMatch(t, []string{"passed_on waited_too_long ", "passed_on waited_too_long ", "kept waited_too_long overflowed_before"}, o.deflections())
		require.Equal(t, o.orders.ID, o.tend(time.Hour).QueueID)
		require.Len(t, o.deflections(), 3)
	})
}

func TestAConversationThatHasWaitedTooLongEnds(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.set(o.orders, func(s *store.QueueSettings) { s.Overflow = store.Overflow{MaxWaitSeconds: 600, Deflection: end} })
		o.writes("hello")
		o.route()
		for range 2 {
			out := o.tend(10 * time.Minute)
			require.Equal(t, conversation.ReasonOverflow, out.Reason)
			require.ElementsMatch(t, []string{"no_agent_available", "overflow_end"}, o.announced())
		}
	})
}

func TestPeopleMayTransferToAFullQueueButNotToAClosedOne(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.wait(o.refunds, 1)
		o.set(o.refunds, fullFrom(1, end))
		o.writes("hello")
		o.route()
		transfer := func(step string, q store.Queue) activities.TransitionOutput {
			t.Helper()
			out, err := o.acts.Transition(t.Context(), activities.TransitionInput{
				ID: step, ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Event: conversation.EventTransferredQueue, QueueID: q.ID,
				Actor: conversation.Actor{AgentID: "agt_1", Supervisor: true},
			})
			require.NoError(t, err)
			return out
		}
		out := transfer("tsn_1", o.refunds)
		require.Equal(t, o.refunds.ID, out.QueueID)
		require.Zero(t, out.TendMS)
		require.Equal(t, []string{"kept queue_full put_there"}, o.deflections())

		o.shut(o.orders, to(o.refunds))
		require.Len(t, o.rows(`UPDATE conversations SET tended_at = 0 WHERE id = $1 RETURNING id`, o.id), 1, "the clock of the tests stands still")
		out = transfer("tsn_2", o.orders)
		require.Equal(t, o.orders.ID, out.QueueID)
		require.Equal(t, monday.UnixMilli(), out.TendMS, "whether it may stay is asked at once")
		o.set(o.refunds, func(s *store.QueueSettings) { s.Overflow = store.Overflow{} })
		out = o.tend(0)
		require.Equal(t, o.refunds.ID, out.QueueID)
		require.Zero(t, out.TendMS)
		require.ElementsMatch(t, []string{"kept queue_full put_there", "passed_on queue_closed "}, o.deflections())
	})
}

// What waits when the queue closes stays.
func TestAConversationThatCameWhileTheQueueWasOpenStays(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.withCalendar(o.orders, calendar.Calendar{Zone: "Asia/Tokyo", Hours: []calendar.Span{{Day: calendar.Monday, Opens: "09:00", Closes: "18:01"}}})
		o.set(o.orders, func(s *store.QueueSettings) { s.OutOfHours = end })
		o.writes("hello")
		require.Zero(t, o.route().TendMS)
		require.Equal(t, conversation.StatusOpen, o.tend(time.Hour).Status)
	})
}

func TestACustomerHearsHowLongItTakesAtMostOnceAnInterval(t *testing.T) {
	t.Parallel()
	eachOffice(t, nil, func(t *testing.T, o *office) {
		o.wait(o.orders, 2)
		o.set(o.orders, func(s *store.QueueSettings) {
			s.WaitInfo = store.WaitInfo{Position: true, Estimate: true, NextInLine: true, IntervalSeconds: 60}
		})
		require.Len(t, o.rows(`INSERT INTO queue_waits (queue_id, samples, mean) VALUES ($1, 20, 600000000) RETURNING queue_id`, o.orders.ID), 1)
		o.writes("hello")
		require.Equal(t, monday.UnixMilli(), o.route().TendMS)
		said := func() (texts []string) {
			t.Helper()
			for _, row := range o.rows(`SELECT text FROM messages WHERE conversation_id = $1 AND automated IN ('queue_position', 'next_in_line', 'estimated_wait') ORDER BY occurred_at, ordinal`, o.id) {
				texts = append(texts, row[0])
			}
			return texts
		}
		for range 2 {
			require.Equal(t, monday.Add(time.Minute).UnixMilli(), o.tend(0).TendMS)
		}
		require.Len(t, said(), 2)
		require.Contains(t, said()[0], "3")
		require.Contains(t, said()[1], "10")
		o.rows(`DELETE FROM conversations WHERE channel_id = 'chn_other' RETURNING id`)
		require.Equal(t, monday.Add(8*time.Minute).UnixMilli(), o.tend(7*time.Minute).TendMS)
		require.Len(t, said(), 4)
		require.Contains(t, said()[3], "3", "of ten minutes, seven are over")
		require.NotContains(t, said()[2], "3")
		require.Equal(t, [][]string{{"next_in_line"}}, o.rows(`SELECT automated FROM messages WHERE text = $1`, said()[2]))
	})
}

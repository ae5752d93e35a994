package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func aQueue(t *testing.T, s *store.Store, settings store.QueueSettings) store.Queue {
	t.Helper()
	q, err := s.CreateQueue(t.Context(), admin, store.Queue{Name: "q", Settings: settings})
	require.NoError(t, err)
	return q
}

func transferTo(queueID string) routing.Deflection {
	return routing.Deflection{Action: routing.DeflectTransfer, QueueID: queueID}
}

func TestAQueuePassesOnToQueuesThatAreThere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		plain := aQueue(t, s, store.QueueSettings{})
		require.Equal(t, routing.DeflectAssign, plain.Settings.OutOfHours.Action)
		require.Equal(t, int64(300), plain.Settings.WaitInfo.IntervalSeconds)
		k, err := s.CreateCalendar(ctx, admin, store.Calendar{Name: "k", Calendar: calendar.Calendar{Zone: "Asia/Tokyo"}})
		require.NoError(t, err)
		settings := store.QueueSettings{
			OutOfHours: transferTo(plain.ID), Overflow: store.Overflow{MaxWaiting: 5, MaxWaitSeconds: 600, Deflection: transferTo(plain.ID)},
			WaitInfo: store.WaitInfo{Position: true, IntervalSeconds: 60},
		}
		q, err := s.CreateQueue(ctx, admin, store.Queue{Name: "q", CalendarID: k.ID, Settings: settings})
		require.NoError(t, err)
		read, err := s.Queue(ctx, q.ID)
		require.NoError(t, err)
		require.Equal(t, settings, read.Settings)
		requireCode(t, conversation.CodeInUse, s.DeleteQueue(ctx, admin, plain.ID, 1))

		_, err = s.CreateQueue(ctx, admin, store.Queue{Name: "q", Settings: store.QueueSettings{OutOfHours: transferTo("que_none"), Overflow: store.Overflow{Deflection: transferTo("que_gone")}}})
		requireFields(t, err, "/out_of_hours/queue_id", "/overflow/queue_id")
		_, err = s.UpdateQueue(ctx, admin, q.ID, 1, func(q *store.Queue) error {
			q.Settings.Overflow.QueueID = q.ID
			return nil
		})
		requireFields(t, err, "/overflow/queue_id")
		q, err = s.UpdateQueue(ctx, admin, q.ID, 1, func(q *store.Queue) error {
			q.Settings = store.QueueSettings{}.Defaults()
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, plain.Settings, q.Settings)
		require.NoError(t, s.DeleteQueue(ctx, admin, plain.ID, 1))
	})
}

// Queues that name each other are changed at once, and nobody waits for ever.
func TestQueuesThatNameEachOtherAreChangedAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b := aQueue(t, s, store.QueueSettings{}), aQueue(t, s, store.QueueSettings{})
		var wg sync.WaitGroup
		errs := make(chan error, 40)
		for i := range 20 {
			for _, pair := range [][2]string{{a.ID, b.ID}, {b.ID, a.ID}} {
				wg.Go(func() {
					_, err := s.UpdateQueue(t.Context(), admin, pair[0], store.AnyVersion, func(q *store.Queue) error {
						q.Settings.Overflow = store.Overflow{MaxWaiting: int64(i + 1), Deflection: transferTo(pair[1])}
						return nil
					})
					errs <- err
				})
			}
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
	})
}

// routedTo has conversation n of a floor wait without a queue, and asks for it to
// be routed to one that takes so many.
func (f *floor) routedTo(id, queueID string, room int64, step string) (store.TransitionResult, error) {
	return f.s.Transition(f.t.Context(), store.TransitionRequest{
		ID: step, ConversationID: id, ChannelID: f.channel.ID, ChatKey: id, Event: conversation.EventRouted, Room: room,
		Routing: &store.Routing{QueueID: queueID, Matching: conversation.MatchingExact, Units: 1},
	})
}

func TestAQueueNeverTakesMoreThanItHasRoomForHoweverManyComeAtOnce(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		const comes, room = 24, 7
		var ids []string
		for range comes {
			ids = append(ids, f.waits("routed_at = 0", "queue_id = ''"))
		}
		f.waits("refused = TRUE") // one is there already
		var wg sync.WaitGroup
		var mu sync.Mutex
		taken, full := 0, 0
		for i, id := range ids {
			wg.Go(func() {
				_, err := f.routedTo(id, f.queue.ID, room, fmt.Sprint("tsn_", i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					taken++
				case errors.Is(err, store.ErrQueueFull):
					full++
				}
			})
		}
		wg.Wait()
		require.Equal(t, room-1, taken)
		require.Equal(t, comes-taken, full)
		_, err := f.routedTo(ids[0], f.queue.ID, room, "tsn_again")
		require.ErrorIs(t, err, store.ErrQueueFull)
	})
}

func TestTheRulesOfAQueueAreDueByTimeAndLookedAfterOnce(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx, s := t.Context(), f.s
		slow := aQueue(t, s, store.QueueSettings{
			Overflow: store.Overflow{MaxWaitSeconds: 600, Deflection: transferTo(f.queue.ID)}, WaitInfo: store.WaitInfo{Position: true, IntervalSeconds: 900},
		})
		id := f.waits("routed_at = 0", "queue_id = ''")
		res, err := f.routedTo(id, slow.ID, 0, "tsn_1")
		require.NoError(t, err)
		came := f.c.Now()
		require.Equal(t, came.UnixMilli(), res.TendMS, "the customer is to hear where they are")
		again, err := f.routedTo(id, slow.ID, 0, "tsn_1")
		require.NoError(t, err)
		require.Equal(t, res, again)

		q, found, err := s.Queued(ctx, id)
		require.NoError(t, err)
		require.True(t, found)
		duty, at := q.Due(came)
		require.Equal(t, routing.DutyInform, duty)
		require.Equal(t, came, at)
		say := []store.Draft{{SenderKind: conversation.SenderSystem, Automated: "queue_position", Content: conversation.TextContent("You are number 1.")}}
		req := store.TendRequest{ID: "tsn_2", ConversationID: id, Wait: q.Wait, Until: came, Duty: duty, Say: say}
		res, err = s.Tend(ctx, req)
		require.NoError(t, err)
		require.True(t, res.Pending)
		require.Equal(t, came.Add(10*time.Minute).UnixMilli(), res.TendMS)
		again, err = s.Tend(ctx, req)
		require.NoError(t, err)
		require.Equal(t, res, again)
		texts, err := s.Messages(ctx, id, store.MessagePosition{}, 10)
		require.NoError(t, err)
		require.Len(t, texts, 1, "though it was said twice")

		f.c.Advance(10 * time.Minute)
		q, _, err = s.Queued(ctx, id)
		require.NoError(t, err)
		duty, _ = q.Due(f.c.Now())
		require.Equal(t, routing.DutyOverflow, duty)
		moved := store.TransitionRequest{
			ID: "tsn_3", ConversationID: id, ChannelID: f.channel.ID, ChatKey: id, Event: conversation.EventTransferredQueue, QueueID: f.queue.ID,
			Overflowed: []string{slow.ID}, Log: []store.RoutingEntry{{Stage: store.StageRoute, Outcome: "passed_on", Entry: []byte(`{}`)}},
		}
		for range 2 {
			res, err = s.Transition(ctx, moved)
			require.NoError(t, err)
			require.Equal(t, f.queue.ID, res.QueueID)
			require.Zero(t, res.TendMS)
		}
		require.Equal(t, []string{"passed_on"}, f.log(id))
		q, found, err = s.Queued(ctx, id)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, []string{slow.ID}, q.Overflowed)
	})
}

func TestAConversationKnowsItsPlaceAndHowLongOthersWaited(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx, s := t.Context(), f.s
		_, err := s.UpdateQueue(ctx, admin, f.queue.ID, 1, func(q *store.Queue) error {
			q.Settings.WaitInfo.Estimate = true
			return nil
		})
		require.NoError(t, err)
		mei := f.agent("mei", 1000)
		served := func(n int, wait time.Duration) {
			t.Helper()
			for range n {
				id := f.waits()
				f.c.Advance(wait)
				f.presence(mei, conversation.PresenceAvailable)
				require.Positive(t, f.match().Made)
				require.NoError(t, f.act(ctx, f.theOffer(mei), conversation.EventAccepted, mei, "accept "+id))
			}
		}
		first, second, urgent, passed := f.waits("preferred_agent_id = 'agt_1'", "requirement = 'big'"), f.waits("units = 2000", "requirement = 'big'"), f.waits("units = 2000", "requirement = 'big'", "priority = 5"), f.waits("units = 2000", "requirement = 'big'", "refused = TRUE")
		places := func() (out []int64) {
			t.Helper()
			for _, id := range []string{first, second, urgent, passed} {
				e, err := s.Estimate(ctx, id)
				require.NoError(t, err)
				out = append(out, e.Position)
			}
			return out
		}
		require.Equal(t, []int64{2, 3, 1, 4}, places())
		require.NoError(t, s.ExecForTest(ctx, `UPDATE conversations SET units = 2000, preferred_agent_id = '' WHERE id = $1`, first))

		estimate := func() time.Duration {
			t.Helper()
			e, err := s.Estimate(ctx, second)
			require.NoError(t, err)
			return e.Mean
		}
		served(19, time.Minute)
		require.Zero(t, estimate(), "nineteen are too few")
		served(1, 3*time.Minute)
		require.InDelta(t, (66 * time.Second).Seconds(), estimate().Seconds(), 0.1, "the mean of twenty")
		served(1, 21*time.Minute+6*time.Second)
		require.InDelta(t, (126 * time.Second).Seconds(), estimate().Seconds(), 0.1, "of which a new one counts a twentieth")
		_, err = s.Estimate(ctx, "cnv_none")
		requireCode(t, conversation.CodeNotFound, err)
	})
}

// limited makes a queue that is full some time.
func (f *floor) limited() string {
	f.t.Helper()
	return aQueue(f.t, f.s, store.QueueSettings{Overflow: store.Overflow{MaxWaiting: 9, Deflection: routing.Deflection{Action: routing.DeflectEnd}}}).ID
}

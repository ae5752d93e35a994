package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// lane is a conversation that says things, on a clock of its own.
type lane struct {
	*talk
	now  atomic.Int64 // Unix microseconds
	id   string
	said int
	seen int64
}

// eachLane runs f with a lane on every database. No reply token is at hand.
func eachLane(t *testing.T, f func(t *testing.T, l *lane)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			l := &lane{}
			l.now.Store(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC).UnixMicro())
			s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Now = l.Now })
			l.talk = newTalk(t, s)
			l.arrive("first", l.Now(), l.Now(), func(e *store.InboxEvent) { e.ReplyToken = "" })
			req := l.request("", 0)
			req.Deadline = time.Time{}
			res, err := s.Ingest(t.Context(), req, read)
			require.NoError(t, err)
			l.id, l.seen = res.ConversationID, res.Seen
			f(t, l)
		})
	}
}

func (l *lane) Now() time.Time { return time.UnixMicro(l.now.Load()).UTC() }

func (l *lane) pass(d time.Duration) { l.now.Add(d.Microseconds()) }

// arrive receives an event that happened at one time and came at another.
func (l *lane) arrive(id string, happened, received time.Time, change ...func(*store.InboxEvent)) {
	l.t.Helper()
	e := l.event(id, "message", id)
	e.LineTime = happened
	for _, f := range change {
		f(&e)
	}
	_, err := l.s.AppendLINEEvents(l.t.Context(), l.plan.Channel.ID, received, []store.InboxEvent{e})
	require.NoError(l.t, err)
}

func (l *lane) says(kind conversation.SenderKind, n int) {
	l.t.Helper()
	var drafts []store.Draft
	for i := range n {
		drafts = append(drafts, store.Draft{SenderKind: kind, Content: conversation.TextContent(fmt.Sprintf("m%03d", l.said+i))})
	}
	_, err := l.s.Announce(l.t.Context(), l.id, fmt.Sprint("cause", l.said), drafts)
	require.NoError(l.t, err)
	l.said += n
}

// plain renders a text as its JSON string, and refuses "bad".
func plain(contents []conversation.Content) ([]json.RawMessage, error) {
	var out []json.RawMessage
	for _, c := range contents {
		if c.Type != conversation.ContentText {
			return nil, errors.New("LINE has no such message")
		}
		raw, err := json.Marshal(c.Text)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

func (l *lane) next() *store.Batch {
	l.t.Helper()
	b, err := l.s.NextBatch(l.t.Context(), l.id, plain)
	require.NoError(l.t, err)
	return b
}

func (l *lane) finish(b *store.Batch, end store.BatchEnd) bool {
	l.t.Helper()
	written, err := l.s.FinishBatch(l.t.Context(), b, end)
	require.NoError(l.t, err)
	return written
}

func (l *lane) outbound() (out []store.Message) {
	l.t.Helper()
	list, err := l.s.Messages(l.t.Context(), l.id, store.MessagePosition{}, 1000)
	require.NoError(l.t, err)
	for _, m := range list {
		if m.Direction == conversation.Outbound {
			out = append(out, m)
		}
	}
	return out
}

func (l *lane) states() (out []string) {
	l.t.Helper()
	for _, m := range l.outbound() {
		out = append(out, m.Text+" "+string(m.State))
	}
	return out
}

func body(b *store.Batch) string { return b.Kind + " " + b.ReplyToken + " " + b.Body }

func TestTheOldestTokenWithLifeEnoughIsUsedFirstAndOnce(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		now := l.Now()
		l.arrive("dead", now, now.Add(-25*time.Second-time.Microsecond))
		l.arrive("oldest", now, now.Add(-25*time.Second))
		l.arrive("young", now, now)
		l.arrive("younger", now, now.Add(-time.Second))
		l.arrive("standby", now, now.Add(-2*time.Second), func(e *store.InboxEvent) { e.Standby = true })
		l.arrive("long ago", now.Add(-20*time.Minute), now.Add(-2*time.Second), func(e *store.InboxEvent) { e.Redelivery = true }) // too late for its token
		l.arrive("none", now, now.Add(-3*time.Second), func(e *store.InboxEvent) { e.ReplyToken = "" })
		l.arrive("somebody else's", now, now.Add(-3*time.Second), func(e *store.InboxEvent) { e.ChatKey = "another chat" })
		l.says(conversation.SenderBot, 20)
		for _, want := range []string{
			`reply token-oldest ["m000","m001","m002","m003","m004"]`, `reply token-younger ["m005","m006","m007","m008","m009"]`,
			`reply token-young ["m010","m011","m012","m013","m014"]`, `push  ["m015","m016","m017","m018","m019"]`,
		} {
			b := l.next()
			require.Equal(t, want, body(b))
			require.Equal(t, l.user, b.Recipient)
			require.True(t, l.finish(b, store.BatchEnd{State: store.BatchAccepted}))
		}
		require.Nil(t, l.next())
	})
}

func TestARedeliveryMakesATokenGoodAgain(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		happened := l.Now()
		l.arrive("e", happened, happened)
		l.pass(10 * time.Minute)
		l.arrive("e", happened, l.Now())
		l.says(conversation.SenderBot, 1)
		b := l.next()
		require.Equal(t, `reply token-e ["m000"]`, body(b))
		require.Equal(t, l.Now().UnixMicro(), b.TokenReceivedAt)
		l.finish(b, store.BatchEnd{State: store.BatchAccepted})
		l.arrive("e", happened, l.Now())
		l.says(conversation.SenderBot, 1)
		require.Equal(t, `push  ["m001"]`, body(l.next()), "a used token stays used")
	})
}

// LINE counts twenty minutes from an event that it delivers again. Of others, its
// clock and ours need not agree.
func TestOnlyARedeliveredEventIsTooOldForItsToken(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		happened := l.Now().Add(-time.Hour)
		l.arrive("e", happened, l.Now())
		l.arrive("f", happened, l.Now())
		l.says(conversation.SenderBot, 1)
		b := l.next()
		require.Equal(t, `reply token-e ["m000"]`, body(b))
		l.finish(b, store.BatchEnd{State: store.BatchAccepted})
		l.arrive("f", happened, l.Now(), func(e *store.InboxEvent) { e.Redelivery = true })
		l.says(conversation.SenderBot, 1)
		require.Equal(t, `push  ["m001"]`, body(l.next()))
	})
}

func TestWhatLINESaidIsKeptWithEachMessage(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.says(conversation.SenderBot, 2)
		l.finish(l.next(), store.BatchEnd{State: store.BatchAccepted, LINERequestID: "second", AcceptedRequestID: "first", Sent: []store.SentMessage{{ID: "11", QuoteToken: "q11"}, {ID: "12"}}})
		for i, m := range l.outbound() {
			require.Equal(t, conversation.MessageAccepted, m.State)
			require.Equal(t, "push", m.Via)
			require.Equal(t, "first", m.LINERequestID, "the call that LINE took")
			require.Equal(t, fmt.Sprint(11+i), m.LINEMessageID)
			require.Equal(t, l.Now().UnixMicro(), m.SentAt)
		}
	})
}

func TestABatchThatIsNotFinishedIsTriedAgainAsItIs(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.says(conversation.SenderBot, 1)
		first := l.next()
		l.says(conversation.SenderBot, 1)
		l.arrive("token", l.Now(), l.Now())
		again := l.next()
		require.Equal(t, first.ID, again.ID)
		require.Equal(t, body(first), body(again), "nothing joins it, and it stays a push")
		require.Equal(t, int64(2), again.Attempts)
	})
}

func TestAnAttemptLeavesDoubtUnlessLINEClearlyDidNotTakeIt(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		for _, tc := range []struct {
			outcomes           []string
			doubt, interrupted bool
		}{
			{[]string{store.OutcomeNotTaken}, false, false},
			{[]string{store.OutcomeUnclear}, true, false},
			{[]string{""}, true, true},
			{[]string{store.OutcomeNotTaken, ""}, true, true},
			{[]string{store.OutcomeUnclear, store.OutcomeNotTaken, store.OutcomeNotTaken}, true, false},
		} {
			l.says(conversation.SenderBot, 1)
			b := l.next()
			require.False(t, b.Doubt)
			for _, outcome := range tc.outcomes {
				if outcome != "" {
					present, err := l.s.NoteAttempt(t.Context(), b, outcome, "LINE's words")
					require.NoError(t, err)
					require.True(t, present)
				}
				b = l.next()
			}
			require.Equal(t, tc.doubt, b.Doubt, tc.outcomes)
			require.Equal(t, tc.interrupted, b.Interrupted, tc.outcomes)
			if !tc.interrupted {
				require.Equal(t, "LINE's words", b.Detail)
			}
			l.finish(b, store.BatchEnd{State: store.BatchAccepted})
		}
	})
}

// Of two attempts that run beside each other, the older one's conclusions are
// out of date; only that LINE took the batch cannot be.
func TestASupersededAttemptCountsOnlyIfLINETookIt(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.says(conversation.SenderBot, 1)
		old := l.next()
		present := l.next()
		for _, state := range []string{store.BatchDissolved, store.BatchFailed, store.BatchUncertain} {
			require.False(t, l.finish(old, store.BatchEnd{State: state}))
		}
		still, err := l.s.NoteAttempt(t.Context(), old, store.OutcomeNotTaken, "")
		require.NoError(t, err)
		require.False(t, still)
		require.Equal(t, []string{"m000 pending"}, l.states())
		require.True(t, l.next().Interrupted, "the present attempt has not said anything")

		require.True(t, l.finish(old, store.BatchEnd{State: store.BatchAccepted}))
		require.False(t, l.finish(present, store.BatchEnd{State: store.BatchFailed}))
		require.Equal(t, []string{"m000 accepted"}, l.states())
		require.Nil(t, l.next())
	})
}

func TestAnEndIsFinal(t *testing.T) {
	t.Parallel()
	ends := []string{store.BatchAccepted, store.BatchFailed, store.BatchUncertain}
	eachLane(t, func(t *testing.T, l *lane) {
		for i, first := range ends {
			l.says(conversation.SenderBot, 1)
			b := l.next()
			require.True(t, l.finish(b, store.BatchEnd{State: first, Failure: "why", Detail: "in words"}))
			for _, second := range append(ends, store.BatchDissolved) {
				require.False(t, l.finish(b, store.BatchEnd{State: second}))
			}
			require.Equal(t, fmt.Sprintf("m%03d %s", i, first), l.states()[i])
		}
	})
}

func TestADissolvedBatchGoesAnotherWayWithinTheSameBudget(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.arrive("e", l.Now(), l.Now())
		l.says(conversation.SenderBot, 2)
		reply := l.next()
		require.Equal(t, l.Now().Add(store.AutomatedBudget).UnixMicro(), reply.Deadline)
		l.pass(40 * time.Second)
		require.True(t, l.finish(reply, store.BatchEnd{State: store.BatchDissolved}))
		require.Equal(t, []string{"m000 pending", "m001 pending"}, l.states())
		l.says(conversation.SenderBot, 1)
		push := l.next()
		require.NotEqual(t, reply.ID, push.ID, "another key")
		require.Equal(t, `push  ["m000","m001","m002"]`, body(push))
		require.Equal(t, reply.Deadline, push.Deadline)
		l.finish(push, store.BatchEnd{State: store.BatchAccepted})
		l.says(conversation.SenderAgent, 1)
		require.Equal(t, l.Now().Add(store.AgentBudget).UnixMicro(), l.next().Deadline)
	})
}

func TestMessagesLINENamesFailAndTheOthersGoAgain(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.arrive("e", l.Now(), l.Now())
		l.says(conversation.SenderBot, 4)
		first := l.next()
		require.True(t, l.finish(first, store.BatchEnd{State: store.BatchFailed, Failure: "line_refused", Detail: "bad", Refused: []int{0, 2}}))
		require.Equal(t, []string{"m000 failed", "m001 pending", "m002 failed", "m003 pending"}, l.states())
		second := l.next()
		require.NotEqual(t, first.ID, second.ID)
		require.Equal(t, `reply token-e ["m001","m003"]`, body(second), "LINE sent nothing, so the token is good")
	})
}

func TestAMessageThatLINEHasNoWordsForFailsAlone(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		var drafts []store.Draft
		for _, kind := range []string{"text", "fax", "text", "fax", "fax", "fax", "fax", "fax", "fax", "text"} {
			drafts = append(drafts, store.Draft{SenderKind: conversation.SenderBot, Content: conversation.Content{Type: kind, Text: kind}})
		}
		_, err := l.s.Announce(t.Context(), l.id, "cause", drafts)
		require.NoError(t, err)
		var bodies []string
		for b := l.next(); b != nil; b = l.next() {
			bodies = append(bodies, b.Body)
			l.finish(b, store.BatchEnd{State: store.BatchAccepted})
		}
		require.Equal(t, []string{`["text","text"]`, `["text"]`}, bodies)
		for _, m := range l.outbound() {
			want := conversation.MessageAccepted
			if m.Type == "fax" {
				want = conversation.MessageFailed
				require.Equal(t, "unsendable", m.Failure)
				require.Equal(t, "LINE has no such message", m.FailureDetail)
			}
			require.Equal(t, want, m.State)
		}
	})
}

func TestTheSameCauseStoresItsMessagesOnce(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		for range 2 {
			n, err := l.s.Announce(t.Context(), l.id, "cause", []store.Draft{{SenderKind: conversation.SenderSystem, Content: conversation.TextContent("once")}})
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		require.Equal(t, []string{"once pending"}, l.states())
	})
}

// Several runs of the lane at once, each with a LINE that takes a batch once
// and sometimes keeps its answer to itself: every message is taken once, in
// order.
func TestLanesThatRunBesideEachOtherSendEverythingOnce(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		const total = 60
		var mu sync.Mutex
		took, calls := map[string]bool{}, 0
		var phone []string
		// push is LINE: 409 is a success, too.
		push := func(b *store.Batch) (answered bool) {
			mu.Lock()
			defer mu.Unlock()
			calls++
			if calls%4 == 3 {
				return false // the request was lost
			}
			if !took[b.ID] {
				took[b.ID] = true
				var texts []string
				if json.Unmarshal([]byte(b.Body), &texts) == nil {
					phone = append(phone, texts...)
				}
			}
			return calls%4 != 1 // the answer was lost
		}
		var lanes sync.WaitGroup
		for range 4 {
			lanes.Go(func() {
				for {
					b, err := l.s.NextBatch(t.Context(), l.id, plain)
					if err != nil {
						t.Error(err)
						return
					}
					if b == nil {
						if len(l.outbound()) == total {
							return
						}
						continue
					}
					if push(b) {
						_, err = l.s.FinishBatch(t.Context(), b, store.BatchEnd{State: store.BatchAccepted})
					} else {
						_, err = l.s.NoteAttempt(t.Context(), b, store.OutcomeUnclear, "")
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for l.said < total {
			l.says(conversation.SenderBot, 3)
		}
		lanes.Wait()
		require.Len(t, phone, total)
		require.True(t, slices.IsSorted(phone), phone)
		for _, s := range l.states() {
			require.Contains(t, s, " accepted")
		}
	})
}

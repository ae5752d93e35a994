package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// sending has the workstream spend LINE's paid messages so.
func (l *lane) sending(how store.Sending) {
	l.t.Helper()
	w, err := l.s.Workstream(l.t.Context(), l.plan.Workstream.ID)
	require.NoError(l.t, err)
	_, err = l.s.UpdateWorkstream(l.t.Context(), store.Origin{}, w.ID, w.Version, func(w *store.Workstream) error {
		w.Settings.Sending = how
		return nil
	})
	require.NoError(l.t, err)
}

// quota is what LINE says now.
func (l *lane) quota(limit, used int64) {
	l.t.Helper()
	l.pass(time.Microsecond)
	_, err := l.s.SaveQuota(l.t.Context(), l.plan.Channel.ID, limit, used, l.Now())
	require.NoError(l.t, err)
}

// held asserts that what waits is held back for so long.
func (l *lane) held(d time.Duration) {
	l.t.Helper()
	b := l.next()
	require.NotNil(l.t, b)
	require.Empty(l.t, b.ID)
	require.Equal(l.t, d, time.UnixMicro(b.HeldUntil).Sub(l.Now()))
}

// spent asserts that no paid message is left for the next of what waits, and that
// it does not go on waiting.
func (l *lane) spent() {
	l.t.Helper()
	b := l.next()
	require.NotNil(l.t, b)
	require.Empty(l.t, b.ID)
	require.True(l.t, b.Spent)
	require.Zero(l.t, b.HeldUntil)
}

func TestAnAutomatedMessageWaitsForAFreeReply(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		then func(l *lane)
		want string
	}{
		"a token comes":         {func(l *lane) { l.arrive("e", l.Now(), l.Now()) }, `reply token-e ["m000"]`},
		"the time is over":      {func(l *lane) { l.pass(20 * time.Second) }, `push  ["m000"]`},
		"an agent writes":       {func(l *lane) { l.says(conversation.SenderAgent, 1) }, `push  ["m000","m001"]`},
		"a bot answers":         {func(l *lane) { l.says(conversation.SenderBot, 1) }, `push  ["m000","m001"]`},
		"the setting is gone":   {func(l *lane) { l.sending(store.Sending{}) }, `push  ["m000"]`},
		"many, an agent's last": {func(l *lane) { l.says(conversation.SenderSystem, 5); l.says(conversation.SenderAgent, 1) }, `push  ["m000","m001","m002","m003","m004"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachLane(t, func(t *testing.T, l *lane) {
				l.sending(store.Sending{HoldSeconds: 30})
				l.says(conversation.SenderSystem, 1)
				l.held(30 * time.Second)
				l.pass(10 * time.Second)
				l.held(20 * time.Second)
				tc.then(l)
				require.Equal(t, tc.want, body(l.next()))
			})
		})
	}
}

func TestWhatAgentsAndBotsSayIsNeverHeld(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.sending(store.Sending{HoldSeconds: 30, ReserveForAgents: 1000, WhenSpent: store.SpentHold})
		l.quota(100, 100)
		for i, kind := range []conversation.SenderKind{conversation.SenderAgent, conversation.SenderBot} {
			l.says(kind, 1)
			b := l.next()
			require.Equal(t, fmt.Sprintf(`push  ["m%03d"]`, i), body(b))
			l.finish(b, store.BatchEnd{State: store.BatchAccepted})
		}
	})
}

func TestAClosedConversationWaitsForNoToken(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.sending(store.Sending{HoldSeconds: 30, WhenSpent: store.SpentHold})
		l.says(conversation.SenderSystem, 1)
		l.held(30 * time.Second)
		_, err := l.s.Transition(t.Context(), store.TransitionRequest{
			ID: "tsn_close", ConversationID: l.id, ChannelID: l.plan.Channel.ID, ChatKey: l.chat, Event: conversation.EventForceClosed, Seen: 1 << 40,
		})
		require.NoError(t, err)
		b := l.next()
		require.Equal(t, `push  ["m000"]`, body(b))
		l.finish(b, store.BatchEnd{State: store.BatchFailed, Failure: "line_quota", Keep: true})
		require.Equal(t, []string{"m000 failed"}, l.states(), "nor for another month")
		l.quota(100, 100)
		l.says(conversation.SenderSystem, 1)
		l.spent()
		require.Nil(t, l.next())
		require.Equal(t, []string{"m000 failed", "m001 failed"}, l.states())
	})
}

func TestTheLastPaidMessagesAreForAgents(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.sending(store.Sending{ReserveForAgents: 10})
		l.quota(100, 89)
		l.says(conversation.SenderSystem, 1)
		require.Equal(t, `push  ["m000"]`, body(l.next()), "eleven are left")
		l.finish(l.next(), store.BatchEnd{State: store.BatchAccepted})

		l.quota(100, 90)
		l.says(conversation.SenderSystem, 7)
		l.spent()
		l.spent()
		require.Nil(t, l.next())
		m := l.outbound()[1]
		require.Equal(t, conversation.MessageFailed, m.State)
		require.Equal(t, "quota_reserved", m.Failure)
		require.NotEmpty(t, m.FailureDetail)
		require.Equal(t, "m007 failed", l.states()[7])

		l.says(conversation.SenderSystem, 1)
		l.arrive("e", l.Now(), l.Now())
		require.Equal(t, `reply token-e ["m008"]`, body(l.next()), "a reply is free")
		l.finish(l.next(), store.BatchEnd{State: store.BatchAccepted})

		l.says(conversation.SenderSystem, 1)
		l.pass(61 * time.Minute)
		require.Equal(t, `push  ["m009"]`, body(l.next()), "more may have been bought since LINE was asked")
	})
}

func TestASpentQuotaHoldsAutomatedMessagesUntilTheNextMonth(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.sending(store.Sending{WhenSpent: store.SpentHold})
		l.says(conversation.SenderSystem, 1)
		l.says(conversation.SenderAgent, 1)
		b := l.next()
		l.quota(100, 100)
		l.finish(b, store.BatchEnd{State: store.BatchFailed, Failure: "line_quota", Keep: true, Notice: "It was not sent."})
		var states []string
		for _, m := range l.outbound() {
			states = append(states, m.Text+" "+string(m.State))
		}
		require.Equal(t, []string{"m000 pending", "m001 failed"}, states)
		// The month ends at midnight in Japan, which is at 15:00.
		l.held(time.Date(2026, 1, 31, 15, 0, 0, 0, time.UTC).Sub(l.Now()))
		l.now.Store(time.Date(2026, 1, 31, 15, 0, 0, 0, time.UTC).UnixMicro())
		again := l.next()
		require.Equal(t, `push  ["m000"]`, body(again))
		require.NotEqual(t, b.ID, again.ID, "another retry key")
		require.Greater(t, again.Deadline, l.now.Load(), "and time of its own")
	})
}

func TestARefusedReplyLeavesItsTokenForTheNext(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		l.arrive("e", l.Now(), l.Now())
		l.says(conversation.SenderBot, 1)
		l.finish(l.next(), store.BatchEnd{State: store.BatchFailed, Failure: "line_refused"})
		l.says(conversation.SenderBot, 1)
		require.Equal(t, `reply token-e ["m001"]`, body(l.next()), "LINE sent nothing")
	})
}

package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// warnings are the thresholds recorded for a channel, with their months.
func warnings(t *testing.T, s *store.Store) (out []string) {
	t.Helper()
	_, err := s.SequenceEvents(t.Context())
	require.NoError(t, err)
	events, err := s.Events(t.Context(), 0, 1000, "")
	require.NoError(t, err)
	for _, e := range events {
		if e.Type == store.EventQuotaWarning {
			var said struct {
				Threshold json.Number
				Month     string
			}
			require.NoError(t, json.Unmarshal([]byte(e.Data), &said))
			out = append(out, said.Month+" "+said.Threshold.String())
		}
	}
	return out
}

func TestEachThresholdOfAQuotaIsToldOnceAMonth(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		at := time.Date(2026, 1, 31, 14, 0, 0, 0, time.UTC) // 23:00 in Japan
		use := func(limit, used int64) store.ChannelQuota {
			at = at.Add(time.Second)
			q, err := s.SaveQuota(t.Context(), "chn_1", limit, used, at)
			require.NoError(t, err)
			return q
		}
		require.Equal(t, int64(160), use(200, 0).UntilWarning())
		require.Empty(t, warnings(t, s))
		require.Equal(t, int64(1), use(200, 159).UntilWarning())
		require.Equal(t, []int64{80}, use(200, 160).Warnings())
		use(200, 161)
		require.Equal(t, []string{"2026-01 80"}, warnings(t, s))

		for agent, sees := range map[string]int{"": 1, "agt_1": 0} { // "" is a supervisor
			page, err := s.EventPage(t.Context(), store.EventQuery{Limit: 10, AgentID: agent})
			require.NoError(t, err)
			require.Len(t, page.Events, sees, agent)
		}

		late, err := s.SaveQuota(t.Context(), "chn_1", 200, 200, at.Add(-time.Millisecond))
		require.NoError(t, err)
		require.Equal(t, int64(161), late.Used, "what was said earlier changes nothing")

		require.Equal(t, int64(-1), use(200, 200).UntilWarning())
		require.Equal(t, int64(900-200-100), use(1000, 200).UntilWarning(), "more was bought")
		use(1000, 1000)
		require.Equal(t, []string{"2026-01 80", "2026-01 95", "2026-01 100"}, warnings(t, s))

		at = at.Add(time.Hour) // February in Japan, and not in UTC
		require.Equal(t, time.January, at.Month())
		use(-1, 10_000)
		use(200, 199)
		require.Equal(t, []string{"2026-02 80", "2026-02 95"}, warnings(t, s)[3:])
	})
}

func TestWhatWasSentIsSummedByConversationAndMonth(t *testing.T) {
	t.Parallel()
	eachLane(t, func(t *testing.T, l *lane) {
		ctx := t.Context()
		l.says(conversation.SenderBot, 3)
		l.finish(l.next(), store.BatchEnd{State: store.BatchAccepted})
		var charged []int64
		for _, m := range l.outbound() {
			charged = append(charged, m.Charged)
		}
		require.Equal(t, []int64{1, 0, 0}, charged, "LINE counts the recipient of a call, not its messages")

		l.arrive("e", l.Now(), l.Now())
		l.says(conversation.SenderBot, 2)
		l.finish(l.next(), store.BatchEnd{State: store.BatchAccepted})
		l.says(conversation.SenderBot, 1)
		l.finish(l.next(), store.BatchEnd{State: store.BatchFailed, Failure: "line_refused"})

		sums := store.LINEUsage{Replies: 1, Pushes: 1, Charged: 1}
		used, err := l.s.ConversationUsage(ctx, l.id)
		require.NoError(t, err)
		require.Equal(t, sums, used)
		used, err = l.s.ChannelUsage(ctx, l.plan.Channel.ID, l.Now())
		require.NoError(t, err)
		require.Equal(t, sums, used)
		used, err = l.s.ChannelUsage(ctx, l.plan.Channel.ID, l.Now().AddDate(0, 1, 0))
		require.NoError(t, err)
		require.Zero(t, used)
	})
}

func TestCallsOfASecondAreTakenByAllWorkersTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		second := time.Unix(1_800_000_000, 0)
		take := func(channel string, second time.Time, n int64) bool {
			ok, err := s.TakeCalls(t.Context(), channel, "push", second, n, 10)
			require.NoError(t, err)
			return ok
		}
		require.True(t, take("a", second, 4))
		require.True(t, take("a", second.Add(999*time.Millisecond), 6))
		require.False(t, take("a", second, 1))
		require.True(t, take("b", second, 10), "each channel has its own")
		require.True(t, take("a", second.Add(time.Second), 10))
		require.False(t, take("a", second, 1), "a clock that is behind gets none")
	})
}

package callrate_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/callrate"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestProcessesTogetherStayWithinALimit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now := time.Unix(1_800_000_000, 0)
		logger := slog.New(slog.DiscardHandler)
		var processes []*callrate.Limits
		for range 10 {
			processes = append(processes, callrate.New(s.TakeCalls, func() time.Time { return now }, logger))
		}
		second := func(channel, endpoint string) (made int) {
			for range 20 {
				for _, p := range processes {
					if p.May(t.Context(), channel, endpoint) {
						made++
					}
				}
			}
			return made
		}
		made := second("chn_1", callrate.Loading)
		require.LessOrEqual(t, made, 50, "LINE's second may have another one's calls, too")
		require.Greater(t, made, 37, "most of it is used")
		require.Equal(t, 200, second("chn_1", callrate.MarkAsRead), "other endpoints have limits of their own")
		require.LessOrEqual(t, second("chn_2", callrate.Loading), 50, "and so have other channels")
		now = now.Add(time.Second)
		require.Greater(t, second("chn_1", callrate.Loading), 37)
	})
}

func TestWhenNobodyCountsLINEJudges(t *testing.T) {
	t.Parallel()
	away := func(context.Context, string, string, time.Time, int64, int64) (bool, error) {
		return false, errors.New("away")
	}
	limits := callrate.New(away, nil, slog.New(slog.DiscardHandler))
	for range 500 {
		require.True(t, limits.May(t.Context(), "chn_1", callrate.Loading))
	}
}

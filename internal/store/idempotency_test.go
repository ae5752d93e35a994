package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

var someKey = store.IdempotencyKey{Caller: "tok_1", Route: "POST /api/v1/queues", Key: "k"}

func TestTheSecondRequestOfAKeyGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		answer, lease, err := s.BeginIdempotent(ctx, someKey, "digest")
		require.NoError(t, err)
		require.Nil(t, answer)

		_, _, err = s.BeginIdempotent(ctx, someKey, "digest")
		requireCode(t, conversation.CodeInFlight, err)
		_, _, err = s.BeginIdempotent(ctx, someKey, "another digest")
		requireCode(t, conversation.CodeIdempotencyMismatch, err)

		given := store.Answer{Status: 201, Header: map[string]string{"Etag": `"1"`}, Body: []byte(`{"token":"kwa_shown_once"}`)}
		require.NoError(t, s.FinishIdempotent(ctx, someKey, lease, given))
		answer, _, err = s.BeginIdempotent(ctx, someKey, "digest")
		require.NoError(t, err)
		require.Equal(t, &given, answer)
		_, _, err = s.BeginIdempotent(ctx, someKey, "another digest")
		requireCode(t, conversation.CodeIdempotencyMismatch, err)

		stored, err := s.QueryForTest(ctx, "SELECT answer FROM idempotency_keys")
		require.NoError(t, err)
		require.NotEmpty(t, stored)
		require.NotContains(t, stored, "kwa_")

		for _, other := range []store.IdempotencyKey{
			{Caller: "tok_2", Route: someKey.Route, Key: someKey.Key},
			{Caller: someKey.Caller, Route: "POST /api/v1/agents", Key: someKey.Key},
		} {
			answer, _, err := s.BeginIdempotent(ctx, other, "digest")
			require.NoError(t, err)
			require.Nil(t, answer, "keys belong to the caller and the route")
		}

		clock.Advance(store.IdempotencyLife)
		answer, fresh, err := s.BeginIdempotent(ctx, someKey, "another digest")
		require.NoError(t, err)
		require.Nil(t, answer, "after a day the key is free")
		require.NotEqual(t, lease.Seed, fresh.Seed)
	})
}

func TestACrashInTheMiddleDoesNotBlockAKeyForever(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		_, dead, err := s.BeginIdempotent(ctx, someKey, "digest")
		require.NoError(t, err)
		clock.Advance(store.IdempotencyLease - time.Millisecond)
		require.NoError(t, s.RenewIdempotent(ctx, someKey, dead))
		clock.Advance(store.IdempotencyLease - time.Millisecond)
		_, _, err = s.BeginIdempotent(ctx, someKey, "digest")
		requireCode(t, conversation.CodeInFlight, err)
		clock.Advance(time.Millisecond)
		_, _, err = s.BeginIdempotent(ctx, someKey, "another digest")
		requireCode(t, conversation.CodeIdempotencyMismatch, err)
		answer, second, err := s.BeginIdempotent(ctx, someKey, "digest")
		require.NoError(t, err)
		require.Nil(t, answer)
		require.Equal(t, dead.Seed, second.Seed, "so that it finds what the first attempt created")

		// The first one was not dead after all: its answer comes too late.
		require.NoError(t, s.FinishIdempotent(ctx, someKey, dead, store.Answer{Status: 500}))
		require.NoError(t, s.AbandonIdempotent(ctx, someKey, dead))
		_, _, err = s.BeginIdempotent(ctx, someKey, "digest")
		requireCode(t, conversation.CodeInFlight, err)
		require.NoError(t, s.FinishIdempotent(ctx, someKey, second, store.Answer{Status: 201}))
		answer, _, err = s.BeginIdempotent(ctx, someKey, "digest")
		require.NoError(t, err)
		require.Equal(t, 201, answer.Status)
	})
}

func TestAnAbandonedKeyIsFreeForTheSameRequestAtOnce(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		_, first, err := s.BeginIdempotent(ctx, someKey, "digest")
		require.NoError(t, err)
		require.NoError(t, s.AbandonIdempotent(ctx, someKey, first))
		clock.Advance(time.Second)
		_, second, err := s.BeginIdempotent(ctx, someKey, "digest")
		require.NoError(t, err)
		require.Equal(t, first.Seed, second.Seed)
	})
}

func TestOfManyProcessesOneGetsTheLease(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			processes := []*store.Store{s, storetest.Open(t, url)}
			const racers = 10
			got := make(chan error, racers)
			for i := range racers {
				go func() {
					_, _, err := processes[i%2].BeginIdempotent(context.Background(), someKey, "digest")
					got <- err
				}()
			}
			won := 0
			for range racers {
				if err := <-got; err == nil {
					won++
				} else {
					requireCode(t, conversation.CodeInFlight, err)
				}
			}
			require.Equal(t, 1, won)
		})
	}
}

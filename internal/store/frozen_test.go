package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// A worker froze a batch within a workflow task and died: the next attempt of
// the task does not know that there was anything to send.
func TestABatchThatNobodyIsAtIsToldWithTheIngest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		id := k.answered()
		b, err := s.NextBatch(t.Context(), id, line.Render)
		require.NoError(t, err)
		pending := func(sending bool) bool {
			req := k.request(id, 1)
			req.Epoch, req.Sending = 1, sending
			res, err := s.Ingest(t.Context(), req, read)
			require.NoError(t, err)
			return res.Pending
		}
		require.True(t, pending(false))
		require.False(t, pending(true), "the lane is at it")
		_, err = s.FinishBatch(t.Context(), b, store.BatchEnd{State: store.BatchAccepted})
		require.NoError(t, err)
		require.False(t, pending(false))
	})
}

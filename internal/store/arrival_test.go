package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
)

func TestArrivalsAreWhatCameToWaitWithTheQueueThatWasFoundFirst(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx, start := t.Context(), f.c.Now()
		var want []string
		for i := range 7 {
			id := f.waits()
			require.NoError(t, f.s.ExecForTest(ctx, `UPDATE conversations SET created_at = $1, first_waited_at = $2 WHERE id = $3`,
				start.Add(time.Duration(i/2)*time.Hour).UnixMicro(), start.Add(time.Duration(i)*time.Hour).UnixMicro(), id))
			for n, line := range [][2]string{{"passed_on", "que_zero"}, {"rule", fmt.Sprint("que_", i)}, {"fallback", "que_later"}} {
				require.NoError(t, f.s.ExecForTest(ctx, `INSERT INTO routing_log (id, conversation_id, epoch, stage, outcome, entry, created_at) VALUES ($1, $2, 1, 'route', $3, $4, $5)`,
					fmt.Sprint(id, n), id, line[0], fmt.Sprintf(`{"queue_id":%q}`, line[1]), int64(n)))
			}
			want = append(want, fmt.Sprintf("%s %s que_%d %s", id, f.stream.ID, i, start.Add(time.Duration(i)*time.Hour)))
		}
		never, unrouted := f.waits(`first_waited_at = 0`), f.waits()
		require.NoError(t, f.s.ExecForTest(ctx, `UPDATE conversations SET created_at = $1 WHERE id = $2 OR id = $3`, start.Add(time.Hour).UnixMicro(), never, unrouted))

		var got []string
		for after := (store.Position{}); ; {
			page, err := f.s.Arrivals(ctx, start, start.Add(3*time.Hour), after, 2)
			require.NoError(t, err)
			for _, a := range page {
				if a.ID == unrouted {
					require.Empty(t, a.QueueID)
					continue
				}
				got = append(got, fmt.Sprintf("%s %s %s %s", a.ID, a.WorkstreamID, a.QueueID, a.At))
			}
			if len(page) < 2 {
				break
			}
			after = page[len(page)-1].Position
		}
		require.ElementsMatch(t, want[:6], got, "the seventh began when the time was over")
	})
}

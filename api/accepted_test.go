package api_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// Whoever waits for LINE's answer reads the message when there is one, however
// much else happens on the way.
func TestAMessageThatWaitsForLINEIsReadOnceWhateverElseHappens(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b := setup(t, dialect)
			id := b.live()
			var reads, looks atomic.Int64
			a, url := b.serve(storetest.Open(t, b.dbURL, func(o *store.Options) {
				o.Observe = func(q string) {
					switch {
					case strings.Contains(q, "FROM messages WHERE id = $1 AND NOT held"):
						reads.Add(1)
					case strings.Contains(q, "FROM events WHERE seq >"):
						looks.Add(1)
					}
				}
			}))
			a.AwaitLINE(20 * time.Second)
			answered := make(chan response, 1)
			go func() {
				answered <- b.send(url, b.tokens[store.RoleAgent], "POST", "/api/v1/conversations/"+id+"/messages", map[string]any{"type": "text", "text": "hello"})
			}()
			var batch *store.Batch
			require.Eventually(t, func() bool {
				var err error
				batch, err = b.store.NextBatch(ctx, id, func(list []conversation.Content) ([]json.RawMessage, error) {
					return []json.RawMessage{json.RawMessage(`{"type":"text","text":"hello"}`)}, nil
				})
				require.NoError(t, err)
				return batch != nil
			}, time.Minute, time.Millisecond, "the message is stored")
			for range 10 {
				before := looks.Load()
				b.sql(`INSERT INTO events (type, conversation_id, subject_id, created_at) VALUES ('message.created', 'c', 'another', 1)`)
				_, err := b.store.SequenceEvents(ctx)
				require.NoError(t, err)
				require.Eventually(t, func() bool { return looks.Load() > before }, time.Minute, time.Millisecond, "the API has looked at it")
			}
			require.Zero(t, reads.Load())
			_, err := b.store.FinishBatch(ctx, batch, store.BatchEnd{State: store.BatchAccepted, LINERequestID: "r1"})
			require.NoError(t, err)
			_, err = b.store.SequenceEvents(ctx)
			require.NoError(t, err)
			r := <-answered
			require.Equal(t, 201, r.Status, "%s", r.Raw)
			require.Equal(t, "accepted", r.text(t, "state"))
			require.EqualValues(t, 1, reads.Load())
		})
	}
}

package api_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// BenchmarkStreams has 1,000 agents follow the record, half of them members of
// the queue in which everything happens, and events come 20 a second, one by
// one: how long it takes from its number to each of the streams that see it, and
// how many statements an event costs.
func BenchmarkStreams(b *testing.B) {
	const streams, events = 1000, 100
	for _, dialect := range storetest.Dialects() {
		b.Run(dialect, func(b *testing.B) {
			x := setup(b, dialect)
			x.sql("INSERT INTO queues (id, name, priority, version, created_at, updated_at) VALUES ('que_1', 'q', 1, 1, 1, 1)")
			x.sql("INSERT INTO conversations (id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, created_at, updated_at) VALUES ('cnv_1', 'c', 'k', 'w', 'open', 'queue', 1, 'que_1', 1, 1)")
			type seen struct {
				seq int64
				at  time.Time
			}
			arrived := make(chan seen, streams*events)
			for i := range streams {
				agent, err := x.store.CreateAgent(b.Context(), store.Origin{}, store.Agent{Name: "a", Email: fmt.Sprint("s", i, "@example.test"), Role: store.RoleAgent, Locale: "en", Capacity: 1})
				require.NoError(b, err)
				token := store.NewTokenValue()
				_, err = x.store.IssueToken(b.Context(), store.Origin{}, store.Token{AgentID: agent.ID, Name: "t", Role: store.RoleAgent}, token)
				require.NoError(b, err)
				if i%2 == 0 {
					x.sql("INSERT INTO queue_members (queue_id, agent_id, created_at) VALUES ('que_1', $1, 1)", agent.ID)
				}
				s := x.stream(x.url, token, "/api/v1/events/stream?after=latest")
				s.block()
				go func() {
					for {
						block, err := s.next()
						if err != nil {
							return
						}
						if block.data != "" {
							var seq int64
							_, _ = fmt.Sscan(block.id, &seq)
							arrived <- seen{seq, time.Now()}
						}
					}
				}()
			}
			for range b.N {
				statements, began := x.store.Statements(), time.Now()
				numbered := map[int64]time.Time{}
				for range events {
					x.sql("INSERT INTO events (type, conversation_id, created_at) VALUES ('conversation.changed', 'cnv_1', 1)")
					x.number()
					last, err := x.store.LastEvent(b.Context())
					require.NoError(b, err)
					numbered[last] = time.Now()
					time.Sleep(time.Second / 20)
				}
				var took []time.Duration
				for range streams / 2 * events {
					s := <-arrived
					took = append(took, s.at.Sub(numbered[s.seq]))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(x.store.Statements()-statements)/events, "statements/event")
				b.ReportMetric(streams/2*events/time.Since(began).Seconds(), "delivered/s")
			}
		})
	}
}

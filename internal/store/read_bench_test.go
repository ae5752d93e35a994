package store_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// town is a database in which much has happened.
type town struct {
	open, closed int // conversations
	messages     int // of all of them together
	long         int // messages of the longest
}

// fill puts a town's conversations into an empty database: five channels, 50
// queues, 1,000 agents, and a customer with five conversations each.
func (w town) fill(tb testing.TB, db *sql.DB) {
	tb.Helper()
	all := w.open + w.closed
	for _, q := range []string{
		`INSERT INTO social_profiles (id, channel_id, chat_key, line_user_id, display_name, created_at, updated_at)` + numbers(all) +
			`SELECT 'spr_' || i, 'chn_' || (i % 5), 'chat' || i, 'U' || i, 'customer ' || i, i, i FROM n`,
		fmt.Sprintf(`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, profile_id, contact_id, status, owner, epoch, queue_id, agent_id, created_at, updated_at, routed_at)`+numbers(all)+
			`SELECT 'cnv_' || i, 'chn_' || (i %% 5), 'chat' || i, 'wks_1', 'spr_' || i, 'con_' || (i / 5),
				CASE WHEN i > %[1]d THEN 'closed' WHEN i %% 20 < 6 THEN 'open' WHEN i %% 20 < 16 THEN 'active' WHEN i %% 20 < 19 THEN 'waiting' ELSE 'wrap_up' END,
				CASE WHEN i > %[1]d THEN 'none' WHEN i %% 20 < 6 THEN 'queue' WHEN i %% 20 < 8 THEN 'bot' WHEN i %% 20 < 16 THEN 'agent' WHEN i %% 20 < 19 THEN 'none' ELSE 'agent' END,
				1, 'que_' || (i / 7 %% 50), CASE WHEN i %% 20 < 8 THEN '' ELSE 'agt_' || (i / 11 %% 1000) END, i, i, i FROM n`, w.open),
		fmt.Sprintf(`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, text, state, line_message_id, created_at)`+numbers(w.messages)+
			`SELECT 'msg_' || i, 'cnv_' || (i %% %d + 1), 'chn_1', i, CASE WHEN i %% 2 = 0 THEN 'inbound' ELSE 'outbound' END, 'customer', 'text', 'ありがとうございます。注文番号は ' || i, 'accepted', 'l' || i, i FROM n`, all),
		fmt.Sprintf(`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, text, state, line_message_id, created_at)`+numbers(w.long)+
			`SELECT 'msg_long' || i, 'cnv_1', 'chn_1', %d + i, 'outbound', 'customer', 'text', 'ขอบคุณค่ะ ' || i, 'accepted', '', i FROM n`, w.messages),
		`ANALYZE`,
	} {
		_, err := db.ExecContext(tb.Context(), q)
		require.NoError(tb, err, q)
	}
}

// p95 runs f n times and returns the time that 95 of 100 take at most.
func p95(n int, f func(i int)) time.Duration {
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		f(i)
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n*95/100]
}

// BenchmarkReading lists and reads with 100,000 open conversations and 1,000,000
// messages in the database.
func BenchmarkReading(b *testing.B) {
	for _, dialect := range storetest.Dialects() {
		b.Run(dialect, func(b *testing.B) {
			s, url := storetest.New(b, dialect)
			started := time.Now()
			town{open: 100_000, closed: 20_000, messages: 1_000_000, long: 500}.fill(b, writer(b, url))
			b.Logf("filled in %s", time.Since(started).Round(time.Second))
			random := rand.New(rand.NewPCG(1, 2))
			for range b.N {
				worst, which := time.Duration(0), ""
				for _, f := range filters() {
					if took := p95(40, func(int) {
						one := f
						for field, value := range map[*string]string{
							&one.QueueID: fmt.Sprint("que_", random.IntN(50)), &one.AgentID: fmt.Sprint("agt_", random.IntN(1000)),
							&one.ContactID: fmt.Sprint("con_", random.IntN(20_000)), &one.ChannelID: fmt.Sprint("chn_", random.IntN(5)),
						} {
							if *field != "" {
								*field = value
							}
						}
						if one.Status != "" {
							one.Status = []conversation.Status{"open", "active", "waiting", "wrap_up", "closed"}[random.IntN(5)]
						}
						_, err := s.Conversations(b.Context(), one, store.Position{}, 51)
						require.NoError(b, err)
					}); took > worst {
						worst, which = took, fmt.Sprintf("%+v", f)
					}
				}
				b.Logf("slowest: %s", which)
				b.ReportMetric(float64(worst.Microseconds())/1000, "list-p95-ms")
				b.ReportMetric(float64(p95(400, func(int) {
					_, err := s.Messages(b.Context(), "cnv_1", store.MessagePosition{At: random.Int64N(1_000_500)}, 51)
					require.NoError(b, err)
				}).Microseconds())/1000, "transcript-p95-ms")
			}
		})
	}
}

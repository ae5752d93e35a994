package store_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// hall is a floor of the size that assignment is measured at.
type hall struct {
	waiting, agents, queues int
	capacity                int
}

// numbers is a table of the numbers from 1 to n, for filling others.
func numbers(n int) string {
	return fmt.Sprintf(` WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, n)
}

// fill puts agents with skills, queues with members, and conversations that
// wait for a skill each into an empty database. Agents work five queues and
// know four of eight skills; each queue has conversations of four kinds.
func (h hall) fill(tb testing.TB, db *sql.DB, now time.Time) {
	tb.Helper()
	us := now.UnixMicro()
	for _, q := range []string{
		`INSERT INTO queues (id, name, priority, assignment, version, created_at, updated_at)` + numbers(h.queues) +
			`SELECT 'que_' || i, 'q', i % 3, CASE i % 3 WHEN 0 THEN 'highest_capacity' WHEN 1 THEN 'round_robin' ELSE 'longest_idle' END, 1, i, i FROM n`,
		`INSERT INTO workstreams (id, name, mode, settings, version, created_at, updated_at) VALUES ('wks_1', 'w', 'push', '{}', 1, 1, 1)`,
		`INSERT INTO channels (id, name, line_channel_id, workstream_id, locale, status, secret, token, version, created_at, updated_at)
			VALUES ('chn_1', 'c', '1', 'wks_1', 'en', 'active', '', '', 1, 1, 1)`,
		`INSERT INTO skills (id, name, version, created_at, updated_at)` + numbers(8) + `SELECT 'skl_' || i, 's' || i, 1, i, i FROM n`,
		fmt.Sprintf(`INSERT INTO agents (id, name, email, role, locale, capacity, version, created_at, updated_at)`+numbers(h.agents)+
			`SELECT 'agt_' || i, 'a', 'a' || i, 'agent', 'en', %d, 1, i, i FROM n`, h.capacity),
		fmt.Sprintf(`INSERT INTO agent_states (agent_id, chosen, presence, last_seen_at, idle_since)`+numbers(h.agents)+
			`SELECT 'agt_' || i, 'available', 'available', %d, i FROM n`, us),
		fmt.Sprintf(`INSERT INTO queue_members (queue_id, agent_id, created_at)`+numbers(5*h.agents)+
			`SELECT 'que_' || ((i / 5 + (i %% 5) * 7) %% %d + 1), 'agt_' || (i / 5 %% %d + 1), 1 FROM n WHERE TRUE ON CONFLICT DO NOTHING`, h.queues, h.agents),
		fmt.Sprintf(`INSERT INTO agent_skills (agent_id, skill_id, level)`+numbers(4*h.agents)+
			`SELECT 'agt_' || (i / 4 %% %d + 1), 'skl_' || ((i / 4 / %d + i %% 4 * 2) %% 8 + 1), i %% 10 + 1 FROM n WHERE TRUE ON CONFLICT DO NOTHING`, h.agents, h.queues),
		fmt.Sprintf(`INSERT INTO chats (channel_id, chat_key, tick, created_at)`+numbers(h.waiting)+`SELECT 'chn_1', 'chat' || i, 1, %d FROM n`, us),
		fmt.Sprintf(`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, routed_at, waiting_since, first_waited_at,
				skills, requirement, priority, created_at, updated_at)`+numbers(h.waiting)+
			`SELECT 'cnv_' || i, 'chn_1', 'chat' || i, 'wks_1', 'open', 'queue', 1, 'que_' || (i %% %[1]d + 1), %[2]d, %[2]d - i, %[2]d - i,
				CASE WHEN i %% 8 < 4 THEN '[]' ELSE '[{"skill_id":"skl_' || (i %% 8 + 1) || '","level":1}]' END, CASE WHEN i %% 8 < 4 THEN 'r' ELSE 'r' || (i %% 8) END, i %% 2, %[2]d - i, %[2]d FROM n`,
			h.queues, us),
		`ANALYZE`,
	} {
		_, err := db.ExecContext(tb.Context(), q)
		require.NoError(tb, err, q)
	}
}

// BenchmarkAssignment places 10,000 waiting conversations with 1,000 agents in
// 50 queues with skills, look by look, as the dispatcher does. Beside it, in the
// same run, the same offers are inserted bare.
func BenchmarkAssignment(b *testing.B) {
	for _, dialect := range storetest.Dialects() {
		b.Run(dialect, func(b *testing.B) {
			h := hall{waiting: 10_000, agents: 1_000, queues: 50, capacity: 20}
			var made, looks int
			var statements int64
			var took, bare, longest time.Duration
			for b.Loop() {
				b.StopTimer()
				c := newClock()
				s, url := storetest.New(b, dialect, func(o *store.Options) { o.Now = c.Now })
				db := writer(b, url)
				h.fill(b, db, c.Now())
				before := s.Statements()
				var req store.MatchRequest
				b.StartTimer()
				for {
					start := time.Now()
					res, err := s.Match(b.Context(), req)
					require.NoError(b, err)
					took += time.Since(start)
					longest = max(longest, time.Since(start))
					looks++
					made += res.Made
					if req.After = res.After; res.Made == 0 {
						break
					}
				}
				b.StopTimer()
				statements += s.Statements() - before
				bare += insertBare(b, db)
				b.StartTimer()
			}
			b.ReportMetric(float64(made)/float64(b.N), "matches")
			b.ReportMetric(float64(made)/took.Seconds()*60, "matches/min")
			b.ReportMetric(float64(made)/bare.Seconds()*60, "bare-inserts/min")
			b.ReportMetric(float64(statements)/float64(made), "statements/match")
			b.ReportMetric(float64(looks)/float64(b.N), "looks")
			b.ReportMetric(float64(longest.Milliseconds()), "longest-look-ms")
		})
	}
}

// insertBare inserts as many offers as there are once more, 500 a statement and
// a statement a transaction, and nothing else.
func insertBare(b *testing.B, db *sql.DB) (took time.Duration) {
	b.Helper()
	_, err := db.ExecContext(b.Context(), `CREATE TEMPORARY TABLE had AS SELECT id, conversation_id, agent_id, queue_id FROM offers`)
	require.NoError(b, err)
	rows, err := db.QueryContext(b.Context(), `SELECT id, conversation_id, agent_id, queue_id FROM had`)
	require.NoError(b, err)
	var args []any
	for rows.Next() {
		var id, conversation, agent, queue string
		require.NoError(b, rows.Scan(&id, &conversation, &agent, &queue))
		args = append(args, "b"+id, conversation, agent, queue)
	}
	require.NoError(b, rows.Err())
	require.NoError(b, rows.Close())
	_, err = db.ExecContext(b.Context(), `UPDATE offers SET state = 'declined'`)
	require.NoError(b, err)
	for chunk := range slices.Chunk(args, 4*500) {
		var tuples []string
		for i := range len(chunk) / 4 {
			tuples = append(tuples, fmt.Sprintf("($%d,$%d,$%d,$%d,1,1,'live',1,1)", 4*i+1, 4*i+2, 4*i+3, 4*i+4))
		}
		start := time.Now()
		_, err := db.ExecContext(b.Context(), `INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at) VALUES `+strings.Join(tuples, ","), chunk...)
		require.NoError(b, err)
		took += time.Since(start)
	}
	return took
}

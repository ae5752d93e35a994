package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// What one reading finds visible to each agent is what a page for that agent
// has, whoever holds, held, is offered or might take a conversation.
func TestOneReadingForAllShowsEachAgentTheirPage(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s, _ := storetest.New(t, dialect)
			exec := func(q string, args ...any) { require.NoError(t, s.ExecForTest(ctx, q, args...), q) }
			random := rand.New(rand.NewPCG(3, 4))
			one := func(of ...string) string { return of[random.IntN(len(of))] }
			var agents []string
			for i := range 6 {
				agents = append(agents, anAgent(t, s, fmt.Sprint("agent", i)).ID)
			}
			for i := range 4 {
				exec(`INSERT INTO queues (id, name, priority, version, created_at, updated_at) VALUES ($1, 'q', 1, 1, 1, 1)`, fmt.Sprint("que_", i))
				for _, a := range agents[i : i+2] {
					exec(`INSERT INTO queue_members (queue_id, agent_id, created_at) VALUES ($1, $2, 1)`, fmt.Sprint("que_", i), a)
				}
			}
			var offers []string
			for i := range 40 {
				id := fmt.Sprint("cnv_", i)
				at := [][3]string{{"open", "queue", ""}, {"active", "agent", agents[random.IntN(6)]}, {"active", "bot", ""}, {"closed", "none", agents[random.IntN(6)]}, {"open", "none", ""}}[random.IntN(5)]
				exec(`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, agent_id, created_at, updated_at)
					VALUES ($1, 'chn', $1, 'w', $2, $3, 1, $4, $5, 1, 1)`, id, at[0], at[1], one("", "que_0", "que_1", "que_2", "que_3"), at[2])
				for k := range random.IntN(3) {
					exec(`INSERT INTO sessions (id, conversation_id, epoch, kind, participant_id, started_at) VALUES ($1, $2, 1, $3, $4, 1)`, fmt.Sprint("ses", i, "-", k), id, one("bot", "agent"), one(agents...))
				}
				for k, state := range []string{"declined", "live"}[:random.IntN(3)] {
					offers = append(offers, fmt.Sprint("ofr", i, "-", k))
					exec(`INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at) VALUES ($1, $2, $3, 'que_1', 1, 1, $4, 1, 1)`, offers[len(offers)-1], id, one(agents...), state)
				}
			}
			for range 400 {
				switch random.IntN(4) {
				case 0:
					exec(`INSERT INTO events (type, subject_id, created_at) VALUES ($1, $2, 1)`, one("agent.presence_changed", "customer.followed"), one(append(agents, "spr_1")...))
				case 1:
					exec(`INSERT INTO events (type, conversation_id, subject_id, created_at) VALUES ($1, 'cnv_1', $2, 1)`, one("offer.created", "offer.declined"), one(append(offers, "ofr_gone")...))
				default:
					data := one(`{}`, `{"left_queue_id":"que_`+one("0", "1", "2", "3", "9")+`"}`)
					exec(`INSERT INTO events (type, conversation_id, subject_id, data, created_at) VALUES ('conversation.changed', $1, 'x', $2, 1)`, fmt.Sprint("cnv_", random.IntN(42)), data)
				}
			}
			require.Equal(t, 400, sequence(t, s))

			before := s.Statements()
			watched, err := s.WatchEvents(ctx, 0, 1000)
			require.NoError(t, err)
			require.Len(t, watched, 400)
			require.LessOrEqual(t, s.Statements()-before, int64(3))
			for _, agent := range append(agents, "") {
				page, err := s.EventPage(ctx, store.EventQuery{Limit: 1000, AgentID: agent})
				require.NoError(t, err)
				var seen []store.Event
				for _, w := range watched {
					if w.VisibleTo(agent) {
						seen = append(seen, w.Event)
					}
				}
				require.NotEmpty(t, seen)
				require.Equal(t, page.Events, seen, agent)
			}
			rest, err := s.WatchEvents(ctx, 398, 1000)
			require.NoError(t, err)
			require.Len(t, rest, 2)
		})
	}
}

package store_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// Looks of several processes that do not wait for each other, as of a worker
// that was given up and goes on, keep what single ones keep: nobody has more
// than they have capacity for, a conversation is on offer once, every offer ends
// in one way, and in the end whoever could have something has it.
func TestLooksThatOverlapKeepTheRules(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			ctx, c := t.Context(), newClock()
			clocked := func(o *store.Options) { o.Now = c.Now }
			first, url := storetest.New(t, dialect, clocked)
			processes := []*store.Store{first, storetest.Open(t, url, clocked), storetest.Open(t, url, clocked)}
			f := newFloor(t, first, c, func(a *store.Assignment) { a.OfferTimeoutSeconds = 10 })
			var agents []string
			for i := range 8 {
				agents = append(agents, f.agent(fmt.Sprint("agent", i), int64(1+i%3)))
			}
			f.crowd(150)
			overlapping := store.MatchRequest{}.OverlappingForTest()
			var all sync.WaitGroup
			for w := range 12 {
				all.Go(func() {
					s, random := processes[w%len(processes)], rand.New(rand.NewPCG(uint64(w), 11))
					for step := range 12 {
						agent := agents[random.IntN(len(agents))]
						offers, err := s.LiveOffers(ctx, agent)
						switch what := random.IntN(10); {
						case err != nil:
						case what < 5 || len(offers) == 0:
							_, err = s.Match(ctx, overlapping)
						case what < 7:
							err = f.act(ctx, offers[0], conversation.EventAccepted, agent, fmt.Sprint("step", w, "-", step))
						case what < 9:
							_, err = s.DeclineOffer(ctx, offers[0].ID, agent, "no")
						default:
							c.Advance(2 * time.Second)
						}
						if err != nil && conversation.CodeOf(err) == "" {
							t.Errorf("%d-%d: %v", w, step, err)
						}
					}
				})
			}
			all.Wait()
			for res := f.match(); res.More; res = f.match() {
				c.Advance(time.Millisecond)
			}
			one := func(q string) string {
				text, err := first.QueryForTest(ctx, q)
				require.NoError(t, err)
				return text
			}
			const load = `(SELECT COALESCE(SUM(x.units), 0) FROM (
				SELECT units, agent_id FROM conversations WHERE owner = 'agent' UNION ALL SELECT units, agent_id FROM offers WHERE state = 'live') AS x WHERE x.agent_id = a.id)`
			require.Empty(t, one(`SELECT COALESCE(max(a.name), '') FROM agents a WHERE a.capacity < `+load), "over capacity")
			require.Empty(t, one(`SELECT COALESCE(max(conversation_id), '') FROM offers o WHERE state = 'live'
				AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = o.conversation_id AND c.owner = 'queue')`), "on offer, though it does not wait")
			require.Equal(t, "0", one(`SELECT CAST(count(*) AS TEXT) FROM offers o WHERE
				(SELECT count(*) FROM routing_log l WHERE l.conversation_id = o.conversation_id AND l.outcome = 'offered' AND l.entry LIKE '%' || o.id || '%') <> 1
				OR (SELECT count(*) FROM routing_log l WHERE l.conversation_id = o.conversation_id AND l.outcome = o.state AND l.entry LIKE '%' || o.id || '%')
					<> (CASE o.state WHEN 'live' THEN 0 ELSE 1 END)`), "offers that the log does not explain once")
			require.Empty(t, one(`SELECT COALESCE(max(a.name), '') FROM agents a JOIN agent_states s ON s.agent_id = a.id AND s.presence = 'available'
				WHERE a.capacity > `+load+` AND EXISTS (SELECT 1 FROM conversations c WHERE c.owner = 'queue' AND NOT c.refused
					AND NOT EXISTS (SELECT 1 FROM offers o WHERE o.conversation_id = c.id AND o.state = 'live'))`), "idle while somebody waits")
		})
	}
}

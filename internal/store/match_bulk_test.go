package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// inHall gives f a hall on every database.
func inHall(t *testing.T, h hall, f func(t *testing.T, s *store.Store, c *clock)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s, url := storetest.New(t, dialect, func(o *store.Options) { o.Now = c.Now })
			h.fill(t, writer(t, url), c.Now())
			f(t, s, c)
		})
	}
}

// looks lets the dispatcher look until there is nothing more to place.
func looks(t *testing.T, s *store.Store, c *clock, atMost int) (made, looked int) {
	t.Helper()
	var req store.MatchRequest
	for {
		res, err := s.Match(t.Context(), req.AtMostForTest(atMost))
		require.NoError(t, err)
		made, looked = made+res.Made, looked+1
		require.LessOrEqual(t, res.Made, max(atMost, 1))
		if req.After = res.After; !res.More {
			return made, looked
		}
		c.Advance(10 * time.Millisecond)
	}
}

// However many offers a look makes, they are those that one look an offer would
// have made: to the same agents, for the same reasons.
func TestManyOffersALookAreDecidedAsOneByOne(t *testing.T) {
	t.Parallel()
	decided := func(t *testing.T, s *store.Store) string {
		t.Helper()
		// The log without what names a time; offers are named by their conversations.
		text, err := s.QueryForTest(t.Context(), `SELECT string_agg(line, ' ') FROM (
			SELECT o.conversation_id || '>' || o.agent_id || ' ' || COALESCE(substr(l.entry, 1, length(l.entry) - 42), '') AS line
			FROM offers o LEFT JOIN routing_log l ON l.conversation_id = o.conversation_id AND l.outcome = 'offered' ORDER BY o.conversation_id) AS lines`)
		require.NoError(t, err)
		return text
	}
	results := map[int]string{}
	for _, dialect := range storetest.Dialects() {
		for _, atMost := range []int{1, 7, 500} {
			h := hall{waiting: 120, agents: 20, queues: 4, capacity: 4}
			c := newClock()
			s, url := storetest.New(t, dialect, func(o *store.Options) { o.Now = c.Now })
			h.fill(t, writer(t, url), c.Now())
			made, _ := looks(t, s, c, atMost)
			require.Greater(t, made, 60)
			results[atMost] = decided(t, s)
			require.Equal(t, results[1], results[atMost], "%s, at most %d", dialect, atMost)
			t.Logf("%s, at most %d: %d offers", dialect, atMost, made)
		}
	}
}

// What one look makes costs a few statements however much it is, and no look
// does more than it may.
func TestALookOfManyOffersCostsAsManyStatementsAsOneOfFew(t *testing.T) {
	t.Parallel()
	inHall(t, hall{waiting: 1500, agents: 200, queues: 10, capacity: 8}, func(t *testing.T, s *store.Store, c *clock) {
		cost := func(atMost, expect int) int64 {
			before := s.Statements()
			res, err := s.Match(t.Context(), store.MatchRequest{}.AtMostForTest(atMost))
			require.NoError(t, err)
			require.Equal(t, expect, res.Made)
			require.True(t, res.More, "to be continued at once")
			c.Advance(time.Second)
			return s.Statements() - before
		}
		few, many := cost(5, 5), cost(0, 500)
		t.Logf("%d statements for 5 offers, %d for 500", few, many)
		require.LessOrEqual(t, many, int64(25))
		require.LessOrEqual(t, many, few+4, "reads of more of the same kind")
	})
}

// More run out, and fall silent, than one look ends.
// A look that ended because it made as many offers as it may says so, also where
// all of them were of one kind.
func TestALookThatCouldGoOnSaysSo(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		for i := range 3 {
			f.agent(fmt.Sprint("agent", i), 1)
			f.waits()
		}
		f.waits()
		for _, want := range []store.MatchResult{{Made: 2, More: true}, {Made: 1}} {
			res, err := f.s.Match(t.Context(), store.MatchRequest{}.AtMostForTest(2))
			require.NoError(t, err)
			require.Equal(t, want, store.MatchResult{Made: res.Made, More: res.More})
		}
	})
}

func TestMoreEndsThanOneLookEnds(t *testing.T) {
	t.Parallel()
	inHall(t, hall{waiting: 1500, agents: 1200, queues: 10, capacity: 8}, func(t *testing.T, s *store.Store, c *clock) {
		made, _ := looks(t, s, c, 500)
		require.Equal(t, 1500, made)
		c.Advance(time.Hour)
		silent := 0
		for n := 0; ; n++ {
			require.Less(t, n, 10)
			res, err := s.Match(t.Context(), store.MatchRequest{})
			require.NoError(t, err)
			require.LessOrEqual(t, res.Ended, 500)
			if silent += res.Silent; !res.More {
				require.Zero(t, res.Offered)
				break
			}
		}
		require.Equal(t, 1200, silent)
	})
}

// More kinds than one look takes have their turns, and none is forgotten.
func TestMoreKindsThanOneLookTakesHaveTheirTurns(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		f.crowd(2500)
		require.NoError(t, f.s.ExecForTest(t.Context(), `UPDATE conversations SET requirement = id, skills = '[{"skill_id":"' || id || '","level":1}]'`))
		mei := f.agent("mei", 3)
		last := f.waits()
		require.NoError(t, f.s.ExecForTest(t.Context(), `UPDATE conversations SET requirement = 'zzz' WHERE id = $1`, last))
		var req store.MatchRequest
		for n := 0; len(f.offers(mei)) == 0; n++ {
			require.Less(t, n, 4)
			res, err := f.s.Match(t.Context(), req)
			require.NoError(t, err)
			require.True(t, res.More || res.Made > 0)
			req.After = res.After
		}
		require.Equal(t, last+" "+mei, strings.Join(f.offers(mei), ","))
		require.Equal(t, fmt.Sprint(2500), f.count(`SELECT CAST(count(*) AS TEXT) FROM routing_log WHERE outcome = 'no_agent'`))
	})
}

func (f *floor) count(q string) string {
	f.t.Helper()
	text, err := f.s.QueryForTest(f.t.Context(), q)
	require.NoError(f.t, err)
	return text
}

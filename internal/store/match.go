package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/routing"
)

// MatchRequest asks for waiting conversations to be offered to agents.
type MatchRequest struct {
	// After is where the last look at the conversations that are looked at one
	// by one ended; "" begins with the first.
	After    string
	Deadline time.Time // after it, the attempt changes nothing
}

// MatchResult is what a look found and did.
type MatchResult struct {
	Made    int // offers
	Ended   int // offers that ran out, or whose agent went offline
	Silent  int // agents who are offline from now on
	Waiting int // conversations that wait and are not on offer
	Offered int // live offers
	Present int // agents who are not offline
	// NextAt is when something happens by time alone: an offer runs out, an
	// agent has been silent for too long, a preference ends. Zero is never.
	NextAt time.Time
	// More says that there is more to do at once: not everything fitted into
	// this look, or somebody else was changing what it wanted to.
	More    bool
	After   string   // for the next look
	Chats   []Chat   // of the conversations whose offers changed
	Skipped []string // conversations and workstreams that cannot be read
}

const (
	// matchBucket bounds how many of those that ask the same of the same people
	// enter one look, matchBuckets the kinds there are, and matchSingly those
	// that are looked at one by one.
	matchBucket  = 100
	matchBuckets = 1000
	matchSingly  = 500
	// bucketsAtOnce bounds the parts of one statement.
	bucketsAtOnce = 100
)

// Match ends the offers that are over, sets silent agents offline, and offers
// the conversations that wait to agents, all in one transaction. It may run at
// any time and as often as one likes; two never run at once.
//
// It reads without locks, decides (see routing.Match), then locks the agents
// and conversations of its decisions and drops those that no longer hold. So
// it waits for nobody who serves a customer, and capacity, which is only given
// under the agent's lock, is never exceeded. It returns CodeLate.
func (s *Store) Match(ctx context.Context, req MatchRequest) (MatchResult, error) {
	var res MatchResult
	err := s.tx(ctx, func(c conn) error {
		var last int64
		if _, err := c.get(ctx, &last, `SELECT value FROM counters WHERE name = 'dispatcher'`+s.d.forUpdate()); err != nil {
			return err
		}
		if err := s.late(req.Deadline); err != nil {
			return err
		}
		m := &match{
			conn: c, now: s.now().UTC(), res: &MatchResult{},
			agents: map[string]int{}, items: map[string]*waiting{}, workstreams: map[string]Workstream{},
		}
		if err := m.run(ctx, req.After); err != nil {
			return err
		}
		res = *m.res
		if res.Made > 0 {
			failpoint.Hit("match.before_commit")
		}
		return nil
	})
	if err != nil {
		return MatchResult{}, fmt.Errorf("match: %w", err)
	}
	if res.Made > 0 {
		failpoint.Hit("match.after_commit")
	}
	return res, s.outlook(ctx, &res)
}

// match is one look.
type match struct {
	conn
	now time.Time
	res *MatchResult

	snap        routing.Snapshot
	free        int64               // units of all agents together
	full        bool                // of a bucket there may be more
	agents      map[string]int      // where they are in the snapshot
	items       map[string]*waiting // by conversation
	workstreams map[string]Workstream
}

// waiting is a conversation that waits, as the database has it.
type waiting struct {
	ID           string                `db:"id"`
	ChannelID    string                `db:"channel_id"`
	ChatKey      string                `db:"chat_key"`
	WorkstreamID string                `db:"workstream_id"`
	QueueID      string                `db:"queue_id"`
	Epoch        int64                 `db:"epoch"`
	Priority     int64                 `db:"priority"`
	Skills       string                `db:"skills"`
	Units        int64                 `db:"units"`
	Matching     conversation.Matching `db:"matching"`
	FirstWaited  int64                 `db:"first_waited_at"`
	Preferred    string                `db:"preferred_agent_id"`
	PreferUntil  int64                 `db:"preferred_until"`
	Verdict      string                `db:"verdict"`
}

func (m *match) run(ctx context.Context, after string) error {
	silent, err := m.silence(ctx)
	if err != nil {
		return err
	}
	m.res.Silent = silent
	if err := m.endOffers(ctx); err != nil {
		return err
	}
	if err := m.readAgents(ctx); err != nil {
		return err
	}
	if err := m.readItems(ctx, after); err != nil || len(m.snap.Items) == 0 {
		return err
	}
	if err := m.readAbilities(ctx); err != nil {
		return err
	}
	m.snap.Now = m.now
	decided := routing.Match(m.snap)
	m.res.NextAt = decided.NextAt
	if err := m.carryOut(ctx, decided); err != nil {
		return err
	}
	m.res.More = m.res.More || m.full && m.res.Made > 0 || m.res.After != "" && m.free > 0
	return nil
}

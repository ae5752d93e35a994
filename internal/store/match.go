package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/routing"
)

// MatchRequest asks for waiting conversations to be offered to agents.
type MatchRequest struct {
	// After is MatchResult.After of the look before; "" begins anew.
	After    string
	Deadline time.Time // after it, the attempt changes nothing

	atMost   int  // offers; 0 is matchOffers
	overlaps bool // does not wait for its turn, as a look that everybody gave up and that goes on all the same
}

// MatchResult is what a look found and did.
type MatchResult struct {
	Made    int // offers
	Ended   int // offers that ran out, or whose agent went offline
	Silent  int // agents who are offline from now on
	Waiting int // conversations that wait and are not on offer
	Offered int // live offers
	Present int // agents who are not offline
	Absent  int // agents who are, and hold conversations
	// NextAt is when something happens by time alone: an offer runs out, an
	// agent has been silent for too long, a preference ends, or the day by whose
	// end an agent's capacity profile is reset. Zero is never.
	NextAt time.Time
	// More says that there is more to do at once: not everything fitted into
	// this look, or somebody else was changing what it wanted to.
	More    bool
	After   string   // for the next look, when there is too much for one; opaque
	Chats   []Chat   // whose workflows have something to do
	Skipped []string // conversations and workstreams that cannot be read
}

const (
	// matchOffers bounds the offers that one look makes, and those that it ends.
	// The next look is at once.
	matchOffers = 500
	// matchKinds bounds the kinds of conversations in one look, and matchSingly
	// those that are looked at one by one: where there are more, they take turns.
	matchKinds  = 1000
	matchSingly = 500
	// matchDepth is how many of each kind are read at least, where somebody could
	// have them, and deepen how many times more when those were all placed.
	matchDepth = 8
	deepen     = 8
	// matchSilent bounds the agents who are found silent in one look.
	matchSilent = 1000
)

// Match ends the offers that are over, sets silent agents offline, finds the
// conversations of those who are gone, and offers the conversations that wait to
// agents, all in one transaction. It may run at any time and as often as one
// likes; two never run at once.
//
// It reads without locks, decides (see routing.Match), then locks the agents
// and conversations of its decisions and drops those that no longer hold. So
// it waits for nobody who serves a customer, and capacity, which is only given
// under the agent's lock, is never exceeded. It returns CodeLate.
func (s *Store) Match(ctx context.Context, req MatchRequest) (MatchResult, error) {
	var res MatchResult
	err := s.txAlone(ctx, func(c conn) error {
		if !req.overlaps {
			var last int64
			if _, err := c.get(ctx, &last, `SELECT value FROM counters WHERE name = 'dispatcher'`+s.d.forUpdate()); err != nil {
				return err
			}
		}
		if err := s.late(req.Deadline); err != nil {
			return err
		}
		m := &match{
			conn: c, now: s.now().UTC(), res: &MatchResult{},
			agents: map[string]int{}, items: map[string]*waiting{}, workstreams: map[string]Workstream{}, tells: map[string]bool{},
		}
		m.snap.MaxOffers = cmp.Or(req.atMost, matchOffers)
		if err := m.run(ctx, placeOf(req.After)); err != nil {
			return err
		}
		res = *m.res
		if res.Made > 0 || len(res.Chats) > 0 {
			failpoint.Hit("match.before_commit")
		}
		return nil
	})
	if err != nil {
		return MatchResult{}, fmt.Errorf("match: %w", err)
	}
	if res.Made > 0 || len(res.Chats) > 0 {
		failpoint.Hit("match.after_commit")
	}
	return res, s.outlook(ctx, &res)
}

// place is where a look began or ended, when there is too much for one.
type place struct {
	Kind   kind   `json:"k"` // the last kind that was looked at; none: all were
	Singly string `json:"s"` // the last conversation that was looked at on its own; "": all were
}

// placeOf reads a MatchResult.After; what is none begins anew.
func placeOf(after string) (p place) {
	if json.Unmarshal([]byte(after), &p) != nil {
		return place{}
	}
	return p
}

func (p place) String() string {
	if p == (place{}) {
		return ""
	}
	return jsonOf(p)
}

// match is one look.
type match struct {
	conn
	now time.Time
	res *MatchResult

	snap        routing.Snapshot
	present     int                 // agents who are not offline
	profiles    bool                // somebody has a capacity profile
	free        int64               // how much more the agents can hold, together
	roomAt      time.Time           // when by time alone somebody can hold more; zero is never
	agents      map[string]int      // where they are in the snapshot
	items       map[string]*waiting // by conversation
	workstreams map[string]Workstream
	tells       map[string]bool // conversations whose workflows have something to do once they are on offer
}

// kind is what conversations have in common that are of one workstream and ask
// the same of the same people. They are placed or passed over as a class, so no
// more of them need be looked at than can be placed.
type kind struct {
	QueueID      string `json:"q"`
	WorkstreamID string `json:"w"`
	Requirement  string `json:"r"`
}

// waiting is a conversation that waits, as the database has it.
type waiting struct {
	ID           string `db:"id"`
	ChannelID    string `db:"channel_id"`
	ChatKey      string `db:"chat_key"`
	WorkstreamID string `db:"workstream_id"`
	QueueID      string `db:"queue_id"`
	Epoch        int64  `db:"epoch"`
	Requirement  string `db:"requirement"`
	FirstWaited  int64  `db:"first_waited_at"`
	Preferred    string `db:"preferred_agent_id"`
	PreferUntil  int64  `db:"preferred_until"`
	Verdict      string `db:"verdict"`
	asked

	behind bool // there may be more of its kind after it
}

func (w *waiting) kind() kind { return kind{w.QueueID, w.WorkstreamID, w.Requirement} }

func (m *match) run(ctx context.Context, from place) error {
	if err := m.byTime(ctx); err != nil {
		return err
	}
	heads, singly, to, err := m.readHeads(ctx, from)
	if err != nil || len(heads)+len(singly) == 0 {
		return err
	}
	if err := m.readAgents(ctx, append(heads, singly...)); err != nil {
		return err
	}
	m.snap.Now = m.now
	decided, err := m.decide(ctx, heads, singly)
	if err != nil {
		return err
	}
	m.res.NextAt = decided.NextAt
	if !m.roomAt.IsZero() {
		m.res.NextAt = sooner(m.res.NextAt, m.roomAt)
	}
	if err := m.carryOut(ctx, decided); err != nil {
		return err
	}
	if decided.Cut {
		to = from // not all of these were looked at
	}
	m.res.After = to.String()
	m.res.More = m.res.More || decided.Cut || m.res.After != "" && m.free > 0
	return nil
}

// byTime does what time alone brings about, which is nothing in most looks, so
// that a look asks for all of it in one statement. Who falls silent is looked at
// as somebody gone, and so are the offers they have.
func (m *match) byTime(ctx context.Context) error {
	var due struct {
		Silent   bool `db:"silent"`
		Review   bool `db:"review"`
		Blocking bool `db:"blocking"`
		Over     bool `db:"is_over"`
		Present  int  `db:"present"`
	}
	if _, err := m.get(ctx, &due, `SELECT
		EXISTS (SELECT 1 FROM agent_states WHERE `+isSilent+`) AS silent,
		EXISTS (SELECT 1 FROM agent_states WHERE presence = 'offline' AND review_at <= $1) AS review,
		EXISTS (SELECT 1 FROM conversations WHERE blocks_until > 0 AND blocks_until <= $1) AS blocking,
		EXISTS (SELECT 1 FROM offers WHERE `+isOver+`) AS is_over,
		(SELECT count(*) FROM agent_states WHERE presence <> 'offline') AS present`, micros(m.now), micros(m.now.Add(-conversation.PresenceGrace))); err != nil {
		return err
	}
	m.present = due.Present
	if due.Silent {
		silent, err := m.silence(ctx)
		if err != nil {
			return err
		}
		m.res.Silent = silent
		m.present -= silent
	}
	if due.Review || m.res.Silent > 0 {
		if err := m.reviewAbsent(ctx); err != nil {
			return err
		}
	}
	if due.Blocking {
		if err := m.endBlocking(ctx); err != nil {
			return err
		}
	}
	if due.Over || m.res.Silent > 0 {
		return m.endOffers(ctx)
	}
	return nil
}

// decide matches, and reads more of those kinds of which all that were read have
// been placed, until there is as much as one look does.
func (m *match) decide(ctx context.Context, heads, singly []*waiting) (routing.Result, error) {
	if err := m.readRefusals(ctx, singly); err != nil {
		return routing.Result{}, err
	}
	alone := m.snap.Items
	open, closed := m.placeable(heads)
	depth := int64(max(matchDepth, 2*m.snap.MaxOffers/max(1, len(open))))
	read := map[kind][]*waiting{}
	// As many as there is room for, and the one after them, who is told why not.
	room, most := max(0, m.free)+1, int64(m.snap.MaxOffers)
	for deeper := open; ; depth *= deepen {
		enough := min(depth, room, most)
		if err := m.readKinds(ctx, read, deeper, enough, enough < room); err != nil {
			return routing.Result{}, err
		}
		m.snap.Items = slices.Clone(alone)
		for _, w := range closed {
			m.addItem(w)
		}
		for _, list := range read {
			for _, w := range list {
				m.addItem(w)
			}
		}
		decided := routing.Match(m.snap)
		if decided.Behind == "" || len(decided.Offers) == m.snap.MaxOffers {
			return decided, nil
		}
		deeper = m.exhausted(read, decided.Offers)
	}
}

// exhausted returns the kinds of which half of what was read has been placed.
func (m *match) exhausted(read map[kind][]*waiting, offers []routing.Offer) (out []kind) {
	placed := map[kind]int{}
	for _, o := range offers {
		placed[m.items[o.ConversationID].kind()]++
	}
	for k, list := range read {
		if n := len(list); n > 0 && list[n-1].behind && 2*placed[k] >= n {
			out = append(out, k)
		}
	}
	return out
}

// placeable divides heads into the kinds that somebody could have and the heads
// of those that nobody can, which speak for their kind.
func (m *match) placeable(heads []*waiting) (open []kind, closed []*waiting) {
	was := m.snap.Items
	m.snap.Items = nil
	for _, w := range heads {
		m.addItem(w)
	}
	able := routing.Placeable(m.snap)
	for _, w := range heads {
		if able[w.ID] {
			open = append(open, w.kind())
		} else {
			closed = append(closed, w)
		}
	}
	m.snap.Items = was
	return open, closed
}

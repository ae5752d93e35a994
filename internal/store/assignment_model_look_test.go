package store_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// check has the dispatcher look until there is nothing more to do, and holds
// what it did against the rules.
func (m *office) check(t *rapid.T) {
	for range 100 {
		if !m.look(t) {
			m.explained(t)
			m.weighed(t)
			return
		}
	}
	t.Fatal("the dispatcher finds no end")
}

// look is one look, of as many offers as may be, or of few.
func (m *office) look(t *rapid.T) (more bool) {
	m.c.Advance(time.Millisecond)
	req := store.MatchRequest{}.AtMostForTest(rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "offers at most"))
	res, err := m.s.Match(t.Context(), req)
	require.NoError(t, err)
	require.Empty(t, res.Skipped)
	m.elapses()
	fresh := m.readOffers(t)
	require.Len(t, fresh, res.Made)
	var told []string
	for v, o := range fresh {
		require.Equal(t, v.shop.auto, o.auto)
		if o.auto {
			told = append(told, v.id)
		}
	}
	for _, c := range res.Chats {
		told = slices.DeleteFunc(told, func(id string) bool { return id == c.ChatKey })
	}
	require.Empty(t, told, "workflows that are to accept for an agent, and were not told")
	m.decideAgain(t, fresh, res.More)
	return res.More
}

// elapses is what time alone does to the model by the time of a look.
func (m *office) elapses() {
	now := m.c.Now()
	for _, a := range m.agents {
		if a.presence != conversation.PresenceOffline && !a.seen.After(now.Add(-conversation.PresenceGrace)) {
			a.presence = conversation.PresenceOffline
		}
	}
	for _, v := range m.visitors {
		if !v.blocksUntil.IsZero() && !v.blocksUntil.After(now) {
			v.blocks, v.blocksUntil = false, time.Time{}
		}
	}
	missed := map[*seat]int64{} // how many in a row set them away
	for _, o := range m.offers {
		switch {
		case o.state != conversation.OfferLive:
		case !o.expires.After(now):
			o.state = conversation.OfferTimedOut
			o.visitor.let[o.seat.id]++
			if n, was := o.visitor.shop.missed, missed[o.seat]; n > 0 && !o.auto && (was == 0 || n < was) {
				missed[o.seat] = n
			}
		case o.seat.presence == conversation.PresenceOffline:
			o.state = conversation.OfferRescinded
		}
	}
	for a, n := range missed {
		if a.presence != conversation.PresenceAway && a.presence != conversation.PresenceOffline && m.missedLast(a, n) {
			a.chosen, a.presence, a.missedFrom = conversation.PresenceAway, conversation.PresenceAway, now
		}
	}
}

// missedLast tells whether the last n offers that a was to answer ran out, of
// those made since they last set a presence.
func (m *office) missedLast(a *seat, n int64) bool {
	var over []*promise
	for _, o := range m.offers {
		answered := o.state == conversation.OfferAccepted || o.state == conversation.OfferDeclined || o.state == conversation.OfferTimedOut
		if o.seat == a && answered && !o.auto && !o.created.Before(a.missedFrom) {
			over = append(over, o)
		}
	}
	slices.SortFunc(over, func(x, y *promise) int { return cmp.Or(y.created.Compare(x.created), cmp.Compare(y.id, x.id)) })
	return int64(len(over)) >= n && !slices.ContainsFunc(over[:n], func(o *promise) bool { return o.state != conversation.OfferTimedOut })
}

// readOffers reads every offer, requires those that are known to be as the model
// has them, and returns the new ones: each the only one that is live of a
// conversation that waits.
func (m *office) readOffers(t *rapid.T) map[*visitor]*promise {
	var rows []struct {
		ID, Conversation, Agent string
		State                   conversation.OfferState
		Created, Expires        int64
		Auto                    bool
	}
	m.read(t, &rows, `SELECT COALESCE('[' || string_agg('{"ID":"' || id || '","Conversation":"' || conversation_id || '","Agent":"' || agent_id || '","State":"' || state
		|| '","Created":' || created_at || ',"Expires":' || expires_at || ',"Auto":' || CASE WHEN auto THEN 'true' ELSE 'false' END || '}', ',') || ']', '[]') FROM offers`)
	require.GreaterOrEqual(t, len(rows), len(m.offers), "an offer is gone")
	fresh := map[*visitor]*promise{}
	for _, r := range rows {
		if o := m.offers[r.ID]; o != nil {
			require.Equal(t, o.state, r.State, "offer %s of %s to %s", r.ID, o.visitor.id, o.seat.id)
			continue
		}
		o := &promise{
			id: r.ID, state: r.State, visitor: m.visitor(r.Conversation), seat: m.seat(r.Agent), auto: r.Auto,
			created: time.UnixMicro(r.Created), expires: time.UnixMicro(r.Expires),
		}
		require.Equal(t, conversation.OfferLive, r.State, "a new offer")
		require.Nil(t, m.live(o.visitor), "%s is on offer already", o.visitor.id)
		require.True(t, o.visitor.waits, "%s does not wait", o.visitor.id)
		require.Equal(t, m.c.Now().UnixMicro(), r.Created)
		require.Equal(t, m.c.Now().Add(modelPatience).UnixMicro(), r.Expires)
		m.offers[r.ID] = o
		fresh[o.visitor] = o
	}
	return fresh
}

// read reads a JSON text that a query makes.
func (m *office) read(t *rapid.T, into any, query string) {
	text, err := m.s.QueryForTest(t.Context(), query)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(text), into))
}

// decideAgain takes those who wait in their order, and requires that each was
// offered to whom the rules say, or to nobody where nobody could have it. A look
// that has more to do may have ended after its last offer.
func (m *office) decideAgain(t *rapid.T, fresh map[*visitor]*promise, more bool) {
	waiting := slices.DeleteFunc(slices.Clone(m.visitors), func(v *visitor) bool {
		return !v.waits || m.live(v) != nil && fresh[v] == nil
	})
	slices.SortFunc(waiting, m.before)
	l := m.begins(fresh)
	for _, v := range waiting {
		if more && l.made == len(fresh) {
			return
		}
		a, why := l.choose(v)
		o := fresh[v]
		switch {
		case a == nil && o == nil:
		case a == nil:
			require.Fail(t, "nobody could have it", "%s is offered to %s", v.id, o.seat.id)
		case o == nil:
			require.Fail(t, "it is not offered", "%s waits, and %s could have it: %s; %d others are offered in this look", v.id, a.id, why.Why, len(fresh)-l.made)
		default:
			require.Equal(t, a.id, o.seat.id, "whom %s is offered to: %s", v.id, why.Why)
			o.why = why
			l.offer(v, a)
		}
	}
}

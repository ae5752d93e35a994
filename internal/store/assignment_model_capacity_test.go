package store_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// pool is a capacity profile as the model knows it.
type pool struct {
	id            string
	blocks, daily bool // daily ones are reset at midnight in Tokyo
}

// use is that an agent let go of a conversation, which counts until the day ends.
type use struct{ pool, visitor string }

const tokyo = 9 * time.Hour // ahead of UTC, without clock changes

func (m *office) foundsPools(t *rapid.T) {
	for _, name := range []string{"cases", "calls"} {
		p := &pool{blocks: rapid.Bool().Draw(t, "blocks"), daily: rapid.Bool().Draw(t, "is reset at the end of the day")}
		of := store.CapacityProfile{Name: name, LimitDefault: 1, Reset: store.ResetImmediate, Blocks: p.blocks}
		if p.daily {
			of.Reset, of.Zone = store.ResetEndOfDay, "Asia/Tokyo"
		}
		made, err := m.s.CreateCapacityProfile(t.Context(), admin, of)
		require.NoError(t, err)
		p.id = made.ID
		m.pools = append(m.pools, p)
	}
}

// limits draws an agent's limits of capacity profiles.
func (m *office) limits(t *rapid.T, a *seat) {
	for _, p := range m.pools {
		delete(a.limits, p.id)
		if n := rapid.Int64Range(0, 2).Draw(t, "limit"); n > 0 {
			a.limits[p.id] = n
		}
	}
}

// leaves notes that whoever holds v lets go of it.
func (m *office) leaves(v *visitor) {
	a := m.seat(v.agent)
	if a == nil {
		return
	}
	a.idle = m.c.Now()
	v.wrapUp, v.blocks, v.blocksUntil = false, false, time.Time{}
	if v.pool != "" {
		a.used[use{v.pool, v.id}] = m.c.Now()
	}
}

// load is what a holds and is offered, in units.
func (m *office) load(a *seat) (units int64) {
	for _, v := range m.visitors {
		if v.agent == a.id && v.blocks {
			units += v.units
		}
	}
	for _, o := range m.offers {
		if o.seat == a && o.state == conversation.OfferLive {
			units += o.visitor.units
		}
	}
	return units
}

// count is how many conversations count against a's limit of p, each once.
func (m *office) count(a *seat, p *pool) int64 {
	counts := map[string]bool{}
	for _, v := range m.visitors {
		if v.agent == a.id && v.pool == p.id && (v.blocks || p.daily) {
			counts[v.id] = true
		}
	}
	for _, o := range m.offers {
		if o.seat == a && o.state == conversation.OfferLive && o.visitor.pool == p.id {
			counts[o.visitor.id] = true
		}
	}
	day := func(at time.Time) time.Time { return at.Add(tokyo).Truncate(24 * time.Hour) }
	for u, at := range a.used {
		if p.daily && u.pool == p.id && day(at).Equal(day(m.c.Now())) {
			counts[u.visitor] = true
		}
	}
	return int64(len(counts))
}

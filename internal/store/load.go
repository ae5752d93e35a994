package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// loadColumn is what an agent holds, in units: the conversations they have, and
// what is on offer to them. %s is the agent's id. What counts against a capacity
// profile takes no units.
const loadColumn = `CAST((SELECT COALESCE(SUM(held.units), 0) FROM conversations held WHERE held.agent_id = %[1]s AND held.owner = 'agent' AND held.blocks_capacity)
	+ (SELECT COALESCE(SUM(offered.units), 0) FROM offers offered WHERE offered.agent_id = %[1]s AND offered.state = 'live') AS BIGINT) AS load`

type agentLoad struct {
	ID          string                `db:"id"`
	Presence    conversation.Presence `db:"presence"`
	Capacity    int64                 `db:"capacity"`
	Load        int64                 `db:"load"`
	IdleSince   int64                 `db:"idle_since"`
	LastOffered int64                 `db:"last_offered_at"`

	Profiles map[string]routing.Profile
	Counted  map[counts]bool // what counts against them
	// RoomAt is when the day ends of one of them that they have reached their limit
	// of; zero is never.
	RoomAt time.Time
}

// counts is that a conversation counts against a capacity profile. One that its
// agent let go of today does, and once, though it is offered to them again.
type counts struct{ profileID, conversationID string }

// lacks tells whether they have no room for what counts as the offer does.
func (l *agentLoad) lacks(o routing.Offer) bool {
	for id, p := range l.Profiles {
		if p.Blocks && id != o.ProfileID && p.Left() < 1 {
			return true
		}
	}
	if o.ProfileID != "" {
		return l.Profiles[o.ProfileID].Left() < 1
	}
	return l.Capacity-l.Load < o.Units
}

// take counts one more.
func (l *agentLoad) take(o routing.Offer) {
	l.Load += o.Units
	if p, ok := l.Profiles[o.ProfileID]; ok {
		p.Load++
		l.Profiles[o.ProfileID] = p
	}
}

// room is how much more they can hold, units and conversations of all profiles
// together.
func (l *agentLoad) room() int64 {
	sum := max(0, l.Capacity-l.Load)
	for _, p := range l.Profiles {
		sum += max(0, p.Left())
	}
	return sum
}

// workRow is an agent, one of an agent's capacity profiles, or a conversation
// that counts, or may count, against one.
type workRow struct {
	agentLoad
	ProfileID      string `db:"profile_id"`
	AtMost         int64  `db:"at_most"` // of a profile; 0 of a conversation
	Zone           string `db:"zone"`    // where the profile is reset at the end of the day
	Blocks         bool   `db:"blocks"`
	ConversationID string `db:"conversation_id"`
	EndedAt        int64  `db:"ended_at"` // 0: they have it, or it is on offer to them
}

const (
	loadColumns = `a.id, s.presence, a.capacity, s.idle_since, s.last_offered_at, `
	// noLoad fills those columns in rows that are no agents.
	noLoad = `'', 0, 0, 0, 0, `
)

// workOfProfiles adds to the rows of agents those of their profiles and of what
// counts against them. $2 is more than a day ago.
func (d dialect) workOfProfiles() string {
	among := d.among(1)
	return ` UNION ALL SELECT h.agent_id, ` + noLoad + `h.profile_id, h.at_most, CASE WHEN p.reset = 'end_of_day' THEN p.zone ELSE '' END, p.blocks, '', 0
			FROM agent_capacity_profiles h JOIN capacity_profiles p ON p.id = h.profile_id WHERE h.agent_id ` + among + `
		UNION ALL SELECT held.agent_id, ` + noLoad + `held.capacity_profile_id, 0, '', FALSE, held.id, 0
			FROM conversations held WHERE held.agent_id ` + among + ` AND held.owner = 'agent' AND held.capacity_profile_id <> ''
			AND (held.blocks_capacity OR EXISTS (SELECT 1 FROM capacity_profiles p WHERE p.id = held.capacity_profile_id AND p.reset = 'end_of_day'))
		UNION ALL SELECT offered.agent_id, ` + noLoad + `c.capacity_profile_id, 0, '', FALSE, c.id, 0
			FROM offers offered JOIN conversations c ON c.id = offered.conversation_id AND c.capacity_profile_id <> ''
			WHERE offered.agent_id ` + among + ` AND offered.state = 'live'
		UNION ALL SELECT used.agent_id, ` + noLoad + `used.profile_id, 0, '', FALSE, used.conversation_id, used.ended_at
			FROM capacity_used used JOIN capacity_profiles p ON p.id = used.profile_id AND p.reset = 'end_of_day'
			WHERE used.agent_id ` + among + ` AND used.ended_at >= $2`
}

// agentLoads reads agents who are somewhere, with what they hold, in one
// statement. profiles says that somebody has a capacity profile.
func (c conn) agentLoads(ctx context.Context, profiles bool, now time.Time, ids []string) ([]agentLoad, error) {
	query := `SELECT ` + loadColumns + fmt.Sprintf(loadColumn, "a.id") + `%s FROM agent_states s JOIN agents a ON a.id = s.agent_id WHERE s.agent_id ` + c.s.d.among(1)
	if !profiles {
		var list []agentLoad
		err := c.list(ctx, &list, fmt.Sprintf(query, ""), c.s.d.ids(ids))
		return list, err
	}
	var rows []workRow
	if err := c.list(ctx, &rows, fmt.Sprintf(query, `, '' AS profile_id, 0 AS at_most, '' AS zone, FALSE AS blocks, '' AS conversation_id, 0 AS ended_at`)+c.s.d.workOfProfiles(),
		c.s.d.ids(ids), micros(now.Add(-26*time.Hour))); err != nil {
		return nil, err
	}
	return counted(rows, now), nil
}

// counted puts together what agentLoads reads.
func counted(rows []workRow, now time.Time) []agentLoad {
	var list []agentLoad
	at := map[string]int{}
	for _, r := range rows {
		if r.ProfileID == "" {
			r.agentLoad.Profiles, r.agentLoad.Counted = map[string]routing.Profile{}, map[counts]bool{}
			at[r.ID], list = len(list), append(list, r.agentLoad)
		}
	}
	type span struct{ began, ends time.Time }
	days := map[string]span{} // of the profiles that are reset at the end of it
	for _, r := range rows {
		i, there := at[r.ID]
		if !there || r.AtMost == 0 {
			continue
		}
		list[i].Profiles[r.ProfileID] = routing.Profile{Limit: r.AtMost, Blocks: r.Blocks}
		if r.Zone != "" {
			began, ends, err := day(now, r.Zone)
			if err != nil { // a zone that is no more: rather too long than not at all
				began, ends = now.Add(-24*time.Hour), now.Add(24*time.Hour)
			}
			days[r.ProfileID] = span{began, ends}
		}
	}
	for _, r := range rows {
		i, there := at[r.ID]
		if !there || r.ConversationID == "" {
			continue
		}
		p, has := list[i].Profiles[r.ProfileID]
		today, daily := days[r.ProfileID]
		if c := (counts{r.ProfileID, r.ConversationID}); has && !list[i].Counted[c] && (r.EndedAt == 0 || daily && r.EndedAt >= micros(today.began)) {
			list[i].Counted[c] = true
			p.Load++
			list[i].Profiles[r.ProfileID] = p
			if daily && p.Left() < 1 {
				list[i].RoomAt = sooner(list[i].RoomAt, today.ends.UTC())
			}
		}
	}
	return list
}

// SomebodyFree tells whether a member of a queue could have a conversation that
// requires r: is in one of the presences, has the skills and has room for it.
func (s *Store) SomebodyFree(ctx context.Context, queueID string, r routing.Requirement) (bool, error) {
	if r.ProfileID != "" {
		return s.somebodyHasRoom(ctx, queueID, r)
	}
	var names []string
	for _, p := range r.Presences {
		names = append(names, string(p))
	}
	list, args := placeholders(names, 3)
	if len(args) == 0 {
		return false, nil
	}
	skilled, needs := s.d.skilled(r, 3+len(args))
	var free bool
	_, err := s.read().get(ctx, &free, `SELECT EXISTS (
		SELECT 1 FROM queue_members m JOIN agents a ON a.id = m.agent_id JOIN agent_states s ON s.agent_id = a.id
		WHERE m.queue_id = $1`+skilled+` AND s.presence IN (`+list+`) AND a.capacity >= $2
			+ coalesce((SELECT sum(units) FROM conversations c WHERE c.agent_id = a.id AND c.owner = 'agent' AND c.blocks_capacity), 0)
			+ coalesce((SELECT sum(units) FROM offers o WHERE o.agent_id = a.id AND o.state = 'live'), 0))`,
		append(append([]any{queueID, r.Units}, args...), needs...)...)
	return free, err
}

// skilled is the condition that a member m of a queue has the skills that r
// requires, with its parameters from $n on; nothing where it requires none.
func (d dialect) skilled(r routing.Requirement, n int) (condition string, args []any) {
	if r.Matching != conversation.MatchingExact || len(r.Skills) == 0 {
		return "", nil
	}
	needs := make([][]any, len(r.Skills))
	for i, k := range r.Skills {
		needs[i] = []any{k.SkillID, k.Level}
	}
	return ` AND NOT EXISTS (SELECT 1 FROM ` + d.rows(n, "skill TEXT", "level BIGINT") + ` AS need WHERE NOT EXISTS (
		SELECT 1 FROM agent_skills k WHERE k.agent_id = m.agent_id AND k.skill_id = need.skill AND k.level >= need.level))`, []any{jsonOf(needs)}
}

func (s *Store) somebodyHasRoom(ctx context.Context, queueID string, r routing.Requirement) (bool, error) {
	var ids []string
	skilled, needs := s.d.skilled(r, 2)
	if err := s.read().list(ctx, &ids, `SELECT m.agent_id FROM queue_members m WHERE m.queue_id = $1`+skilled, append([]any{queueID}, needs...)...); err != nil || len(ids) == 0 {
		return false, err
	}
	agents, err := s.read().agentLoads(ctx, true, s.now(), ids)
	if err != nil {
		return false, err
	}
	for i := range agents {
		if a := &agents[i]; slices.Contains(r.Presences, a.Presence) && !a.lacks(routing.Offer{ProfileID: r.ProfileID}) {
			return true, nil
		}
	}
	return false, nil
}

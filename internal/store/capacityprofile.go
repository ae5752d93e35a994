package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
)

// CapacityProfile is a named limit of concurrent work. Conversations that count
// against one take no units of an agent's capacity.
type CapacityProfile struct {
	ID           string
	Name         string // unique
	LimitDefault int64  // conversations, of agents for whom nobody says a limit
	Reset        CapacityReset
	Zone         string // an IANA time zone: when the day ends, of ResetEndOfDay
	Blocks       bool   // agents who have reached their limit are offered nothing else either
	Version      int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// CapacityReset says until when a conversation counts against a profile.
type CapacityReset string

// The resets of a CapacityProfile.
const (
	ResetImmediate CapacityReset = "immediate"  // until the agent lets go of it
	ResetEndOfDay  CapacityReset = "end_of_day" // until the midnight after that
)

type capacityProfileRow struct {
	ID           string `db:"id"`
	Name         string `db:"name"`
	LimitDefault int64  `db:"limit_default"`
	Reset        string `db:"reset"`
	Zone         string `db:"zone"`
	Blocks       bool   `db:"blocks"`
	Version      int64  `db:"version"`
	CreatedAt    int64  `db:"created_at"`
	UpdatedAt    int64  `db:"updated_at"`
}

var capacityProfiles = &family[CapacityProfile, capacityProfileRow]{
	kind: "capacity profile", table: "capacity_profiles", prefix: conversation.PrefixCapacityProfile,
	meta: func(p *CapacityProfile) meta { return meta{&p.ID, &p.Name, &p.Version, &p.CreatedAt, &p.UpdatedAt} },
	seal: func(_ *Store, p CapacityProfile) (capacityProfileRow, error) {
		return capacityProfileRow{p.ID, p.Name, p.LimitDefault, string(p.Reset), p.Zone, p.Blocks, p.Version, micros(p.CreatedAt), micros(p.UpdatedAt)}, nil
	},
	open: func(_ *Store, r capacityProfileRow) (CapacityProfile, error) {
		return CapacityProfile{r.ID, r.Name, r.LimitDefault, CapacityReset(r.Reset), r.Zone, r.Blocks, r.Version, fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)}, nil
	},
	facts: func(p CapacityProfile) map[string]any {
		return map[string]any{"name": p.Name, "limit_default": p.LimitDefault, "reset": p.Reset, "zone": p.Zone, "blocks": p.Blocks}
	},
	uses: none[CapacityProfile],
	unused: func(ctx context.Context, c conn, p CapacityProfile) error {
		for _, use := range []struct{ sentence, query, id string }{
			{"The agent %q has this capacity profile. Take it away first.",
				"SELECT a.name FROM agent_capacity_profiles h JOIN agents a ON a.id = h.agent_id WHERE h.profile_id = $1", p.ID},
			{"The workstream %q counts against this capacity profile. Give it another, or none, first.",
				`SELECT name FROM workstreams WHERE settings LIKE $1 ESCAPE '\'`, named(p.ID)},
			{"A rule of the ruleset %q sets this capacity profile. Change the rule first.",
				`SELECT name FROM rulesets WHERE (rules LIKE $1 ESCAPE '\' OR service LIKE $1 ESCAPE '\')`, named(p.ID)},
			{"The conversation %q counts against this capacity profile. Close it first.",
				"SELECT id FROM conversations WHERE capacity_profile_id = $1 AND status <> 'closed'", p.ID},
		} {
			if err := c.inUse(ctx, use.sentence, use.query, use.id); err != nil {
				return err
			}
		}
		return nil
	},
	taken: map[string]conversation.FieldError{
		"capacity_profiles_name": {Pointer: "/name", Detail: "Another capacity profile has this name already."},
	},
}

// CapacityProfile reads one capacity profile; CodeNotFound when there is none.
func (s *Store) CapacityProfile(ctx context.Context, id string) (CapacityProfile, error) {
	return capacityProfiles.get(ctx, s, s.read(), id, "")
}

// CapacityProfiles lists capacity profiles, oldest first.
func (s *Store) CapacityProfiles(ctx context.Context, after Cursor, limit int) ([]CapacityProfile, error) {
	return capacityProfiles.list(ctx, s, after, limit)
}

// CreateCapacityProfile stores a capacity profile; CodeConflict when the name is
// taken.
func (s *Store) CreateCapacityProfile(ctx context.Context, by Origin, p CapacityProfile) (CapacityProfile, error) {
	return capacityProfiles.create(ctx, s, by, p)
}

// UpdateCapacityProfile changes a capacity profile: CodeNotFound,
// CodeVersionStale, CodeConflict. What agents may have changes at once, but for
// the limits that were said for them.
func (s *Store) UpdateCapacityProfile(ctx context.Context, by Origin, id string, version int64, change func(*CapacityProfile) error) (CapacityProfile, error) {
	return capacityProfiles.update(ctx, s, by, id, version, change)
}

// DeleteCapacityProfile deletes a capacity profile: CodeNotFound,
// CodeVersionStale, CodeInUse while an agent has it, a workstream or a rule names
// it or a live conversation counts against it.
func (s *Store) DeleteCapacityProfile(ctx context.Context, by Origin, id string, version int64) error {
	return capacityProfiles.delete(ctx, s, by, id, version)
}

// AgentCapacityProfile is an agent's limit of a capacity profile.
type AgentCapacityProfile struct {
	ProfileID string `json:"profile_id" db:"profile_id"`
	Limit     int64  `json:"limit" db:"at_most"` // conversations
}

// loadAgentProfiles reads the capacity profiles of agents, each agent's by id.
func loadAgentProfiles(ctx context.Context, c conn, items []Agent) error {
	args := make([]any, len(items))
	for i, a := range items {
		args[i] = a.ID
	}
	var rows []struct {
		AgentCapacityProfile
		AgentID string `db:"agent_id"`
	}
	if err := c.list(ctx, &rows, "SELECT agent_id, profile_id, at_most FROM agent_capacity_profiles WHERE agent_id IN "+values(1, len(args), 1)+" ORDER BY agent_id, profile_id", args...); err != nil {
		return err
	}
	byAgent := map[string][]AgentCapacityProfile{}
	for _, r := range rows {
		byAgent[r.AgentID] = append(byAgent[r.AgentID], r.AgentCapacityProfile)
	}
	for i, a := range items {
		items[i].CapacityProfiles = byAgent[a.ID]
	}
	return nil
}

// saveAgentProfiles replaces the capacity profiles of an agent.
func saveAgentProfiles(ctx context.Context, c conn, a Agent) error {
	if _, err := c.exec(ctx, "DELETE FROM agent_capacity_profiles WHERE agent_id = $1", a.ID); err != nil || len(a.CapacityProfiles) == 0 {
		return err
	}
	args := make([]any, 0, 3*len(a.CapacityProfiles))
	for _, p := range a.CapacityProfiles {
		args = append(args, a.ID, p.ProfileID, p.Limit)
	}
	_, err := c.exec(ctx, "INSERT INTO agent_capacity_profiles (agent_id, profile_id, at_most) VALUES "+values(len(a.CapacityProfiles), 3, 1), args...)
	return err
}

// useProfile notes that an agent let go of a conversation, for the profiles that
// are reset at the end of the day. In the same transaction they hold it no
// longer, so that it counts once at any time. What is two days old counts
// nowhere.
func (c conn) useProfile(ctx context.Context, agentID, profileID, conversationID string, now int64) error {
	if _, err := c.exec(ctx, `DELETE FROM capacity_used WHERE agent_id = $1 AND ended_at < $2`, agentID, now-2*(24*time.Hour).Microseconds()); err != nil {
		return err
	}
	_, err := c.exec(ctx, `INSERT INTO capacity_used (agent_id, profile_id, conversation_id, ended_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (agent_id, profile_id, conversation_id) DO UPDATE SET ended_at = excluded.ended_at`, agentID, profileID, conversationID, now)
	return err
}

// day is when the day of now began in a time zone, and when it ends.
func day(now time.Time, zone string) (began, ends time.Time, err error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return began, ends, fmt.Errorf("time zone %q: %w", zone, err)
	}
	y, m, d := now.In(location).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, location), time.Date(y, m, d+1, 0, 0, 0, 0, location), nil
}

package store

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
)

// Skill is a named ability that agents have and conversations require.
type Skill struct {
	ID        string
	Name      string // unique
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

type skillRow struct {
	ID        string `db:"id"`
	Name      string `db:"name"`
	Version   int64  `db:"version"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

var skills = &family[Skill, skillRow]{
	kind: "skill", table: "skills", prefix: conversation.PrefixSkill,
	meta: func(k *Skill) meta { return meta{&k.ID, &k.Name, &k.Version, &k.CreatedAt, &k.UpdatedAt} },
	seal: func(_ *Store, k Skill) (skillRow, error) {
		return skillRow{k.ID, k.Name, k.Version, micros(k.CreatedAt), micros(k.UpdatedAt)}, nil
	},
	open: func(_ *Store, r skillRow) (Skill, error) {
		return Skill{r.ID, r.Name, r.Version, fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)}, nil
	},
	facts: func(k Skill) map[string]any { return map[string]any{"name": k.Name} },
	uses:  none[Skill],
	unused: func(ctx context.Context, c conn, k Skill) error {
		if err := c.inUse(ctx, "The agent %q has this skill. Take it away first.",
			"SELECT a.name FROM agent_skills s JOIN agents a ON a.id = s.agent_id WHERE s.skill_id = $1", k.ID); err != nil {
			return err
		}
		if err := c.inUse(ctx, "The queue %q compares agents by this skill. Change its rules first.",
			`SELECT name FROM queues WHERE custom LIKE $1 ESCAPE '\'`, named(k.ID)); err != nil {
			return err
		}
		return c.inUse(ctx, "A rule of the ruleset %q requires this skill. Change the rule first.",
			`SELECT name FROM rulesets WHERE (rules LIKE $1 ESCAPE '\' OR service LIKE $1 ESCAPE '\')`, named(k.ID))
	},
	taken: map[string]conversation.FieldError{
		"skills_name": {Pointer: "/name", Detail: "Another skill has this name already."},
	},
}

// Skill reads one skill; CodeNotFound when there is none.
func (s *Store) Skill(ctx context.Context, id string) (Skill, error) {
	return skills.get(ctx, s, s.read(), id, "")
}

// Skills lists skills, oldest first.
func (s *Store) Skills(ctx context.Context, after Cursor, limit int) ([]Skill, error) {
	return skills.list(ctx, s, after, limit)
}

// CreateSkill stores a skill; CodeConflict when the name is taken.
func (s *Store) CreateSkill(ctx context.Context, by Origin, k Skill) (Skill, error) {
	return skills.create(ctx, s, by, k)
}

// UpdateSkill changes a skill: CodeNotFound, CodeVersionStale, CodeConflict.
func (s *Store) UpdateSkill(ctx context.Context, by Origin, id string, version int64, change func(*Skill) error) (Skill, error) {
	return skills.update(ctx, s, by, id, version, change)
}

// DeleteSkill deletes a skill: CodeNotFound, CodeVersionStale, CodeInUse while
// an agent has it, a rule requires it or a queue compares agents by it.
func (s *Store) DeleteSkill(ctx context.Context, by Origin, id string, version int64) error {
	return skills.delete(ctx, s, by, id, version)
}

// AgentSkill is a skill an agent has.
type AgentSkill struct {
	SkillID string `json:"skill_id" db:"skill_id"`
	Level   int64  `json:"level" db:"level"` // 1 to 10
}

// loadAgentSkills reads the skills of agents, each agent's by id.
func loadAgentSkills(ctx context.Context, c conn, items []Agent) error {
	args := make([]any, len(items))
	for i, a := range items {
		args[i] = a.ID
	}
	var rows []struct {
		AgentSkill
		AgentID string `db:"agent_id"`
	}
	if err := c.list(ctx, &rows, "SELECT agent_id, skill_id, level FROM agent_skills WHERE agent_id IN "+values(1, len(args), 1)+" ORDER BY agent_id, skill_id", args...); err != nil {
		return err
	}
	byAgent := map[string][]AgentSkill{}
	for _, r := range rows {
		byAgent[r.AgentID] = append(byAgent[r.AgentID], r.AgentSkill)
	}
	for i, a := range items {
		items[i].Skills = byAgent[a.ID]
	}
	return nil
}

// saveAgentSkills replaces the skills of an agent.
func saveAgentSkills(ctx context.Context, c conn, a Agent) error {
	if _, err := c.exec(ctx, "DELETE FROM agent_skills WHERE agent_id = $1", a.ID); err != nil || len(a.Skills) == 0 {
		return err
	}
	args := make([]any, 0, 3*len(a.Skills))
	for _, k := range a.Skills {
		args = append(args, a.ID, k.SkillID, k.Level)
	}
	_, err := c.exec(ctx, "INSERT INTO agent_skills (agent_id, skill_id, level) VALUES "+values(len(a.Skills), 3, 1), args...)
	return err
}

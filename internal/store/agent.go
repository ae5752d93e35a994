package store

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
)

// Role is what an agent, or a token, may do. Each role may do what the ones
// before it may.
type Role string

// The roles, from least to most.
const (
	RoleAgent      Role = "agent"
	RoleSupervisor Role = "supervisor"
	RoleAdmin      Role = "admin"
)

// Includes tells whether r may do what other may.
func (r Role) Includes(other Role) bool { return r.rank() >= other.rank() }

func (r Role) rank() int {
	switch r {
	case RoleAgent:
		return 1
	case RoleSupervisor:
		return 2
	case RoleAdmin:
		return 3
	}
	return 0
}

// DefaultCapacity is what an agent can hold when nobody says, in units.
const DefaultCapacity = 3

// Agent is somebody who works with Kaiwa: agent, supervisor or administrator.
type Agent struct {
	ID       string
	Name     string
	Email    string // unique, lower case
	Role     Role
	Locale   string
	Capacity int64                      // units of work they can hold
	AutoBusy bool                       // shown busy while they hold all they can
	Sender   conversation.MessageSender // how customers see who writes
	Skills   []AgentSkill               // in the order of their ids; an Identity leaves them out
	// CapacityProfiles are their limits, in the order of the profiles' ids; an
	// Identity leaves them out.
	CapacityProfiles []AgentCapacityProfile
	Version          int64
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

type agentRow struct {
	ID            string `db:"id"`
	Name          string `db:"name"`
	Email         string `db:"email"`
	Role          string `db:"role"`
	Locale        string `db:"locale"`
	Capacity      int64  `db:"capacity"`
	AutoBusy      bool   `db:"auto_busy"`
	SenderName    string `db:"sender_name"`
	SenderIconURL string `db:"sender_icon_url"`
	Version       int64  `db:"version"`
	CreatedAt     int64  `db:"created_at"`
	UpdatedAt     int64  `db:"updated_at"`
}

func (r agentRow) agent() Agent {
	return Agent{
		ID: r.ID, Name: r.Name, Email: r.Email, Role: Role(r.Role), Locale: r.Locale, Capacity: r.Capacity, AutoBusy: r.AutoBusy,
		Sender:  conversation.MessageSender{Name: r.SenderName, IconURL: r.SenderIconURL},
		Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
	}
}

var agents = &family[Agent, agentRow]{
	kind: "agent", table: "agents", prefix: conversation.PrefixAgent,
	meta: func(a *Agent) meta { return meta{&a.ID, &a.Name, &a.Version, &a.CreatedAt, &a.UpdatedAt} },
	seal: func(_ *Store, a Agent) (agentRow, error) {
		return agentRow{a.ID, a.Name, a.Email, string(a.Role), a.Locale, a.Capacity, a.AutoBusy, a.Sender.Name, a.Sender.IconURL, a.Version, micros(a.CreatedAt), micros(a.UpdatedAt)}, nil
	},
	open: func(_ *Store, r agentRow) (Agent, error) { return r.agent(), nil },
	facts: func(a Agent) map[string]any {
		f := map[string]any{"name": a.Name, "email": a.Email, "role": a.Role, "locale": a.Locale, "capacity": a.Capacity, "auto_busy": a.AutoBusy}
		senderFacts(f, a.Sender)
		for _, k := range a.Skills {
			f["skills/"+k.SkillID] = k.Level
		}
		for _, p := range a.CapacityProfiles {
			f["capacity_profiles/"+p.ProfileID] = p.Limit
		}
		return f
	},
	first: func(ctx context.Context, c conn) error {
		_, err := c.admins(ctx)
		return err
	},
	// An agent who is no administrator must leave another one behind.
	uses: func(ctx context.Context, c conn, a Agent) error {
		refs := references{}
		for _, k := range a.Skills {
			refs.add(k.SkillID, "/skills")
		}
		if err := c.exist(ctx, "skills", "skill", refs); err != nil {
			return err
		}
		refs = references{}
		for _, p := range a.CapacityProfiles {
			refs.add(p.ProfileID, "/capacity_profiles")
		}
		if err := c.exist(ctx, "capacity_profiles", "capacity profile", refs); err != nil {
			return err
		}
		if a.Role == RoleAdmin {
			return nil
		}
		return c.anotherAdmin(ctx, a.ID)
	},
	load: func(ctx context.Context, c conn, items []Agent) error {
		if err := loadAgentSkills(ctx, c, items); err != nil {
			return err
		}
		return loadAgentProfiles(ctx, c, items)
	},
	save: func(ctx context.Context, c conn, a Agent) error {
		if err := saveAgentSkills(ctx, c, a); err != nil {
			return err
		}
		if err := saveAgentProfiles(ctx, c, a); err != nil {
			return err
		}
		var locked []string // with another capacity they may be shown otherwise
		if err := c.list(ctx, &locked, "SELECT agent_id FROM agent_states WHERE agent_id = $1"+c.s.d.forUpdate(), a.ID); err != nil {
			return err
		}
		return c.showLoad(ctx, locked, micros(c.s.now()))
	},
	unused: func(ctx context.Context, c conn, a Agent) error {
		if err := c.anotherAdmin(ctx, a.ID); err != nil {
			return err
		}
		if err := c.lockAgents(ctx, a.ID); err != nil { // nobody gives them one meanwhile
			return err
		}
		return c.inUse(ctx, "The agent has the live conversation %q. Assign or close it first.",
			"SELECT id FROM conversations WHERE agent_id = $1 AND status IN ('active', 'wrap_up')", a.ID)
	},
	taken: map[string]conversation.FieldError{
		"agents_email": {Pointer: "/email", Detail: "Another agent has this email address already."},
	},
}

// admins lists the administrators and locks them, so that two cannot remove
// each other.
func (c conn) admins(ctx context.Context) (ids []string, err error) {
	err = c.list(ctx, &ids, "SELECT id FROM agents WHERE role = 'admin' ORDER BY id"+c.s.d.forUpdate())
	return ids, err
}

// anotherAdmin refuses what would leave Kaiwa without an administrator.
func (c conn) anotherAdmin(ctx context.Context, id string) error {
	admins, err := c.admins(ctx)
	if err == nil && len(admins) == 1 && admins[0] == id {
		err = conversation.Errorf(conversation.CodeInUse, "This is the only administrator. Make another agent one first.")
	}
	return err
}

// Agent reads one agent; CodeNotFound when there is none.
func (s *Store) Agent(ctx context.Context, id string) (Agent, error) {
	return agents.get(ctx, s, s.read(), id, "")
}

// Agents lists agents, oldest first.
func (s *Store) Agents(ctx context.Context, after Cursor, limit int) ([]Agent, error) {
	return agents.list(ctx, s, after, limit)
}

// CreateAgent stores an agent; CodeConflict when the email address is taken,
// CodeInvalid when a skill or capacity profile is not there.
func (s *Store) CreateAgent(ctx context.Context, by Origin, a Agent) (Agent, error) {
	return agents.create(ctx, s, by, a)
}

// UpdateAgent changes an agent: CodeNotFound, CodeVersionStale, CodeConflict,
// CodeInvalid when a skill or capacity profile is not there, CodeInUse for the
// role of the only administrator. Its tokens follow its role, and what it is
// offered its capacity and skills, at once.
func (s *Store) UpdateAgent(ctx context.Context, by Origin, id string, version int64, change func(*Agent) error) (Agent, error) {
	return agents.update(ctx, s, by, id, version, change)
}

// DeleteAgent deletes an agent with its tokens: CodeNotFound,
// CodeVersionStale, CodeInUse for the only administrator and while the agent
// holds a conversation.
func (s *Store) DeleteAgent(ctx context.Context, by Origin, id string, version int64) error {
	return agents.delete(ctx, s, by, id, version)
}

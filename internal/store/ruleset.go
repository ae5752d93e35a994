package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// Ruleset is a list of rules of which the first that matches counts, or a
// service that classifies in their place.
type Ruleset struct {
	ID         string
	Name       string
	Kind       string              // never changes
	Rules      []routing.Rule      // RulesetClassification
	RouteRules []routing.RouteRule // RulesetRoute
	Service    *routing.Service    // RulesetService; nil otherwise
	Secret     string              // RulesetService: decrypted; signs the requests (whsec_…), or is the API key
	Version    int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

type rulesetRow struct {
	ID        string `db:"id"`
	Name      string `db:"name"`
	Kind      string `db:"kind"` // a service stands here as a classification
	Rules     string `db:"rules"`
	Service   string `db:"service"`     // JSON; "" where rules classify
	Secret    string `db:"secret"`      // encrypted
	Deadline  int64  `db:"deadline_ms"` // of the service; 0 without one
	Version   int64  `db:"version"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

var rulesets = &family[Ruleset, rulesetRow]{
	kind: "ruleset", table: "rulesets", prefix: conversation.PrefixRuleset,
	meta: func(r *Ruleset) meta { return meta{&r.ID, &r.Name, &r.Version, &r.CreatedAt, &r.UpdatedAt} },
	seal: func(s *Store, r Ruleset) (rulesetRow, error) {
		row := rulesetRow{ID: r.ID, Name: r.Name, Kind: r.Kind, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt)}
		var rules any = r.Rules
		switch r.Kind {
		case RulesetRoute:
			rules = r.RouteRules
		case RulesetService:
			doc, err := json.Marshal(r.Service)
			if err != nil {
				return row, err
			}
			if row.Secret, err = s.sealed(r.Secret, "ruleset/"+r.ID+"/secret"); err != nil {
				return row, err
			}
			rules, row.Kind, row.Service, row.Deadline = []routing.Rule{}, RulesetClassification, string(doc), r.Service.DeadlineMS
		}
		doc, err := json.Marshal(rules)
		row.Rules = string(doc)
		return row, err
	},
	open: func(s *Store, row rulesetRow) (Ruleset, error) {
		r := Ruleset{ID: row.ID, Name: row.Name, Kind: row.Kind, Version: row.Version, CreatedAt: fromMicros(row.CreatedAt), UpdatedAt: fromMicros(row.UpdatedAt)}
		if row.Service != "" {
			r.Kind = RulesetService
			if err := json.Unmarshal([]byte(row.Service), &r.Service); err != nil {
				return r, fmt.Errorf("service of ruleset %s: %w", r.ID, err)
			}
			var err error
			if r.Secret, err = s.unsealed(row.Secret, "ruleset/"+r.ID+"/secret"); err != nil {
				err = fmt.Errorf("secret of ruleset %s: %w", r.ID, err)
			}
			return r, err
		}
		var rules any = &r.Rules
		if r.Kind == RulesetRoute {
			rules = &r.RouteRules
		}
		if err := json.Unmarshal([]byte(row.Rules), rules); err != nil {
			return r, fmt.Errorf("rules of ruleset %s: %w", r.ID, err)
		}
		return r, nil
	},
	facts: func(r Ruleset) map[string]any {
		switch r.Kind {
		case RulesetRoute:
			return map[string]any{"name": r.Name, "kind": r.Kind, "rules": r.RouteRules}
		case RulesetService:
			return map[string]any{"name": r.Name, "kind": r.Kind, "service": r.Service, "secret": hidden(r.Secret)}
		}
		return map[string]any{"name": r.Name, "kind": r.Kind, "rules": r.Rules}
	},
	uses: func(ctx context.Context, c conn, r Ruleset) error {
		skills, queues, profiles := references{}, references{}, references{}
		for i, rule := range r.Rules {
			if id := rule.Outputs.CapacityProfileID; id != "" {
				profiles.add(id, fmt.Sprintf("/rules/%d/outputs/capacity_profile_id", i))
			}
			for j, k := range rule.Outputs.Skills {
				skills.add(k.SkillID, fmt.Sprintf("/rules/%d/outputs/skills/%d/skill_id", i, j))
			}
		}
		if r.Service != nil {
			for i, in := range r.Service.Intents {
				if id := in.Outputs.CapacityProfileID; id != "" {
					profiles.add(id, fmt.Sprintf("/service/intents/%d/outputs/capacity_profile_id", i))
				}
				for j, k := range in.Outputs.Skills {
					skills.add(k.SkillID, fmt.Sprintf("/service/intents/%d/outputs/skills/%d/skill_id", i, j))
				}
			}
		}
		for i, rule := range r.RouteRules {
			if rule.QueueID != "" {
				queues.add(rule.QueueID, fmt.Sprintf("/rules/%d/queue_id", i))
			}
			for j, share := range rule.Split {
				queues.add(share.QueueID, fmt.Sprintf("/rules/%d/split/%d/queue_id", i, j))
			}
		}
		if err := c.exist(ctx, "skills", "skill", skills); err != nil {
			return err
		}
		if err := c.exist(ctx, "capacity_profiles", "capacity profile", profiles); err != nil {
			return err
		}
		return c.exist(ctx, "queues", "queue", queues)
	},
	unused: func(ctx context.Context, c conn, r Ruleset) error {
		return c.inUse(ctx, "The workstream %q uses this ruleset. Take it out there first.",
			`SELECT name FROM workstreams WHERE settings LIKE $1 ESCAPE '\'`, named(r.ID))
	},
}

// Ruleset reads one ruleset; CodeNotFound when there is none.
func (s *Store) Ruleset(ctx context.Context, id string) (Ruleset, error) {
	return rulesets.get(ctx, s, s.read(), id, "")
}

// Rulesets lists rulesets, oldest first.
func (s *Store) Rulesets(ctx context.Context, after Cursor, limit int) ([]Ruleset, error) {
	return rulesets.list(ctx, s, after, limit)
}

// CreateRuleset stores a ruleset; CodeInvalid when a skill or queue it names
// is not there.
func (s *Store) CreateRuleset(ctx context.Context, by Origin, r Ruleset) (Ruleset, error) {
	return rulesets.create(ctx, s, by, r)
}

// UpdateRuleset changes a ruleset: CodeNotFound, CodeVersionStale, CodeInvalid.
func (s *Store) UpdateRuleset(ctx context.Context, by Origin, id string, version int64, change func(*Ruleset) error) (Ruleset, error) {
	return rulesets.update(ctx, s, by, id, version, change)
}

// DeleteRuleset deletes a ruleset: CodeNotFound, CodeVersionStale, CodeInUse
// while a workstream uses it.
func (s *Store) DeleteRuleset(ctx context.Context, by Origin, id string, version int64) error {
	return rulesets.delete(ctx, s, by, id, version)
}

// CheckRuleset says, as CreateRuleset would, whether what a ruleset names is
// there.
func (s *Store) CheckRuleset(ctx context.Context, r Ruleset) error {
	return s.tx(ctx, func(c conn) error { return rulesets.uses(ctx, c, r) })
}

// The kinds of Ruleset.
const (
	RulesetClassification = "classification" // its rules say what a conversation is about
	RulesetRoute          = "route"          // its rules name queues
	RulesetService        = "service"        // a service says what a conversation is about
)

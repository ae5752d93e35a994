package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"kaiwa/internal/routing"
)

// QuestionID names what a service is asked: the same ruleset, at the same
// version, and the same question have the same name. It tells nothing of them,
// and is another one once the key ring's first key is replaced.
func (s *Store) QuestionID(rulesetID string, version int64, question []byte) string {
	return s.keys.Sign(rulesetID+" "+strconv.FormatInt(version, 10)+" "+string(question), "question")
}

// Findings reads what services found, by their rulesets: for a question, or for
// a step that asked some. It returns nil when nothing is known, or no longer.
func (s *Store) Findings(ctx context.Context, id string) (map[string]routing.Finding, error) {
	return s.read().findings(ctx, id, micros(s.now()))
}

func (c conn) findings(ctx context.Context, id string, now int64) (map[string]routing.Finding, error) {
	var doc string
	found, err := c.get(ctx, &doc, `SELECT findings FROM service_findings WHERE id = $1 AND expires_at > $2`, id, now)
	if err != nil || !found {
		return nil, err
	}
	findings := map[string]routing.Finding{}
	if err := json.Unmarshal([]byte(doc), &findings); err != nil {
		return nil, fmt.Errorf("findings %s: %w", id, err)
	}
	return findings, nil
}

// KeepFindings stores what services found for a while, unless something is known
// already, and returns what is known then.
func (s *Store) KeepFindings(ctx context.Context, id string, findings map[string]routing.Finding, keep time.Duration) (map[string]routing.Finding, error) {
	doc, err := json.Marshal(findings)
	if err != nil {
		return nil, err
	}
	var known map[string]routing.Finding
	err = s.tx(ctx, func(c conn) error {
		now := s.now()
		if _, err := c.exec(ctx, `INSERT INTO service_findings (id, findings, expires_at) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET findings = excluded.findings, expires_at = excluded.expires_at WHERE service_findings.expires_at <= $4`,
			id, string(doc), micros(now.Add(keep)), micros(now)); err != nil {
			return err
		}
		known, err = c.findings(ctx, id, micros(now))
		return err
	})
	return known, err
}

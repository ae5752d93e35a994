package store

import (
	"context"
	"fmt"
	"strings"
)

// lockAgents locks the agent_states rows of agents, in one order, and makes
// those that are missing. They are the first locks of a transaction: before a
// chat's, a conversation's and an offer's. Whoever gives an agent work holds
// theirs, so that what is given at once is counted one after the other. "" and
// agents there are none of are passed over.
func (c conn) lockAgents(ctx context.Context, ids ...string) error {
	in, args := placeholders(ids, 1)
	if len(args) == 0 {
		return nil
	}
	// An agent is locked before their state by whoever deletes them, so here too.
	if _, err := c.exec(ctx, `INSERT INTO agent_states (agent_id)
		SELECT id FROM agents WHERE id IN (`+in+`) AND NOT EXISTS (SELECT 1 FROM agent_states s WHERE s.agent_id = agents.id) ORDER BY id`+c.s.d.forKeyShare()+`
		ON CONFLICT (agent_id) DO NOTHING`, args...); err != nil {
		return err
	}
	var locked []string
	return c.list(ctx, &locked, `SELECT agent_id FROM agent_states WHERE agent_id IN (`+in+`) ORDER BY agent_id`+c.s.d.forUpdate(), args...)
}

// placeholders makes the list of an IN for the ids that are not "", each once,
// counting from first.
func placeholders(ids []string, first int) (list string, args []any) {
	seen := map[string]bool{"": true}
	var b strings.Builder
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		if len(args) > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", first+len(args))
		args = append(args, id)
	}
	return b.String(), args
}

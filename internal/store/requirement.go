package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// asked is what a conversation asks of agents, and what its queue may ask of it,
// as the database has it.
type asked struct {
	Priority      int64                 `db:"priority"`
	Skills        string                `db:"skills"`
	Units         int64                 `db:"units"`
	Matching      conversation.Matching `db:"matching"`
	Language      string                `db:"language"`
	Attributes    string                `db:"attributes"`
	ProfileID     string                `db:"capacity_profile_id"`
	ContactAgents string                `db:"contact_agents"` // with blanks between
}

// asks is the same as it is matched by. presences are those of the workstream.
func (a asked) asks(presences []conversation.Presence) (r routing.Requirement, attributes map[string]string, err error) {
	r = routing.Requirement{Units: a.Units, ProfileID: a.ProfileID, Matching: a.Matching, Presences: presences, First: strings.Fields(a.ContactAgents)}
	if err := json.Unmarshal([]byte(a.Skills), &r.Skills); err != nil {
		return r, nil, err
	}
	return r, attributes, json.Unmarshal([]byte(a.Attributes), &attributes)
}

// kindIn is the kind of the conversation in a queue; see routing.KindOf. Those
// of one workstream allow the same presences, so they do not tell kinds apart.
func (a asked) kindIn(custom *routing.CustomAssignment) (string, error) {
	r, attributes, err := a.asks(nil)
	if err != nil {
		return "", err
	}
	return routing.KindOf(custom, r, routing.FactsOf(r, a.Priority, a.Language, attributes)), nil
}

// assignmentOf reads a queue's way of assigning from its columns.
func assignmentOf(assignment, custom string) (routing.Method, *routing.CustomAssignment, error) {
	if custom == "" {
		return routing.Method(assignment), nil, nil
	}
	var c routing.CustomAssignment
	if err := json.Unmarshal([]byte(custom), &c); err != nil {
		return "", nil, fmt.Errorf("custom assignment: %w", err)
	}
	return routing.Custom, &c, nil
}

// stamp computes anew of which kind conversations are, in the queues they are in
// now. where narrows them down by the columns of c (conversations); they are
// locked in the order of their ids.
func (c conn) stamp(ctx context.Context, where string, args ...any) error {
	var rows []struct {
		ID          string `db:"id"`
		Requirement string `db:"requirement"`
		asked
		Assignment string `db:"assignment"`
		Custom     string `db:"custom"`
	}
	if err := c.list(ctx, &rows, `SELECT c.id, c.requirement, c.priority, c.skills, c.units, c.matching, c.language, c.attributes, c.capacity_profile_id, c.contact_agents,
			q.assignment, q.custom
		FROM conversations c JOIN queues q ON q.id = c.queue_id
		WHERE `+where+` ORDER BY c.id`+c.s.d.forUpdateOf("c"), args...); err != nil {
		return err
	}
	var stamps [][2]string
	for _, r := range rows {
		_, custom, err := assignmentOf(r.Assignment, r.Custom)
		if err != nil {
			return err
		}
		if kind, err := r.kindIn(custom); err == nil && kind != r.Requirement { // what cannot be read harms only itself
			stamps = append(stamps, [2]string{r.ID, kind})
		}
	}
	return c.writeStamps(ctx, stamps)
}

func (c conn) writeStamps(ctx context.Context, stamps [][2]string) error {
	if len(stamps) == 0 {
		return nil
	}
	_, err := c.exec(ctx, `UPDATE conversations SET requirement = said.requirement FROM `+c.s.d.rows(1, "id TEXT", "requirement TEXT")+` AS said
		WHERE conversations.id = said.id`, jsonOf(stamps))
	return err
}

// stampQueue computes anew of which kind those are who are in a queue, after a
// change of its assignment: they wait in it, or may come back to it.
func (c conn) stampQueue(ctx context.Context, q Queue) error {
	where := `c.queue_id = $1 AND c.status IN ('open', 'active', 'waiting', 'wrap_up')`
	if q.Custom == nil { // those of a custom assignment that is no more
		where += ` AND c.requirement LIKE 'c-%'`
	}
	return c.stamp(ctx, where, q.ID)
}

// stampAnew leaves out the heads of kinds that are not what they say: they came
// to a queue while its assignment was changed. What they are is written down,
// unless somebody else has them locked, for the next look.
func (m *match) stampAnew(ctx context.Context, heads []*waiting) ([]*waiting, error) {
	customs := map[string]*routing.CustomAssignment{}
	for _, q := range m.snap.Queues {
		customs[q.ID] = q.Custom
	}
	stamps := map[string]string{}
	var ids []string
	for _, w := range heads {
		custom, known := customs[w.QueueID]
		if !known || custom == nil && !routing.IsCustomKind(w.Requirement) {
			continue
		}
		kind, err := w.kindIn(custom)
		if err == nil && kind != w.Requirement {
			stamps[w.ID], ids = kind, append(ids, w.ID)
		}
	}
	if len(ids) == 0 {
		return heads, nil
	}
	var locked []string
	if err := m.list(ctx, &locked, `SELECT id FROM conversations WHERE id `+m.s.d.among(1)+` ORDER BY id`+m.s.d.skipLocked(), m.s.d.ids(ids)); err != nil {
		return nil, err
	}
	var ours [][2]string
	for _, id := range locked {
		ours = append(ours, [2]string{id, stamps[id]})
	}
	m.res.More = true
	return slices.DeleteFunc(heads, func(w *waiting) bool { return stamps[w.ID] != "" }), m.writeStamps(ctx, ours)
}

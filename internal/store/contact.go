package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kaiwa/internal/conversation"
)

// Contact is a customer as a person, whichever channel they write from.
type Contact struct {
	ID             string
	Name           string
	Email          string
	Phone          string
	CustomerNumber string
	Company        string
	// PreferredAgentIDs are whom they are offered to first, in order: at most
	// MaxPreferredAgents.
	PreferredAgentIDs []string
	Version           int64
	CreatedAt         time.Time
	UpdatedAt         time.Time
}

type contactRow struct {
	ID             string `db:"id"`
	Name           string `db:"name"`
	Email          string `db:"email"`
	Phone          string `db:"phone"`
	CustomerNumber string `db:"customer_number"`
	Company        string `db:"company"`
	Version        int64  `db:"version"`
	CreatedAt      int64  `db:"created_at"`
	UpdatedAt      int64  `db:"updated_at"`
}

var contacts = &family[Contact, contactRow]{
	kind: "contact", table: "contacts", prefix: conversation.PrefixContact,
	// The audit log says that a contact was changed and by whom, and holds
	// nothing of the person: it outlives them here.
	meta: func(k *Contact) meta { return meta{&k.ID, new(string), &k.Version, &k.CreatedAt, &k.UpdatedAt} },
	seal: func(_ *Store, k Contact) (contactRow, error) {
		return contactRow{k.ID, k.Name, k.Email, k.Phone, k.CustomerNumber, k.Company, k.Version, micros(k.CreatedAt), micros(k.UpdatedAt)}, nil
	},
	open: func(_ *Store, r contactRow) (Contact, error) {
		return Contact{
			ID: r.ID, Name: r.Name, Email: r.Email, Phone: r.Phone, CustomerNumber: r.CustomerNumber, Company: r.Company,
			Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
		}, nil
	},
	facts: func(k Contact) map[string]any {
		return map[string]any{
			"name": hidden(k.Name), "email": hidden(k.Email), "phone": hidden(k.Phone), "customer_number": hidden(k.CustomerNumber), "company": hidden(k.Company),
			"preferred_agent_ids": k.PreferredAgentIDs,
		}
	},
	uses: func(ctx context.Context, c conn, k Contact) error {
		refs := references{}
		for i, id := range k.PreferredAgentIDs {
			refs.add(id, fmt.Sprintf("/preferred_agent_ids/%d", i))
		}
		return c.exist(ctx, "agents", "agent", refs)
	},
	load: loadContactAgents,
	save: saveContactAgents,
	unused: func(ctx context.Context, c conn, k Contact) error {
		return c.inUse(ctx, "The customer %q is linked to this contact. Take the link away first.",
			"SELECT display_name FROM social_profiles WHERE contact_id = $1", k.ID)
	},
}

// MaxPreferredAgents is how many agents a contact may prefer.
const MaxPreferredAgents = 3

// loadContactAgents reads whom contacts prefer.
func loadContactAgents(ctx context.Context, c conn, items []Contact) error {
	ids := make([]any, len(items))
	for i, k := range items {
		ids[i] = k.ID
	}
	var rows []struct {
		ContactID string `db:"contact_id"`
		AgentID   string `db:"agent_id"`
	}
	if err := c.list(ctx, &rows, "SELECT contact_id, agent_id FROM contact_agents WHERE contact_id IN "+values(1, len(ids), 1)+" ORDER BY contact_id, place", ids...); err != nil {
		return err
	}
	preferred := map[string][]string{}
	for _, r := range rows {
		preferred[r.ContactID] = append(preferred[r.ContactID], r.AgentID)
	}
	for i, k := range items {
		items[i].PreferredAgentIDs = preferred[k.ID]
	}
	return nil
}

// saveContactAgents replaces whom a contact prefers.
func saveContactAgents(ctx context.Context, c conn, k Contact) error {
	if _, err := c.exec(ctx, "DELETE FROM contact_agents WHERE contact_id = $1", k.ID); err != nil || len(k.PreferredAgentIDs) == 0 {
		return err
	}
	args := make([]any, 0, 3*len(k.PreferredAgentIDs))
	for i, id := range k.PreferredAgentIDs {
		args = append(args, k.ID, id, i)
	}
	_, err := c.exec(ctx, "INSERT INTO contact_agents (contact_id, agent_id, place) VALUES "+values(len(k.PreferredAgentIDs), 3, 1), args...)
	return err
}

// Contact reads one contact; CodeNotFound when there is none.
func (s *Store) Contact(ctx context.Context, id string) (Contact, error) {
	return contacts.get(ctx, s, s.read(), id, "")
}

// Contacts lists contacts, oldest first: those with search in their name, email
// address, phone or customer number, whatever the case; "" is all.
func (s *Store) Contacts(ctx context.Context, search string, after Cursor, limit int) ([]Contact, error) {
	if search == "" {
		return contacts.list(ctx, s, after, limit)
	}
	var rows []contactRow
	if err := s.read().list(ctx, &rows, "SELECT "+strings.Join(columns[contactRow](), ", ")+` FROM contacts
		WHERE (created_at, id) > ($1, $2) AND (lower(name) LIKE $3 ESCAPE '\' OR lower(email) LIKE $3 ESCAPE '\' OR lower(phone) LIKE $3 ESCAPE '\' OR lower(customer_number) LIKE $3 ESCAPE '\')
		ORDER BY created_at, id LIMIT $4`, micros(after.At), after.ID, "%"+escapeLike(strings.ToLower(search))+"%", limit); err != nil {
		return nil, err
	}
	return contacts.opened(ctx, s, s.read(), rows...)
}

// CreateContact stores a contact; CodeInvalid when an agent they prefer is not
// there.
func (s *Store) CreateContact(ctx context.Context, by Origin, k Contact) (Contact, error) {
	return contacts.create(ctx, s, by, k)
}

// UpdateContact changes a contact: CodeNotFound, CodeVersionStale, CodeInvalid
// when an agent they prefer is not there. Whom they prefer counts for what is
// routed from now on.
func (s *Store) UpdateContact(ctx context.Context, by Origin, id string, version int64, change func(*Contact) error) (Contact, error) {
	return contacts.update(ctx, s, by, id, version, change)
}

// DeleteContact deletes a contact: CodeNotFound, CodeVersionStale, CodeInUse
// while a social profile is linked to it.
func (s *Store) DeleteContact(ctx context.Context, by Origin, id string, version int64) error {
	return contacts.delete(ctx, s, by, id, version)
}

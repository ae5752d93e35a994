package store

import (
	"context"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
)

// accountLinks carries out what events say of account links: that LINE has linked
// one, or that the customer asks for something. What the transcript shows of LINE's
// event says to whom. It costs nothing where there is nothing of the kind.
func (g *ingest) accountLinks(ctx context.Context, events []taken) error {
	for i, e := range events {
		if !e.new {
			continue
		}
		var err error
		switch e.item.Kind {
		case ItemAccountLinked:
			var detail map[string]any
			if detail, err = g.linked(ctx, e); detail != nil {
				events[i].item.Line.Detail = jsonOf(detail)
			}
		case ItemAccountLinkTap:
			err = g.linkTap(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// linkTap does what a customer asks for by a button.
func (g *ingest) linkTap(ctx context.Context, e taken) error {
	chat := Chat{g.req.ChannelID, g.req.ChatKey}
	switch {
	case e.SourceType != "user" || e.Standby:
		return nil
	case e.item.Link == accountlink.TapUnlink:
		ended, err := g.c.unlink(ctx, Origin{}, chat, "", UnlinkedByCustomer)
		if err != nil || !ended {
			return err
		}
		return g.errand(ctx, ErrandUnlinked, e)
	case e.item.Link != accountlink.TapLink:
		return nil
	}
	// They may have written nothing yet.
	if _, err := g.c.exec(ctx, `INSERT INTO social_profiles (id, channel_id, chat_key, line_user_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT DO NOTHING`, profileID(g.req.ChannelID, g.req.ChatKey), g.req.ChannelID, g.req.ChatKey, e.SourceID, g.now); err != nil {
		return err
	}
	return g.errand(ctx, ErrandLinkCard, e)
}

// linked takes LINE's word that the LINE account belongs to whom it was asked
// for, once, whichever event says so and however late: the nonce is spent. A
// nonce that is none of ours is of the company's own linking. detail is what the
// transcript shows; nil leaves what LINE says.
func (g *ingest) linked(ctx context.Context, e taken) (detail map[string]any, _ error) {
	var l AccountLink
	found, err := g.c.get(ctx, &l, `SELECT `+linkColumns+` FROM account_links WHERE channel_id = $1 AND nonce_digest = $2 AND nonce_digest <> ''`+g.c.s.d.forUpdate(),
		g.req.ChannelID, accountlink.Digest(e.item.Nonce))
	if err != nil || !found {
		return nil, err
	}
	if l.ChatKey != g.req.ChatKey || l.State != LinkConfirmed && l.State != LinkExpired {
		return nil, nil // of another LINE account, or told before
	}
	chat := Chat{g.req.ChannelID, g.req.ChatKey}
	if _, err := g.c.unlink(ctx, Origin{}, chat, "", UnlinkedByNext); err != nil {
		return nil, err
	}
	conversationID, err := g.c.openConversation(ctx, chat)
	if err != nil {
		return nil, err
	}
	if l.ContactID, l.Contact, err = g.c.contactOf(ctx, l); err != nil {
		return nil, err
	}
	l.State, l.LinkedAt = LinkLinked, g.now
	if _, err := g.c.exec(ctx, `UPDATE account_links SET state = $1, linked_at = $2, ended_at = 0, contact_id = $3, contact = $4 WHERE id = $5`,
		l.State, l.LinkedAt, l.ContactID, l.Contact, l.ID); err != nil {
		return nil, err
	}
	if _, err := g.c.exec(ctx, `UPDATE social_profiles SET customer_id = $1, updated_at = $2, contact_id = CASE WHEN $3 = '' THEN contact_id ELSE $3 END
		WHERE channel_id = $4 AND chat_key = $5`, l.CustomerID, g.now, l.ContactID, g.req.ChannelID, g.req.ChatKey); err != nil {
		return nil, err
	}
	if l.ContactID != "" && conversationID != "" {
		if _, err := g.c.exec(ctx, `UPDATE conversations SET contact_id = $1, updated_at = $2 WHERE id = $3`, l.ContactID, g.now, conversationID); err != nil {
			return nil, err
		}
		if err := g.c.record(ctx, "conversation.contact_linked", conversationID, l.ContactID, "{}", g.now); err != nil {
			return nil, err
		}
	}
	if err := g.c.s.audit(ctx, g.c, Origin{}, AuditCreated, "account_link", l.ID, "", linkFacts(LinkConfirmed, l.CustomerID), linkFacts(LinkLinked, l.CustomerID)); err != nil {
		return nil, err
	}
	if err := g.c.recordLink(ctx, "account_link.linked", l, conversationID, g.now); err != nil {
		return nil, err
	}
	if e.Standby {
		return l.detail("ok"), nil
	}
	return l.detail("ok"), g.errand(ctx, ErrandLinked, e)
}

// contactOf finds the contact with a link's customer id. Without one, the
// customer's own contact gets it, or a new one. With several nobody is chosen, and
// what the customer has stays.
func (c conn) contactOf(ctx context.Context, l AccountLink) (id, how string, err error) {
	var hits []string
	if err := c.list(ctx, &hits, `SELECT id FROM contacts WHERE customer_number = $1 AND customer_number <> '' ORDER BY id LIMIT 2`+c.s.d.forUpdate(), l.CustomerID); err != nil {
		return "", "", err
	}
	switch len(hits) {
	case 1:
		return hits[0], LinkContactFound, nil
	case 2:
		return "", LinkContactAmbiguous, nil
	}
	var has struct {
		ContactID   string `db:"contact_id"`
		DisplayName string `db:"display_name"`
	}
	if _, err := c.get(ctx, &has, `SELECT contact_id, display_name FROM social_profiles WHERE channel_id = $1 AND chat_key = $2`, l.ChannelID, l.ChatKey); err != nil {
		return "", "", err
	}
	if has.ContactID != "" {
		own, err := contacts.lock(ctx, c.s, c, has.ContactID, AnyVersion)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound {
			return "", "", err
		}
		if err == nil && own.CustomerNumber == "" {
			named := own
			named.CustomerNumber = l.CustomerID
			return own.ID, LinkContactNamed, contacts.replace(ctx, c.s, c, Origin{}, AuditChanged, own, &named)
		}
	}
	made, err := contacts.insert(ctx, c.s, c, Origin{}, Contact{ID: conversation.DerivedID(conversation.PrefixContact, l.ID), Name: has.DisplayName, CustomerNumber: l.CustomerID})
	return made.ID, LinkContactCreated, err
}

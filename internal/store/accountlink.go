package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// The states of an AccountLink.
const (
	LinkStarted   = "started"   // the customer is on the way to the company's sign-in
	LinkConfirmed = "confirmed" // the company knows them; LINE has yet to say that the LINE account is theirs
	LinkLinked    = "linked"
	LinkFailed    = "failed"  // LINE could not link it
	LinkExpired   = "expired" // the customer did not come to the end of it in time
	LinkUnlinked  = "unlinked"
)

// Who ended a link.
const (
	UnlinkedByCustomer = "customer"
	UnlinkedByAgent    = "agent"
	UnlinkedByNext     = "replaced" // the customer linked anew
)

// What linking did with contacts.
const (
	LinkContactFound     = "found"     // one has the customer id as its customer number
	LinkContactNamed     = "named"     // the customer's own contact got it
	LinkContactCreated   = "created"   // none had it
	LinkContactAmbiguous = "ambiguous" // several have it: nobody was chosen
)

// AccountLinking is a channel's setting; the zero value is off.
type AccountLinking struct {
	LoginURL string `json:"login_url"` // the company's sign-in
}

// On tells whether customers can link their accounts.
func (l AccountLinking) On() bool { return l.LoginURL != "" }

// AccountLink is one attempt of a customer to link their LINE account, and what it
// came to.
type AccountLink struct {
	ID         string `db:"id"`
	ChannelID  string `db:"channel_id"`
	ChatKey    string `db:"chat_key"`
	LINEUserID string `db:"line_user_id"`
	State      string `db:"state"`
	CustomerID string `db:"customer_id"` // the company's; "" until it has confirmed
	ContactID  string `db:"contact_id"`  // whom it attached to the customer; "" for nobody
	Contact    string `db:"contact"`     // what became of contacts; "" until it is linked
	EndedBy    string `db:"ended_by"`    // of LinkUnlinked
	// Microseconds; 0 where it has not come to that.
	ExpiresAt   int64 `db:"expires_at"`
	CreatedAt   int64 `db:"created_at"`
	ConfirmedAt int64 `db:"confirmed_at"`
	LinkedAt    int64 `db:"linked_at"`
	EndedAt     int64 `db:"ended_at"`
}

// open tells whether a link may yet come to something.
func (l AccountLink) open() bool { return l.State == LinkStarted || l.State == LinkConfirmed }

func (l AccountLink) chat() Chat { return Chat{l.ChannelID, l.ChatKey} }

const linkColumns = `id, channel_id, chat_key, line_user_id, state, customer_id, contact_id, contact, ended_by, expires_at, created_at, confirmed_at, linked_at, ended_at`

const (
	// linkAttempts bounds how often a customer may begin within linkWindow.
	linkAttempts = 5
	linkWindow   = 10 * time.Minute
	// linksShown bounds lists of links.
	linksShown = 50
)

// ErrTooManyLinks says that a customer has begun too often lately.
var ErrTooManyLinks = conversation.Errorf(conversation.CodeConflict, "The customer has begun to link their account too often. Try again in %d minutes.", int(linkWindow.Minutes()))

func noLink(id string) error {
	return conversation.Errorf(conversation.CodeNotFound, "There is no account link %q.", id)
}

// LinkPage is what the page of account linking shows of a customer.
type LinkPage struct {
	ProfileID string `db:"id"`
	ChannelID string `db:"channel_id"`
	Language  string `db:"language"`  // the customer's
	Blocked   bool   `db:"blocked"`   // the customer blocks the account
	LinkID    string `db:"linked_id"` // of the link there is; "" when there is none
}

// LinkPage reads what the page shows of a social profile; CodeNotFound when there
// is none.
func (s *Store) LinkPage(ctx context.Context, profileID string) (LinkPage, error) {
	var p LinkPage
	found, err := s.read().get(ctx, &p, `SELECT id, channel_id, language, friendship = 'blocked' AS blocked,
			coalesce((SELECT l.id FROM account_links l WHERE l.channel_id = p.channel_id AND l.chat_key = p.chat_key AND l.state = 'linked'), '') AS linked_id
		FROM social_profiles p WHERE id = $1`, profileID)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no customer %q.", profileID)
	}
	return p, err
}

// StartAccountLink begins linking: the customer goes on to the company's sign-in,
// for which they have accountlink.SignInTime. ErrTooManyLinks when they have begun
// too often within ten minutes.
func (s *Store) StartAccountLink(ctx context.Context, profileID string) (AccountLink, error) {
	var out AccountLink
	err := s.tx(ctx, func(c conn) error {
		var p struct {
			ChannelID  string `db:"channel_id"`
			ChatKey    string `db:"chat_key"`
			LINEUserID string `db:"line_user_id"`
		}
		found, err := c.get(ctx, &p, `SELECT channel_id, chat_key, line_user_id FROM social_profiles WHERE id = $1`+s.d.forUpdate(), profileID)
		if err != nil {
			return err
		}
		if !found {
			return conversation.Errorf(conversation.CodeNotFound, "There is no customer %q.", profileID)
		}
		now := s.now()
		var lately int
		if _, err := c.get(ctx, &lately, `SELECT count(*) FROM account_links WHERE channel_id = $1 AND chat_key = $2 AND created_at > $3`,
			p.ChannelID, p.ChatKey, micros(now.Add(-linkWindow))); err != nil {
			return err
		}
		if lately >= linkAttempts {
			return ErrTooManyLinks
		}
		out = AccountLink{
			ID: conversation.NewID(conversation.PrefixAccountLink), ChannelID: p.ChannelID, ChatKey: p.ChatKey, LINEUserID: p.LINEUserID,
			State: LinkStarted, CreatedAt: micros(now), ExpiresAt: micros(now.Add(accountlink.SignInTime)),
		}
		if _, err := c.exec(ctx, `INSERT INTO account_links (id, channel_id, chat_key, line_user_id, state, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			out.ID, out.ChannelID, out.ChatKey, out.LINEUserID, out.State, out.CreatedAt, out.ExpiresAt); err != nil {
			return err
		}
		return c.recordLink(ctx, "account_link.started", out, "", out.CreatedAt)
	})
	return out, err
}

// ConfirmAccountLink notes who the company says the customer is. Asked again with
// the same customer id it answers the same, so that a confirmation whose answer
// got lost is repeated. nonceDigest is by what LINE's event is known. CodeNotFound;
// CodeConflict when it was confirmed for another customer; CodeNotAllowedNow when
// its time is over or it has come to an end.
func (s *Store) ConfirmAccountLink(ctx context.Context, by Origin, id, customerID, nonceDigest string) (AccountLink, error) {
	var out AccountLink
	err := s.tx(ctx, func(c conn) error {
		found, err := c.get(ctx, &out, `SELECT `+linkColumns+` FROM account_links WHERE id = $1`+s.d.forUpdate(), id)
		if err != nil {
			return err
		}
		if !found {
			return noLink(id)
		}
		now := s.now()
		switch {
		case out.State == LinkExpired || out.open() && out.ExpiresAt <= micros(now):
			return conversation.Errorf(conversation.CodeNotAllowedNow, "The time for this is over. The customer can begin again from the chat.")
		case !out.open():
			return conversation.Errorf(conversation.CodeNotAllowedNow, "This account link has come to its end: it is %s.", out.State)
		case out.State == LinkConfirmed && out.CustomerID != customerID:
			return conversation.Errorf(conversation.CodeConflict, "This account link was confirmed for another customer.")
		}
		first := out.State == LinkStarted
		out.State, out.CustomerID, out.ConfirmedAt, out.ExpiresAt = LinkConfirmed, customerID, micros(now), micros(now.Add(accountlink.DialogTime))
		if _, err := c.exec(ctx, `UPDATE account_links SET state = $1, customer_id = $2, nonce_digest = $3, confirmed_at = $4, expires_at = $5 WHERE id = $6`,
			out.State, out.CustomerID, nonceDigest, out.ConfirmedAt, out.ExpiresAt, out.ID); err != nil || !first {
			return err
		}
		if err := s.audit(ctx, c, by, AuditChanged, "account_link", out.ID, "", linkFacts(LinkStarted, ""), linkFacts(LinkConfirmed, customerID)); err != nil {
			return err
		}
		err = c.recordLink(ctx, "account_link.confirmed", out, "", out.ConfirmedAt)
		failpoint.Hit("link.before_commit")
		return err
	})
	failpoint.Hit("link.after_commit")
	return out, err
}

// linkFacts is what the audit log may know of a link: nothing of the person.
func linkFacts(state, customerID string) map[string]any {
	return map[string]any{"state": state, "customer_id": hidden(customerID)}
}

// recordLink records an event of a link, in the conversation that is open.
func (c conn) recordLink(ctx context.Context, kind string, l AccountLink, conversationID string, at int64) error {
	data := map[string]any{"state": l.State, "channel_id": l.ChannelID}
	if l.ContactID != "" {
		data["contact_id"] = l.ContactID
	}
	if l.Contact != "" {
		data["contact"] = l.Contact
	}
	if l.EndedBy != "" {
		data["ended_by"] = l.EndedBy
	}
	return c.record(ctx, kind, conversationID, l.ID, jsonOf(data), at)
}

// UnlinkAccount ends a link: CodeNotFound, CodeNotAllowedNow when there is nothing
// to end. It returns the chat, to be woken for what is said there.
func (s *Store) UnlinkAccount(ctx context.Context, by Origin, id, endedBy string) (Chat, error) {
	var chat Chat
	err := s.tx(ctx, func(c conn) error {
		var l AccountLink
		found, err := c.get(ctx, &l, `SELECT `+linkColumns+` FROM account_links WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if !found {
			return noLink(id)
		}
		chat = l.chat()
		if err := c.lockChatFor(ctx, chat); err != nil {
			return err
		}
		ended, err := c.unlink(ctx, by, chat, id, endedBy)
		if err != nil {
			return err
		}
		if !ended {
			return conversation.Errorf(conversation.CodeNotAllowedNow, "The accounts are not linked: this account link is %s.", l.State)
		}
		_, err = c.addErrand(ctx, chat, newErrand{
			ID: conversation.DerivedID(conversation.PrefixErrand, id, ErrandUnlinked), Kind: ErrandUnlinked, SourceID: l.LINEUserID,
		})
		failpoint.Hit("link.before_commit")
		return err
	})
	failpoint.Hit("link.after_commit")
	return chat, err
}

// lockChatFor locks a chat and wants its workflow.
func (c conn) lockChatFor(ctx context.Context, chat Chat) error {
	_, err := c.exec(ctx, `UPDATE chats SET wanted_at = $1 WHERE channel_id = $2 AND chat_key = $3`, micros(c.s.now()), chat.ChannelID, chat.ChatKey)
	return err
}

// unlink ends a chat's link, by its id or ("") whichever there is. The contact
// that it attached is taken from the customer again.
func (c conn) unlink(ctx context.Context, by Origin, chat Chat, id, endedBy string) (bool, error) {
	now := micros(c.s.now())
	var l AccountLink
	found, err := c.get(ctx, &l, `UPDATE account_links SET state = 'unlinked', ended_by = $1, ended_at = $2
		WHERE channel_id = $3 AND chat_key = $4 AND state = 'linked' AND ($5 = '' OR id = $5) RETURNING `+linkColumns,
		endedBy, now, chat.ChannelID, chat.ChatKey, id)
	if err != nil || !found {
		return false, err
	}
	conversationID, err := c.openConversation(ctx, chat)
	if err != nil {
		return false, err
	}
	if _, err := c.exec(ctx, `UPDATE social_profiles SET customer_id = '', updated_at = $1, contact_id = CASE WHEN contact_id = $2 THEN '' ELSE contact_id END
		WHERE channel_id = $3 AND chat_key = $4`, now, l.ContactID, chat.ChannelID, chat.ChatKey); err != nil {
		return false, err
	}
	if l.ContactID != "" && conversationID != "" {
		if _, err := c.exec(ctx, `UPDATE conversations SET contact_id = '', updated_at = $1 WHERE id = $2 AND contact_id = $3`, now, conversationID, l.ContactID); err != nil {
			return false, err
		}
	}
	if err := c.s.audit(ctx, c, by, AuditDeleted, "account_link", l.ID, "", linkFacts(LinkLinked, l.CustomerID), map[string]any{"state": LinkUnlinked, "ended_by": endedBy}); err != nil {
		return false, err
	}
	if endedBy != UnlinkedByNext {
		if err := c.linkLine(ctx, conversationID, l, LinkUnlinked, now); err != nil {
			return false, err
		}
	}
	return true, c.recordLink(ctx, "account_link.unlinked", l, conversationID, now)
}

// openConversation locks the conversation that is open in a chat and returns its
// id, "" when none is.
func (c conn) openConversation(ctx context.Context, chat Chat) (id string, err error) {
	_, err = c.get(ctx, &id, `SELECT id FROM conversations WHERE channel_id = $1 AND chat_key = $2 AND status <> 'closed'`+c.s.d.forUpdate(), chat.ChannelID, chat.ChatKey)
	return id, err
}

// linkLine shows agents what became of a link, where LINE has sent no event that
// does.
func (c conn) linkLine(ctx context.Context, conversationID string, l AccountLink, result string, at int64) error {
	if conversationID == "" {
		return nil
	}
	return c.insertLines(ctx, l.ChannelID, conversationID, []eventLine{{
		id: conversation.DerivedID(conversation.PrefixMessage, l.ID, result), senderID: profileID(l.ChannelID, l.ChatKey), kind: MessageEvent,
		payload: jsonOf(map[string]any{"event": eventAccountLink, "detail": l.detail(result)}), at: at,
	}}, at)
}

// eventAccountLink is LINE's name of the event.
const eventAccountLink = "accountLink"

// detail is what a transcript says of a link.
func (l AccountLink) detail(result string) map[string]any {
	d := map[string]any{"result": result, "account_link_id": l.ID}
	if l.CustomerID != "" {
		d["customer_id"] = l.CustomerID
	}
	if l.Contact != "" {
		d["contact"] = l.Contact
	}
	if l.EndedBy != "" {
		d["ended_by"] = l.EndedBy
	}
	return d
}

// FailAccountLink notes that LINE could not link an account, and has the customer
// told. LINE says of whom only by the nonce. Whoever it was, the nonce is spent and
// no longer kept with the event. found is false when it is of no link that waits:
// told again, it does nothing. It returns the chat, to be woken.
func (s *Store) FailAccountLink(ctx context.Context, channelID, webhookEventID, nonceDigest string) (chat Chat, found bool, err error) {
	err = s.tx(ctx, func(c conn) error {
		var l AccountLink
		found, err = c.get(ctx, &l, `SELECT `+linkColumns+` FROM account_links WHERE channel_id = $1 AND nonce_digest = $2`, channelID, nonceDigest)
		if err != nil {
			return err
		}
		if found {
			chat = l.chat()
			if err := c.lockChatFor(ctx, chat); err != nil {
				return err
			}
			now := micros(s.now())
			if found, err = c.get(ctx, &l, `UPDATE account_links SET state = 'failed', ended_at = $1 WHERE id = $2 AND state IN ('confirmed', 'expired') RETURNING `+linkColumns, now, l.ID); err != nil {
				return err
			}
			if found {
				if err := c.failed(ctx, l, now); err != nil {
					return err
				}
			}
		}
		_, err := c.exec(ctx, `UPDATE line_events SET raw = $1 WHERE channel_id = $2 AND webhook_event_id = $3`, []byte{}, channelID, webhookEventID)
		failpoint.Hit("link.before_commit")
		return err
	})
	failpoint.Hit("link.after_commit")
	return chat, found && err == nil, err
}

func (c conn) failed(ctx context.Context, l AccountLink, now int64) error {
	conversationID, err := c.openConversation(ctx, l.chat())
	if err != nil {
		return err
	}
	if err := c.linkLine(ctx, conversationID, l, LinkFailed, now); err != nil {
		return err
	}
	if _, err := c.addErrand(ctx, l.chat(), newErrand{
		ID: conversation.DerivedID(conversation.PrefixErrand, l.ID, ErrandLinkFailed), Kind: ErrandLinkFailed, SourceID: l.LINEUserID,
	}); err != nil {
		return err
	}
	return c.recordLink(ctx, "account_link.failed", l, conversationID, now)
}

// ExpireAccountLinks ends the links whose time is over, at most 100 at once, and
// shows it to agents. The customer is told nothing: they went away. What LINE says
// of one afterwards counts all the same.
func (s *Store) ExpireAccountLinks(ctx context.Context) error {
	var due []AccountLink
	if err := s.read().list(ctx, &due, `SELECT `+linkColumns+` FROM account_links WHERE state IN ('started', 'confirmed') AND expires_at <= $1 ORDER BY expires_at LIMIT 100`,
		micros(s.now())); err != nil {
		return err
	}
	for _, l := range due {
		if err := s.tx(ctx, func(c conn) error {
			now := micros(s.now())
			ended, err := c.get(ctx, &l, `UPDATE account_links SET state = 'expired', ended_at = $1
				WHERE id = $2 AND state IN ('started', 'confirmed') AND expires_at <= $1 RETURNING `+linkColumns, now, l.ID)
			if err != nil || !ended {
				return err
			}
			conversationID, err := c.openConversation(ctx, l.chat())
			if err != nil {
				return err
			}
			if err := c.linkLine(ctx, conversationID, l, LinkExpired, now); err != nil {
				return err
			}
			return c.recordLink(ctx, "account_link.expired", l, conversationID, now)
		}); err != nil {
			return fmt.Errorf("account link %s: %w", l.ID, err)
		}
	}
	return nil
}

// AccountLink reads one link; CodeNotFound.
func (s *Store) AccountLink(ctx context.Context, id string) (AccountLink, error) {
	var l AccountLink
	found, err := s.read().get(ctx, &l, `SELECT `+linkColumns+` FROM account_links WHERE id = $1`, id)
	if err == nil && !found {
		err = noLink(id)
	}
	return l, err
}

// AccountLinksOfChat lists the links of a conversation's customer, the latest
// first, at most 50.
func (s *Store) AccountLinksOfChat(ctx context.Context, channelID, chatKey string) ([]AccountLink, error) {
	var list []AccountLink
	err := s.read().list(ctx, &list, `SELECT `+linkColumns+` FROM account_links WHERE channel_id = $1 AND chat_key = $2
		ORDER BY created_at DESC, id DESC`+limitTo(linksShown), channelID, chatKey)
	return list, err
}

// AccountLinksOfContact lists the links that attached a contact, the latest first,
// at most 50.
func (s *Store) AccountLinksOfContact(ctx context.Context, contactID string) ([]AccountLink, error) {
	var list []AccountLink
	err := s.read().list(ctx, &list, `SELECT `+linkColumns+` FROM account_links WHERE contact_id = $1 AND contact_id <> ''
		ORDER BY created_at DESC, id DESC`+limitTo(linksShown), contactID)
	return list, err
}

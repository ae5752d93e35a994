package store

import (
	"cmp"
	"context"
	"slices"

	"kaiwa/internal/conversation"
)

// Why an offer was rescinded, beside the events of the life table.
const (
	offerReasonOffline    = "agent_offline" // its agent went offline
	offerReasonSupervisor = "supervisor"    // a supervisor took it back
)

// offerRow is an offer as the database has it.
type offerRow struct {
	ID             string                  `db:"id"`
	ConversationID string                  `db:"conversation_id"`
	AgentID        string                  `db:"agent_id"`
	QueueID        string                  `db:"queue_id"`
	Epoch          int64                   `db:"epoch"`
	Units          int64                   `db:"units"`
	State          conversation.OfferState `db:"state"`
	CreatedAt      int64                   `db:"created_at"`
	ExpiresAt      int64                   `db:"expires_at"`
	Auto           bool                    `db:"auto"` // accepted for its agent by the conversation's workflow
	// Reason is why it ended: an enumerated word, but of one that was declined what
	// its agent said.
	Reason string `db:"reason"`
}

const offerColumns = "id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at, auto, reason"

// compare orders offers, the oldest first.
func (r offerRow) compare(other offerRow) int {
	return cmp.Or(cmp.Compare(r.CreatedAt, other.CreatedAt), cmp.Compare(r.ID, other.ID))
}

// Offer is one agent's exclusive reservation of one conversation.
type Offer struct {
	ID, ConversationID, AgentID, QueueID string
	State                                conversation.OfferState
	Units                                int64
	CreatedAt, ExpiresAt                 int64 // microseconds
}

func (r offerRow) offer() Offer {
	return Offer{r.ID, r.ConversationID, r.AgentID, r.QueueID, r.State, r.Units, r.CreatedAt, r.ExpiresAt}
}

// recordOffers records what became of offers, and says so in the routing log
// when they are over. (Why one is made is there already, with its rules.)
func (c conn) recordOffers(ctx context.Context, offers []offerRow, now int64) error {
	var events []happened
	var lines [][]any
	for _, o := range offers {
		facts := map[string]any{"offer_id": o.ID, "agent_id": o.AgentID, "queue_id": o.QueueID}
		if o.Auto {
			facts["auto"] = true
		}
		data := jsonOf(facts)
		if o.State == conversation.OfferLive {
			events = append(events, happened{"offer.created", o.ConversationID, o.ID, data})
			continue
		}
		if c.s.watch.OfferEnded != nil {
			c.s.watch.OfferEnded(o.State, fromMicros(now).Sub(fromMicros(o.CreatedAt)))
		}
		events = append(events, happened{"offer." + string(o.State), o.ConversationID, o.ID, data})
		if o.State == conversation.OfferRescinded {
			facts["why"] = o.Reason
			data = jsonOf(facts)
		}
		lines = append(lines, []any{conversation.DerivedID(conversation.PrefixRoutingEntry, o.ID, o.State), o.ConversationID, o.Epoch,
			StageAssignment, o.State, data, now})
	}
	if err := c.recordAll(ctx, events, now); err != nil || len(lines) == 0 {
		return err
	}
	return c.writeLog(ctx, lines)
}

// writeLog adds lines to the routing log: id, conversation, epoch, stage,
// outcome, entry, time, and of a classification the facts.
func (c conn) writeLog(ctx context.Context, lines [][]any) error {
	_, err := c.exec(ctx, `INSERT INTO routing_log (id, conversation_id, epoch, stage, outcome, entry, created_at, facts)
		SELECT id, conversation, epoch, stage, outcome, entry, at, coalesce(facts, '') FROM `+
		c.s.d.rows(1, "id TEXT", "conversation TEXT", "epoch BIGINT", "stage TEXT", "outcome TEXT", "entry TEXT", "at BIGINT", "facts TEXT")+` AS said
		WHERE TRUE ON CONFLICT DO NOTHING`, jsonOf(lines))
	return err
}

// acceptOffer takes a live offer for its agent. It belongs into the transaction
// that gives the agent the conversation, whose row is locked. CodeNotFound when
// there is no such offer of this conversation to this agent; otherwise the code
// of what became of it: an offer is accepted once, so one that brought the
// agent the conversation before (which then went back to a queue) is
// CodeOfferAccepted.
func (c conn) acceptOffer(ctx context.Context, offerID, conversationID, agentID string, now int64) error {
	return c.answerOffer(ctx, offerRow{ID: offerID, ConversationID: conversationID, AgentID: agentID, State: conversation.OfferAccepted}, now)
}

// answerOffer ends a live offer with a state and reason. The conversation's row
// is locked.
func (c conn) answerOffer(ctx context.Context, o offerRow, now int64) error {
	asked := o
	found, err := c.get(ctx, &o, `UPDATE offers SET state = $4, reason = $5, ended_at = $6
		WHERE id = $1 AND conversation_id = $2 AND agent_id = $3 AND state = 'live' RETURNING `+offerColumns,
		o.ID, o.ConversationID, o.AgentID, string(o.State), o.Reason, now)
	if err != nil {
		return err
	}
	if found {
		return c.recordOffers(ctx, []offerRow{o}, now)
	}
	found, err = c.get(ctx, &o, `SELECT `+offerColumns+` FROM offers WHERE id = $1`, asked.ID)
	if err != nil {
		return err
	}
	if !found || o.AgentID != asked.AgentID || o.ConversationID != asked.ConversationID {
		return noOffer(asked.ID)
	}
	return o.offer().Over()
}

func noOffer(id string) error {
	return conversation.Errorf(conversation.CodeNotFound, "There is no offer %q to you.", id)
}

// Over says, as a coded error, why an offer can no longer be answered; nil
// while it is live.
func (o Offer) Over() error {
	switch o.State {
	case conversation.OfferLive:
		return nil
	case conversation.OfferAccepted:
		return conversation.Errorf(conversation.CodeOfferAccepted, "This offer was accepted before.")
	case conversation.OfferDeclined:
		return conversation.Errorf(conversation.CodeOfferDeclined, "This offer was declined before.")
	case conversation.OfferTimedOut:
		return conversation.Errorf(conversation.CodeOfferExpired, "The time to answer this offer is over.")
	}
	return conversation.Errorf(conversation.CodeOfferRescinded, "The conversation is no longer on offer: somebody else took it, or it ended.")
}

// endLiveOffer ends the offer that is live for a conversation, if there is one.
// The conversation's row is locked. reason is an enumerated word.
func (c conn) endLiveOffer(ctx context.Context, conversationID string, state conversation.OfferState, reason string, now int64) error {
	var o offerRow
	found, err := c.get(ctx, &o, `UPDATE offers SET state = $2, reason = $3, ended_at = $4
		WHERE conversation_id = $1 AND state = 'live' RETURNING `+offerColumns, conversationID, string(state), reason, now)
	if err != nil || !found {
		return err
	}
	return c.recordOffers(ctx, []offerRow{o}, now)
}

// Offer reads an offer; CodeNotFound when there is none.
func (s *Store) Offer(ctx context.Context, id string) (Offer, error) {
	var o offerRow
	found, err := s.read().get(ctx, &o, `SELECT `+offerColumns+` FROM offers WHERE id = $1`, id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no offer %q.", id)
	}
	return o.offer(), err
}

// LiveOffers lists what is on offer to an agent, the oldest first.
func (s *Store) LiveOffers(ctx context.Context, agentID string) ([]Offer, error) {
	var rows []offerRow
	if err := s.read().list(ctx, &rows, `SELECT `+offerColumns+` FROM offers WHERE agent_id = $1 AND state = 'live'`, agentID); err != nil {
		return nil, err
	}
	slices.SortFunc(rows, offerRow.compare) // here, so that the index is that of the live ones
	list := make([]Offer, len(rows))
	for i, r := range rows {
		list[i] = r.offer()
	}
	return list, nil
}

// DeclineOffer ends an offer because its agent does not want it. reason is what
// they say (content: it stays in the row). Declining again is no error; an offer
// that is over otherwise is the code of what became of it, and one to somebody
// else CodeNotFound.
func (s *Store) DeclineOffer(ctx context.Context, id, agentID, reason string) (Offer, error) {
	return s.endOffer(ctx, offerRow{ID: id, AgentID: agentID, State: conversation.OfferDeclined, Reason: reason}, "")
}

// RescindOffer takes an offer back on behalf of a supervisor, whom the routing
// log names. It does not count as one the agent let pass. Rescinding again is no
// error; the codes are those of DeclineOffer.
func (s *Store) RescindOffer(ctx context.Context, id, actorID string) (Offer, error) {
	return s.endOffer(ctx, offerRow{ID: id, State: conversation.OfferRescinded, Reason: offerReasonSupervisor}, actorID)
}

// endOffer ends an offer; with an agent id, only theirs. actorID is who takes one
// back.
func (s *Store) endOffer(ctx context.Context, want offerRow, actorID string) (Offer, error) {
	o, err := s.Offer(ctx, want.ID)
	if err != nil {
		return o, err
	}
	if want.AgentID == "" {
		want.AgentID = o.AgentID
	}
	want.ConversationID = o.ConversationID
	err = s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, o.ConversationID)
		if err != nil {
			return err
		}
		now := micros(s.now())
		if err := c.answerOffer(ctx, want, now); err != nil {
			return err
		}
		if want.State != conversation.OfferDeclined {
			return c.logTakenBack(ctx, row, conversation.DerivedID(conversation.PrefixRoutingEntry, o.ID, outcomeTakenBack), o.ID, o.AgentID, actorID, now)
		}
		_, err = c.exec(ctx, `UPDATE conversations SET refused = TRUE WHERE id = $1`, o.ConversationID)
		return err
	})
	again := map[conversation.OfferState]conversation.Code{
		conversation.OfferDeclined: conversation.CodeOfferDeclined, conversation.OfferRescinded: conversation.CodeOfferRescinded,
	}
	if conversation.CodeOf(err) == again[want.State] {
		err = nil
	}
	o.State = want.State
	return o, err
}

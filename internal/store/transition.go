package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/routing"
	"kaiwa/internal/survey"
)

// TransitionRequest asks for one step of the life table.
type TransitionRequest struct {
	// ID names the step; doing it again answers what it did the first time.
	ID                 string
	ConversationID     string
	ChannelID, ChatKey string
	Event              conversation.Event
	Actor              conversation.Actor
	ActorID            string  // who, for the record: an agent's id, or ""
	QueueID            string  // where it goes, for events that enter or change a queue; "" leaves it where it was
	CustomQueue        bool    // that queue's assignment is custom
	ParticipantID      string  // who begins a session, for events that start one
	LeavingAgentID     string  // who held it when the step was asked for, as far as the caller knows
	OfferID            string  // EventAccepted
	Absence            Absence // EventAgentLost
	WrapUp             WrapUp  // for events that lead there
	Keep               Affinity
	Routing            *Routing // EventRouted
	// Override, of EventTransferredQueue, is what else the conversation asks for
	// from now on. With it only one that waits is transferred.
	Override      *conversation.Override
	DispositionID string // EventWrapUpDone
	Note          string // why, as an enumerated word
	Surveys       survey.Policy
	Announce      []Draft
	Overflowed    []string       // the queues it overflows from on the way
	Room          int64          // where it goes fewer than so many may wait, or it is ErrQueueFull; 0 is no limit
	Log           []RoutingEntry // for the routing log, of a step without Routing
	Seen          int64          // for events that close: what the workflow has seen
	Deadline      time.Time      // after it, the attempt changes nothing
}

// Affinity says how long a customer who comes back waits for the agent they had.
type Affinity struct {
	On    bool
	Until time.Time // zero: for as long as it takes
}

// TransitionResult is what a transition tells the workflow: where the
// conversation stands now, which a later step may have moved on from there.
type TransitionResult struct {
	Status    conversation.Status        `json:"status,omitempty"`
	Owner     conversation.Owner         `json:"owner,omitempty"`
	Epoch     int64                      `json:"epoch,omitempty"`
	Reason    conversation.ClosureReason `json:"reason,omitempty"`
	Behind    bool                       `json:"behind,omitempty"` // not closed: ingest first
	QueueID   string                     `json:"queue_id,omitempty"`
	AgentID   string                     `json:"agent_id,omitempty"`
	Routed    bool                       `json:"routed,omitempty"`    // its queue is decided
	Unhandled bool                       `json:"unhandled,omitempty"` // closed, and events wait for the next conversation
	Pending   bool                       `json:"pending,omitempty"`   // messages wait to be sent
	TendMS    int64                      `json:"tend_ms,omitempty"`   // when the rules of its queue have something to do, Unix milliseconds; 0 is never
}

// conversationRow is what transitions, turns and batches read under the row's
// lock.
type conversationRow struct {
	ID            string                     `db:"id"`
	ChannelID     string                     `db:"channel_id"`
	ChatKey       string                     `db:"chat_key"`
	WorkstreamID  string                     `db:"workstream_id"`
	Status        conversation.Status        `db:"status"`
	Owner         conversation.Owner         `db:"owner"`
	Epoch         int64                      `db:"epoch"`
	QueueID       string                     `db:"queue_id"`
	AgentID       string                     `db:"agent_id"`
	BotID         string                     `db:"bot_id"`
	BotBarred     bool                       `db:"bot_barred"`
	BotPosition   int64                      `db:"bot_position"`
	Context       string                     `db:"context"`
	Locale        string                     `db:"locale"`
	Greeted       bool                       `db:"greeted"`
	WaitingSince  int64                      `db:"waiting_since"`
	FirstWaitedAt int64                      `db:"first_waited_at"`
	RoutedAt      int64                      `db:"routed_at"`
	PhaseSince    int64                      `db:"phase_since"`
	Preferred     string                     `db:"preferred_agent_id"`
	PreferUntil   int64                      `db:"preferred_until"`
	Disposition   string                     `db:"disposition_id"`
	ConsentVer    string                     `db:"consent_version"`
	LastMessageAt int64                      `db:"last_message_at"`
	ClosureReason conversation.ClosureReason `db:"closure_reason"`
	Requirement   string                     `db:"requirement"`
	ProfileID     string                     `db:"capacity_profile_id"`
	ContactAgents string                     `db:"contact_agents"`
	Overflowed    string                     `db:"overflowed"`
	TendedAt      int64                      `db:"tended_at"`
	ToldAt        int64                      `db:"told_at"`
	QueueSettings string                     `db:"queue_settings"` // of the queue in which it waits
}

func (r conversationRow) phase() conversation.Phase {
	return conversation.Phase{Status: r.Status, Owner: r.Owner}
}

// queueSettingsColumn is the settings of the queue in which a conversation waits;
// it costs those nothing that wait in none.
const queueSettingsColumn = `coalesce((SELECT q.settings FROM queues q WHERE q.id = conversations.queue_id AND conversations.owner = 'queue'), '') AS queue_settings`

// lockConversation reads a conversation and keeps others from changing it
// until the transaction ends.
func (c conn) lockConversation(ctx context.Context, id string) (conversationRow, error) {
	var r conversationRow
	found, err := c.get(ctx, &r, `
		SELECT id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, agent_id, bot_id, bot_barred, bot_position,
			context, locale, greeted, waiting_since, first_waited_at, routed_at, phase_since, preferred_agent_id, preferred_until,
			disposition_id, consent_version, last_message_at, closure_reason, requirement, capacity_profile_id, contact_agents,
			overflowed, tended_at, told_at, `+queueSettingsColumn+`
		FROM conversations WHERE id = $1`+c.s.d.forUpdate(), id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no conversation %s.", id)
	}
	return r, err
}

// Transition carries out one step of the life table with all its effects, in
// one transaction. A step that closes takes the chat's lock first and compares:
// when the chat has something the workflow has not seen, it answers Behind and
// changes nothing. It returns the life table's refusals, those of the offer
// that is accepted, CodeConflict when an agent who was taken for lost is there,
// CodeLate, and ErrQueueFull.
func (s *Store) Transition(ctx context.Context, req TransitionRequest) (TransitionResult, error) {
	closes := mayClose(req.Event)
	point := "transition"
	if closes {
		point = "close"
	}
	var res TransitionResult
	err := s.tx(ctx, func(c conn) error {
		res = TransitionResult{}
		agents, err := c.lockStates(ctx, req.agents()...)
		if err != nil {
			return err
		}
		if closes {
			if _, err := c.lockChat(ctx, req.ChannelID, req.ChatKey); err != nil {
				return err
			}
			failpoint.Hit("close.locked")
		}
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil {
			return err
		}
		if err := s.late(req.Deadline); err != nil {
			return err
		}
		done, err := c.transitionDone(ctx, req.ID)
		if err != nil {
			return err
		}
		if done {
			res, err = c.stands(ctx, row, anyPending)
			return err
		}
		if req.Override != nil {
			if err := row.overridable(); err != nil {
				return err
			}
		}
		if closes {
			behind, err := c.behind(ctx, row, req.Seen)
			if err != nil {
				return err
			}
			if behind {
				res, err = c.stands(ctx, row, newPending)
				res.Behind = true
				return err
			}
		}
		if req.Event == conversation.EventAccepted { // first, because its refusals say more
			if err := c.acceptOffer(ctx, req.OfferID, row.ID, req.Actor.AgentID, micros(s.now())); err != nil {
				return err
			}
		}
		t, err := conversation.Next(row.phase(), req.Event, conversation.Facts{Actor: req.Actor, AgentID: row.AgentID, BotBarred: row.BotBarred})
		if err != nil {
			return err
		}
		if req.Event == conversation.EventAgentLost {
			if err := c.stillGone(ctx, row, req); err != nil {
				return err
			}
		}
		if t.To == conversation.PhaseQueued {
			to := req.QueueID
			if req.Routing != nil {
				to = req.Routing.QueueID
			}
			if err := c.room(ctx, to, req.Room); err != nil {
				return err
			}
		}
		if res, err = c.carryOut(ctx, row, t, req); err != nil {
			return err
		}
		if t.To == conversation.PhaseServed {
			if err := c.reviewLater(ctx, agents, res.AgentID); err != nil {
				return err
			}
		}
		err = c.showLoad(ctx, autoBusy(agents), micros(s.now()))
		failpoint.Hit(point + ".before_commit")
		return err
	})
	if err != nil {
		return TransitionResult{}, fmt.Errorf("%s of conversation %s: %w", req.Event, req.ConversationID, err)
	}
	if !res.Behind {
		failpoint.Hit(point + ".after_commit")
	}
	return res, nil
}

// agents are those whose work the step changes: their rows are locked first,
// in the order everybody locks them.
func (r TransitionRequest) agents() (ids []string) {
	if r.givesAgent() {
		ids = append(ids, r.ParticipantID)
	}
	if r.LeavingAgentID != "" && r.LeavingAgentID != r.ParticipantID {
		ids = append(ids, r.LeavingAgentID)
	}
	return ids
}

// givesAgent tells whether the event gives an agent the conversation.
func (r TransitionRequest) givesAgent() bool {
	return leads(r.Event, func(t conversation.Transition) bool {
		return t.To == conversation.PhaseServed && t.Has(conversation.EffectStartSession)
	})
}

func mayClose(event conversation.Event) bool {
	return leads(event, func(t conversation.Transition) bool { return t.Has(conversation.EffectClose) })
}

func leads(event conversation.Event, where func(conversation.Transition) bool) bool {
	return slices.ContainsFunc(conversation.Life(), func(t conversation.Transition) bool { return t.Event == event && where(t) })
}

// behind tells whether something was taken into the conversation that the
// workflow has not seen: the answer to it is still owed.
func (c conn) behind(ctx context.Context, row conversationRow, seen int64) (bool, error) {
	var n int
	_, err := c.get(ctx, &n, `SELECT count(*) FROM line_events
		WHERE channel_id = $1 AND chat_key = $2 AND position > $3 AND handled_by = $4`, row.ChannelID, row.ChatKey, seen, row.ID)
	return n > 0, err
}

func (c conn) unhandled(ctx context.Context, channelID, chatKey string) (bool, error) {
	var n int
	_, err := c.get(ctx, &n, `SELECT count(*) FROM line_events
		WHERE channel_id = $1 AND chat_key = $2 AND position = $3`, channelID, chatKey, int64(notHandled))
	return n > 0, err
}

// carryOut applies a transition's effects.
func (c conn) carryOut(ctx context.Context, row conversationRow, t conversation.Transition, req TransitionRequest) (TransitionResult, error) {
	now := micros(c.s.now())
	next := row
	next.Status, next.Owner = t.To.Status, t.To.Owner
	if t.From != t.To {
		next.PhaseSince = now
	}
	if t.From == conversation.PhaseClosed { // reopened: nothing of how it ended stays
		next.Disposition, next.ClosureReason, next.FirstWaitedAt, next.Overflowed = "", "", 0, "[]"
	}
	closedAt := int64(0)
	blocks, blocksUntil := req.WrapUp.blocks(t.To, now)
	if t.Has(conversation.EffectNewEpoch) {
		next.Epoch++
	}
	if c.s.watch.Waited != nil && row.WaitingSince > 0 && row.Owner == conversation.OwnerQueue && next.Owner == conversation.OwnerAgent {
		c.s.watch.Waited(fromMicros(now).Sub(fromMicros(row.WaitingSince)))
	}
	if row.Owner == conversation.OwnerQueue {
		if err := c.endLiveOffer(ctx, row.ID, conversation.OfferRescinded, string(req.Event), now); err != nil {
			return TransitionResult{}, err
		}
	}
	if row.Owner == conversation.OwnerQueue && next.Owner == conversation.OwnerAgent {
		if err := c.noteWait(ctx, row, now); err != nil {
			return TransitionResult{}, err
		}
	}
	if len(req.Overflowed) > 0 {
		var err error
		if next.Overflowed, err = withOverflowed(next.Overflowed, req.Overflowed); err != nil {
			return TransitionResult{}, err
		}
	}
	if t.Has(conversation.EffectEndSession) {
		if err := c.endSession(ctx, row, t.Reason, req, now); err != nil {
			return TransitionResult{}, err
		}
	}
	if t.Has(conversation.EffectStartSession) {
		kind := sessionAgent
		if t.To.Owner == conversation.OwnerBot {
			kind, next.BotID = sessionBot, req.ParticipantID
		} else {
			next.AgentID = req.ParticipantID
		}
		if err := c.startSession(ctx, row.ID, next.Epoch, kind, req.ParticipantID, now); err != nil {
			return TransitionResult{}, err
		}
	}
	if t.Has(conversation.EffectEnterQueue) {
		next.enterQueue(t, req, now)
	}
	if t.Has(conversation.EffectChangeQueue) && req.Routing == nil {
		next.QueueID, next.RoutedAt = req.QueueID, now
	}
	if t.Has(conversation.EffectLeaveQueue) {
		next.WaitingSince, next.Preferred, next.PreferUntil = 0, "", 0
	}
	if t.Has(conversation.EffectBarBot) {
		next.BotBarred = true
	}
	if t.Has(conversation.EffectReadmitBot) {
		// What was written so far has been answered by people: the bot begins
		// with what the customer writes next.
		next.BotBarred = false
		if _, err := c.get(ctx, &next.BotPosition, `SELECT coalesce(max(position), 0) FROM messages
			WHERE conversation_id = $1 AND direction = 'inbound'`, row.ID); err != nil {
			return TransitionResult{}, err
		}
	}
	if req.DispositionID != "" {
		next.Disposition = req.DispositionID
	}
	if t.Has(conversation.EffectClose) {
		closedAt, next.ClosureReason = now, t.Reason
	}
	// Who let it pass counts within an epoch, and why nobody has it is told anew
	// wherever it waits.
	if _, err := c.exec(ctx, `
		UPDATE conversations SET status = $1, owner = $2, epoch = $3, queue_id = $4, agent_id = $5, bot_id = $6, bot_barred = $7,
			waiting_since = $8, closed_at = $9, closure_reason = $10, updated_at = $11, first_waited_at = $12, routed_at = $13, phase_since = $14,
			preferred_agent_id = $15, preferred_until = $16, disposition_id = $17, bot_position = $18, contact_agents = $19,
			overflowed = $20, blocks_capacity = $21, blocks_until = $22,
			refused = CASE WHEN epoch = $3 THEN refused ELSE FALSE END, verdict = CASE WHEN epoch = $3 AND queue_id = $4 THEN verdict ELSE '' END
		WHERE id = $23`,
		string(next.Status), string(next.Owner), next.Epoch, next.QueueID, next.AgentID, next.BotID, next.BotBarred,
		next.WaitingSince, closedAt, string(next.ClosureReason), now, next.FirstWaitedAt, next.RoutedAt, next.PhaseSince,
		next.Preferred, next.PreferUntil, next.Disposition, next.BotPosition, next.ContactAgents, next.Overflowed, blocks, blocksUntil, row.ID); err != nil {
		return TransitionResult{}, err
	}
	if next.askedOtherwise(row, req) {
		if err := c.stamp(ctx, `c.id = $1`, row.ID); err != nil {
			return TransitionResult{}, err
		}
	}
	if req.Routing != nil {
		if err := c.applyRouting(ctx, row, req.ID, req.Routing, now); err != nil {
			return TransitionResult{}, err
		}
		next.QueueID, next.RoutedAt, next.TendedAt = req.Routing.QueueID, now, now
	}
	logAt := now + 1 // after the end of its offer
	if req.Override != nil {
		logAt++ // and after what else was asked for
		override := OverrideRequest{ID: req.ID, ActorID: req.ActorID, Override: *req.Override}
		if err := c.override(ctx, row, next.QueueID, override, now); err != nil {
			return TransitionResult{}, err
		}
	}
	if err := c.logRouting(ctx, row.ID, next.Epoch, req.ID, append(slices.Clip(req.Log), movedBy(req, t, row, next)...), logAt); err != nil {
		return TransitionResult{}, err
	}
	if err := c.recordTransition(ctx, transitionRow{
		ID: req.ID, ConversationID: row.ID, Event: req.Event, From: t.From, To: t.To, Epoch: next.Epoch,
		ActorID: req.ActorID, Reason: t.Reason, Note: req.Note, FromQueueID: row.QueueID, ToQueueID: next.QueueID, At: now,
	}); err != nil {
		return TransitionResult{}, err
	}
	if t.Has(conversation.EffectReleaseHeld) {
		if err := c.releaseHeld(ctx, row, now); err != nil {
			return TransitionResult{}, err
		}
	}
	if t.Has(conversation.EffectDropHeld) {
		if err := c.dropHeld(ctx, row); err != nil {
			return TransitionResult{}, err
		}
	}
	if _, err := c.insertOutbound(ctx, row, req.ID, req.Announce); err != nil {
		return TransitionResult{}, err
	}
	if t.Has(conversation.EffectClose) {
		if _, err := c.invite(ctx, next, req.Surveys, 0); err != nil {
			return TransitionResult{}, err
		}
	}
	return c.stands(ctx, next, newPending)
}

// enterQueue puts the conversation where it waits. Who comes from an agent
// waits in the queue that was named, or where they waited before. Everybody
// else is classified and routed first; a queue that was named for them stays.
func (r *conversationRow) enterQueue(t conversation.Transition, req TransitionRequest, now int64) {
	fromAgent := t.From.Owner == conversation.OwnerAgent || t.From == conversation.PhaseWaiting
	if req.QueueID != "" || !fromAgent {
		r.QueueID = req.QueueID
	}
	r.RoutedAt = 0
	if fromAgent && r.QueueID != "" {
		r.RoutedAt = now
	}
	if r.WaitingSince == 0 {
		r.WaitingSince = now
	}
	if r.FirstWaitedAt == 0 {
		r.FirstWaitedAt = now
	}
	r.Preferred, r.PreferUntil = "", 0
	if t.From.Owner == conversation.OwnerAgent {
		r.ContactAgents = "" // they had it, or somebody found that others should
	}
	if t.From == conversation.PhaseWaiting && req.Keep.On {
		r.Preferred = r.AgentID
		if !req.Keep.Until.IsZero() {
			r.PreferUntil = micros(req.Keep.Until)
		}
	}
}

// askedOtherwise tells whether a conversation waits where what it asks counts
// otherwise than it did before: in a queue whose assignment is custom, or no
// longer in one, or no longer for those its contact prefers.
func (r conversationRow) askedOtherwise(before conversationRow, req TransitionRequest) bool {
	if r.Owner != conversation.OwnerQueue || r.RoutedAt == 0 || req.Routing != nil {
		return false
	}
	moved := r.QueueID != before.QueueID && (req.CustomQueue || routing.IsCustomKind(before.Requirement))
	return moved || r.ContactAgents != before.ContactAgents
}

// endSession ends the engagement that is under way. An agent whose row is
// locked counts as idle from now on.
func (c conn) endSession(ctx context.Context, row conversationRow, reason conversation.ClosureReason, req TransitionRequest, now int64) error {
	if _, err := c.exec(ctx, `UPDATE sessions SET ended_at = $1, closure_reason = $2 WHERE conversation_id = $3 AND ended_at = 0`,
		now, string(reason), row.ID); err != nil {
		return err
	}
	if row.Owner == conversation.OwnerAgent && row.ProfileID != "" {
		if err := c.useProfile(ctx, row.AgentID, row.ProfileID, row.ID, now); err != nil {
			return err
		}
	}
	if row.Owner != conversation.OwnerAgent || row.AgentID != req.LeavingAgentID {
		return nil
	}
	_, err := c.exec(ctx, `UPDATE agent_states SET idle_since = $1 WHERE agent_id = $2`, now, row.AgentID)
	return err
}

// Messages that wait to be sent: all, or those no batch has been made of yet,
// as a lane that works knows of the others.
const (
	anyPending = `SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = $1 AND state = 'pending' AND direction = 'outbound')`
	newPending = `SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = $1 AND state = 'pending' AND batch_id = '')`
)

// stands tells where a conversation stands.
func (c conn) stands(ctx context.Context, row conversationRow, pending string) (TransitionResult, error) {
	res := TransitionResult{
		Status: row.Status, Owner: row.Owner, Epoch: row.Epoch, Reason: row.ClosureReason, QueueID: row.QueueID, AgentID: row.AgentID,
		Routed: row.RoutedAt > 0,
	}
	var err error
	if row.Owner == conversation.OwnerQueue && row.QueueID != "" {
		err = c.standsInQueue(ctx, row, pending, &res)
	} else {
		_, err = c.get(ctx, &res.Pending, pending, row.ID)
	}
	if err != nil {
		return res, err
	}
	if row.Status == conversation.StatusClosed {
		res.Unhandled, err = c.unhandled(ctx, row.ChannelID, row.ChatKey)
	}
	return res, err
}

// standsInQueue adds what waits to be sent, and when the rules of the queue have
// something to do, in one statement.
func (c conn) standsInQueue(ctx context.Context, row conversationRow, pending string, res *TransitionResult) error {
	var now struct {
		Pending  bool   `db:"pending"`
		Settings string `db:"settings"`
	}
	if _, err := c.get(ctx, &now, pending+` AS pending, coalesce((SELECT settings FROM queues WHERE id = $2), '') AS settings`, row.ID, row.QueueID); err != nil {
		return err
	}
	res.Pending = now.Pending
	var err error
	res.TendMS, err = tendMS(row.QueueID, now.Settings, row.RoutedAt, row.TendedAt, row.ToldAt)
	return err
}

// The kinds of session.
const (
	sessionBot   = "bot"
	sessionAgent = "agent"
)

func (c conn) startSession(ctx context.Context, conversationID string, epoch int64, kind, participant string, now int64) error {
	_, err := c.exec(ctx, `INSERT INTO sessions (id, conversation_id, epoch, kind, participant_id, started_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		conversation.DerivedID(conversation.PrefixSession, conversationID, epoch), conversationID, epoch, kind, participant, now)
	return err
}

// transitionRow is one line of a conversation's timeline.
type transitionRow struct {
	ID, ConversationID string
	Event              conversation.Event
	From, To           conversation.Phase
	Epoch              int64
	ActorID            string
	Reason             conversation.ClosureReason
	Note               string
	// FromQueueID and ToQueueID are of the phases in which it waits in a queue.
	FromQueueID, ToQueueID string
	At                     int64
}

// leftQueue is the member of an event's data that names the queue in which a
// conversation waits no longer: its members are told.
const leftQueue = "left_queue_id"

// recordTransition writes the timeline's line and the event of it.
func (c conn) recordTransition(ctx context.Context, t transitionRow) error {
	if _, err := c.exec(ctx, `
		INSERT INTO transitions (id, conversation_id, event, from_status, from_owner, to_status, to_owner, epoch, actor_id, reason, note, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		t.ID, t.ConversationID, string(t.Event), string(t.From.Status), string(t.From.Owner), string(t.To.Status), string(t.To.Owner),
		t.Epoch, t.ActorID, string(t.Reason), t.Note, t.At); err != nil {
		return err
	}
	kind := "conversation.changed"
	switch {
	case t.From == conversation.PhaseNone:
		kind = "conversation.created"
	case t.To == conversation.PhaseClosed:
		kind = "conversation.closed"
	}
	data := map[string]any{"event": t.Event, "status": t.To.Status, "owner": t.To.Owner, "reason": t.Reason}
	if t.To == conversation.PhaseQueued && t.ToQueueID != "" {
		data["queue_id"] = t.ToQueueID
	}
	if t.From == conversation.PhaseQueued && t.FromQueueID != "" && (t.To != conversation.PhaseQueued || t.ToQueueID != t.FromQueueID) {
		data[leftQueue] = t.FromQueueID
	}
	return c.record(ctx, kind, t.ConversationID, t.ConversationID, jsonOf(data), t.At)
}

// transitionDone tells whether a step was done before.
func (c conn) transitionDone(ctx context.Context, id string) (bool, error) {
	var done bool
	_, err := c.get(ctx, &done, `SELECT EXISTS (SELECT 1 FROM transitions WHERE id = $1)`, id)
	return done, err
}

// StepDone tells whether a step was carried out before.
func (s *Store) StepDone(ctx context.Context, id string) (bool, error) {
	return s.read().transitionDone(ctx, id)
}

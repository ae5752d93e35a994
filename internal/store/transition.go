package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// TransitionRequest asks for one step of the life table.
type TransitionRequest struct {
	// ID names the step; doing it again answers what it did the first time.
	ID                 string
	ConversationID     string
	ChannelID, ChatKey string
	Event              conversation.Event
	Actor              conversation.Actor
	ActorID            string // who, for the record: an agent's id, or ""
	QueueID            string // where it goes, for events that enter a queue
	ParticipantID      string // who begins a session, for events that start one
	Note               string // why, as an enumerated word
	Summary            string // the bot's words for the agent; "" leaves what is there
	Announce           []Draft
	Seen               int64     // for events that close: what the workflow has seen
	Deadline           time.Time // after it, the attempt changes nothing
}

// TransitionResult is what a transition tells the workflow.
type TransitionResult struct {
	Status    conversation.Status        `json:"status,omitempty"`
	Owner     conversation.Owner         `json:"owner,omitempty"`
	Epoch     int64                      `json:"epoch,omitempty"`
	Reason    conversation.ClosureReason `json:"reason,omitempty"`
	Behind    bool                       `json:"behind,omitempty"` // not closed: ingest first
	QueueID   string                     `json:"queue_id,omitempty"`
	Unhandled bool                       `json:"unhandled,omitempty"` // closed, and events wait for the next conversation
	Announced int                        `json:"announced,omitempty"` // messages stored for sending
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
	LastMessageAt int64                      `db:"last_message_at"`
	ClosureReason conversation.ClosureReason `db:"closure_reason"`
}

func (r conversationRow) phase() conversation.Phase {
	return conversation.Phase{Status: r.Status, Owner: r.Owner}
}

// lockConversation reads a conversation and keeps others from changing it
// until the transaction ends.
func (c conn) lockConversation(ctx context.Context, id string) (conversationRow, error) {
	var r conversationRow
	found, err := c.get(ctx, &r, `
		SELECT id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, agent_id, bot_id, bot_barred, bot_position,
			context, locale, greeted, waiting_since, last_message_at, closure_reason
		FROM conversations WHERE id = $1`+c.s.d.forUpdate(), id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no conversation %s.", id)
	}
	return r, err
}

// Transition carries out one step of the life table with all its effects, in
// one transaction. A step that closes takes the chat's lock first and compares:
// when the chat has something the workflow has not seen, it answers Behind and
// changes nothing. It returns the life table's refusals, and CodeLate.
func (s *Store) Transition(ctx context.Context, req TransitionRequest) (TransitionResult, error) {
	closes := false
	for _, t := range conversation.Life() {
		closes = closes || t.Event == req.Event && t.Has(conversation.EffectClose)
	}
	point := "transition"
	if closes {
		point = "close"
	}
	var res TransitionResult
	err := s.tx(ctx, func(c conn) error {
		res = TransitionResult{}
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
		mine, found, err := c.transitionByID(ctx, req.ID)
		if err != nil {
			return err
		}
		if found {
			res, err = c.answerAgain(ctx, row, mine)
			return err
		}
		if closes {
			behind, err := c.behind(ctx, row, req.Seen)
			if err != nil {
				return err
			}
			if behind {
				res = TransitionResult{Status: row.Status, Owner: row.Owner, Epoch: row.Epoch, Behind: true}
				return nil
			}
		}
		t, err := conversation.Next(row.phase(), req.Event, conversation.Facts{Actor: req.Actor, AgentID: row.AgentID, BotBarred: row.BotBarred})
		if err != nil {
			return err
		}
		res, err = c.carryOut(ctx, row, t, req)
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
	closedAt := int64(0)
	if t.Has(conversation.EffectNewEpoch) {
		next.Epoch++
	}
	if t.Has(conversation.EffectEndSession) {
		if _, err := c.exec(ctx, `UPDATE sessions SET ended_at = $1, closure_reason = $2 WHERE conversation_id = $3 AND ended_at = 0`,
			now, string(t.Reason), row.ID); err != nil {
			return TransitionResult{}, err
		}
	}
	if t.Has(conversation.EffectStartSession) {
		kind := "agent"
		if t.To.Owner == conversation.OwnerBot {
			kind, next.BotID = "bot", req.ParticipantID
		} else {
			next.AgentID = req.ParticipantID
		}
		if err := c.startSession(ctx, row.ID, next.Epoch, kind, req.ParticipantID, now); err != nil {
			return TransitionResult{}, err
		}
	}
	if t.Has(conversation.EffectEnterQueue) {
		next.QueueID = req.QueueID
		if next.WaitingSince == 0 {
			next.WaitingSince = now
		}
	}
	if t.Has(conversation.EffectLeaveQueue) {
		next.WaitingSince = 0
	}
	if t.Has(conversation.EffectBarBot) {
		next.BotBarred = true
	}
	if t.Has(conversation.EffectClose) {
		closedAt, next.ClosureReason = now, t.Reason
	}
	if _, err := c.exec(ctx, `
		UPDATE conversations SET status = $1, owner = $2, epoch = $3, queue_id = $4, agent_id = $5, bot_id = $6, bot_barred = $7,
			waiting_since = $8, closed_at = $9, closure_reason = $10, updated_at = $11,
			summary = CASE WHEN $12 = '' THEN summary ELSE $12 END
		WHERE id = $13`,
		string(next.Status), string(next.Owner), next.Epoch, next.QueueID, next.AgentID, next.BotID, next.BotBarred,
		next.WaitingSince, closedAt, string(next.ClosureReason), now, req.Summary, row.ID); err != nil {
		return TransitionResult{}, err
	}
	if err := c.recordTransition(ctx, transitionRow{
		ID: req.ID, ConversationID: row.ID, Event: req.Event, From: t.From, To: t.To, Epoch: next.Epoch,
		ActorID: req.ActorID, Reason: t.Reason, Note: req.Note, At: now,
	}); err != nil {
		return TransitionResult{}, err
	}
	announced, err := c.insertOutbound(ctx, row, req.ID, req.Announce)
	if err != nil {
		return TransitionResult{}, err
	}
	res := TransitionResult{Status: next.Status, Owner: next.Owner, Epoch: next.Epoch, QueueID: next.QueueID, Reason: t.Reason, Announced: announced}
	if t.Has(conversation.EffectClose) {
		res.Unhandled, err = c.unhandled(ctx, row.ChannelID, row.ChatKey)
	}
	return res, err
}

// answerAgain is what a step answers when it was done before.
func (c conn) answerAgain(ctx context.Context, row conversationRow, mine transitionRow) (TransitionResult, error) {
	res := TransitionResult{Status: mine.To.Status, Owner: mine.To.Owner, Epoch: mine.Epoch, QueueID: row.QueueID, Reason: mine.Reason}
	if _, err := c.get(ctx, &res.Announced, `SELECT count(*) FROM messages WHERE conversation_id = $1 AND state = 'pending' AND direction = 'outbound'`, row.ID); err != nil {
		return res, err
	}
	var err error
	if mine.To == conversation.PhaseClosed {
		res.Unhandled, err = c.unhandled(ctx, row.ChannelID, row.ChatKey)
	}
	return res, err
}

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
	At                 int64
}

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
	return c.record(ctx, kind, t.ConversationID, t.ConversationID, jsonOf(map[string]any{
		"event": t.Event, "status": t.To.Status, "owner": t.To.Owner, "reason": t.Reason,
	}), t.At)
}

func (c conn) transitionByID(ctx context.Context, id string) (transitionRow, bool, error) {
	var r struct {
		Status conversation.Status        `db:"to_status"`
		Owner  conversation.Owner         `db:"to_owner"`
		Epoch  int64                      `db:"epoch"`
		Reason conversation.ClosureReason `db:"reason"`
	}
	found, err := c.get(ctx, &r, `SELECT to_status, to_owner, epoch, reason FROM transitions WHERE id = $1`, id)
	return transitionRow{ID: id, To: conversation.Phase{Status: r.Status, Owner: r.Owner}, Epoch: r.Epoch, Reason: r.Reason}, found, err
}

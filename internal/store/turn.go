package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/traceparent"
)

// TurnInput is what a bot is asked.
type TurnInput struct {
	Conversation Conversation
	Messages     []Message // of the customer, since the bot's last turn, oldest first
	Upto         int64     // the chat's tick these messages reach to
	First        bool      // the bot has said nothing yet in this conversation
	Done         *TurnResult
	Unanswered   int  // with Done: messages that came after it was answered
	Stale        bool // ownership has moved: there is nothing to ask
	// Traces are the spans in which the messages were received, as traceparents;
	// of nobody who makes no spans.
	Traces []string
}

// The outcomes of a turn.
const (
	TurnAnswered  = "answered"
	TurnFailed    = "failed"    // the bot gave no usable answer
	TurnDiscarded = "discarded" // ownership had moved when the answer came
	TurnNothing   = "nothing"   // there was nothing to ask
)

// TurnResult is what a turn tells the workflow.
type TurnResult struct {
	Outcome  string `json:"outcome" db:"outcome"`
	Action   string `json:"action,omitempty" db:"action"`
	Failure  string `json:"failure,omitempty" db:"failure"`
	QueueID  string `json:"queue_id,omitempty" db:"queue_id"`
	Messages int    `json:"messages,omitempty" db:"messages"` // stored for sending
}

// TurnRequest names a turn: the conversation, the epoch in which the bot owns
// it, and the turn's id.
type TurnRequest struct {
	ID, ConversationID string
	Epoch              int64
}

// LoadTurn reads what the bot is to be asked. Done is set when this turn was
// answered before: its answer stands.
func (s *Store) LoadTurn(ctx context.Context, req TurnRequest) (TurnInput, error) {
	var in TurnInput
	c := s.read() // which sees what the workflow has just stored
	var row struct {
		Conversation
		Done TurnResult `db:"done"`
	}
	found, err := c.get(ctx, &row, `SELECT `+conversationColumns+`, coalesce(t.outcome, '') AS "done.outcome", coalesce(t.action, '') AS "done.action",
			coalesce(t.failure, '') AS "done.failure", coalesce(t.queue_id, '') AS "done.queue_id", coalesce(t.messages, 0) AS "done.messages"`+
		conversationFrom+`LEFT JOIN bot_turns t ON t.id = $2 WHERE c.id = $1`, req.ConversationID, req.ID)
	if err != nil {
		return in, err
	}
	if !found {
		return in, conversation.Errorf(conversation.CodeNotFound, "There is no conversation %s.", req.ConversationID)
	}
	if row.Done.Outcome != "" {
		in.Done = &row.Done
		_, err := c.get(ctx, &in.Unanswered, `SELECT count(*) FROM messages
			WHERE conversation_id = $1 AND direction = 'inbound' AND NOT held AND position > $2`, req.ConversationID, row.BotPosition)
		return in, err
	}
	conv := row.Conversation
	in.Conversation = conv
	in.Stale = conv.Epoch != req.Epoch || conv.Owner != conversation.OwnerBot
	if in.Stale {
		return in, nil
	}
	in.Upto = conv.BotPosition
	in.First = conv.BotPosition == 0
	// PostgreSQL does not see where it begins, and keeps its plan: decision 16.
	if err := c.list(ctx, &in.Messages, `SELECT `+messageColumns+` FROM messages
		WHERE conversation_id = $1 AND direction = 'inbound' AND NOT held AND position > (SELECT CAST($2 AS BIGINT))
		ORDER BY occurred_at, ordinal, id`, conv.ID, conv.BotPosition); err != nil {
		return in, err
	}
	if traceparent.Of(ctx) != "" {
		if err := c.list(ctx, &in.Traces, `SELECT traceparent FROM messages
			WHERE conversation_id = $1 AND direction = 'inbound' AND NOT held AND position > $2 AND traceparent IS NOT NULL
			ORDER BY occurred_at, ordinal, id`, conv.ID, conv.BotPosition); err != nil {
			return in, err
		}
	}
	live := in.Messages[:0]
	for _, m := range in.Messages {
		in.Upto = max(in.Upto, m.Position)
		if m.State != conversation.MessageRecalled {
			live = append(live, m)
		}
	}
	in.Messages = live
	failpoint.Hit("turn.before_answer")
	return in, nil
}

// TurnAnswer is a bot's answer, ready to be stored.
type TurnAnswer struct {
	Upto    int64             // the tick up to which the bot has answered
	Drafts  []Draft           // of a bot that failed: what it wanted to say, none of which can be sent
	Context map[string]string // changed variables; an empty value removes one
	Action  string
	Failure string // "" when the bot answered
	QueueID string
	Summary string // for the agent, on a handoff
}

// CommitTurn stores a bot's answer, unless ownership has moved since the bot
// was asked: then the answer is discarded, and that is recorded. A turn is
// stored once; storing it again returns what was stored.
func (s *Store) CommitTurn(ctx context.Context, req TurnRequest, a TurnAnswer) (TurnResult, error) {
	var res TurnResult
	err := s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil {
			return err
		}
		res = TurnResult{Outcome: TurnAnswered, Action: a.Action, QueueID: a.QueueID, Messages: sendable(a.Drafts)}
		switch {
		case row.Epoch != req.Epoch || row.Owner != conversation.OwnerBot:
			res = TurnResult{Outcome: TurnDiscarded}
		case a.Failure != "":
			res = TurnResult{Outcome: TurnFailed, Failure: a.Failure}
		}
		now := micros(s.now())
		first, err := c.exec(ctx, `
			INSERT INTO bot_turns (id, conversation_id, epoch, outcome, action, failure, queue_id, messages, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
			req.ID, req.ConversationID, req.Epoch, res.Outcome, res.Action, res.Failure, res.QueueID, res.Messages, now)
		if err != nil {
			return err
		}
		if first == 0 {
			_, err := c.get(ctx, &res, `SELECT outcome, action, failure, queue_id, messages FROM bot_turns WHERE id = $1`, req.ID)
			return err
		}
		if res.Outcome != TurnAnswered {
			if res.Outcome == TurnFailed {
				if _, err := c.insertOutbound(ctx, row, req.ID, a.Drafts); err != nil {
					return err
				}
			}
			if err := c.record(ctx, "bot_turn."+res.Outcome, row.ID, req.ID, "{}", now); err != nil {
				return err
			}
			failpoint.Hit("turn.before_commit")
			return nil
		}
		variables := map[string]string{}
		if err := json.Unmarshal([]byte(row.Context), &variables); err != nil {
			return fmt.Errorf("context: %w", err)
		}
		maps.Copy(variables, a.Context)
		maps.DeleteFunc(variables, func(_, v string) bool { return v == "" })
		encoded, err := json.Marshal(variables)
		if err != nil {
			return err
		}
		messages, err := c.insertMessages(ctx, row, req.ID, a.Drafts)
		if err != nil {
			return err
		}
		lastMessageAt := row.LastMessageAt
		if len(messages) > 0 {
			lastMessageAt = messages[0].OccurredAt
		}
		_, err = c.exec(ctx, `UPDATE conversations SET bot_position = $1, context = $2, greeted = TRUE, updated_at = $3,
			summary = CASE WHEN $4 = '' THEN summary ELSE $4 END, last_message_at = $5 WHERE id = $6`,
			max(row.BotPosition, a.Upto), string(encoded), now, a.Summary, lastMessageAt, row.ID)
		failpoint.Hit("turn.before_commit")
		return err
	})
	if err != nil {
		return TurnResult{}, fmt.Errorf("turn %s of conversation %s: %w", req.ID, req.ConversationID, err)
	}
	failpoint.Hit("turn.after_commit")
	return res, nil
}

// sendable counts the drafts that are to be sent.
func sendable(drafts []Draft) (n int) {
	for _, d := range drafts {
		if d.Unsendable == "" {
			n++
		}
	}
	return n
}

package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// TurnInput asks a bot for its answer to what the customer said since its last
// turn.
type TurnInput struct {
	ID             string `json:"id"` // names the turn: it is answered once
	ConversationID string `json:"conversation_id"`
	Epoch          int64  `json:"epoch"`
	Misses         int    `json:"misses,omitempty"` // turns in a row without understanding, before this one

	inIngest bool // it is made in the activity that took the messages in
}

// TurnOutput is what came of it.
type TurnOutput struct {
	store.TurnResult
	// Unanswered counts what the customer wrote after an earlier attempt gave
	// this answer.
	Unanswered int `json:"unanswered,omitempty"`
}

// BotTurn asks the conversation's bot. The bot's deadline is the workstream's;
// a bot that fails, or is late, is an answer too: the outcome says so, and the
// plot goes on with people.
func (a *Activities) BotTurn(ctx context.Context, in TurnInput) (TurnOutput, error) {
	out, err := a.turn(ctx, in)
	return out, final(err)
}

func (a *Activities) turn(ctx context.Context, in TurnInput) (TurnOutput, error) {
	req := store.TurnRequest{ID: in.ID, ConversationID: in.ConversationID, Epoch: in.Epoch}
	asked, err := a.store.LoadTurn(ctx, req)
	if err != nil {
		return TurnOutput{}, err
	}
	switch {
	case asked.Done != nil:
		return TurnOutput{TurnResult: *asked.Done, Unanswered: asked.Unanswered}, nil
	case asked.Stale:
		return TurnOutput{TurnResult: store.TurnResult{Outcome: store.TurnDiscarded}}, nil
	case len(asked.Messages) == 0:
		return TurnOutput{TurnResult: store.TurnResult{Outcome: store.TurnNothing}}, nil
	}
	plan, err := a.plans.get(ctx, asked.Conversation.ChannelID)
	if err != nil {
		return TurnOutput{}, err
	}
	begun := time.Now()
	parents := asked.Traces
	if in.inIngest {
		parents = nil // ctx has the span of the ingest, which is theirs
	}
	ctx, span := a.tracer.From(ctx, "bot turn", begun, parents, attribute.String("kaiwa.conversation", in.ConversationID), attribute.String("kaiwa.turn", in.ID))
	defer span.End()
	answer, kind := a.ask(ctx, plan, in, asked)
	failpoint.Hit("turn.after_answer")
	res, err := a.store.CommitTurn(ctx, req, answer)
	if err == nil {
		span.SetAttributes(attribute.String("kaiwa.bot", kind), attribute.String("kaiwa.outcome", res.Outcome), attribute.String("kaiwa.failure", res.Failure))
		a.metrics.Turn(kind, res.Outcome, res.Failure, time.Since(begun))
	}
	return TurnOutput{TurnResult: res}, err
}

// ask has the bot answer, and makes its answer one that can be stored. It tells
// the kind of bot, "" when there is none.
func (a *Activities) ask(ctx context.Context, plan store.Plan, in TurnInput, asked store.TurnInput) (_ store.TurnAnswer, kind string) {
	failed := func(failure string, err error) (store.TurnAnswer, string) {
		a.logger.WarnContext(ctx, "the bot gave no usable answer", slog.String("conversation", in.ConversationID),
			slog.String("turn", in.ID), slog.String("failure", failure), slog.Any("error", err))
		return store.TurnAnswer{Failure: failure}, kind
	}
	row, err := a.botOf(ctx, plan, asked.Conversation.BotID)
	if err != nil || row == nil {
		return failed("no_bot", err)
	}
	kind = row.Kind
	b, err := a.bots.get(*row)
	if err != nil {
		return failed("unusable", err)
	}
	turn, err := question(in, asked)
	if err != nil {
		return failed("unusable", err)
	}
	deadline := time.Duration(plan.Workstream.Settings.Bot.DeadlineSeconds) * time.Second
	if row.Kind != store.BotScript { // a script decides for itself which words lead to people
		for _, m := range asked.Messages {
			if m.Type == conversation.ContentText && bot.AsksForPerson(m.Text) {
				return store.TurnAnswer{Upto: asked.Upto, Action: ActionAsked}, kind
			}
		}
		if plan.Workstream.Settings.Courtesies.Typing.Bot() {
			a.courtesy.Loading(ctx, plan.Channel, asked.Conversation, deadline)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	reply, err := b.Answer(bounded, turn)
	if err != nil {
		return failed(string(bot.FailureOf(err)), err)
	}
	answer := store.TurnAnswer{Upto: asked.Upto, Context: reply.Context, Action: string(reply.Action)}
	if answer.Action == "" {
		answer.Action = string(bot.ActionContinue)
	}
	if reply.Handoff != nil {
		answer.QueueID, answer.Summary = reply.Handoff.QueueID, reply.Handoff.Summary
	}
	for _, c := range reply.Messages {
		c.Sender = conversation.SenderOf(row.Sender)
		if err := a.quote(ctx, asked.Conversation.ID, &c); err != nil {
			return failed(string(bot.FailureInvalidAnswer), err)
		}
		for _, piece := range line.Pieces(c) {
			if err := a.sendable(plan, piece); err != nil {
				return failed(string(bot.FailureInvalidAnswer), err)
			}
			answer.Drafts = append(answer.Drafts, store.Draft{
				SenderKind: conversation.SenderBot, SenderID: row.ID, SenderName: row.Name, Content: piece,
			})
		}
	}
	if !reply.Understood && answer.Action == string(bot.ActionContinue) {
		answer.Action = ActionMissed
		if in.Misses+1 >= int(plan.Workstream.Settings.Bot.MaxMisses) {
			answer.Action = ActionGiveUp
		}
	}
	return answer, kind
}

// quote checks what a message quotes. What the customer has taken back meanwhile,
// or LINE does not have, is not quoted.
func (a *Activities) quote(ctx context.Context, conversationID string, c *conversation.Content) (err error) {
	if c.QuoteMessageID == "" {
		return nil
	}
	c.QuoteToken, err = a.store.QuoteToken(ctx, conversationID, c.QuoteMessageID, "")
	if conversation.CodeOf(err) == conversation.CodeConflict {
		c.QuoteMessageID, err = "", nil
	}
	return err
}

// What a turn may lead to, beside bot.Action's values.
const (
	ActionMissed = "missed"         // the bot waits, and has understood nothing this time
	ActionGiveUp = "not_understood" // too many such turns in a row: people take over
	ActionAsked  = "customer_asked" // the customer asks for a person
)

// question puts what was loaded into the words a bot is asked in.
func question(in TurnInput, asked store.TurnInput) (bot.Turn, error) {
	conv := asked.Conversation
	turn := bot.Turn{
		ConversationID: conv.ID, TurnID: in.ID, Epoch: in.Epoch, Locale: conv.Locale,
		Customer: bot.Customer{ID: conv.ProfileID, Name: conv.DisplayName, Language: conv.Language},
		Context:  map[string]string{}, First: asked.First,
	}
	if conv.Language != "" {
		turn.Locale = conv.Language // a bot may speak more languages than the channel's texts
	}
	if err := json.Unmarshal([]byte(conv.Context), &turn.Context); err != nil {
		return turn, fmt.Errorf("context of conversation %s: %w", conv.ID, err)
	}
	for _, m := range asked.Messages {
		turn.Messages = append(turn.Messages, bot.Message{ID: m.ID, Direction: m.Direction, Type: m.Type, Text: m.Text, Payload: m.Shown()})
	}
	return turn, nil
}

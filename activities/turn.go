package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
	answer, kind, err := a.ask(ctx, plan, in, asked)
	if err != nil {
		return TurnOutput{}, err
	}
	failpoint.Hit("turn.after_answer")
	res, err := a.store.CommitTurn(ctx, req, answer)
	if err == nil {
		span.SetAttributes(attribute.String("kaiwa.bot", kind), attribute.String("kaiwa.outcome", res.Outcome), attribute.String("kaiwa.failure", res.Failure))
		a.metrics.Turn(kind, res.Outcome, res.Failure, time.Since(begun))
		if res.Outcome != store.TurnDiscarded {
			a.metrics.Unsendable(kind, unsendable(answer.Drafts))
		}
	}
	return TurnOutput{TurnResult: res}, err
}

// ask has the bot answer, and makes its answer one that can be stored. It tells
// the kind of bot, "" when there is none. Its error is the store's: of a bot that
// fails the answer tells.
func (a *Activities) ask(ctx context.Context, plan store.Plan, in TurnInput, asked store.TurnInput) (_ store.TurnAnswer, kind string, _ error) {
	failed := func(failure string, err error) (store.TurnAnswer, string, error) {
		a.logger.WarnContext(ctx, "the bot gave no usable answer", slog.String("conversation", in.ConversationID),
			slog.String("turn", in.ID), slog.String("failure", failure), slog.Any("error", err))
		return store.TurnAnswer{Failure: failure}, kind, nil
	}
	row, err := a.botOf(ctx, plan, asked.Conversation.BotID)
	switch {
	case err != nil && conversation.CodeOf(err) != conversation.CodeNotFound:
		return store.TurnAnswer{}, "", err
	case err != nil || row == nil:
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
				return store.TurnAnswer{Upto: asked.Upto, Action: ActionAsked}, kind, nil
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
	if answer.Drafts, err = a.said(ctx, plan, in, asked.Conversation, *row, reply); err != nil {
		return store.TurnAnswer{}, kind, err
	}
	// The customer would be left with nothing, and nobody would come.
	if n := unsendable(answer.Drafts); n > 0 && n == len(answer.Drafts) && answer.Action != string(bot.ActionHandoff) {
		nothing, _, _ := failed(string(bot.FailureInvalidAnswer), errors.New(answer.Drafts[0].Unsendable))
		nothing.Drafts = answer.Drafts
		return nothing, kind, nil
	}
	if !reply.Understood && answer.Action == string(bot.ActionContinue) {
		answer.Action = ActionMissed
		if in.Misses+1 >= int(plan.Workstream.Settings.Bot.MaxMisses) {
			answer.Action = ActionGiveUp
		}
	}
	return answer, kind, nil
}

// said are the messages of a bot's reply, in their order, long texts in pieces.
// One that cannot be sent is there as a whole, with the reason; the others are
// sent without it.
func (a *Activities) said(ctx context.Context, plan store.Plan, in TurnInput, conv store.Conversation, row store.Bot, reply bot.Reply) ([]store.Draft, error) {
	var drafts []store.Draft
	draft := func(c conversation.Content, unsendable string) {
		drafts = append(drafts, store.Draft{
			SenderKind: conversation.SenderBot, SenderID: row.ID, SenderName: row.Name, Content: c, Unsendable: unsendable,
		})
	}
	for i, c := range reply.Messages {
		c.Sender = conversation.SenderOf(row.Sender)
		pieces, wrong := []conversation.Content(nil), reply.Wrong[i]
		if wrong == nil {
			var err error
			pieces, err = a.pieces(ctx, plan, conv, c)
			var refused *conversation.Error
			switch {
			case errors.As(err, &refused):
				wrong = within(fmt.Sprintf("/messages/%d", i), refused)
			case err != nil:
				return nil, err
			}
		}
		if wrong != nil {
			reason := reasonOf(wrong)
			a.logger.WarnContext(ctx, "a message of the bot cannot be sent", slog.String("conversation", in.ConversationID),
				slog.String("turn", in.ID), slog.String("bot", row.ID), slog.String("reason", reason))
			draft(kept(c), reason)
			continue
		}
		for _, piece := range pieces {
			draft(piece, "")
		}
	}
	return drafts, nil
}

// pieces is a message as LINE takes it. What it refuses is of CodeInvalid, by
// pointers into the message.
func (a *Activities) pieces(ctx context.Context, plan store.Plan, conv store.Conversation, c conversation.Content) ([]conversation.Content, error) {
	if err := a.quote(ctx, conv.ID, &c); err != nil {
		return nil, err
	}
	pieces := line.Pieces(c)
	for _, piece := range pieces {
		if err := a.sendable(plan, conv, piece); err != nil {
			return nil, err
		}
	}
	return pieces, nil
}

// within is what is wrong with a message, by pointers into the answer it is of.
func within(at string, refused *conversation.Error) (wrong []conversation.FieldError) {
	for _, f := range refused.Fields {
		wrong = append(wrong, conversation.FieldError{Pointer: at + f.Pointer, Detail: f.Detail})
	}
	if wrong == nil {
		wrong = []conversation.FieldError{{Pointer: at, Detail: refused.Detail}}
	}
	return wrong
}

// Of a message that cannot be sent, people are told reasonsShown of the reasons,
// and the transcript keeps at most keptBytes.
const (
	reasonsShown = 5
	keptBytes    = 128 * 1024
)

// reasonOf puts what is wrong with a message in words.
func reasonOf(wrong []conversation.FieldError) string {
	var reasons []string
	for _, f := range wrong[:min(len(wrong), reasonsShown)] {
		reasons = append(reasons, f.Pointer+": "+f.Detail)
	}
	if more := len(wrong) - reasonsShown; more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(reasons, "; ")
}

// kept is what the transcript keeps of a message that cannot be sent: all of it,
// or the beginning of its text.
func kept(c conversation.Content) conversation.Content {
	if whole, err := json.Marshal(c); err == nil && len(whole) <= keptBytes {
		return c
	}
	short := conversation.Content{Type: c.Type}
	if pieces := line.SplitText(c.Text); len(pieces) > 0 {
		short.Text = pieces[0]
	}
	return short
}

// unsendable counts the drafts that cannot be sent.
func unsendable(drafts []store.Draft) (n int) {
	for _, d := range drafts {
		if d.Unsendable != "" {
			n++
		}
	}
	return n
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

package activities

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// ErrandsInput names a chat in which something is to be done.
type ErrandsInput struct {
	ChannelID string `json:"channel_id"`
	ChatKey   string `json:"chat_key"`
}

// ErrandsOutput tells what is left to the workflow.
type ErrandsOutput struct {
	Media []string `json:"media,omitempty"` // attachments to be fetched
}

// RunErrands does what is due in a chat beside any conversation: a new friend is
// welcomed, a group is left with a word. It may run again wherever it was
// interrupted: a reply token works once, and who has left is not there to leave.
//
// While LINE takes no access token of the channel, what is due stays so, and the
// chat is wanted when that is over. The files that waited for it are returned.
func (a *Activities) RunErrands(ctx context.Context, in ErrandsInput) (ErrandsOutput, error) {
	for {
		e, err := a.store.NextErrand(ctx, in.ChannelID, in.ChatKey)
		if err != nil {
			return ErrandsOutput{}, final(err)
		}
		if e == nil {
			files, err := a.store.FilesToResume(ctx, in.ChannelID, in.ChatKey)
			return ErrandsOutput{Media: files}, final(err)
		}
		plan, err := a.plans.get(ctx, in.ChannelID)
		if err != nil {
			return ErrandsOutput{}, final(err)
		}
		state, detail := store.ErrandDone, ""
		if err := a.errand(ctx, plan, *e); err != nil {
			if errors.Is(err, accesstoken.ErrHeld) {
				return ErrandsOutput{}, nil
			}
			var over bool
			if detail, over = endOf(err); !over {
				return ErrandsOutput{}, final(lineError(err))
			}
			state = store.ErrandDropped
			a.logger.InfoContext(ctx, "an errand came to nothing", slog.String("errand", e.ID), slog.String("kind", e.Kind), slog.Any("why", err))
		}
		if err := a.store.FinishErrand(ctx, in.ChannelID, in.ChatKey, *e, state, detail); err != nil {
			return ErrandsOutput{}, final(err)
		}
	}
}

// endOf tells whether an errand that met err is over, and why.
func endOf(err error) (detail string, over bool) {
	var unsaid store.Unsaid
	var refusal *line.Error
	switch {
	case errors.As(err, &unsaid):
		return string(unsaid), true
	case errors.Is(err, accesstoken.ErrHeld), !errors.As(err, &refusal), refusal.Retryable():
		return "", false
	}
	return wordsOf(refusal), true
}

func (a *Activities) errand(ctx context.Context, plan store.Plan, e store.Errand) error {
	if what, ok := linkErrands[e.Kind]; ok {
		return a.linkErrand(ctx, plan, e, what)
	}
	if e.Kind != store.ErrandLeave {
		return a.sayForFree(ctx, plan, e, automessage.Followed)
	}
	if err := a.sayForFree(ctx, plan, e, automessage.GroupLeft); err != nil {
		if _, over := endOf(err); !over {
			return err
		}
	}
	err := a.asChannel(ctx, plan.Channel, a.paced(func(client *line.Client) error {
		_, err := client.Leave(ctx, e.SourceID)
		failpoint.Hit("errand.after_answer")
		return err
	}))
	if line.ClassOf(err) == line.ClassNotFound {
		return nil // it has left
	}
	return err
}

// sayForFree says an automated message, if the errand's own reply token carries it.
func (a *Activities) sayForFree(ctx context.Context, plan store.Plan, e store.Errand, trigger automessage.Trigger) error {
	text, on := automessage.Text(trigger, plan.Channel.Locale, overrides(plan)...)
	said := automessage.Fill(text, automessage.Values{Context: map[string]string{}})
	if !on || said == "" {
		return unsaidOff
	}
	messages, err := line.Render([]conversation.Content{conversation.TextContent(said)})
	if err != nil {
		return err
	}
	return a.sayErrand(ctx, plan, e, messages, nil)
}

// The reasons to say nothing that are not the store's.
const (
	unsaidOff     store.Unsaid = "It is switched off."
	unsaidNobody  store.Unsaid = "Nobody is there any more."
	unsaidBlocked store.Unsaid = "The customer has blocked the account."
)

// sayErrand has LINE say what an errand says, once: see store.TryErrand. LINE's
// refusal of a reply token after an attempt in doubt means that it was used by
// that one; otherwise the token is no good, and a push, where it may be paid,
// takes its place.
func (a *Activities) sayErrand(ctx context.Context, plan store.Plan, e store.Errand, messages []json.RawMessage, paid *store.Sending) error {
	return a.asChannel(ctx, plan.Channel, func(client *line.Client) error {
		for {
			try, err := a.store.TryErrand(ctx, plan.Channel.ID, e, paid)
			if err != nil {
				return err
			}
			if try.Unsaid != "" {
				return try.Unsaid
			}
			err = a.paced(func(client *line.Client) error { return a.callFor(ctx, client, e, try, messages) })(client)
			failpoint.Hit("errand.after_answer")
			useless := line.ClassOf(err) == line.ClassInvalidReplyToken
			if useless && try.Doubt {
				return nil
			}
			var refusal *line.Error
			if errors.As(err, &refusal) && !refusal.Ambiguous() {
				if err := a.store.ErrandNotTaken(ctx, plan.Channel.ID, e, try, useless); err != nil {
					return err
				}
			}
			if !useless {
				return err
			}
		}
	})
}

// callFor makes the call of an attempt.
func (a *Activities) callFor(ctx context.Context, client *line.Client, e store.Errand, try store.ErrandTry, messages []json.RawMessage) error {
	if try.ReplyToken == "" {
		_, err := client.Push(ctx, e.SourceID, conversation.RetryKey(e.ID), messages)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tokenLife-a.now().Sub(try.ReceivedAt))
	defer cancel()
	_, err := client.Reply(ctx, try.ReplyToken, messages)
	return err
}

func retryable(err error) bool {
	var refusal *line.Error
	return errors.As(err, &refusal) && refusal.Retryable()
}

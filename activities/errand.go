package activities

import (
	"context"
	"errors"
	"log/slog"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
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
// Words that no fresh token carries are left out, for they would be a paid push.
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
			var refusal *line.Error
			switch {
			case errors.Is(err, accesstoken.ErrHeld):
				return ErrandsOutput{}, nil
			case !errors.As(err, &refusal) || refusal.Retryable():
				return ErrandsOutput{}, lineError(err)
			}
			state, detail = store.ErrandDropped, wordsOf(refusal)
			a.logger.WarnContext(ctx, "LINE does not have an errand", slog.String("errand", e.ID), slog.String("kind", e.Kind), slog.Any("error", refusal))
		}
		if err := a.store.FinishErrand(ctx, in.ChannelID, in.ChatKey, *e, state, detail); err != nil {
			return ErrandsOutput{}, final(err)
		}
	}
}

func (a *Activities) errand(ctx context.Context, plan store.Plan, e store.Errand) error {
	if what, ok := linkErrands[e.Kind]; ok {
		return a.linkErrand(ctx, plan, e, what)
	}
	trigger := automessage.Followed
	if e.Kind == store.ErrandLeave {
		trigger = automessage.GroupLeft
	}
	err := a.sayOnce(ctx, plan, e, trigger)
	if e.Kind != store.ErrandLeave {
		return err
	}
	if err != nil && (retryable(err) || errors.Is(err, accesstoken.ErrHeld)) {
		return err
	}
	err = a.asChannel(ctx, plan.Channel, a.paced(func(client *line.Client) error {
		_, err := client.Leave(ctx, e.SourceID)
		return err
	}))
	if line.ClassOf(err) == line.ClassNotFound {
		return nil // it has left
	}
	return err
}

// sayOnce says an automated message with the errand's own reply token. That LINE
// takes the token for used or expired means that it was said, or cannot be.
func (a *Activities) sayOnce(ctx context.Context, plan store.Plan, e store.Errand, trigger automessage.Trigger) error {
	text, on := automessage.Text(trigger, plan.Channel.Locale, overrides(plan)...)
	said := automessage.Fill(text, automessage.Values{Context: map[string]string{}})
	if !on || said == "" || e.ReplyToken == "" || a.now().Sub(e.ReceivedAt) >= tokenLife {
		return nil
	}
	messages, err := line.Render([]conversation.Content{conversation.TextContent(said)})
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, tokenLife-a.now().Sub(e.ReceivedAt))
	defer cancel()
	err = a.asChannel(call, plan.Channel, a.paced(func(client *line.Client) error {
		_, err := client.Reply(call, e.ReplyToken, messages)
		return err
	}))
	if line.ClassOf(err) == line.ClassInvalidReplyToken {
		return nil
	}
	return err
}

func retryable(err error) bool {
	var refusal *line.Error
	return errors.As(err, &refusal) && refusal.Retryable()
}

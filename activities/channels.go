package activities

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

const (
	// tendPause is how often a worker looks whether a channel's access token wants
	// something: it bounds how long what waited goes on waiting for a good one.
	tendPause = 2 * time.Second
	// tendAgain is when something that LINE did not do, or refuses, is tried again.
	tendAgain = time.Minute
	// renewBefore is how long before its end a token v2.1 is replaced: a week for
	// whoever has to mend what keeps it from that.
	renewBefore = 7 * 24 * time.Hour
	// askTime bounds each question to LINE about a token.
	askTime = 10 * time.Second
	// tendAtOnce bounds the channels of one look, resumeAtOnce the conversations
	// that are read at once of what waited.
	tendAtOnce, resumeAtOnce = 50, 200
)

// voice is by what an attempt spoke to LINE.
type voice struct {
	channel store.Channel
	token   string
}

// heedToken does what follows from LINE's refusal of an access token. Where there
// is another one by now, or there can be at once, nothing: the next attempt speaks
// by that. Otherwise the channel is held, if LINE says once more that it does not
// know the token. If it does know it, one endpoint's refusal holds nobody: it is
// returned as trouble of LINE's own, and the batch's time goes on running.
func (a *Activities) heedToken(ctx context.Context, b *store.Batch, by voice, refusal *line.Error) (*line.Error, error) {
	known, _, err := a.tokenRefused(ctx, by, refusal)
	if known {
		trouble := *refusal
		trouble.Class = line.ClassServer
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		_, err := a.store.NoteAttempt(ctx, b, store.OutcomeNotTaken, wordsOf(refusal))
		return &trouble, err
	}
	return refusal, err
}

// tokenRefused holds a channel whose access token LINE refuses, unless there is
// another one by now, or can be at once, or LINE says that it knows it.
func (a *Activities) tokenRefused(ctx context.Context, by voice, refusal *line.Error) (known, held bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	a.plans.forget(by.channel.ID)
	if a.tokens.Another(by.channel, by.token) {
		return false, false, nil
	}
	if by.token != "" {
		if _, err := a.line.As(by.token).BotInfo(ctx); err == nil || !refusesToken(err) {
			return true, false, nil
		}
	}
	held, err = a.store.HoldChannel(ctx, by.channel, accesstoken.Words(refusal))
	if err == nil && held {
		a.logger.ErrorContext(ctx, "LINE refuses a channel's access token; its messages wait for another", slog.String("channel", by.channel.ID), slog.Any("error", refusal))
	}
	return false, held, err
}

func refusesToken(err error) bool {
	var e *line.Error
	return errors.As(err, &e) && e.RefusesToken()
}

// TendChannels looks after the access tokens of channels until ctx ends, in one
// process at a time: it renews those that Kaiwa has issued, revokes those that
// were replaced, asks whether LINE takes one again that it refused, and has sent
// what waited meanwhile. It also shows the rich menus that could not be, or that
// are others since the channel was changed.
func TendChannels(ctx context.Context, a *Activities) {
	a.store.RunAsLeader(ctx, "channels", func(ctx context.Context) {
		tick := time.NewTicker(tendPause)
		defer tick.Stop()
		for {
			if err := a.TendChannelsOnce(ctx); err != nil && ctx.Err() == nil {
				a.logger.WarnContext(ctx, "channels were not looked after", slog.Any("error", err))
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// TendChannelsOnce looks once.
func (a *Activities) TendChannelsOnce(ctx context.Context) error {
	list, err := a.store.ChannelsToTend(ctx, tendAtOnce)
	if err != nil {
		return err
	}
	for _, c := range list {
		next, err := a.tendChannel(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			a.logger.WarnContext(ctx, "a channel was not looked after; it is tried again", slog.String("channel", c.ID), slog.Any("error", err))
			next = a.now().Add(tendAgain)
		}
		if err := a.store.Tended(ctx, c, next); err != nil {
			return err
		}
	}
	return nil
}

// tendChannel looks after one channel, and tells when it is to be looked after
// again; the zero time is never. What it changes asks for another look itself.
func (a *Activities) tendChannel(ctx context.Context, c store.Channel) (next time.Time, err error) {
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if c.TokenKind == store.TokenAsserted && c.Status != store.ChannelDeleted {
		due := c.TokenExpiresAt.Add(-renewBefore)
		if !c.HeldAt.IsZero() || !a.now().Before(due) {
			if err := a.renew(ctx, c); err != nil {
				return time.Time{}, err
			}
			return c.TendAt, nil // the new one is looked after anew
		}
		soonest(due)
	} else if !c.HeldAt.IsZero() {
		if err := a.askAgainAbout(ctx, c); err != nil {
			return time.Time{}, err
		}
		soonest(a.now().Add(tendAgain))
	}
	if !c.RevokeAt.IsZero() {
		if a.now().Before(c.RevokeAt) {
			soonest(c.RevokeAt)
		} else if err := a.revoke(ctx, c); err != nil {
			return time.Time{}, err
		}
	}
	if c.HeldAt.IsZero() {
		due, err := a.showDueMenus(ctx, c.ID)
		if err != nil {
			a.logger.WarnContext(ctx, "not all rich menus are shown yet; they are tried again", slog.String("channel", c.ID), slog.Any("error", err))
			due = a.now().Add(tendAgain)
		}
		if !due.IsZero() {
			soonest(due)
		}
	}
	if c.HeldAt.IsZero() && !c.ResumedAt.IsZero() {
		if err := a.resume(ctx, c); err != nil {
			a.logger.WarnContext(ctx, "not all that waited goes yet; it is tried again", slog.String("channel", c.ID), slog.Any("error", err))
			soonest(a.now().Add(tendPause)) // what is begun has its time
		}
	}
	return next, nil
}

// renew gives a channel a new token v2.1. A channel that is held stays so, when
// LINE issues none.
func (a *Activities) renew(ctx context.Context, c store.Channel) error {
	ask, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	token, expires, err := a.tokens.Issue(ask, c)
	if err != nil {
		return err
	}
	replaced, err := a.store.ReplaceToken(ctx, c, token, expires)
	if err != nil || replaced {
		a.plans.forget(c.ID)
		return err
	}
	// Somebody gave the channel another one meanwhile: nobody will use this.
	return a.line.RevokeAssertedToken(ask, c.LINEChannelID, secret(c), token)
}

func secret(c store.Channel) string {
	if len(c.Secrets) == 0 {
		return ""
	}
	return c.Secrets[0]
}

// revoke ends the token before. One that LINE refuses to revoke, since the
// secret is another by now, ends by itself.
func (a *Activities) revoke(ctx context.Context, c store.Channel) error {
	ask, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var e *line.Error
	if err := a.line.RevokeAssertedToken(ask, c.LINEChannelID, secret(c), c.OldToken); errors.As(err, &e) && e.Retryable() {
		return err
	} else if err != nil {
		a.logger.WarnContext(ctx, "an old access token was not revoked; it expires by itself", slog.String("channel", c.ID), slog.Any("error", err))
	}
	return a.store.OldTokenRevoked(ctx, c)
}

// askAgainAbout restores a channel whose token LINE takes again.
func (a *Activities) askAgainAbout(ctx context.Context, c store.Channel) error {
	ask, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	client, _, err := a.tokens.As(ask, c)
	if err == nil {
		_, err = client.BotInfo(ask)
	}
	switch {
	case refusesToken(err):
		return nil
	case err != nil:
		return err
	}
	a.plans.forget(c.ID)
	return a.store.RestoreChannel(ctx, c)
}

// resume has sent what waited while a channel was held: by the workflows that
// have it, and what was closed meanwhile, of which no workflow is left, from
// here. A conversation that began earlier comes before one of the same chat that
// began later; what LINE does not take at once holds up no other chat.
func (a *Activities) resume(ctx context.Context, c store.Channel) error {
	var after store.WaitingConversation
	var failed error
	late := map[string]bool{} // chats that have something yet
	for {
		list, err := a.store.WaitingConversations(ctx, c.ID, after, resumeAtOnce)
		if err != nil {
			return err
		}
		for _, w := range list {
			after = w
			if late[w.ChatKey] {
				continue
			}
			if err := a.resumeConversation(ctx, w); err != nil {
				late[w.ChatKey], failed = true, err
			}
		}
		switch {
		case len(list) == resumeAtOnce:
		case failed != nil:
			return failed
		default:
			return a.store.Resumed(ctx, c)
		}
	}
}

func (a *Activities) resumeConversation(ctx context.Context, w store.WaitingConversation) error {
	if w.Closed && !w.Survey && !w.NotBegun {
		for {
			out, err := a.Send(ctx, SendInput{ConversationID: w.ID})
			if err != nil || !out.More {
				return err
			}
		}
	}
	if err := a.store.Want(ctx, w); err != nil {
		return err
	}
	if w.Survey {
		return a.wakeSurvey(ctx, w.ChannelID, w.ID)
	}
	a.inbox.Notify(w.ChannelID, w.ChatKey)
	return nil
}

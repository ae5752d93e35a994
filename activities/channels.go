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
	// newToken is how long a token v2.1 that LINE refuses is only replaced when LINE
	// says that it is none: another would fare no better, and a channel has 30 of
	// them at most.
	newToken = 10 * time.Minute
	// askTime bounds each question to LINE about a token.
	askTime = 10 * time.Second
	// tendAtOnce bounds the channels of one look, resumeAtOnce the conversations
	// that are read at once of what waited, meetAtOnce the people whom LINE is
	// asked about at once.
	tendAtOnce, resumeAtOnce, meetAtOnce = 50, 200, 100
)

// voice is by what an attempt spoke to LINE.
type voice struct {
	channel store.Channel
	token   string
}

// heedToken does what follows for a batch from LINE's refusal of an access token.
// Where there is another one by now, or there can be at once, nothing: the next
// attempt speaks by that. One endpoint's refusal holds nobody: it is returned as
// trouble of LINE's own, and the batch's time goes on running.
func (a *Activities) heedToken(ctx context.Context, b *store.Batch, by voice, refusal *line.Error) (*line.Error, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*askTime)
	defer cancel()
	a.plans.forget(by.channel.ID)
	weight, err := a.tokens.Weigh(ctx, a.store, by.channel, by.token, refusal)
	switch {
	case err != nil:
		return refusal, err
	case weight == accesstoken.Held:
		a.tellHeld(ctx, by.channel, refusal)
	case weight == accesstoken.Strange:
		_, err := a.store.NoteAttempt(ctx, b, store.OutcomeNotTaken, wordsOf(refusal))
		return refusal.AsTrouble(), err
	}
	return refusal, nil
}

// asChannel makes a call to LINE as a channel, other than to send; see
// accesstoken.Keeper.Call.
func (a *Activities) asChannel(ctx context.Context, c store.Channel, call func(*line.Client) error) error {
	err := a.tokens.Call(ctx, a.store, c, call)
	if errors.Is(err, accesstoken.ErrHeld) {
		a.plans.forget(c.ID)
		a.tellHeld(ctx, c, err)
	}
	return err
}

// paced is a call by which this worker learns how soon LINE answers.
func (a *Activities) paced(call func(*line.Client) error) func(*line.Client) error {
	return func(client *line.Client) error {
		over := a.pace.begin()
		err := call(client)
		over(answered(err))
		return err
	}
}

func (a *Activities) tellHeld(ctx context.Context, c store.Channel, err error) {
	a.logger.ErrorContext(ctx, "LINE refuses a channel's access token; what it has to do waits for another", slog.String("channel", c.ID), slog.Any("error", err))
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
	due := c.TokenExpiresAt.Add(-renewBefore)
	issues := c.TokenKind == store.TokenAsserted && c.Status != store.ChannelDeleted
	if issues && (!a.now().Before(due) || !c.HeldAt.IsZero() && a.anotherHelps(ctx, c)) {
		if err := a.renew(ctx, c); err == nil {
			return c.TendAt, nil // the new one is looked after anew
		} else if c.HeldAt.IsZero() || c.Token == "" {
			return time.Time{}, err
		} else {
			a.logger.WarnContext(ctx, "LINE issues no other access token; it is asked about the one there is", slog.String("channel", c.ID), slog.Any("error", err))
		}
	}
	if issues {
		soonest(due)
	}
	if !c.HeldAt.IsZero() {
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
		if err := a.resume(ctx, c); errors.Is(err, errMore) {
			soonest(a.now().Add(tendPause))
		} else if err != nil {
			a.logger.WarnContext(ctx, "not all that waited goes yet; it is tried again", slog.String("channel", c.ID), slog.Any("error", err))
			soonest(a.now().Add(tendPause)) // what is begun has its time
		}
	}
	return next, nil
}

// anotherHelps tells whether another token v2.1 may be taken than the one that LINE
// refuses.
func (a *Activities) anotherHelps(ctx context.Context, c store.Channel) bool {
	if !a.now().Before(c.TokenExpiresAt.Add(newToken - line.AssertedTokenLife)) {
		return true
	}
	ask, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	_, err := a.line.TokenChannel(ask, c.Token, false)
	return line.ClassOf(err) == line.ClassRefused
}

// renew gives a channel a new token v2.1.
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
		if err == nil && c.OldToken != "" { // its place was needed
			_ = a.revokeOld(ask, c) // it expires by itself otherwise
		}
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
	if err := a.revokeOld(ask, c); errors.As(err, &e) && e.Retryable() {
		return err
	}
	return a.store.OldTokenRevoked(ctx, c)
}

func (a *Activities) revokeOld(ctx context.Context, c store.Channel) error {
	err := a.line.RevokeAssertedToken(ctx, c.LINEChannelID, secret(c), c.OldToken)
	if err != nil {
		a.logger.WarnContext(ctx, "an old access token was not revoked", slog.String("channel", c.ID), slog.Any("error", err))
	}
	return err
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

// resume has done what waited while a channel was held. It may be interrupted
// anywhere: it is gone through anew until all of it was.
func (a *Activities) resume(ctx context.Context, c store.Channel) error {
	sent := a.resumeSending(ctx, c)
	if err := a.resumeErrands(ctx, c); err != nil {
		return err
	}
	if sent != nil {
		return sent
	}
	if err := a.meetNameless(ctx, c); err != nil {
		return err
	}
	return a.store.Resumed(ctx, c)
}

// resumeErrands has done what was due beside conversations, and files fetched, by
// the workflows of their chats.
func (a *Activities) resumeErrands(ctx context.Context, c store.Channel) error {
	chats, err := a.store.ResumeErrands(ctx, c.ID)
	for _, chat := range chats {
		a.inbox.Notify(chat.ChannelID, chat.ChatKey)
	}
	return err
}

// errMore is that there is more to do than one look does.
var errMore = errors.New("more is to be done")

// meetNameless asks LINE about people whom it was not asked about while the
// channel was held, some at each look, so that other channels have their turn.
func (a *Activities) meetNameless(ctx context.Context, c store.Channel) error {
	n, err := a.store.Nameless(ctx, c.ID, meetAtOnce)
	if err != nil {
		return err
	}
	for _, chat := range n.Chats {
		if _, err := a.FetchProfile(ctx, ProfileInput{ChannelID: c.ID, ChatKey: chat}); err != nil {
			return err
		}
	}
	if err := a.FetchMembers(ctx, MembersInput{ChannelID: c.ID, IDs: n.Members}); err != nil {
		return err
	}
	if len(n.Chats) == meetAtOnce || len(n.Members) == meetAtOnce {
		return errMore
	}
	return nil
}

// resumeSending has sent what waited: by the workflows that
// have it, and what was closed meanwhile, of which no workflow is left, from
// here. A conversation that began earlier comes before one of the same chat that
// began later; what LINE does not take at once holds up no other chat.
func (a *Activities) resumeSending(ctx context.Context, c store.Channel) error {
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
		if len(list) < resumeAtOnce {
			return failed
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

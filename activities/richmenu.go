package activities

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	"go.temporal.io/sdk/activity"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/callrate"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

const (
	// menuTries is how often a workflow asks LINE to show a menu while LINE has
	// trouble, for half a minute or so: then whoever looks after channels goes on,
	// every tendAgain.
	menuTries = 6
	// menuRetry is when a menu that LINE refuses is asked for again.
	menuRetry = 10 * time.Minute
	// menusAtOnce bounds the menus of one look at a channel.
	menusAtOnce = 100
)

// RichMenuInput names a chat whose rich menu may be another one now.
type RichMenuInput struct {
	ChannelID string `json:"channel_id"`
	ChatKey   string `json:"chat_key"`
}

// ShowRichMenu has LINE show a customer the rich menu that the channel sets for
// whoever has their conversation. Which one that is, it reads when it asks LINE, and
// once more afterwards, so that the last change wins however many there are. LINE
// may be asked twice for the same menu, which changes nothing.
func (a *Activities) ShowRichMenu(ctx context.Context, in RichMenuInput) error {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return final(err)
	}
	err = a.showRichMenu(ctx, plan.Channel, in.ChatKey)
	if retryable(err) && activity.IsActivity(ctx) && activity.GetInfo(ctx).Attempt >= menuTries {
		a.logger.WarnContext(ctx, "a rich menu is not shown; it is tried again", slog.String("channel", in.ChannelID), slog.Any("error", err))
		err = a.store.RichMenuDue(ctx, in.ChannelID, in.ChatKey, a.now().Add(tendAgain))
	}
	if retryable(err) {
		return lineError(err)
	}
	return final(err)
}

// showRichMenu brings what LINE shows in a chat to what the channel sets. It returns
// LINE's trouble; what LINE refuses for good is dealt with.
func (a *Activities) showRichMenu(ctx context.Context, c store.Channel, chatKey string) error {
	for unsure := false; ; {
		m, err := a.store.CustomerMenu(ctx, c.ID, chatKey)
		if err != nil {
			return err
		}
		wanted := c.RichMenus.Of(m.Owner)
		if c.Status == store.ChannelDeleted {
			wanted = ""
		}
		if m.UserID == "" || wanted == m.Shown && !unsure {
			return nil
		}
		refused, isRefused := c.RichMenusRefused[wanted]
		switch {
		case !c.HeldAt.IsZero():
			return a.store.RichMenuDue(ctx, c.ID, chatKey, a.now())
		case isRefused && a.now().Before(refused.RetryAt):
			return a.store.RichMenuDue(ctx, c.ID, chatKey, refused.RetryAt)
		case !a.rates.May(ctx, c.ID, callrate.RichMenu):
			return callrate.TooFast(callrate.RichMenu)
		}
		err = a.asChannel(ctx, c, func(client *line.Client) error { return linkRichMenu(ctx, client, m.UserID, wanted) })
		if errors.Is(err, accesstoken.ErrHeld) {
			return a.store.RichMenuDue(ctx, c.ID, chatKey, a.now())
		}
		if err != nil {
			return a.menuRefused(ctx, c, chatKey, wanted, err)
		}
		failpoint.Hit("menu.after_answer")
		alone, err := a.store.RichMenuShown(ctx, c.ID, chatKey, m, wanted)
		if err != nil {
			return err
		}
		if isRefused {
			if err := a.store.AcceptRichMenu(ctx, c.ID, wanted); err != nil {
				return err
			}
			c.RichMenusRefused = maps.Clone(c.RichMenusRefused) // the plan's
			delete(c.RichMenusRefused, wanted)
			a.plans.forget(c.ID)
		}
		failpoint.Hit("menu.after_commit")
		unsure = !alone
	}
}

func linkRichMenu(ctx context.Context, client *line.Client, userID, menuID string) (err error) {
	if menuID == "" {
		_, err = client.UnlinkRichMenu(ctx, userID)
	} else {
		_, err = client.LinkRichMenu(ctx, userID, menuID)
	}
	return err
}

// menuRefused does what follows when LINE did not show a menu. Trouble of LINE's is
// returned. A menu that it shows to nobody is told of once, and not asked for again for a while,
// whoever should see it. What remains is about this customer, and left alone.
func (a *Activities) menuRefused(ctx context.Context, c store.Channel, chatKey, menuID string, err error) error {
	var refusal *line.Error
	if !errors.As(err, &refusal) || refusal.Retryable() {
		return err
	}
	if menuID == "" {
		a.logger.InfoContext(ctx, "LINE has no rich menu to take from a customer", slog.String("channel", c.ID), slog.Any("error", refusal))
		return nil
	}
	if err := a.asChannel(ctx, c, func(client *line.Client) error { return usableMenu(ctx, client, menuID) }); err != nil {
		if errors.Is(err, accesstoken.ErrHeld) {
			return a.store.RichMenuDue(ctx, c.ID, chatKey, a.now())
		}
		var about *line.Error
		if !errors.As(err, &about) || about.Retryable() {
			return err
		}
		retryAt := a.now().Add(menuRetry)
		a.logger.ErrorContext(ctx, "LINE does not show a rich menu", slog.String("channel", c.ID), slog.String("rich_menu", menuID), slog.Any("error", refusal))
		if err := a.store.RefuseRichMenu(ctx, c.ID, menuID, wordsOf(refusal), retryAt); err != nil {
			return err
		}
		a.plans.forget(c.ID)
		return a.store.RichMenuDue(ctx, c.ID, chatKey, retryAt)
	}
	a.logger.WarnContext(ctx, "LINE shows a customer no rich menu", slog.String("channel", c.ID), slog.String("chat", chatKey), slog.Any("error", refusal))
	return nil
}

// usableMenu tells whether LINE has a menu and its image, without which nobody can
// be shown it.
func usableMenu(ctx context.Context, client *line.Client, menuID string) error {
	if _, err := client.RichMenu(ctx, menuID); err != nil {
		return err
	}
	image, err := client.RichMenuImage(ctx, menuID)
	if err != nil {
		return err
	}
	return image.Body.Close()
}

// showDueMenus brings the menus of a channel that are due to what the channel sets,
// and tells when the next ones are; the zero time for never. While LINE has trouble
// the others wait.
func (a *Activities) showDueMenus(ctx context.Context, channelID string) (next time.Time, err error) {
	due, next, err := a.store.RichMenusDue(ctx, channelID, menusAtOnce)
	if err != nil || len(due) == 0 {
		return next, err
	}
	// Read after what is due: a change of it afterwards makes all due again.
	c, err := a.store.Channel(ctx, channelID)
	if err != nil {
		return next, err
	}
	for _, d := range due {
		err := a.showRichMenu(ctx, c, d.ChatKey)
		if line.ClassOf(err) == line.ClassRateLimited {
			return a.now(), nil
		}
		if err != nil {
			return next, err
		}
		if err := a.store.RichMenuTended(ctx, channelID, d); err != nil {
			return next, err
		}
	}
	return next, nil
}

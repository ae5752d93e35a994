// Package courtesy shows customers that somebody is at it: the loading animation
// while an answer is made, and that what they wrote was read. None of it is ever
// in the way of a message: LINE's refusals are noted, and nobody fails by them.
package courtesy

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/callrate"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

const (
	// TypingTime is how long the animation lasts that shows that an agent types,
	// unless a message ends it.
	TypingTime = 20 * time.Second
	// callTime bounds each call to LINE.
	callTime = 2 * time.Second
	// firstPause and longestPause lie between two attempts to tell LINE that a
	// message was read; the pause doubles.
	firstPause, longestPause = 30 * time.Second, time.Hour
	// tellFor is for how long it is tried. LINE's tokens for it do not expire; who
	// is told a day late is not interested.
	tellFor = 24 * time.Hour
	// tellAtOnce bounds the conversations of one look at what is due.
	tellAtOnce = 100
)

// Courtesy calls LINE. It is safe for concurrent use.
type Courtesy struct {
	Store  *store.Store
	Tokens *accesstoken.Keeper
	Rates  *callrate.Limits
	Logger *slog.Logger
	Now    func() time.Time
}

// Loading shows the animation in a conversation for d, at most a minute: in chats
// with one customer who has not blocked the account, while LINE takes the
// channel's token.
func (c *Courtesy) Loading(ctx context.Context, channel store.Channel, conv store.Conversation, d time.Duration) {
	if !showsLoading(channel, conv) || !c.Rates.May(ctx, channel.ID, callrate.Loading) {
		return
	}
	short, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := c.Tokens.Call(short, c.Store, channel, func(client *line.Client) error {
		_, err := client.StartLoading(short, conv.LINEUserID, int(d/time.Second))
		return err
	}); err != nil {
		c.Logger.DebugContext(ctx, "no loading animation", slog.String("conversation", conv.ID), slog.Any("error", err))
	}
}

func showsLoading(channel store.Channel, conv store.Conversation) bool {
	return channel.HeldAt.IsZero() && line.ValidUserID(conv.LINEUserID) && conv.Friendship != store.FriendBlocked
}

// Typing shows the customer of a conversation that its agent types, where the
// workstream wants that: once for as long as the animation lasts, whoever says so
// how often and to whichever process.
func (c *Courtesy) Typing(ctx context.Context, plan store.Plan, conv store.Conversation) error {
	if !plan.Workstream.Settings.Courtesies.Typing.Agent() || !showsLoading(plan.Channel, conv) {
		return nil
	}
	ours, err := c.Store.ClaimTyping(ctx, conv.ID, TypingTime)
	if err != nil || !ours {
		return err
	}
	c.Loading(ctx, plan.Channel, conv, TypingTime)
	return nil
}

// Read notes that the agent of a conversation has read it up to a message, and
// tells LINE where the workstream wants that. Its error is the store's; what LINE
// does not take now is told by TellDue, in whichever process.
func (c *Courtesy) Read(ctx context.Context, plan store.Plan, conv store.Conversation, messageID string) error {
	mark := plan.Workstream.Settings.Courtesies.MarkAsRead == store.ReadByAgent
	due, err := c.Store.Read(ctx, conv.ID, conv.AgentID, messageID, mark)
	if err != nil || !due {
		return err
	}
	if err := c.tell(context.WithoutCancel(ctx), conv.ID); err != nil { // whoever asked may not wait for LINE
		c.Logger.WarnContext(ctx, "LINE is told later what was read", slog.String("conversation", conv.ID), slog.Any("error", err))
	}
	return nil
}

// TellDue tells LINE what was read and is not known there yet: the process that
// was to do it has died, or LINE did not answer. Several processes may do it.
func (c *Courtesy) TellDue(ctx context.Context) error {
	for {
		ids, err := c.Store.MarksDue(ctx, tellAtOnce)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := c.tell(ctx, id); err != nil {
				return err
			}
		}
		if len(ids) < tellAtOnce {
			return nil
		}
	}
}

// The ends of telling LINE beside the classes of its refusals.
const (
	endTakenBack = "taken_back" // the customer has taken the message back
	endStandby   = "standby"    // another system serves the chat
	endTooLate   = "too_late"
	endChannel   = "channel_gone"
)

// tell tells LINE what was read in one conversation, and notes what it says.
func (c *Courtesy) tell(ctx context.Context, conversationID string) error {
	m, err := c.Store.Mark(ctx, conversationID)
	if err != nil || m == nil {
		return err
	}
	channel, err := c.Store.Channel(ctx, m.ChannelID)
	switch {
	case conversation.CodeOf(err) == conversation.CodeNotFound || err == nil && channel.Status == store.ChannelDeleted:
		return c.Store.Marked(ctx, *m, endChannel)
	case err != nil:
		return err
	case m.Token == "":
		return c.Store.Marked(ctx, *m, endTakenBack)
	case m.Standby:
		return c.Store.Marked(ctx, *m, endStandby)
	}
	refusal := c.markAsRead(ctx, channel, m.Token)
	switch {
	case refusal == nil:
		return c.Store.Marked(ctx, *m, "")
	case !refusal.Retryable() && !refusal.RefusesToken():
		c.Logger.InfoContext(ctx, "LINE does not mark a message as read", slog.String("conversation", conversationID), slog.Any("error", refusal))
		return c.Store.Marked(ctx, *m, string(refusal.Class))
	case c.Now().Sub(time.UnixMicro(m.ReadAt)) > tellFor:
		return c.Store.Marked(ctx, *m, endTooLate)
	}
	pause := min(firstPause<<min(m.Attempts, 10), longestPause)
	return c.Store.MarkLater(ctx, *m, c.Now().Add(pause), string(refusal.Class))
}

// markAsRead asks LINE once. While it refuses the channel's token, and above its
// rate limit, it is not asked.
func (c *Courtesy) markAsRead(ctx context.Context, channel store.Channel, token string) *line.Error {
	if !channel.HeldAt.IsZero() {
		return &line.Error{Class: line.ClassUnauthorized, Message: "LINE refuses the channel's access token."}
	}
	if !c.Rates.May(ctx, channel.ID, callrate.MarkAsRead) {
		return callrate.TooFast(callrate.MarkAsRead)
	}
	short, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err := c.Tokens.Call(short, c.Store, channel, func(client *line.Client) error {
		_, err := client.MarkAsRead(short, token)
		return err
	})
	var refusal *line.Error
	if err != nil && !errors.As(err, &refusal) {
		refusal = &line.Error{Class: line.ClassNoAnswer, Message: "LINE was not asked.", Err: err}
	}
	return refusal
}

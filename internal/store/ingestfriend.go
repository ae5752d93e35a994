package store

import (
	"context"

	"kaiwa/internal/conversation"
)

// friendship notes that the customer follows or blocks the account, or that a
// group has it or has removed it. What LINE tells late changes nothing of what
// was said since.
func (g *ingest) friendship(ctx context.Context, e taken) error {
	friendship, kind := "friend", "customer.followed"
	if e.item.Kind == ItemUnfollow {
		friendship, kind = "blocked", "customer.blocked"
	}
	id := profileID(g.req.ChannelID, g.req.ChatKey)
	if e.SourceType != "user" {
		n, err := g.c.exec(ctx, `UPDATE social_profiles SET friendship = $1, friendship_at = $2, updated_at = $3
			WHERE id = $4 AND friendship_at <= $2`, friendship, e.LineTime, g.now, id)
		if err != nil || n == 0 {
			return err // a group that was never served is nobody
		}
		return g.c.record(ctx, kind, g.res.ConversationID, id, "{}", g.now)
	}
	if _, err := g.c.exec(ctx, `
		INSERT INTO social_profiles (id, channel_id, chat_key, line_user_id, friendship, friendship_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
		ON CONFLICT (channel_id, chat_key) DO UPDATE SET friendship = excluded.friendship, friendship_at = excluded.friendship_at, updated_at = excluded.updated_at
		WHERE social_profiles.friendship_at <= excluded.friendship_at`,
		id, g.req.ChannelID, g.req.ChatKey, e.SourceID, friendship, e.LineTime, g.now); err != nil {
		return err
	}
	if e.item.Kind == ItemFollow {
		if err := g.richMenuDue(ctx); err != nil {
			return err
		}
	}
	return g.c.record(ctx, kind, g.res.ConversationID, id, "{}", g.now)
}

// blocked tells whether the customer has blocked the account, by the latest that
// LINE said of it, also to an attempt that runs again.
func (g *ingest) blocked(ctx context.Context) error {
	_, err := g.c.get(ctx, &g.res.Blocked, `SELECT friendship = 'blocked' FROM social_profiles WHERE channel_id = $1 AND chat_key = $2`,
		g.req.ChannelID, g.req.ChatKey)
	return err
}

// standby notes whether another system serves the chat: by the latest of its
// events. Nothing is sent meanwhile.
func (g *ingest) standby(ctx context.Context, events []taken) error {
	var last *taken
	for i, e := range events {
		if e.new {
			last = &events[i] // they are in the order of LINE's clock
		}
	}
	if last == nil || last.Standby == g.chat.Standby || last.LineTime < g.chat.StandbyAt {
		return nil
	}
	if !last.Standby {
		if err := g.richMenuDue(ctx); err != nil {
			return err
		}
	}
	_, err := g.c.exec(ctx, `UPDATE chats SET standby = $1, standby_at = $2 WHERE channel_id = $3 AND chat_key = $4 AND NOT EXISTS (
		SELECT 1 FROM line_events e WHERE e.channel_id = $3 AND e.chat_key = $4 AND e.line_time > $2 AND e.standby <> $1)`,
		last.Standby, last.LineTime, g.req.ChannelID, g.req.ChatKey)
	return err
}

func profileID(channelID, chatKey string) string {
	return conversation.DerivedID(conversation.PrefixProfile, channelID, chatKey)
}

// richMenuDue has a customer's rich menu looked after to whom none could be shown,
// where the channel sets any.
func (g *ingest) richMenuDue(ctx context.Context) error {
	if g.req.Plan == nil || !g.req.Plan.Channel.RichMenus.On() {
		return nil
	}
	return g.c.richMenuDue(ctx, g.req.ChannelID, g.req.ChatKey, g.s.now())
}

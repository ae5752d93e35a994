package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// ChatMember is somebody in a group chat or room, as one channel knows them.
type ChatMember struct {
	ID         string `db:"id"`
	SourceID   string `db:"source_id"` // the group or room
	LINEUserID string `db:"line_user_id"`
}

// membersAtOnce bounds how many names one ingest has looked up; who speaks again
// is looked up then.
const membersAtOnce = 20

// memberID is the id of somebody in the group or room of this chat.
func (g *ingest) memberID(lineUserID string) string {
	return conversation.DerivedID(conversation.PrefixProfile, g.req.ChannelID, g.req.ChatKey, lineUserID)
}

// senderID is who a message is of: in a group or room whoever spoke, if LINE
// says it, and the customer otherwise.
func (g *ingest) senderID(e taken) string {
	if e.item.Speaker != "" {
		return g.memberID(e.item.Speaker)
	}
	return profileID(g.req.ChannelID, g.req.ChatKey)
}

// freshSince is since when what LINE tells of somebody was asked for, if it is to
// count as current.
func (g *ingest) freshSince() int64 {
	var set Courtesies
	if g.req.Plan != nil {
		set = g.req.Plan.Workstream.Settings.Courtesies
	}
	return g.now - set.ProfileAge().Microseconds()
}

// members notes who is in a group or room, and whose names are to be asked for.
// It costs nothing where there is none.
func (g *ingest) members(ctx context.Context, events []taken) error {
	var ids []string
	changed := false
	for _, e := range events {
		changed = changed || e.new && e.SourceType != "user" && (len(e.item.Line.Members) > 0 || e.item.Kind == ItemFollow)
		users := e.item.Line.Members
		if e.item.Speaker != "" {
			users = append(slices.Clone(users), e.item.Speaker)
		}
		for _, user := range users {
			id, leftAt := g.memberID(user), int64(0)
			if e.item.Left {
				leftAt = e.LineTime // LINE tells nothing of them any more
			} else if !slices.Contains(ids, id) && len(ids) < membersAtOnce {
				ids = append(ids, id)
			}
			if !e.new {
				continue
			}
			if _, err := g.c.exec(ctx, `
				INSERT INTO chat_members (id, channel_id, chat_key, source_id, line_user_id, left_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (id) DO UPDATE SET left_at = excluded.left_at WHERE chat_members.left_at <> excluded.left_at`,
				id, g.req.ChannelID, g.req.ChatKey, e.SourceID, user, leftAt, g.now); err != nil {
				return err
			}
		}
	}
	if changed { // who pushes next counts anew
		if _, err := g.c.exec(ctx, `UPDATE chats SET members_due = 0 WHERE channel_id = $1 AND chat_key = $2`, g.req.ChannelID, g.req.ChatKey); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var old []struct {
		ID      string `db:"id"`
		Unknown bool   `db:"unknown"`
	}
	if err := g.c.list(ctx, &old, `SELECT id, fetched_at = 0 AS unknown FROM chat_members WHERE id IN (`+list1(len(ids), 2)+`) AND fetched_at < $1 ORDER BY id`,
		append([]any{g.freshSince()}, anys(ids)...)...); err != nil {
		return err
	}
	for _, m := range old {
		if m.Unknown {
			g.res.Members = append(g.res.Members, m.ID)
		} else {
			g.res.StaleMembers = append(g.res.StaleMembers, m.ID)
		}
	}
	return nil
}

// ChatMembers reads members of groups and rooms, to ask LINE about them; those
// that are not there are left out, and all while LINE takes no access token of
// their channel.
func (s *Store) ChatMembers(ctx context.Context, ids []string) ([]ChatMember, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var list []ChatMember
	err := s.read().list(ctx, &list, `SELECT id, source_id, line_user_id FROM chat_members m WHERE id IN (`+list1(len(ids), 1)+`)
		AND NOT EXISTS (SELECT 1 FROM channels h WHERE h.id = m.channel_id AND h.held_at > 0) ORDER BY id`, anys(ids)...)
	return list, err
}

// SaveChatMember stores what LINE tells of a member. An empty name keeps the one
// that is known: LINE refuses the profile of somebody who has left. With tell, an
// event says so when it is something else than before.
func (s *Store) SaveChatMember(ctx context.Context, id, displayName, pictureURL string, tell bool) error {
	failpoint.Hit("members.before_save")
	err := s.saveTold(ctx, tell, told{"chat_members", id, displayName, pictureURL, ""}, `
		UPDATE chat_members SET fetched_at = $1,
			display_name = CASE WHEN $2 = '' THEN display_name ELSE $2 END,
			picture_url  = CASE WHEN $2 = '' THEN picture_url ELSE $3 END
		WHERE id = $4`, displayName, pictureURL, id)
	failpoint.Hit("members.after_save")
	return err
}

// ofMany tells whether a conversation is held with a group or room.
func (to lane) ofMany() bool { return to.SourceType == "group" || to.SourceType == "room" }

// recipients is how many of the month's paid messages LINE counts for a push to
// the chat: as many as a group or room has members, 1 where nobody could count.
//
// Source: https://developers.line.biz/en/docs/messaging-api/pricing/
func (to lane) recipients() int64 {
	if to.ofMany() {
		return max(to.Members, 1)
	}
	return 1
}

// SaveMembers stores how many members LINE counts in the group or room of a batch
// that was CountDue, 0 when it did not say: then what is known stays. They are
// counted again before the first push after due, or when somebody joins or
// leaves; if that has happened since, nothing is stored.
func (s *Store) SaveMembers(ctx context.Context, b *Batch, members int64, due time.Time) error {
	_, err := s.write().exec(ctx, `UPDATE chats SET members = CASE WHEN $1 > 0 THEN $1 ELSE members END, members_due = $2
		WHERE channel_id = $3 AND chat_key = (SELECT chat_key FROM conversations WHERE id = $4) AND members_due = $5`,
		members, micros(due), b.ChannelID, b.ConversationID, b.membersDue)
	if err != nil {
		return fmt.Errorf("members of the chat of conversation %s: %w", b.ConversationID, err)
	}
	return nil
}

// Mentionable tells whether a conversation is held with a group or room, and LINE's
// ids of its people, by the ids that their messages have as sender. Who has left is
// among them: LINE says so.
func (s *Store) Mentionable(ctx context.Context, conversationID string, ids []string) (many bool, users map[string]string, err error) {
	c := s.read()
	var to lane
	if _, err := c.get(ctx, &to, `SELECT t.channel_id, t.chat_key, t.source_type FROM chats t JOIN conversations c ON c.channel_id = t.channel_id AND c.chat_key = t.chat_key
		WHERE c.id = $1`, conversationID); err != nil || !to.ofMany() {
		return false, nil, err
	}
	var list []ChatMember
	if err := c.list(ctx, &list, `SELECT id, source_id, line_user_id FROM chat_members WHERE id IN (`+list1(len(ids), 3)+`) AND channel_id = $1 AND chat_key = $2`,
		append([]any{to.ChannelID, to.ChatKey}, anys(ids)...)...); err != nil {
		return false, nil, err
	}
	users = map[string]string{}
	for _, m := range list {
		users[m.ID] = m.LINEUserID
	}
	return true, users, nil
}

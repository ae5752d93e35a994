package linesim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// ErrNotMember is returned for a group or room that the account, or the user,
// is not in.
var ErrNotMember = errors.New("not a member of this group")

// Group chats and rooms are there from the first thing that happens in them:
// somebody writes, or the account is invited. Their ids begin with C and R.

// placeOf is the source of what happens in a group or room; userID may be "".
func placeOf(groupID, userID string) (eventSource, error) {
	if !chatIDPattern.MatchString(groupID) || groupID[0] == 'U' {
		return eventSource{}, fmt.Errorf("%q is not the id of a group (C…) or room (R…)", groupID)
	}
	if groupID[0] == 'R' {
		return sourceOf(userID, "", groupID), nil
	}
	return sourceOf(userID, groupID, ""), nil
}

// Invite brings the account into a group or room with these users in it.
func (s *Simulator) Invite(ctx context.Context, channelID, groupID string, userIDs ...string) (Sent, error) {
	return s.inGroup(ctx, channelID, groupID, userIDs, occurrence{
		kind: "join", replies: true,
		before: func(t *txn) error {
			if err := setPresent(t, channelID, groupID, true); err != nil {
				return err
			}
			return addMembers(t, channelID, groupID, userIDs)
		},
	})
}

// Expel removes the account from a group or room.
func (s *Simulator) Expel(ctx context.Context, channelID, groupID string) (Sent, error) {
	return s.inGroup(ctx, channelID, groupID, nil, occurrence{
		kind:  "leave",
		store: func(t *txn) error { return setPresent(t, channelID, groupID, false) },
	})
}

// MembersJoin has users join a group or room that the account is in.
func (s *Simulator) MembersJoin(ctx context.Context, channelID, groupID string, userIDs ...string) (Sent, error) {
	return s.inGroup(ctx, channelID, groupID, userIDs, occurrence{
		kind: "memberJoined", replies: true,
		store: func(t *txn) error { return addMembers(t, channelID, groupID, userIDs) },
		event: func(e *event, _ string) { e.Joined = membersOf(userIDs) },
	})
}

// MembersLeave has users leave a group or room that the account is in.
func (s *Simulator) MembersLeave(ctx context.Context, channelID, groupID string, userIDs ...string) (Sent, error) {
	return s.inGroup(ctx, channelID, groupID, userIDs, occurrence{
		kind: "memberLeft",
		store: func(t *txn) error {
			for _, id := range userIDs {
				if _, err := t.exec(`DELETE FROM members WHERE channel_id = ? AND group_id = ? AND user_id = ?`, channelID, groupID, id); err != nil {
					return err
				}
			}
			return nil
		},
		event: func(e *event, _ string) { e.Left = membersOf(userIDs) },
	})
}

func (s *Simulator) inGroup(ctx context.Context, channelID, groupID string, userIDs []string, o occurrence) (Sent, error) {
	c, err := s.channel(channelID)
	if err != nil {
		return Sent{}, err
	}
	src, err := placeOf(groupID, "")
	if err != nil {
		return Sent{}, err
	}
	for _, id := range userIDs {
		if _, err := s.user(ctx, id); err != nil {
			return Sent{}, err
		}
	}
	return s.emit(c, src, o)
}

func membersOf(userIDs []string) any {
	type member struct {
		Type   string `json:"type"`
		UserID string `json:"userId"`
	}
	list := make([]member, len(userIDs))
	for i, id := range userIDs {
		list[i] = member{"user", id}
	}
	return map[string]any{"members": list}
}

func addMembers(t *txn, channelID, groupID string, userIDs []string) error {
	for _, id := range userIDs {
		if _, err := t.exec(`INSERT OR IGNORE INTO members (channel_id, group_id, user_id) VALUES (?, ?, ?)`, channelID, groupID, id); err != nil {
			return err
		}
	}
	return nil
}

// setPresent notes whether the account is in a group; one it leaves is nobody's
// any more to it.
func setPresent(t *txn, channelID, groupID string, present bool) error {
	if _, err := t.exec(`INSERT OR REPLACE INTO groups (channel_id, group_id, present) VALUES (?, ?, ?)`, channelID, groupID, present); err != nil {
		return err
	}
	if present {
		return nil
	}
	_, err := t.exec(`DELETE FROM members WHERE channel_id = ? AND group_id = ?`, channelID, groupID)
	return err
}

// mayHear refuses what happens in a group that the account has left: it hears
// nothing of that. A group that nobody has heard of begins with what happens.
func mayHear(t *txn, channelID string, src eventSource) error {
	if src.GroupID == "" && src.RoomID == "" {
		return nil
	}
	var left int
	err := t.get(&left, `SELECT count(*) FROM groups WHERE channel_id = ? AND group_id = ? AND present = 0`, channelID, src.chat())
	if err == nil && left > 0 {
		return fmt.Errorf("account %s: %w", channelID, ErrNotMember)
	}
	return err
}

// Edit changes the words of a text that a user wrote in a group or room. LINE
// tells of edits there only.
func (s *Simulator) Edit(ctx context.Context, channelID, userID, messageID, text string) (Sent, error) {
	c, err := s.known(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	m := Message{Type: "text", Text: text}
	if err := m.check(); err != nil {
		return Sent{}, err
	}
	var row messageRow
	err = s.store.r.GetContext(ctx, &row, `SELECT * FROM messages WHERE id = ? AND channel_id = ? AND user_id = ? AND direction = 'customer' AND type = 'text' AND unsent_ms = 0`,
		messageNumber(messageID), channelID, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return Sent{}, fmt.Errorf("text %q of %s: %w", messageID, userID, ErrNotFound)
	}
	if err != nil {
		return Sent{}, fmt.Errorf("read message %s: %w", messageID, err)
	}
	src, err := placeOf(row.ChatID, userID)
	if err != nil {
		return Sent{}, errors.New("a text can be edited in groups and rooms only")
	}
	sent, err := s.emit(c, src, occurrence{
		kind: "messageEdited", replies: true,
		store: func(t *txn) error {
			_, err := t.exec(`UPDATE messages SET body = json_set(body, '$.text', ?) WHERE id = ?`, text, row.ID)
			return err
		},
		event: func(e *event, _ string) { e.Message = m.content(messageID, row.QuoteToken, row.ReadToken) },
	})
	if err == nil {
		s.hub.publish("edit", map[string]any{"channel_id": channelID, "chat_id": row.ChatID, "message_id": messageID, "text": text})
	}
	return sent, err
}

// leave: https://developers.line.biz/en/reference/messaging-api/#leave-group
func (s *Simulator) leave(c *apiCall) answer {
	src, err := placeOf(c.PathValue("groupId"), "")
	if err != nil {
		return refuse(http.StatusBadRequest, "The value for the 'groupId' parameter is invalid")
	}
	_, err = s.emit(c.channel, src, occurrence{
		kind: "leave",
		before: func(t *txn) error {
			var n int
			if err := t.get(&n, `SELECT count(*) FROM groups WHERE channel_id = ? AND group_id = ? AND present = 1`, c.channel.ID, src.chat()); err != nil {
				return err
			}
			if n == 0 {
				return ErrNotMember
			}
			return nil
		},
		store: func(t *txn) error { return setPresent(t, c.channel.ID, src.chat(), false) },
	})
	switch {
	case errors.Is(err, ErrNotMember):
		return refuse(http.StatusNotFound, "Not found")
	case err != nil:
		return s.broken(c, err)
	}
	c.record.To, c.record.Accepted = src.chat(), true
	return ok(struct{}{})
}

// beaconKinds and membershipKinds are LINE's words. Source:
// https://developers.line.biz/en/reference/messaging-api/#beacon-event
var (
	beaconKinds     = []string{"enter", "banner", "stay"}
	membershipKinds = []string{"joined", "left", "renewed"}
)

// PlayVideo tells that a user has watched a video of the account to its end.
func (s *Simulator) PlayVideo(ctx context.Context, channelID, userID, trackingID string) (Sent, error) {
	c, err := s.writer(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	return s.emit(c, sourceOf(userID, "", ""), occurrence{
		kind: "videoPlayComplete", replies: true,
		event: func(e *event, _ string) { e.Video = map[string]string{"trackingId": trackingID} },
	})
}

// Beacon brings a user near a beacon: kind is enter, banner or stay. hwid and dm
// are hexadecimal; dm may be "".
func (s *Simulator) Beacon(ctx context.Context, channelID, userID, kind, hwid, dm string) (Sent, error) {
	c, err := s.writer(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	if !slices.Contains(beaconKinds, kind) {
		return Sent{}, fmt.Errorf("beacon %q must be one of %v", kind, beaconKinds)
	}
	beacon := map[string]string{"hwid": hwid, "type": kind}
	if dm != "" {
		beacon["dm"] = dm
	}
	return s.emit(c, sourceOf(userID, "", ""), occurrence{
		kind: "beacon", replies: true,
		event: func(e *event, _ string) { e.Beacon = beacon },
	})
}

// Membership tells that a user joined, left or renewed a membership.
func (s *Simulator) Membership(ctx context.Context, channelID, userID, kind string, membershipID int64) (Sent, error) {
	c, err := s.writer(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	if !slices.Contains(membershipKinds, kind) {
		return Sent{}, fmt.Errorf("membership %q must be one of %v", kind, membershipKinds)
	}
	return s.emit(c, sourceOf(userID, "", ""), occurrence{
		kind: "membership", replies: true,
		event: func(e *event, _ string) {
			e.Membership = map[string]any{"type": kind, "membershipId": membershipID}
		},
	})
}

// Suspend tells that LINE has suspended the account, or that it is back. Such
// events have no source.
func (s *Simulator) Suspend(ctx context.Context, channelID string, suspended bool) (Sent, error) {
	kind := "botResumed"
	if suspended {
		kind = "botSuspended"
	}
	return s.Raw(ctx, channelID, fmt.Appendf(nil, `{"type":%q}`, kind))
}

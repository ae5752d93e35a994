package store

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// QuotaWarnings are the parts of a month's paid messages, in percent, at which
// supervisors are told, each once a month.
var QuotaWarnings = []int64{80, 95, 100}

// EventQuotaWarning is recorded when a channel's use of its paid messages has
// reached one of QuotaWarnings.
const EventQuotaWarning = "channel.quota_warning"

// ChannelQuota is what LINE last said of a channel's paid messages.
type ChannelQuota struct {
	ChannelID string `db:"channel_id"`
	Month     string `db:"month"`       // as QuotaMonth names it
	Limit     int64  `db:"quota_limit"` // -1 when there is none
	Used      int64  `db:"used"`
	ReadAt    int64  `db:"read_at"` // Unix microseconds
	Warned    int64  `db:"warned"`  // the highest of QuotaWarnings told this month; 0 is none
}

// Left is how many messages may still be pushed; -1 is any number.
func (q ChannelQuota) Left() int64 {
	if q.Limit < 0 {
		return -1
	}
	return max(q.Limit-q.Used, 0)
}

// Warnings are the thresholds that supervisors were told of this month.
func (q ChannelQuota) Warnings() []int64 {
	return slices.DeleteFunc(slices.Clone(QuotaWarnings), func(t int64) bool { return t > q.Warned })
}

// UntilWarning is how many more messages reach the next threshold; -1 when
// there is none.
func (q ChannelQuota) UntilWarning() int64 {
	if q.Limit < 0 {
		return -1
	}
	for _, t := range QuotaWarnings {
		if left := (q.Limit*t+99)/100 - q.Used; left > 0 {
			return left
		}
	}
	return -1
}

// japan is the time in which LINE counts months.
//
// Source: https://developers.line.biz/en/docs/messaging-api/pricing/
var japan = time.FixedZone("JST", 9*60*60)

// QuotaMonth is the calendar month in which LINE counts paid messages at a
// time: its name, such as 2026-01, and its bounds.
func QuotaMonth(t time.Time) (name string, from, until time.Time) {
	t = t.In(japan)
	from = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, japan)
	return from.Format("2006-01"), from.UTC(), from.AddDate(0, 1, 0).UTC()
}

const quotaColumns = `channel_id, month, quota_limit, used, read_at, warned`

// ChannelQuota reads what LINE last said of a channel's paid messages this
// month; nil when nobody has asked yet.
func (s *Store) ChannelQuota(ctx context.Context, channelID string) (*ChannelQuota, error) {
	month, _, _ := QuotaMonth(s.now())
	var q ChannelQuota
	found, err := s.read().get(ctx, &q, `SELECT `+quotaColumns+` FROM channel_quotas WHERE channel_id = $1 AND month = $2`, channelID, month)
	if err != nil || !found {
		return nil, err
	}
	return &q, nil
}

// more tells whether more is left than before in the same month: somebody has
// bought more, or LINE has given back what another delivery had reserved.
func (q ChannelQuota) more(before ChannelQuota) bool {
	return q.Month == before.Month && before.Limit >= 0 && (q.Limit < 0 || q.Left() > before.Left())
}

// heldBack are the automated messages that wait to be sent, and are in no batch.
func (d dialect) heldBack() string {
	return `messages AS m` + d.indexedBy("messages_unsent") + ` WHERE m.state = 'pending' AND m.batch_id = '' AND m.sender_kind = 'system'`
}

// wakeHeld has the chats of a channel woken in which automated messages wait.
func (c conn) wakeHeld(ctx context.Context, channelID string) error {
	_, err := c.exec(ctx, `INSERT INTO chats_to_wake (channel_id, chat_key)
		SELECT channel_id, chat_key FROM conversations WHERE id IN (SELECT m.conversation_id FROM `+c.s.d.heldBack()+` AND m.channel_id = $1)
		ON CONFLICT (channel_id, chat_key) DO NOTHING`, channelID)
	return err
}

// HeldChannels names channels in which automated messages wait, and whose quota
// of this month was read before a time, at most limit.
func (s *Store) HeldChannels(ctx context.Context, readBefore time.Time, limit int) ([]string, error) {
	month, _, _ := QuotaMonth(s.now())
	var ids []string
	err := s.read().list(ctx, &ids, `SELECT channel_id FROM channel_quotas q WHERE q.month = $1 AND q.quota_limit >= 0 AND q.read_at < $2
		AND q.channel_id IN (SELECT m.channel_id FROM `+s.d.heldBack()+`)
		ORDER BY channel_id LIMIT $3`, month, micros(readBefore), limit)
	if err != nil {
		return nil, fmt.Errorf("channels whose messages wait: %w", err)
	}
	return ids, nil
}

// SaveQuota keeps what LINE said of a channel's paid messages at a time, and
// records a warning for each threshold that is reached for the first time in
// that month. When more is left than before, the chats are woken in which
// automated messages wait. What was said before something that is kept already changes
// nothing. It returns what is kept.
func (s *Store) SaveQuota(ctx context.Context, channelID string, limit, used int64, readAt time.Time) (ChannelQuota, error) {
	month, _, _ := QuotaMonth(readAt)
	var kept ChannelQuota
	err := s.tx(ctx, func(c conn) error {
		// The first to come makes the row; from then on it is the lock.
		if _, err := c.exec(ctx, `INSERT INTO channel_quotas (`+quotaColumns+`) VALUES ($1, '', 0, 0, 0, 0) ON CONFLICT (channel_id) DO NOTHING`, channelID); err != nil {
			return err
		}
		if _, err := c.get(ctx, &kept, `SELECT `+quotaColumns+` FROM channel_quotas WHERE channel_id = $1`+s.d.forUpdate(), channelID); err != nil {
			return err
		}
		if kept.ReadAt > micros(readAt) {
			return nil
		}
		warned := kept.Warned
		if kept.Month != month {
			warned = 0
		}
		before := kept
		kept = ChannelQuota{channelID, month, limit, used, micros(readAt), warned}
		if kept.more(before) {
			if err := c.wakeHeld(ctx, channelID); err != nil {
				return err
			}
		}
		var warnings []happened
		for _, t := range QuotaWarnings {
			if limit >= 0 && used*100 >= limit*t && t > kept.Warned {
				kept.Warned = t
				warnings = append(warnings, happened{EventQuotaWarning, "", channelID,
					jsonOf(map[string]any{"threshold": t, "limit": limit, "used": used, "month": month})})
			}
		}
		if _, err := c.exec(ctx, `UPDATE channel_quotas SET month = $1, quota_limit = $2, used = $3, read_at = $4, warned = $5 WHERE channel_id = $6`,
			kept.Month, kept.Limit, kept.Used, kept.ReadAt, kept.Warned, channelID); err != nil {
			return err
		}
		return c.recordAll(ctx, warnings, micros(s.now()))
	})
	if err != nil {
		return ChannelQuota{}, fmt.Errorf("quota of channel %s: %w", channelID, err)
	}
	return kept, nil
}

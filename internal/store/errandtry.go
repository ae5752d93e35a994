package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/failpoint"
)

const (
	// errandTokenLife is how old a reply token may be for an errand to be said
	// with it.
	errandTokenLife = 50 * time.Second
	// errandKeyLife is how long after its first attempt a push is repeated: LINE
	// knows a retry key for a day.
	errandKeyLife = 23 * time.Hour
)

// Unsaid is why an errand says nothing; "" when it does.
type Unsaid string

func (u Unsaid) Error() string { return string(u) }

// The reasons to say nothing.
const (
	UnsaidLate     Unsaid = "There is no fresh reply token, and it is not worth a paid message."
	UnsaidDoubt    Unsaid = "LINE may have taken it, and nobody can know; it is not said a second time."
	UnsaidReserved Unsaid = "What is left of this month's paid messages is for agents."
	UnsaidStandby  Unsaid = "Another system serves the chat."
	UnsaidOver     Unsaid = "Somebody else has done it meanwhile."
)

// ErrandTry is one attempt to say something to LINE for an errand.
type ErrandTry struct {
	Number     int64     // tells attempts apart
	ReplyToken string    // of the event it answers, "" for a push
	ReceivedAt time.Time // when the token came
	// Doubt says that LINE may have taken an attempt before this one.
	Doubt  bool
	Unsaid Unsaid // there is no attempt
}

// TryErrand notes that an errand is being said, and tells how: with the reply token
// of the event it answers, which is free, or, where paid is not nil, by a push. It
// comes right before the call, so that whoever dies earlier leaves no doubt; what
// LINE clearly did not take is noted by ErrandNotTaken. An attempt of which nobody
// knows the end is repeated only in a way in which LINE takes it once.
func (s *Store) TryErrand(ctx context.Context, channelID string, e Errand, paid *Sending) (ErrandTry, error) {
	var out ErrandTry
	err := s.tx(ctx, func(c conn) error {
		out = ErrandTry{}
		row, err := c.lockErrand(ctx, e)
		switch {
		case err != nil:
			return err
		case row.State != errandDue, row.InChat:
			out.Unsaid = UnsaidOver
			return nil
		case row.Standby:
			out.Unsaid = UnsaidStandby
			return nil
		}
		now := s.now()
		out.Number, out.Doubt = row.Attempts+1, row.TriedAt > 0
		if err := c.errandToken(ctx, channelID, e, now, &out); err != nil {
			return err
		}
		if out.Unsaid == UnsaidLate && paid != nil {
			quota := lane{QuotaMonth: row.QuotaMonth, QuotaLimit: row.QuotaLimit, QuotaUsed: row.QuotaUsed, QuotaReadAt: row.QuotaReadAt}
			switch out.Unsaid = ""; {
			case out.Doubt && now.Sub(fromMicros(row.TriedAt)) >= errandKeyLife:
				out.Unsaid = UnsaidDoubt
			case !out.Doubt && quota.spent(*paid, now):
				out.Unsaid = UnsaidReserved
			}
		}
		if out.Unsaid != "" {
			return nil
		}
		if row.TriedAt == 0 {
			row.TriedAt = micros(now)
		}
		_, err = c.exec(ctx, `UPDATE errands SET attempts = $1, tried_at = $2 WHERE id = $3`, out.Number, row.TriedAt, e.ID)
		return err
	})
	if err != nil {
		return ErrandTry{}, fmt.Errorf("try errand %s: %w", e.ID, err)
	}
	if out.Unsaid == "" {
		failpoint.Hit("errand.tried")
	}
	return out, nil
}

// errandRow is what is known of saying an errand; its state is "" when there is
// none.
type errandRow struct {
	State       string `db:"state"`
	Attempts    int64  `db:"attempts"`
	TriedAt     int64  `db:"tried_at"` // of the first attempt that LINE may have taken; 0 for none
	Standby     bool   `db:"standby"`
	QuotaMonth  string `db:"quota_month"`
	QuotaLimit  int64  `db:"quota_limit"`
	QuotaUsed   int64  `db:"quota_used"`
	QuotaReadAt int64  `db:"quota_read_at"`

	InChat bool `db:"-"` // it is said in a conversation
}

// lockErrand keeps others from saying the same elsewhere.
func (c conn) lockErrand(ctx context.Context, e Errand) (errandRow, error) {
	var row errandRow
	_, err := c.get(ctx, &row, `SELECT e.state, e.attempts, e.tried_at, coalesce(t.standby, FALSE) AS standby, coalesce(q.month, '') AS quota_month,
			coalesce(q.quota_limit, -1) AS quota_limit, coalesce(q.used, 0) AS quota_used, coalesce(q.read_at, 0) AS quota_read_at
		FROM errands e LEFT JOIN chats t ON t.channel_id = e.channel_id AND t.chat_key = e.chat_key LEFT JOIN channel_quotas q ON q.channel_id = e.channel_id
		WHERE e.id = $1`+c.s.d.forUpdateOf("e"), e.ID)
	if err != nil {
		return row, err
	}
	row.InChat, err = c.announced(ctx, e.ID) // after the lock, which whoever said it there had
	return row, err
}

// errandToken takes the reply token of the event that an errand answers, unless it
// is too old, or not its own. An attempt in doubt was made with the token if it is
// the errand's, and by a push if not.
func (c conn) errandToken(ctx context.Context, channelID string, e Errand, now time.Time, out *ErrandTry) error {
	out.Unsaid = UnsaidLate
	if e.EventID == "" {
		return nil
	}
	var token struct {
		replyToken
		LINETime    int64  `db:"line_time"`
		Batch       string `db:"token_batch"`
		Standby     bool   `db:"standby"`
		Redelivered bool   `db:"redelivered"`
	}
	found, err := c.get(ctx, &token, `SELECT id, reply_token, received_at, line_time, token_batch, standby, redelivered FROM line_events
		WHERE channel_id = $1 AND webhook_event_id = $2`+c.s.d.forUpdate(), channelID, e.EventID)
	if err != nil {
		return err
	}
	own := token.Batch == e.ID
	fresh := token.ReplyToken != "" && !token.Standby && token.ReceivedAt >= micros(now.Add(-errandTokenLife)) && (token.LINETime >= micros(now.Add(-replyLimit)) || !token.Redelivered)
	switch {
	case !found && out.Doubt: // the event was swept away, and with it whether it was by its token
		out.Unsaid = UnsaidDoubt
	case own && !fresh:
		out.Unsaid = UnsaidDoubt
	case own, fresh && token.Batch == "" && !out.Doubt:
		out.Unsaid, out.ReplyToken, out.ReceivedAt, out.Doubt = "", token.ReplyToken, fromMicros(token.ReceivedAt), own
	}
	if out.ReplyToken == "" || own {
		return nil
	}
	_, err = c.exec(ctx, `UPDATE line_events SET token_batch = $1 WHERE id = $2`, e.ID, token.ID)
	return err
}

// ErrandNotTaken notes that LINE clearly did not take an attempt: the next one
// begins as if it had not been. useless says that the reply token is no good. An
// attempt after one in doubt clears up nothing, nor does one that another has
// superseded.
func (s *Store) ErrandNotTaken(ctx context.Context, channelID string, e Errand, try ErrandTry, useless bool) error {
	if try.Doubt {
		return nil
	}
	return s.tx(ctx, func(c conn) error {
		row, err := c.lockErrand(ctx, e)
		if err != nil || row.State != errandDue || row.Attempts != try.Number {
			return err
		}
		if _, err := c.exec(ctx, `UPDATE errands SET tried_at = 0 WHERE id = $1`, e.ID); err != nil || try.ReplyToken == "" {
			return err
		}
		set := `token_batch = ''`
		if useless {
			set += `, reply_token = ''`
		}
		_, err = c.exec(ctx, `UPDATE line_events SET `+set+` WHERE channel_id = $1 AND webhook_event_id = $2 AND token_batch = $3`, channelID, e.EventID, e.ID)
		return err
	})
}

// SayErrand stores what an errand says in the conversation that is open in its
// chat, once, and wants its workflow for it. said is false when none is open, or
// when it may have been said beside any.
func (s *Store) SayErrand(ctx context.Context, chat Chat, e Errand, drafts []Draft) (said bool, err error) {
	err = s.tx(ctx, func(c conn) error {
		said = false
		if err := c.lockChatFor(ctx, chat); err != nil {
			return err
		}
		row, err := c.lockErrand(ctx, e)
		if said = row.InChat; err != nil || said || row.State != errandDue || row.TriedAt > 0 {
			return err
		}
		id, err := c.openConversation(ctx, chat)
		if err != nil || id == "" {
			return err
		}
		conv, err := c.lockConversation(ctx, id)
		if err != nil {
			return err
		}
		said = true
		_, err = c.insertOutbound(ctx, conv, e.ID, drafts)
		return err
	})
	return said && err == nil, err
}

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/routing"
)

// tendMS is when the rules of a queue have something to do about a conversation
// that waits there, in Unix milliseconds; 0 is never. Times are microseconds.
func tendMS(queueID, settings string, routedAt, tendedAt, toldAt int64) (int64, error) {
	if settings == "" || settings == noQueueSettings || routedAt == 0 {
		return 0, nil
	}
	q, err := queueSettings(queueID, settings)
	if err != nil {
		return 0, err
	}
	duty, at := q.rules().Next(waitOf(routedAt, tendedAt, toldAt))
	if duty == routing.DutyNone {
		return 0, nil
	}
	return (micros(at) + 999) / 1000, nil // by then it is due
}

func waitOf(routedAt, tendedAt, toldAt int64) routing.Wait {
	return routing.Wait{Since: fromMicros(routedAt), Tended: fromMicros(tendedAt), Told: fromMicros(toldAt)}
}

// QueuedConversation is a conversation that waits in a queue, as the queue's
// rules see it.
type QueuedConversation struct {
	ID      string
	QueueID string
	Epoch   int64
	// Requirement is what it asks of agents, but for the workstream's presences. In
	// a queue with rules of its own skills do not count: rules may ignore them.
	Requirement routing.Requirement
	OnOffer     bool
	Overflowed  []string // the queues it overflowed from
	Settings    QueueSettings
	Wait        routing.Wait
}

// Due is what the queue's rules want done by a time; DutyNone when that is
// nothing yet.
func (q QueuedConversation) Due(by time.Time) (routing.Duty, time.Time) {
	duty, at := q.Settings.rules().Next(q.Wait)
	if at.After(by) {
		return routing.DutyNone, at
	}
	return duty, at
}

// Queued reads a conversation that waits in a queue that was decided; found is
// false when it does not.
func (s *Store) Queued(ctx context.Context, id string) (q QueuedConversation, found bool, err error) {
	var row struct {
		asked
		Kind       string `db:"requirement"`
		QueueID    string `db:"queue_id"`
		Epoch      int64  `db:"epoch"`
		RoutedAt   int64  `db:"routed_at"`
		TendedAt   int64  `db:"tended_at"`
		ToldAt     int64  `db:"told_at"`
		Overflowed string `db:"overflowed"`
		Settings   string `db:"queue_settings"`
		OnOffer    bool   `db:"on_offer"`
	}
	found, err = s.read().get(ctx, &row, queuedQuery, id)
	if err != nil || !found {
		return QueuedConversation{}, false, err
	}
	q = QueuedConversation{ID: id, QueueID: row.QueueID, Epoch: row.Epoch, OnOffer: row.OnOffer, Wait: waitOf(row.RoutedAt, row.TendedAt, row.ToldAt)}
	if q.Requirement, _, err = row.asks(nil); err != nil {
		return QueuedConversation{}, false, fmt.Errorf("what conversation %s asks: %w", id, err)
	}
	if routing.IsCustomKind(row.Kind) {
		q.Requirement.Matching = conversation.MatchingNone
	}
	if q.Settings, err = queueSettings(row.QueueID, row.Settings); err != nil {
		return QueuedConversation{}, false, err
	}
	if err := json.Unmarshal([]byte(row.Overflowed), &q.Overflowed); err != nil {
		return QueuedConversation{}, false, fmt.Errorf("queues of conversation %s: %w", id, err)
	}
	return q, true, nil
}

const queuedQuery = `SELECT queue_id, epoch, requirement, priority, skills, units, matching, language, attributes, capacity_profile_id, contact_agents, routed_at, tended_at, told_at, overflowed, ` + queueSettingsColumn + `,
		EXISTS (SELECT 1 FROM offers o WHERE o.conversation_id = conversations.id AND o.state = 'live') AS on_offer
	FROM conversations WHERE id = $1 AND owner = 'queue' AND routed_at > 0 AND queue_id <> ''`

// TendRequest notes that the rules of a conversation's queue were looked after,
// up to a time, and that it goes on waiting there.
type TendRequest struct {
	ID             string // names the step: doing it again answers what it did the first time
	ConversationID string
	Wait           routing.Wait // as it was read; when it waits elsewhere by now, nothing is changed
	Until          time.Time    // up to when; zero changes nothing
	Duty           routing.Duty // what was due
	Say            []Draft
	Log            []RoutingEntry
	Deadline       time.Time // after it, the attempt changes nothing
}

// Tend notes what was done about a conversation that goes on waiting, and tells
// where it stands. It returns CodeLate.
func (s *Store) Tend(ctx context.Context, req TendRequest) (TransitionResult, error) {
	var res TransitionResult
	done := false
	err := s.tx(ctx, func(c conn) error {
		done = false
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil {
			return err
		}
		if err := s.late(req.Deadline); err != nil {
			return err
		}
		now := waitOf(row.RoutedAt, row.TendedAt, row.ToldAt)
		if row.Owner != conversation.OwnerQueue || req.Until.IsZero() || now != req.Wait {
			res, err = c.stands(ctx, row, anyPending)
			return err
		}
		if req.Duty == routing.DutyInform {
			row.ToldAt = micros(req.Until)
		} else {
			row.TendedAt = micros(req.Until)
		}
		if _, err := c.exec(ctx, `UPDATE conversations SET tended_at = $1, told_at = $2 WHERE id = $3`, row.TendedAt, row.ToldAt, row.ID); err != nil {
			return err
		}
		if err := c.logRouting(ctx, row.ID, row.Epoch, req.ID, req.Log, micros(s.now())); err != nil {
			return err
		}
		if _, err := c.insertOutbound(ctx, row, req.ID, req.Say); err != nil {
			return err
		}
		done = true
		failpoint.Hit("tend.before_commit")
		res, err = c.stands(ctx, row, newPending)
		return err
	})
	if err != nil {
		return TransitionResult{}, fmt.Errorf("tend conversation %s: %w", req.ConversationID, err)
	}
	if done {
		failpoint.Hit("tend.after_commit")
	}
	return res, nil
}

// withOverflowed adds queues to those a conversation overflowed from, each once.
func withOverflowed(column string, queueIDs []string) (string, error) {
	var list []string
	if err := json.Unmarshal([]byte(column), &list); err != nil {
		return "", fmt.Errorf("queues that a conversation overflowed from: %w", err)
	}
	for _, id := range queueIDs {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return jsonOf(list), nil
}

// The estimate of a wait is a mean of the recent ones, in which each new one
// counts a twentieth, or its share while there are fewer.
const waitSamples = 20

// noteWait keeps how long a conversation waited in its queue, where customers
// hear how long it takes. now is in microseconds.
func (c conn) noteWait(ctx context.Context, row conversationRow, now int64) error {
	settings, err := queueSettings(row.QueueID, row.QueueSettings)
	if err != nil || !settings.WaitInfo.Estimate || row.RoutedAt == 0 {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO queue_waits AS w (queue_id, samples, mean) VALUES ($1, 1, $2)
		ON CONFLICT (queue_id) DO UPDATE SET samples = w.samples + 1,
			mean = w.mean + (excluded.mean - w.mean) / CASE WHEN w.samples < $3 THEN w.samples + 1 ELSE $3 END`,
		row.QueueID, max(0, now-row.RoutedAt), int64(waitSamples))
	return err
}

// WaitEstimate is how a conversation's wait looks.
type WaitEstimate struct {
	Position int64         // in the queue's order of service; 1 is the next
	Mean     time.Duration // of the recent waits of the queue; 0 while there are fewer than 20
	Waited   time.Duration // in this queue
}

// Left is how long it will still take; 0 when nobody can tell.
func (e WaitEstimate) Left() time.Duration { return max(0, e.Mean-e.Waited) }

// Estimate tells how the wait of a conversation looks that waits in a queue;
// CodeNotFound when it does not.
func (s *Store) Estimate(ctx context.Context, id string) (WaitEstimate, error) {
	var row struct {
		Position int64 `db:"position"`
		Mean     int64 `db:"mean"`
		RoutedAt int64 `db:"routed_at"`
	}
	found, err := s.read().get(ctx, &row, estimateQuery, id, int64(waitSamples))
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "The conversation %s waits in no queue.", id)
	}
	if err != nil {
		return WaitEstimate{}, err
	}
	return WaitEstimate{row.Position, time.Duration(row.Mean) * time.Microsecond, s.now().Sub(fromMicros(row.RoutedAt))}, nil
}

// before are those in the queue of c that come before it.
const before = ` AND w.queue_id = c.queue_id AND (w.priority > c.priority OR w.priority = c.priority AND (w.first_waited_at, w.id) < (c.first_waited_at, c.id))`

const estimateQuery = `SELECT 1
		+ (SELECT count(*) FROM conversations w WHERE w.owner = 'queue' AND w.routed_at > 0 AND NOT w.refused AND w.preferred_agent_id = ''` + before + `)
		+ (SELECT count(*) FROM conversations w WHERE w.owner = 'queue' AND w.routed_at > 0 AND (w.refused OR w.preferred_agent_id <> '')` + before + `) AS position,
		coalesce((SELECT mean FROM queue_waits q WHERE q.queue_id = c.queue_id AND q.samples >= $2), 0) AS mean, c.routed_at
	FROM conversations c WHERE c.id = $1 AND c.owner = 'queue' AND c.routed_at > 0 AND c.queue_id <> ''`

package store

import (
	"context"
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
)

// RuleChange is a change of the rules by which conversations act when time has
// passed: of a queue or a workstream, for those in one phase. A workflow that
// waits does so until a deadline that it knows; one that has become nearer it
// learns of when it is woken.
type RuleChange struct {
	OwnerKind ruleOwner           `db:"owner_kind"`
	OwnerID   string              `db:"owner_id"`
	Status    conversation.Status `db:"status"`
	Owner     conversation.Owner  `db:"owner"`
	ChangedAt int64               `db:"changed_at"`
}

// ruleOwner is what has rules.
type ruleOwner string

const (
	rulesOfQueue      ruleOwner = "queue"
	rulesOfWorkstream ruleOwner = "workstream"
)

const (
	// ruleChanges bounds the changes that are read at once.
	ruleChanges = 100
	// wakeChats bounds the chats that are wanted at once because of changed rules:
	// the relay has others to wake.
	wakeChats = 50
)

// noteRuleChange notes, with the change itself, that conversations of some
// phases have a nearer deadline.
func (c conn) noteRuleChange(ctx context.Context, of ruleOwner, id string, phases ...conversation.Phase) error {
	for _, p := range phases {
		if _, err := c.exec(ctx, `INSERT INTO changed_rules (owner_kind, owner_id, status, owner, changed_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (owner_kind, owner_id, status, owner) DO UPDATE SET changed_at = excluded.changed_at`,
			string(of), id, string(p.Status), string(p.Owner), micros(c.s.now())); err != nil {
			return err
		}
	}
	return nil
}

// sooner lists the phases in which conversations have a nearer deadline by w than
// by the settings before.
func (w WorkstreamSettings) sooner(before WorkstreamSettings) (phases []conversation.Phase) {
	open := w.AutoClose.OpenSeconds < before.AutoClose.OpenSeconds
	active := w.AutoClose.ActiveSeconds < before.AutoClose.ActiveSeconds
	for _, p := range []struct {
		phase  conversation.Phase
		sooner bool
	}{
		{conversation.PhaseConsent, open},
		{conversation.PhaseQueued, open},
		{conversation.PhaseBot, active || w.Bot.IdleSeconds < before.Bot.IdleSeconds},
		{conversation.PhaseServed, active || slices.ContainsFunc(w.TimeoutRules, func(r TimeoutRule) bool {
			return !slices.ContainsFunc(before.TimeoutRules, r.sameTime)
		})},
		{conversation.PhaseWaiting, w.AutoClose.WaitingSeconds < before.AutoClose.WaitingSeconds},
		{conversation.PhaseWrapUp, w.AutoClose.WrapUpSeconds < before.AutoClose.WrapUpSeconds},
	} {
		if p.sooner {
			phases = append(phases, p.phase)
		}
	}
	return phases
}

// sameTime tells whether another rule does the same at the same time.
func (r TimeoutRule) sameTime(other TimeoutRule) bool {
	return r.Name == other.Name && r.When == other.When && r.AfterSeconds == other.AfterSeconds && r.Action == other.Action
}

// RuleChanges lists the changes of rules that nobody was woken for yet, the
// oldest first.
func (s *Store) RuleChanges(ctx context.Context) (list []RuleChange, err error) {
	err = s.read().list(ctx, &list, `SELECT owner_kind, owner_id, status, owner, changed_at FROM changed_rules ORDER BY changed_at, owner_id, status, owner`+limitTo(ruleChanges))
	return list, err
}

// SpreadRuleChange notes which chats are to be woken because of a change: those
// whose conversation goes by it now. One that was changed again meanwhile, or is
// spread, is left alone.
func (s *Store) SpreadRuleChange(ctx context.Context, change RuleChange) error {
	err := s.txAlone(ctx, func(c conn) error {
		mine, err := c.exec(ctx, `DELETE FROM changed_rules WHERE owner_kind = $1 AND owner_id = $2 AND status = $3 AND owner = $4 AND changed_at = $5`,
			string(change.OwnerKind), change.OwnerID, string(change.Status), string(change.Owner), change.ChangedAt)
		if err != nil || mine == 0 {
			return err
		}
		query, args := chatsByQueue, []any{change.OwnerID}
		if change.OwnerKind == rulesOfWorkstream {
			query, args = chatsByWorkstream, append(args, string(change.Status), string(change.Owner))
		}
		_, err = c.exec(ctx, `INSERT INTO chats_to_wake (channel_id, chat_key) `+query+` ON CONFLICT (channel_id, chat_key) DO NOTHING`, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("changed rules of %s %s: %w", change.OwnerKind, change.OwnerID, err)
	}
	return nil
}

// The chats whose conversations go by the rules of a queue or of a workstream: a
// conversation goes by the workstream that its channel has now.
const (
	chatsByQueue = `SELECT channel_id, chat_key FROM conversations WHERE owner = 'queue' AND routed_at > 0 AND NOT refused AND preferred_agent_id = '' AND queue_id = $1
		UNION ALL
		SELECT channel_id, chat_key FROM conversations WHERE owner = 'queue' AND routed_at > 0 AND (refused OR preferred_agent_id <> '') AND queue_id = $1`
	chatsByWorkstream = `SELECT channel_id, chat_key FROM conversations
		WHERE channel_id IN (SELECT id FROM channels WHERE workstream_id = $1) AND status = $2 AND owner = $3`
)

// WantForRules has some of the chats wanted that are to be woken because rules
// were changed or more may be sent, and tells how many; the relay wakes them. One that somebody has
// locked comes later.
func (s *Store) WantForRules(ctx context.Context) (n int, err error) {
	var waiting []Chat
	if err := s.read().list(ctx, &waiting, `SELECT channel_id, chat_key FROM chats_to_wake ORDER BY channel_id, chat_key`+limitTo(wakeChats)); err != nil || len(waiting) == 0 {
		return 0, err
	}
	err = s.tx(ctx, func(c conn) error {
		wanted, err := c.wantChats(ctx, keysOf(waiting), micros(s.now()))
		if err != nil || len(wanted) == 0 {
			return err
		}
		n = len(wanted)
		_, err = c.exec(ctx, `DELETE FROM chats_to_wake WHERE (channel_id, chat_key) IN (SELECT * FROM `+c.s.d.rows(1, "channel TEXT", "chat TEXT")+` AS said)`, jsonOf(keysOf(wanted)))
		return err
	})
	return n, err
}

func keysOf(chats []Chat) [][2]string {
	keys := make([][2]string, len(chats))
	for i, c := range chats {
		keys[i] = [2]string{c.ChannelID, c.ChatKey}
	}
	return keys
}

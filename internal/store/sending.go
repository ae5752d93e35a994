package store

import (
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
)

// Sending is how a workstream spends LINE's paid messages on its automated
// ones. What agents and bots say is never held back: an automated message that
// waits goes with it.
type Sending struct {
	// HoldSeconds is how long an automated message for which no reply token is at
	// hand waits for the next one before it is pushed; 0 is not at all.
	HoldSeconds int64 `json:"hold_seconds,omitempty"`
	// ReserveForAgents is how many of the month's paid messages are left to
	// agents and bots: automated messages are not pushed when no more are left.
	ReserveForAgents int64 `json:"reserve_for_agents,omitempty"`
	// WhenSpent is what becomes of automated messages that could be pushed only;
	// "" means drop.
	WhenSpent SpentMode `json:"when_spent,omitempty"`
}

// SpentMode is what becomes of automated messages when the quota is spent.
type SpentMode string

// The ways of a SpentMode.
const (
	SpentDrop SpentMode = "drop" // they fail, with the reason
	SpentHold SpentMode = "hold" // they wait for a reply token, or for the next month
)

// quotaFresh is how long what LINE said of a quota is enough to push nothing:
// more may have been bought meanwhile.
const quotaFresh = time.Hour

// failureReserved is the failure of automated messages that were not pushed so
// that agents can.
const failureReserved = "quota_reserved"

// sending reads the part of a workstream's settings that the lane goes by.
func (to lane) sending() (Sending, error) {
	var w struct {
		Sending Sending `json:"sending"`
	}
	if to.Settings == "" {
		return w.Sending, nil
	}
	if err := json.Unmarshal([]byte(to.Settings), &w); err != nil {
		return w.Sending, fmt.Errorf("settings of the workstream of conversation %s: %w", to.ConversationID, err)
	}
	return w.Sending, nil
}

// withheld is what becomes of messages that could be pushed only.
type withheld struct {
	until time.Time // they wait until then; zero: they do not
	drop  bool      // they fail
	spent bool      // it is for the month's paid messages, and not for a free reply to come
}

// withhold decides whether automated messages, the oldest of which was made at
// a time, are pushed now. A conversation that is closed gets no token any more,
// so that nothing waits in it.
func (to lane) withhold(s Sending, oldest, now time.Time) withheld {
	closed := to.Status == string(conversation.StatusClosed)
	if until := oldest.Add(time.Duration(s.HoldSeconds) * time.Second); until.After(now) && !closed {
		return withheld{until: until}
	}
	if !to.spent(s, now) {
		return withheld{}
	}
	_, _, next := QuotaMonth(now)
	if s.WhenSpent == SpentHold && !closed {
		return withheld{until: next, spent: true}
	}
	return withheld{drop: true, spent: true}
}

// spent tells whether too few of the month's paid messages are left for automated
// ones.
func (to lane) spent(s Sending, now time.Time) bool {
	month, _, _ := QuotaMonth(now)
	quota := ChannelQuota{Month: to.QuotaMonth, Limit: to.QuotaLimit, Used: to.QuotaUsed}
	return s != (Sending{}) && quota.Month == month && quota.Limit >= 0 && quota.Left()-to.recipients() < s.ReserveForAgents &&
		now.Sub(fromMicros(to.QuotaReadAt)) <= quotaFresh
}

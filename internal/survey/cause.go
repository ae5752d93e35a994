package survey

import (
	"slices"

	"kaiwa/internal/conversation"
)

// Cause is a kind of end that a survey may follow. It is stored in a
// workstream's settings, so it is never renamed.
type Cause string

// The causes.
const (
	AfterAgent  Cause = "agent"  // an agent ended it
	AfterBot    Cause = "bot"    // the bot ended it, or the customer had nothing more to say to it
	AfterSystem Cause = "system" // the engine closed it: auto-close, a time-out rule, overflow, a queue that was closed
)

// Causes lists every cause.
func Causes() []Cause { return []Cause{AfterAgent, AfterBot, AfterSystem} }

// Policy is what a workstream says about surveys.
type Policy struct {
	AgentSurveyID string  // asked about people; "" is none
	BotSurveyID   string  // asked about bots; "" is none
	After         []Cause // nil means AfterAgent and AfterBot
}

// On tells whether any survey may follow at all.
func (p Policy) On() bool { return p.AgentSurveyID != "" || p.BotSurveyID != "" }

// Choose returns which survey follows a conversation that was closed for
// reason, "" for none. Nobody is asked who blocked the account, refused the
// privacy notice or was closed by force (which is how spam is ended), and
// nobody whom neither an agent nor a bot has served.
func (p Policy) Choose(reason conversation.ClosureReason, agentID, botID string) string {
	cause := causeOf(reason)
	after := p.After
	if after == nil {
		after = []Cause{AfterAgent, AfterBot}
	}
	switch {
	case !slices.Contains(after, cause):
		return ""
	case cause == AfterAgent, cause == AfterSystem && agentID != "":
		return p.AgentSurveyID
	case cause == AfterBot, cause == AfterSystem && botID != "":
		return p.BotSurveyID
	}
	return ""
}

// causeOf returns "" for the ends that no survey follows.
func causeOf(reason conversation.ClosureReason) Cause {
	switch reason {
	case conversation.ReasonAgentEnded:
		return AfterAgent
	case conversation.ReasonBotEnded, conversation.ReasonBotIdle:
		return AfterBot
	case conversation.ReasonAutoClosed, conversation.ReasonTimeoutRule, conversation.ReasonOverflow, conversation.ReasonOutOfHours:
		return AfterSystem
	}
	return ""
}

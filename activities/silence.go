package activities

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// SilenceInput asks for what the time-out rules of a conversation that an agent
// has want done.
type SilenceInput struct {
	ConversationID string `json:"conversation_id"`
	ChannelID      string `json:"channel_id"`
	AfterMS        int64  `json:"after_ms,omitempty"` // up to when that was done before, Unix milliseconds
	ByMS           int64  `json:"by_ms"`
}

// SilenceOutput is what was done, and what is to be done by the workflow.
type SilenceOutput struct {
	Messages int                `json:"messages,omitempty"` // that wait to be sent
	Step     conversation.Event `json:"step,omitempty"`     // EventParked or EventTimeoutRule; "" is none
	NextMS   int64              `json:"next_ms,omitempty"`  // when a rule is due if nobody says anything; 0 is never
}

// Silence has the time-out rules act that have become due, in their order, until
// one parks or closes the conversation. What a rule says it says once a silence,
// however often this runs.
func (a *Activities) Silence(ctx context.Context, in SilenceInput) (SilenceOutput, error) {
	silence, found, err := a.store.Silence(ctx, in.ConversationID)
	if err != nil || !found {
		return SilenceOutput{}, final(err)
	}
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return SilenceOutput{}, final(err)
	}
	var out SilenceOutput
	for _, rule := range plan.Workstream.Settings.TimeoutRules {
		due := (silence.Since.Add(rule.After()).UnixMicro() + 999) / 1000
		switch {
		case rule.When != silence.Who:
		case due > in.ByMS:
			if out.NextMS == 0 || due < out.NextMS {
				out.NextMS = due
			}
		case due > in.AfterMS && out.Step == "":
			if err := a.timeOut(ctx, rule, silence, &out); err != nil {
				return SilenceOutput{}, final(err)
			}
		}
	}
	return out, nil
}

// timeOut has a rule act, or says which step does.
func (a *Activities) timeOut(ctx context.Context, rule store.TimeoutRule, silence store.Silence, out *SilenceOutput) error {
	switch rule.Action {
	case store.TimeoutPark:
		out.Step = conversation.EventParked
		return nil
	case store.TimeoutClose:
		out.Step = conversation.EventTimeoutRule
		return nil
	}
	conv, err := a.store.Conversation(ctx, silence.ConversationID)
	if err != nil {
		return err
	}
	reader := conv.Locale
	if rule.Action == store.TimeoutTellAgent {
		agent, err := a.store.Agent(ctx, conv.AgentID)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound {
			return err
		}
		reader = agent.Locale
	}
	text, err := a.fillWith(ctx, rule.Text(reader), conv, conv.QueueID, automessage.Values{})
	if err != nil || text == "" {
		return err
	}
	cause := conversation.DerivedID(conversation.PrefixStep, conv.ID, "silence", rule.Name, silence.Since.UnixMicro())
	if rule.Action == store.TimeoutTellAgent {
		_, err := a.store.Note(ctx, store.NoteRequest{Cause: cause, ConversationID: conv.ID, Automated: store.AutomatedTimeoutRule, Text: text})
		return err
	}
	n, err := a.store.Announce(ctx, conv.ID, cause, []store.Draft{automated(store.AutomatedTimeoutRule, conversation.TextContent(text))})
	out.Messages += n
	return err
}

// digestOf tells time-out rules apart that act otherwise; "" is none.
func digestOf(rules []store.TimeoutRule) string {
	if len(rules) == 0 {
		return ""
	}
	h := fnv.New64a()
	for _, r := range rules {
		_, _ = fmt.Fprintf(h, "%q %q %d %q\n", r.Name, r.When, r.AfterSeconds, r.Action) // a hash never fails
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

// shortestSilence is the shortest of the time-out rules' silences, in seconds; 0
// when there are no rules.
func shortestSilence(rules []store.TimeoutRule) (seconds int64) {
	for _, r := range rules {
		if seconds == 0 || r.AfterSeconds < seconds {
			seconds = r.AfterSeconds
		}
	}
	return seconds
}

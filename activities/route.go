package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// RouteInput names a conversation to be classified and routed.
type RouteInput struct {
	ID             string `json:"id"` // names the step: it is done once
	ConversationID string `json:"conversation_id"`
	ChannelID      string `json:"channel_id"`
	ChatKey        string `json:"chat_key"`
}

// Route classifies a conversation, decides its queue and puts it there. A rule
// that fails does not match; whatever fails, the conversation gets to the
// fallback queue, and the routing log says what happened. A queue that somebody
// named for it is kept. The customer hears when the queue is closed, or when
// nobody is free.
func (a *Activities) Route(ctx context.Context, in RouteInput) (TransitionOutput, error) {
	out, err := a.route(ctx, in)
	return out, final(err)
}

func (a *Activities) route(ctx context.Context, in RouteInput) (TransitionOutput, error) {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return TransitionOutput{}, err
	}
	known, err := a.store.LoadRoutingFacts(ctx, in.ConversationID, plan.Workstream.Settings)
	if err != nil {
		return TransitionOutput{}, err
	}
	r, err := decide(plan, known, a.now())
	if err != nil {
		return TransitionOutput{}, err
	}
	req := store.TransitionRequest{
		ID: in.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey,
		Event: conversation.EventRouted, Routing: &r, Deadline: attemptDeadline(ctx),
	}
	if req.Announce, err = a.whileWaiting(ctx, plan, known, &r); err != nil {
		return TransitionOutput{}, err
	}
	res, err := a.store.Transition(ctx, req)
	return TransitionOutput{TransitionResult: res}, err
}

// decide evaluates the workstream's rules.
func decide(plan store.Plan, known store.RoutingFacts, now time.Time) (store.Routing, error) {
	w := plan.Workstream.Settings
	facts, err := factsOf(plan, known, now)
	if err != nil {
		return store.Routing{}, err
	}
	var sets []routing.Ruleset
	for _, id := range w.ClassificationRulesetIDs {
		sets = append(sets, routing.Ruleset{ID: id, Rules: known.Rulesets[id].Rules})
	}
	found := routing.Classify(sets, facts)
	if found.Units == 0 {
		found.Units = w.CapacityUnits
	}
	facts.Conversation.Priority, facts.Conversation.Language = found.Priority, found.Language
	facts.Conversation.Attributes, facts.Conversation.Units = found.Attributes, found.Units
	facts.Conversation.Skills = map[string]int{}
	for _, s := range found.Skills {
		facts.Conversation.Skills[s.SkillID] = s.Level
	}
	queues := map[string]routing.QueueState{}
	for id, q := range known.Queues {
		queues[id] = routing.QueueState{Members: q.Members}
	}
	to := routing.RouteOutcome{QueueID: known.Conversation.QueueID, Result: routeNamed}
	if to.QueueID == "" {
		to = routing.Route(known.Rulesets[w.RouteRulesetID].RouteRules, facts, queues, plan.Workstream.FallbackQueueID)
	}
	classification, err := json.Marshal(found)
	if err != nil {
		return store.Routing{}, fmt.Errorf("what classification found: %w", err)
	}
	route, err := json.Marshal(to)
	if err != nil {
		return store.Routing{}, fmt.Errorf("what routing found: %w", err)
	}
	outcome := outcomeUnchanged
	if len(sets) > 0 {
		outcome = outcomeClassified
	}
	r := store.Routing{
		QueueID: to.QueueID, Priority: found.Priority, Skills: found.Skills, Matching: w.Assignment.SkillMatching, Units: found.Units,
		Requirement: routing.Requirement{Units: found.Units, Skills: found.Skills, Matching: w.Assignment.SkillMatching, Presences: w.Assignment.Presences}.Signature(),
		Language:    found.Language, Attributes: found.Attributes,
		Log: []store.RoutingEntry{
			{Stage: store.StageClassification, Outcome: outcome, Entry: classification},
			{Stage: store.StageRoute, Outcome: string(to.Result), Entry: route},
		},
	}
	for _, id := range known.Unreadable {
		entry, err := json.Marshal(map[string]string{"ruleset_id": id})
		if err != nil {
			return r, err
		}
		r.Log = append(r.Log, store.RoutingEntry{Stage: store.StageClassification, Outcome: outcomeUnreadable, Entry: entry})
	}
	return r, nil
}

// Outcomes of the routing log that are not routing's own.
const (
	outcomeClassified = "classified"
	outcomeUnchanged  = "no_rulesets"
	outcomeUnreadable = "ruleset_unreadable" // its rules did not count
	// routeNamed says that a bot or a person has named the queue.
	routeNamed routing.RouteResult = "named"
)

// factsOf puts what is known of a conversation into the words of conditions.
func factsOf(plan store.Plan, known store.RoutingFacts, now time.Time) (routing.Facts, error) {
	c := known.Conversation
	f := routing.Facts{
		Conversation: routing.ConversationFacts{
			ID: c.ID, Priority: plan.Workstream.Settings.DefaultPriority, Locale: c.Locale, CreatedAt: time.UnixMicro(c.CreatedAt).UTC(), Messages: known.Messages,
		},
		Customer: routing.CustomerFacts{
			Name: c.DisplayName, Language: c.Language, Friend: c.Friendship == "friend", ContactID: c.ContactID, EarlierConversations: known.Earlier,
		},
		Channel: routing.ChannelFacts{ID: plan.Channel.ID, Name: plan.Channel.Name, Locale: plan.Channel.Locale},
		Bot:     routing.BotFacts{ID: c.BotID, Summary: c.Summary, Escalated: known.Reason != "", Reason: known.Reason},
		Now:     now,
	}
	if c.WaitingSince > 0 {
		f.Conversation.WaitingSeconds = int64(now.Sub(time.UnixMicro(c.WaitingSince)).Seconds())
	}
	for _, m := range known.Latest {
		f.Message.Type, f.Message.Text = m.Type, m.Text
		if m.Text != "" {
			f.Message.Texts = append(f.Message.Texts, m.Text)
		}
	}
	if err := json.Unmarshal([]byte(c.Context), &f.Context); err != nil {
		return f, fmt.Errorf("context of conversation %s: %w", c.ID, err)
	}
	return f, nil
}

// whileWaiting is what the customer hears who has to wait: that the queue is
// closed, or that nobody is free. The routing log gets a line of the former.
func (a *Activities) whileWaiting(ctx context.Context, plan store.Plan, known store.RoutingFacts, r *store.Routing) ([]store.Draft, error) {
	trigger, err := a.closedNow(ctx, known, r)
	if err != nil {
		return nil, err
	}
	if trigger == "" && plan.Workstream.Mode == store.ModePush {
		free, err := a.store.SomebodyFree(ctx, r.QueueID, plan.Workstream.Settings.Assignment.Presences, r.Units)
		if free || err != nil {
			return nil, err
		}
	}
	if trigger == "" {
		trigger = automessage.NoAgentAvailable
	}
	return a.drafts(ctx, plan, known.Conversation, trigger, r.QueueID)
}

// closedNow tells what to say about a queue that is closed, "" when it is open
// or has no calendar. It is assigned all the same.
func (a *Activities) closedNow(ctx context.Context, known store.RoutingFacts, r *store.Routing) (automessage.Trigger, error) {
	id := known.Queues[r.QueueID].CalendarID
	if id == "" {
		return "", nil
	}
	k, err := a.store.Calendar(ctx, id)
	if err != nil {
		return "", err
	}
	at, err := k.At(a.now())
	if err != nil || at.Open {
		return "", err
	}
	trigger := automessage.OutOfHours
	if at.Holiday != "" {
		trigger = automessage.Holiday
	}
	entry, err := json.Marshal(map[string]any{"queue_id": r.QueueID, "calendar_id": id, "opens": at.Opens})
	r.Log = append(r.Log, store.RoutingEntry{Stage: store.StageRoute, Outcome: string(trigger), Entry: entry})
	return trigger, err
}

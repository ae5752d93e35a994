package api

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/language"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// DryRunRouting tells what rules and agents would do with a conversation, and
// changes nothing.
func (s *Server) DryRunRouting(ctx context.Context, r DryRunRoutingRequestObject) (DryRunRoutingResponseObject, error) {
	if (r.Body.ConversationID == "") == (r.Body.Conversation == nil) {
		return nil, conversation.Invalid("", "Give a conversation_id, or describe a conversation.")
	}
	if r.Body.At != "" && r.Body.ConversationID == "" {
		return nil, conversation.Invalid("/at", "This names a line in the routing log of the conversation_id.")
	}
	var question decide.Question
	var from DryRunFacts
	var err error
	if r.Body.ConversationID != "" {
		question, from, err = s.questionOf(ctx, r.Body.ConversationID, r.Body.At)
	} else {
		question, err = s.described(ctx, *r.Body.Conversation)
		from = DryRunFactsDescribed
	}
	if err != nil {
		return nil, err
	}
	if r.Body.Proposed != nil {
		if err := s.propose(ctx, &question, *r.Body.Proposed); err != nil {
			return nil, err
		}
	}
	lines, err := decide.Decider{Reader: s.store, Logger: s.log}.DryRun(ctx, s.store, question)
	if err != nil {
		return nil, err
	}
	out := DryRunRouting200JSONResponse{Facts: from, Now: Time(question.Facts.Now), Items: []DryRunEntry{}}
	entries := make([]json.RawMessage, len(lines))
	for i, l := range lines {
		entries[i] = l.Entry
		if l.Stage == store.StageAssignment {
			out.AssignmentAsOf = Time(time.Now())
		}
	}
	if from == DryRunFactsRecorded {
		if out.RecordedAssignment, err = s.assigned(ctx, r.Body.ConversationID, r.Body.At); err != nil {
			return nil, err
		}
	}
	if entries, err = s.named(ctx, entries); err != nil {
		return nil, err
	}
	for i, l := range lines {
		out.Items = append(out.Items, DryRunEntry{Stage: RoutingStage(l.Stage), Outcome: l.Outcome, Entry: entries[i]})
	}
	return out, nil
}

// assigned is what the routing log says of whom a conversation was offered to
// after a classification; nil when it says nothing.
func (s *Server) assigned(ctx context.Context, id, classification string) (*RoutingLogEntry, error) {
	line, found, err := s.store.FirstLook(ctx, id, classification)
	if err != nil || !found {
		return nil, err
	}
	entries, err := s.named(ctx, []json.RawMessage{json.RawMessage(line.Entry)})
	if err != nil {
		return nil, err
	}
	return &RoutingLogEntry{ID: line.ID, Stage: RoutingStage(line.Stage), Outcome: line.Outcome, Entry: entries[0], CreatedAt: fromMicros(line.CreatedAt)}, nil
}

// questionOf asks about a conversation: as it was when it was routed, or as it
// stands now when it never was.
func (s *Server) questionOf(ctx context.Context, id, line string) (decide.Question, DryRunFacts, error) {
	if !slices.Contains(permissions(caller(ctx)), PermissionConversationsRead) {
		return decide.Question{}, "", conversation.Errorf(conversation.CodeForbidden, "A conversation needs the permission %s, which the token does not have.", PermissionConversationsRead)
	}
	c, err := s.store.Conversation(ctx, id)
	if err != nil {
		return decide.Question{}, "", err
	}
	w, err := s.store.Workstream(ctx, c.WorkstreamID)
	if err != nil {
		return decide.Question{}, "", err
	}
	facts, queues, recorded, err := s.store.RecordedFacts(ctx, id, line)
	if err != nil {
		return decide.Question{}, "", err
	}
	if recorded {
		return decide.Question{Facts: facts, Workstream: w, Queues: queues}, DryRunFactsRecorded, nil
	}
	if facts, err = s.store.RoutingFacts(ctx, id); err != nil {
		return decide.Question{}, "", err
	}
	channel, err := s.store.Channel(ctx, c.ChannelID)
	if err != nil {
		return decide.Question{}, "", err
	}
	facts.Channel = routing.ChannelFacts{ID: channel.ID, Name: channel.Name, Locale: channel.Locale}
	facts.Now = time.Now()
	return decide.Question{Facts: facts, Workstream: w}, DryRunFactsPresent, nil
}

// described asks about a conversation that there is none of.
func (s *Server) described(ctx context.Context, in DryRunConversation) (decide.Question, error) {
	var q decide.Question
	switch {
	case (in.ChannelID == "") == (in.WorkstreamID == ""):
		return q, conversation.Invalid("/conversation", "Give a channel_id or a workstream_id.")
	case in.ChannelID != "":
		plan, err := s.store.Plan(ctx, in.ChannelID)
		if err != nil {
			return q, notThere(err, "/conversation/channel_id", "channel", in.ChannelID)
		}
		q.Workstream = plan.Workstream
		q.Facts.Channel = routing.ChannelFacts{ID: plan.Channel.ID, Name: plan.Channel.Name, Locale: plan.Channel.Locale}
	default:
		w, err := s.store.Workstream(ctx, in.WorkstreamID)
		if err != nil {
			return q, notThere(err, "/conversation/workstream_id", "workstream", in.WorkstreamID)
		}
		q.Workstream = w
	}
	f := &q.Facts
	f.QueueID = in.QueueID
	f.Now = time.Time(in.Now)
	if f.Now.IsZero() {
		f.Now = time.Now()
	}
	f.Conversation = routing.ConversationFacts{
		ID: cmp.Or(in.ID, "cnv_dry_run"), Locale: cmp.Or(in.Locale, f.Channel.Locale), CreatedAt: f.Now, WaitingSeconds: in.WaitingSeconds, Messages: int64(len(in.Texts)),
	}
	f.Message = routing.MessageFacts{Type: in.MessageType, Texts: append([]string{}, in.Texts...), Language: language.Of(in.Texts)}
	if n := len(in.Texts); n > 0 {
		f.Message.Text = in.Texts[n-1]
		f.Message.Type = cmp.Or(in.MessageType, conversation.ContentText)
	}
	if in.Customer != nil {
		f.Customer = *in.Customer
	}
	if in.Contact != nil {
		f.Contact = *in.Contact
	}
	if in.Bot != nil {
		f.Bot = *in.Bot
	}
	f.Context = maps.Clone(q.Workstream.Settings.Context) // what every conversation of it begins with
	maps.Copy(f.Context, in.Context)
	return q, nil
}

// notThere makes "not found" an error of the field that named it.
func notThere(err error, pointer, kind, id string) error {
	if conversation.CodeOf(err) != conversation.CodeNotFound {
		return err
	}
	return conversation.Invalid(pointer, "There is no %s %q.", kind, id)
}

// propose puts a proposed configuration into a question, checked as if it were
// saved.
func (s *Server) propose(ctx context.Context, q *decide.Question, in DryRunProposal) error {
	var wrong invalid
	q.Rulesets = map[string]store.Ruleset{}
	for i, proposed := range in.Rulesets {
		at := "/proposed/rulesets/" + strconv.Itoa(i)
		if _, twice := q.Rulesets[proposed.ID]; twice {
			wrong.add(at+"/id", "Another of these rulesets has this id.")
		}
		set := store.Ruleset{ID: proposed.ID}
		if proposed.Kind == RulesetKind(store.RulesetService) {
			wrong.add(at+"/kind", "A dry run asks no services. Propose rules that set what the service would find.")
			continue
		}
		if _, err := s.applyRuleset(RulesetInput{Name: proposed.Name, Kind: proposed.Kind, Rules: proposed.Rules}, &set); wrong.under(at, err) != nil {
			return err
		}
		if err := wrong.under(at, s.store.CheckRuleset(ctx, set)); err != nil {
			return err
		}
		q.Rulesets[set.ID] = set
	}
	if in.Workstream != nil {
		if err := s.proposeWorkstream(ctx, q, in.Workstream, &wrong); err != nil {
			return err
		}
	}
	proposed := map[string]bool{}
	for _, queue := range in.Queues {
		proposed[queue.ID] = true
	}
	q.Queues = slices.DeleteFunc(q.Queues, func(k store.KeptQueue) bool { return proposed[k.ID] })
	states, err := s.store.QueueStates(ctx, slices.Sorted(maps.Keys(proposed))...)
	if err != nil {
		return err
	}
	for i, queue := range in.Queues {
		state, there := states[queue.ID]
		if !there {
			wrong.add("/proposed/queues/"+strconv.Itoa(i)+"/id", "There is no queue %q.", queue.ID)
		}
		state.Members = queue.Members
		q.Queues = append(q.Queues, store.KeptQueue{QueueState: state})
	}
	return wrong.err()
}

// proposeWorkstream changes the workstream of a question.
func (s *Server) proposeWorkstream(ctx context.Context, q *decide.Question, patch json.RawMessage, wrong *invalid) error {
	const at = "/proposed/workstream"
	current, err := workstreamInput(q.Workstream)
	if err != nil {
		return err
	}
	var in WorkstreamInput
	if err := mergePatch(current, patch, &in); err != nil {
		return err
	}
	w := q.Workstream
	if err := wrong.under(at, in.apply(&w)); err != nil {
		return err
	}
	for _, list := range []struct {
		field, kind string
		ids         []string
	}{
		{"classification_ruleset_ids", store.RulesetClassification, w.Settings.ClassificationRulesetIDs},
		{"route_ruleset_id", store.RulesetRoute, []string{w.Settings.RouteRulesetID}},
	} {
		for _, id := range list.ids {
			if set, proposed := q.Rulesets[id]; proposed && set.Kind != list.kind {
				wrong.add(at+"/settings/"+list.field, "The proposed ruleset %q is of kind %s.", id, set.Kind)
			}
		}
	}
	q.Workstream = w
	return wrong.under(at, s.store.CheckWorkstream(ctx, w, slices.Collect(maps.Keys(q.Rulesets))...))
}

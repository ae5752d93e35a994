package outcome

import (
	"context"
	"fmt"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// Settled says in sentences what still moves by itself; nothing means that all
// that is left waits for a person, a customer or a deadline. Temporal is asked
// once the simulator and the database are quiet.
func Settled(ctx context.Context, s Sources) (left []string, err error) {
	say := func(n int, one, many string) {
		switch {
		case n == 1:
			left = append(left, "1 "+one)
		case n > 1:
			left = append(left, fmt.Sprintf("%d %s", n, many))
		}
	}
	at, err := s.Simulator.State(ctx)
	if err != nil {
		return nil, err
	}
	say(at.Pending, "delivery of LINE is under way or to be repeated", "deliveries of LINE are under way or to be repeated")
	say(at.Held, "event of LINE is held back", "events of LINE are held back")
	u, err := s.Store.Underway(ctx)
	if err != nil {
		return nil, err
	}
	say(u.Unhandled, "event of LINE is not taken in", "events of LINE are not taken in")
	say(u.Wanted, "chat has something for its workflow", "chats have something for their workflows")
	say(u.Pending, "message waits to be sent", "messages wait to be sent")
	say(u.Frozen, "batch is on its way to LINE", "batches are on their way to LINE")
	say(u.Unrouted, "conversation waits to be routed", "conversations wait to be routed")
	say(u.Unanswered, "conversation waits for its bot", "conversations wait for their bots")
	say(u.Expired, "offer is live past its time", "offers are live past their time")
	say(u.Surveys, "survey has something to look at", "surveys have something to look at")
	say(u.Files, "file is being fetched", "files are being fetched")
	say(u.Unnumbered, "event of the record has no number", "events of the record have no number")
	if len(left) > 0 {
		return left, nil
	}
	runs, err := s.running(ctx)
	if err != nil {
		return nil, err
	}
	open, err := openChats(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		switch {
		case r.Task:
			left = append(left, fmt.Sprintf("%s has a workflow task to do", r.WorkflowID))
		case len(r.Pending) > 0:
			a := r.Pending[0]
			left = append(left, fmt.Sprintf("%s has %s under way, attempt %d %s", r.WorkflowID, a.Type, a.Attempt, a.Failure))
		case r.Type == conversation.WorkflowConversation && !open[r.WorkflowID]:
			left = append(left, fmt.Sprintf("%s runs though its conversation is closed", r.WorkflowID))
		}
		delete(open, r.WorkflowID)
	}
	for id := range open {
		left = append(left, fmt.Sprintf("%s does not run though its conversation is open", id))
	}
	return left, nil
}

// openChats are the workflow ids of the chats with an open conversation.
func openChats(ctx context.Context, s *store.Store) (map[string]bool, error) {
	open := map[string]bool{}
	after := ""
	for {
		page, err := s.OpenConversations(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			after = c.ID
			open[conversation.WorkflowID(c.ChannelID, c.ChatKey)] = true
		}
		if len(page) < 1000 {
			return open, nil
		}
	}
}

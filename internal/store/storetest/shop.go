package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// Shop is a channel whose conversations wait in one queue for people.
type Shop struct {
	Queue      store.Queue
	Workstream store.Workstream
	Channel    store.Channel

	t testing.TB
	s *store.Store
	n int
}

// NewShop opens a shop where nobody works yet.
func NewShop(t testing.TB, s *store.Store) *Shop {
	t.Helper()
	ctx, by := t.Context(), store.Origin{}
	h := &Shop{t: t, s: s}
	var err error
	h.Queue, err = s.CreateQueue(ctx, by, store.Queue{Name: "Support", Priority: 10})
	require.NoError(t, err)
	h.Workstream, err = s.CreateWorkstream(ctx, by, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: h.Queue.ID})
	require.NoError(t, err)
	h.Channel, err = s.CreateChannel(ctx, by, store.Channel{
		Name: "Shop", LINEChannelID: "1", BotUserID: "U1", WorkstreamID: h.Workstream.ID, Locale: "en", Status: store.ChannelActive, Secrets: []string{"s"}, Token: "t",
	})
	require.NoError(t, err)
	return h
}

// Agent hires a member of the queue who is available, and returns their id.
func (h *Shop) Agent(name string) string {
	h.t.Helper()
	ctx := h.t.Context()
	a, err := h.s.CreateAgent(ctx, store.Origin{}, store.Agent{Name: name, Email: name + "@example.test", Role: store.RoleAgent, Locale: "en", Capacity: 3})
	require.NoError(h.t, err)
	require.NoError(h.t, h.s.AddMember(ctx, store.Origin{}, h.Queue.ID, a.ID))
	_, err = h.s.SetPresence(ctx, a.ID, conversation.PresenceAvailable, true)
	require.NoError(h.t, err)
	return a.ID
}

// Waits has another customer write and be routed to the queue, and returns the
// conversation's id.
func (h *Shop) Waits(now time.Time) string {
	h.t.Helper()
	ctx := h.t.Context()
	h.n++
	chat := fmt.Sprint("chat", h.n)
	_, err := h.s.AppendLINEEvents(ctx, h.Channel.ID, now, []store.InboxEvent{{
		WebhookEventID: chat, ChatKey: chat, Kind: "message", SourceType: "user", SourceID: "U" + chat, LineTime: now, Raw: []byte("{}"),
	}})
	require.NoError(h.t, err)
	plan, err := h.s.Plan(ctx, h.Channel.ID)
	require.NoError(h.t, err)
	res, err := h.s.Ingest(ctx, store.IngestRequest{ChannelID: h.Channel.ID, ChatKey: chat, RunID: "run", Plan: &plan}, func(store.LINEEvent) store.Item {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello", LINEMessageID: chat}}
	})
	require.NoError(h.t, err)
	_, err = h.s.Transition(ctx, store.TransitionRequest{
		ID: "routed-" + chat, ConversationID: res.ConversationID, ChannelID: h.Channel.ID, ChatKey: chat, Event: conversation.EventRouted,
		Routing: &store.Routing{
			QueueID: h.Queue.ID, Matching: conversation.MatchingExact, Units: 1, Requirement: "any",
			Log: []store.RoutingEntry{{Stage: store.StageRoute, Outcome: string(routing.RouteFallback), Entry: fmt.Appendf(nil, `{"queue_id":%q}`, h.Queue.ID)}},
		},
	})
	require.NoError(h.t, err)
	return res.ConversationID
}

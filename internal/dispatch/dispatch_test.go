package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/dispatch"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// hall is a queue with people on a database, and a process's dispatcher.
type hall struct {
	t       *testing.T
	s       *store.Store
	d       *dispatch.Dispatcher
	channel store.Channel
	queue   store.Queue
	stream  store.Workstream
	wakes   atomic.Int32
	n       int
}

func inHall(t *testing.T, wake error, f func(h *hall)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, by := t.Context(), store.Origin{}
		h := &hall{t: t, s: s}
		var err error
		h.queue, err = s.CreateQueue(ctx, by, store.Queue{Name: "Support", Priority: 10})
		require.NoError(t, err)
		h.stream, err = s.CreateWorkstream(ctx, by, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: h.queue.ID})
		require.NoError(t, err)
		h.channel, err = s.CreateChannel(ctx, by, store.Channel{
			Name: "Shop", LINEChannelID: "1", BotUserID: "U1", WorkstreamID: h.stream.ID, Locale: "en", Status: store.ChannelActive, Secrets: []string{"s"}, Token: "t",
		})
		require.NoError(t, err)
		logger := slog.New(slog.DiscardHandler)
		h.d = dispatch.New(&dispatch.Looker{Store: s, Notify: func(string, string) {}, Logger: logger}, func(context.Context) error {
			h.wakes.Add(1)
			return wake
		})
		t.Cleanup(h.d.Close)
		f(h)
	})
}

func (h *hall) agent(name string) string {
	h.t.Helper()
	ctx := h.t.Context()
	a, err := h.s.CreateAgent(ctx, store.Origin{}, store.Agent{Name: name, Email: name + "@example.test", Role: store.RoleAgent, Locale: "en", Capacity: 3})
	require.NoError(h.t, err)
	require.NoError(h.t, h.s.AddMember(ctx, store.Origin{}, h.queue.ID, a.ID))
	_, err = h.s.SetPresence(ctx, a.ID, conversation.PresenceAvailable, true)
	require.NoError(h.t, err)
	return a.ID
}

// waits has a customer write and be routed to the queue.
func (h *hall) waits() string {
	h.t.Helper()
	ctx := h.t.Context()
	h.n++
	chat := fmt.Sprint("chat", h.n)
	_, err := h.s.AppendLINEEvents(ctx, h.channel.ID, time.Now(), []store.InboxEvent{{
		WebhookEventID: chat, ChatKey: chat, Kind: "message", SourceType: "user", SourceID: "U" + chat, LineTime: time.Now(), Raw: []byte("{}"),
	}})
	require.NoError(h.t, err)
	plan, err := h.s.Plan(ctx, h.channel.ID)
	require.NoError(h.t, err)
	res, err := h.s.Ingest(ctx, store.IngestRequest{ChannelID: h.channel.ID, ChatKey: chat, RunID: "run", Plan: &plan}, func(store.LINEEvent) store.Item {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello", LINEMessageID: chat}}
	})
	require.NoError(h.t, err)
	_, err = h.s.Transition(ctx, store.TransitionRequest{
		ID: "routed-" + chat, ConversationID: res.ConversationID, ChannelID: h.channel.ID, ChatKey: chat, Event: conversation.EventRouted,
		Routing: &store.Routing{QueueID: h.queue.ID, Matching: conversation.MatchingExact, Units: 1, Requirement: "any"},
	})
	require.NoError(h.t, err)
	return res.ConversationID
}

// isOffered waits until a conversation is on offer to an agent.
func (h *hall) isOffered(agentID, conversationID string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		offers, err := h.s.LiveOffers(h.t.Context(), agentID)
		require.NoError(h.t, err)
		for _, o := range offers {
			if o.ConversationID == conversationID {
				return true
			}
		}
		return false
	}, 10*time.Second, 2*time.Millisecond)
}

// Whoever changes something offers what follows from it by itself, whatever
// becomes of the workflow.
func TestTheProcessThatChangesSomethingMakesTheOffers(t *testing.T) {
	t.Parallel()
	for name, wake := range map[string]error{"the workflow is woken": nil, "Temporal is away": errors.New("away")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHall(t, wake, func(h *hall) {
				mei, id := h.agent("mei"), h.waits()
				h.d.Kick(h.t.Context())
				h.isOffered(mei, id)
				next := h.waits()
				h.d.Kick(h.t.Context())
				h.isOffered(mei, next)
				require.Positive(h.t, h.wakes.Load(), "and sees to it that the workflow runs")
			})
		})
	}
}

// What time alone brings about before the workflow looks is not left to it.
func TestTheProcessLooksAgainWhenTimeChangesSomethingSoon(t *testing.T) {
	t.Parallel()
	inHall(t, nil, func(h *hall) {
		ctx := h.t.Context()
		mei, som := h.agent("mei"), h.agent("som")
		id := h.waits()
		conv, err := h.s.Conversation(ctx, id)
		require.NoError(h.t, err)
		step := func(event conversation.Event, req store.TransitionRequest) {
			req.ID, req.Event, req.ConversationID, req.ChannelID, req.ChatKey = string(event), event, id, conv.ChannelID, conv.ChatKey
			_, err := h.s.Transition(ctx, req)
			require.NoError(h.t, err)
		}
		step(conversation.EventPicked, store.TransitionRequest{ParticipantID: mei, Actor: conversation.Actor{AgentID: mei}})
		step(conversation.EventParked, store.TransitionRequest{LeavingAgentID: mei, Actor: conversation.Actor{AgentID: mei}})
		_, err = h.s.SetPresence(ctx, mei, conversation.PresenceAway, true)
		require.NoError(h.t, err)
		step(conversation.EventCustomerWrote, store.TransitionRequest{Keep: store.Affinity{On: true, Until: time.Now().Add(time.Second)}})
		h.d.Kick(ctx)
		h.isOffered(som, id)
	})
}

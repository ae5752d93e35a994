package dispatch_test

import (
	"context"
	"errors"
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

// hall is a shop on a database, and a process's dispatcher.
type hall struct {
	*storetest.Shop
	t     *testing.T
	s     *store.Store
	d     *dispatch.Dispatcher
	wakes atomic.Int32
}

func inHall(t *testing.T, wake error, f func(h *hall)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := &hall{Shop: storetest.NewShop(t, s), t: t, s: s}
		logger := slog.New(slog.DiscardHandler)
		h.d = dispatch.New(&dispatch.Looker{Store: s, Notify: func(string, string) {}, Logger: logger}, func(context.Context) error {
			h.wakes.Add(1)
			return wake
		})
		t.Cleanup(h.d.Close)
		f(h)
	})
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
				mei, id := h.Agent("mei"), h.Waits(time.Now())
				h.d.Kick(h.t.Context())
				h.isOffered(mei, id)
				next := h.Waits(time.Now())
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
		mei, som := h.Agent("mei"), h.Agent("som")
		id := h.Waits(time.Now())
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

package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// isThere sets an agent's presence.
func (a agent) isThere(p conversation.Presence) {
	a.t.Helper()
	require.Equal(a.t, http.StatusOK, a.call(http.MethodPut, "/me/presence", nil, map[string]any{"presence": p}, nil))
}

// offered is an offer as the API shows it.
type offered struct {
	ID             string    `json:"id"`
	ConversationID string    `json:"conversation_id"`
	ExpiresAt      time.Time `json:"expires_at"`
}

// day is how an agent's day goes, as the API shows it.
type day struct {
	Presence conversation.Presence `json:"presence"`
	Cause    store.PresenceCause   `json:"cause"`
	Load     int                   `json:"load"` // what they have of their capacity in use
}

func (a agent) day() day {
	a.t.Helper()
	var me struct {
		Agent struct {
			State day `json:"state"`
		} `json:"agent"`
	}
	require.Equal(a.t, http.StatusOK, a.call(http.MethodGet, "/me", nil, nil, &me))
	return me.Agent.State
}

// load is what the agent has of their capacity in use.
func (a agent) load() int {
	a.t.Helper()
	return a.day().Load
}

func (a agent) offers() []offered {
	a.t.Helper()
	var list struct {
		Items []offered `json:"items"`
	}
	require.Equal(a.t, http.StatusOK, a.call(http.MethodGet, "/me/offers", nil, nil, &list))
	return list.Items
}

// isOffered waits until a conversation is on offer to the agent.
func (k *kaiwa) isOffered(a agent, conversationID string) offered {
	k.t.Helper()
	var found offered
	k.eventually(func() bool {
		for _, o := range a.offers() {
			if o.ConversationID == conversationID {
				found = o
				return true
			}
		}
		return false
	}, "%s is offered the conversation", a.name)
	return found
}

// answers an offer.
func (a agent) answers(o offered, how string, into any) int {
	a.t.Helper()
	return a.call(http.MethodPost, "/offers/"+o.ID+"/"+how, nil, map[string]any{}, into)
}

func TestWhoWaitsIsOfferedToAgentsUntilOneAccepts(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		kenta, mali := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-mali")
		kenta.isThere(conversation.PresenceAvailable)
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		first := k.isOffered(kenta, id)

		var refused problem
		require.Equal(t, http.StatusNotFound, mali.answers(first, "accept", &refused))
		mali.isThere(conversation.PresenceAvailable)
		require.Equal(t, http.StatusOK, kenta.answers(first, "decline", nil))
		second := k.isOffered(mali, id)
		require.Empty(t, kenta.offers())
		require.Equal(t, http.StatusConflict, kenta.answers(first, "accept", &refused))
		require.Equal(t, "offer_declined", refused.Code)

		var got item
		for range 2 { // a second click is the same
			require.Equal(t, http.StatusOK, mali.answers(second, "accept", &got))
			require.Equal(t, mali.id, got.AgentID)
		}
		before := len(emma.reads())
		status, said := mali.says(id, "สวัสดีค่ะ")
		require.Contains(t, stored, status, said)
		emma.isAnswered(before + 1)

		var log struct {
			Items []struct {
				Outcome string `json:"outcome"`
			} `json:"items"`
		}
		require.Equal(t, http.StatusOK, mali.call(http.MethodGet, "/conversations/"+id+"/routing-log", nil, nil, &log))
		var outcomes []string
		for _, line := range log.Items {
			outcomes = append(outcomes, line.Outcome)
		}
		require.Subset(t, outcomes, []string{"offered", "declined", "accepted"})
	})
}

// Whoever waits is offered all the same after an operator stopped the
// dispatcher, and whatever happens next starts it again.
func TestADispatcherThatIsTerminatedIsMissedByNobody(t *testing.T) {
	t.Parallel()
	k := start(t, "sqlite")
	k.arrange(withEcho)
	kenta := k.as("kaiwa-dev-kenta")
	kenta.isThere(conversation.PresenceAvailable)
	k.isOffered(kenta, k.newCustomer("Emma").asksForAPerson())
	require.NoError(t, k.Temporal.TerminateWorkflow(t.Context(), conversation.WorkflowDispatcherID, "", "a test"))
	k.isOffered(kenta, k.newCustomer("Somchai").asksForAPerson())
	state := func(run string) (runID, status string) {
		d, err := k.Temporal.DescribeWorkflowExecution(t.Context(), conversation.WorkflowDispatcherID, run)
		require.NoError(t, err)
		return d.WorkflowExecutionInfo.Execution.RunId, d.WorkflowExecutionInfo.Status.String()
	}
	var run string
	k.eventually(func() bool {
		var status string
		run, status = state("")
		return status == "Running"
	}, "it runs again")
	require.NoError(t, k.Temporal.CancelWorkflow(t.Context(), conversation.WorkflowDispatcherID, run))
	k.eventually(func() bool {
		_, status := state(run)
		return status == "Canceled"
	}, "the dispatcher obeys")
	kenta.isThere(conversation.PresenceAway)
	kenta.isThere(conversation.PresenceAvailable)
	k.isOffered(kenta, k.newCustomer("Ida").asksForAPerson())
}

// Who lets offers run out is away, until they say that they are there again.
func TestWhoMissesOffersIsAwayUntilTheyAreBack(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			withEcho(w, b)
			w.Settings.Assignment.OfferTimeoutSeconds, w.Settings.Assignment.MaxOffers, w.Settings.Assignment.MissedOffersAway = 3, 5, 2
		})
		kenta := k.as("kaiwa-dev-kenta")
		kenta.isThere(conversation.PresenceAvailable)
		id := k.newCustomer("Emma").asksForAPerson()
		first := k.isOffered(kenta, id)
		k.eventually(func() bool {
			d := kenta.day()
			return d.Presence == conversation.PresenceAway && d.Cause == store.CauseMissedOffers
		}, "the agent is away")
		k.offersCameTo(id, map[string]int{"offer.timed_out": 2})
		require.Empty(t, kenta.offers())

		kenta.isThere(conversation.PresenceAvailable)
		back := k.isOffered(kenta, id)
		require.NotEqual(t, first.ID, back.ID)
		require.Equal(t, http.StatusOK, kenta.answers(back, "accept", nil))
		require.Equal(t, day{conversation.PresenceAvailable, store.CauseSet, 1}, kenta.day())
		k.offersCameTo(id, map[string]int{"offer.timed_out": 2, "offer.accepted": 1})
	})
}

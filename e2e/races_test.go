package e2e

import (
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// raceRounds is how often each race is run: who wins is chance.
const raceRounds = 4

// brief makes offers run out after a second, and agents get any number of them.
func brief(w *store.Workstream, b *store.Bot) {
	withEcho(w, b)
	w.Settings.Assignment.OfferTimeoutSeconds, w.Settings.Assignment.MaxOffers = 1, 5
}

// offersAddUp asserts that each offer of a conversation that is no longer
// offered ended in exactly one way, and returns how often each way.
func (k *kaiwa) offersAddUp(conversationID string) map[string]int {
	k.t.Helper()
	var ways map[string]int
	k.eventually(func() bool {
		events, err := k.Store.Events(k.t.Context(), 0, 1000, conversationID)
		require.NoError(k.t, err)
		made, ended := map[string]bool{}, map[string]int{}
		ways = map[string]int{}
		for _, e := range events {
			switch e.Type {
			case "offer.created":
				made[e.SubjectID] = true
			case "offer.accepted", "offer.declined", "offer.timed_out", "offer.rescinded":
				ended[e.SubjectID]++
				ways[e.Type]++
			}
		}
		for offer := range made {
			require.LessOrEqual(k.t, ended[offer], 1, "an offer ends once")
			if ended[offer] == 0 {
				return false
			}
		}
		return len(made) > 0
	}, "every offer has ended")
	return ways
}

// offersCameTo waits until the offers of a conversation have ended in so many of
// each way.
func (k *kaiwa) offersCameTo(conversationID string, want map[string]int) {
	k.t.Helper()
	var ways map[string]int
	k.eventually(func() bool {
		ways = k.offersAddUp(conversationID)
		return maps.Equal(ways, want)
	}, "its offers end as %v", want)
}

// together does several things at the same time.
func together(what ...func()) {
	var all sync.WaitGroup
	for _, f := range what {
		all.Go(f)
	}
	all.Wait()
}

func TestAcceptRacesWithASupervisorsClose(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		kenta, sofie := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-sofie")
		kenta.isThere(conversation.PresenceAvailable)
		for range raceRounds {
			emma := k.newCustomer("Emma")
			id := emma.asksForAPerson()
			offer := k.isOffered(kenta, id)
			var accepted, closed int
			var refusal item
			together(
				func() { accepted = kenta.answers(offer, "accept", &refusal) },
				func() { closed, _ = sofie.tries("close", id, nil) },
			)
			require.Equal(t, http.StatusOK, closed)
			if accepted != http.StatusOK {
				require.Equal(t, http.StatusConflict, accepted)
				require.Contains(t, []string{"offer_rescinded", "conversation_closed"}, refusal.Code)
			}
			require.Equal(t, conversation.ReasonForceClosed, sofie.conversation(id).ClosureReason)
			k.offersAddUp(id)
			t.Logf("accept %d, close %d", accepted, closed)
		}
		require.Zero(t, kenta.load(), "nothing is left with the agent")
	})
}

func TestAcceptRacesWithTheCustomersBlock(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		kenta := k.as("kaiwa-dev-kenta")
		kenta.isThere(conversation.PresenceAvailable)
		for range raceRounds {
			emma := k.newCustomer("Emma")
			id := emma.asksForAPerson()
			offer := k.isOffered(kenta, id)
			var accepted int
			var refusal item
			together(
				func() { accepted = kenta.answers(offer, "accept", &refusal) },
				func() { _, _ = k.Sim.Unfollow(t.Context(), dev.SimChannelID, emma.id) },
			)
			if accepted != http.StatusOK {
				require.Equal(t, http.StatusConflict, accepted)
				require.Contains(t, []string{"offer_rescinded", "conversation_closed"}, refusal.Code)
			}
			emma.isClosed(conversation.ReasonCustomerBlocked)
			k.offersAddUp(id)
			t.Logf("accept %d", accepted)
		}
		require.Zero(t, kenta.load())
	})
}

func TestOfTwoAgentsWhoTakeAConversationOneGetsIt(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		kenta, mali, james := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-mali"), k.as("kaiwa-dev-james")
		kenta.isThere(conversation.PresenceAvailable)
		for range raceRounds {
			emma := k.newCustomer("Emma")
			id := emma.asksForAPerson()
			offer := k.isOffered(kenta, id)
			var accepted, stolen, picked int
			together(
				func() { accepted = kenta.answers(offer, "accept", nil) },
				func() { stolen = mali.answers(offer, "accept", nil) },
				func() { picked, _ = james.tries("pick", id, nil) },
			)
			require.Equal(t, http.StatusNotFound, stolen, "it was not offered to her")
			holder := kenta.conversation(id).AgentID
			switch holder {
			case kenta.id:
				require.Equal(t, []int{http.StatusOK, http.StatusConflict}, []int{accepted, picked})
			case james.id:
				require.Equal(t, []int{http.StatusConflict, http.StatusOK}, []int{accepted, picked})
			default:
				require.Fail(t, "nobody has it")
			}
			k.offersAddUp(id)
			for _, a := range []agent{kenta, james} {
				if a.id == holder {
					a.does("end", id, nil)
					a.does("wrap-up", id, nil)
				}
			}
		}
	})
}

func TestAnAnswerRacesWithTheEndOfItsOffer(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		for _, how := range []string{"accept", "decline"} {
			k := start(t, dialect)
			k.arrange(brief)
			kenta := k.as("kaiwa-dev-kenta")
			for range raceRounds {
				emma := k.newCustomer("Emma")
				id := emma.asksForAPerson()
				kenta.isThere(conversation.PresenceAvailable)
				offer := k.isOffered(kenta, id)
				timer := time.NewTimer(time.Until(offer.ExpiresAt) - 20*time.Millisecond)
				<-timer.C
				var refusal item
				status := kenta.answers(offer, how, &refusal)
				kenta.isThere(conversation.PresenceOffline)
				if status != http.StatusOK {
					require.Equal(t, http.StatusConflict, status)
					require.Equal(t, "offer_expired", refusal.Code)
				}
				ways := k.offersAddUp(id)
				switch {
				case how == "accept" && status == http.StatusOK:
					require.Equal(t, kenta.id, kenta.conversation(id).AgentID)
					require.Equal(t, 1, ways["offer.accepted"])
					kenta.does("end", id, nil)
					kenta.does("wrap-up", id, nil)
				case status == http.StatusOK:
					require.Equal(t, 1, ways["offer.declined"])
					fallthrough
				default:
					require.Equal(t, conversation.OwnerQueue, kenta.conversation(id).Owner)
					require.Zero(t, ways["offer.accepted"])
					k.as("kaiwa-dev-sofie").does("close", id, nil)
				}
				t.Logf("%s: %d", how, status)
			}
			require.Zero(t, kenta.load())
			k.Stop()
		}
	})
}

// A supervisor may give it to somebody else before or after its agent accepts
// the offer: it is theirs in the end, and the offer has ended once.
func TestAcceptRacesWithASupervisorsAssignment(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		kenta, mali, sofie := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-mali"), k.as("kaiwa-dev-sofie")
		kenta.isThere(conversation.PresenceAvailable)
		for range raceRounds {
			id := k.newCustomer("Emma").asksForAPerson()
			offer := k.isOffered(kenta, id)
			var accepted, assigned int
			var refusal item
			together(
				func() { accepted = kenta.answers(offer, "accept", &refusal) },
				func() { assigned, _ = sofie.tries("assign", id, map[string]any{"agent_id": mali.id}) },
			)
			require.Equal(t, http.StatusOK, assigned)
			require.Equal(t, mali.id, mali.conversation(id).AgentID)
			if accepted == http.StatusOK {
				k.offersCameTo(id, map[string]int{"offer.accepted": 1})
			} else {
				require.Equal(t, http.StatusConflict, accepted)
				require.Equal(t, "offer_rescinded", refusal.Code)
				k.offersCameTo(id, map[string]int{"offer.rescinded": 1})
			}
			mali.does("end", id, nil)
			mali.does("wrap-up", id, nil)
			t.Logf("accept %d", accepted)
		}
		require.Zero(t, kenta.load()+mali.load(), "nothing is left with them")
	})
}

// A supervisor takes back what is just being accepted for its agent: one of the
// two happens. What was taken back is offered, and accepted, anew.
func TestAnOfferThatIsAcceptedForItsAgentRacesWithASupervisor(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(autoAccepted)
		kenta, sofie := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-sofie")
		for round := range raceRounds {
			kenta.isThere(conversation.PresenceBusy)
			id := k.newCustomer("Emma").asksForAPerson()
			kenta.isThere(conversation.PresenceAvailable)
			var offer store.Offer
			k.eventually(func() bool {
				events, err := k.Store.Events(t.Context(), 0, 1000, id)
				require.NoError(t, err)
				for _, e := range events {
					if e.Type == "offer.created" {
						offer, err = k.Store.Offer(t.Context(), e.SubjectID)
						require.NoError(t, err)
						return true
					}
				}
				return false
			}, "it is offered")
			if round%2 == 1 { // the workflow is the faster one
				k.eventually(func() bool { return kenta.conversation(id).AgentID == kenta.id }, "the agent has it")
			}
			var refusal problem
			status := sofie.call(http.MethodPost, "/offers/"+offer.ID+"/rescind", nil, map[string]any{}, &refusal)
			k.eventually(func() bool { return kenta.conversation(id).AgentID == kenta.id }, "the agent has it")
			if status == http.StatusOK {
				k.offersCameTo(id, map[string]int{"offer.rescinded": 1, "offer.accepted": 1})
			} else {
				require.Equal(t, http.StatusConflict, status)
				require.Equal(t, "offer_accepted", refusal.Code)
				k.offersCameTo(id, map[string]int{"offer.accepted": 1})
			}
			kenta.does("end", id, nil)
			kenta.does("wrap-up", id, nil)
			t.Logf("take back %d", status)
		}
		require.Zero(t, kenta.load())
	})
}

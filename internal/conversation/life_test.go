package conversation_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

var update = flag.Bool("update", false, "write docs/life.md anew")

func TestTheLifePageIsUpToDate(t *testing.T) {
	t.Parallel()
	const page = "../../docs/life.md"
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(conversation.LifeDocument()), 0o644))
	}
	have, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, conversation.LifeDocument(), string(have), "run make generate")
}

// events are all there are, so that a new one must be thought of here.
var events = []conversation.Event{
	conversation.EventStartedWithBot, conversation.EventStartedInQueue, conversation.EventReopenedWithBot, conversation.EventReopenedInQueue,
	conversation.EventCustomerWrote, conversation.EventBotEscalated,
	conversation.EventBotFailed, conversation.EventCustomerAsked, conversation.EventBotEnded, conversation.EventBotIdle, conversation.EventAccepted,
	conversation.EventPicked, conversation.EventAssigned, conversation.EventReleased, conversation.EventTransferredQueue,
	conversation.EventTransferredAgent, conversation.EventTransferredBot, conversation.EventAgentLost, conversation.EventParked,
	conversation.EventResumed, conversation.EventEnded, conversation.EventWrapUpDone, conversation.EventWrapUpExpired,
	conversation.EventForceClosed, conversation.EventAutoClosed, conversation.EventTimeoutRule, conversation.EventOverflow, conversation.EventOutOfHours,
	conversation.EventChannelDeleted, conversation.EventCustomerBlocked, conversation.EventCancelled,
	conversation.EventStartedAsking, conversation.EventConsentedBot, conversation.EventConsentedQueue, conversation.EventConsentRefused,
	conversation.EventHandedOff, conversation.EventRouted, conversation.EventAgentWrote,
}

// expected is what the product says, written down a second time on purpose:
// phase → event → next phase.
var expected = map[string]map[conversation.Event]string{
	"none": {conversation.EventStartedWithBot: "bot", conversation.EventStartedInQueue: "queued", conversation.EventStartedAsking: "consent"},
	"consent": {
		conversation.EventCustomerWrote: "consent", conversation.EventConsentedBot: "bot", conversation.EventConsentedQueue: "queued",
		conversation.EventConsentRefused: "closed",
	},
	"bot": {
		conversation.EventCustomerWrote: "bot", conversation.EventBotEscalated: "queued", conversation.EventBotFailed: "queued",
		conversation.EventCustomerAsked: "queued", conversation.EventBotEnded: "closed", conversation.EventBotIdle: "closed",
		conversation.EventHandedOff: "queued",
	},
	"queued": {
		conversation.EventCustomerWrote: "queued", conversation.EventAccepted: "served", conversation.EventPicked: "served",
		conversation.EventAssigned: "served", conversation.EventTransferredQueue: "queued", conversation.EventOverflow: "closed",
		conversation.EventRouted: "queued", conversation.EventOutOfHours: "closed",
	},
	"served": {
		conversation.EventAgentWrote:    "served",
		conversation.EventCustomerWrote: "served", conversation.EventAssigned: "served", conversation.EventReleased: "queued",
		conversation.EventTransferredQueue: "queued", conversation.EventTransferredAgent: "served", conversation.EventTransferredBot: "bot",
		conversation.EventAgentLost: "queued", conversation.EventParked: "waiting", conversation.EventEnded: "wrap_up",
	},
	"waiting": {conversation.EventCustomerWrote: "queued", conversation.EventResumed: "served", conversation.EventAssigned: "served"},
	"wrap_up": {conversation.EventCustomerWrote: "served", conversation.EventWrapUpDone: "closed", conversation.EventWrapUpExpired: "closed"},
	"closed":  {conversation.EventReopenedWithBot: "bot", conversation.EventReopenedInQueue: "queued"},
}

func init() {
	for name, row := range expected {
		if name == "none" || name == "closed" {
			continue
		}
		for _, e := range []conversation.Event{
			conversation.EventForceClosed, conversation.EventTimeoutRule, conversation.EventChannelDeleted, conversation.EventCustomerBlocked, conversation.EventCancelled,
		} {
			row[e] = "closed"
		}
		if name != "wrap_up" {
			row[conversation.EventAutoClosed] = "closed"
		}
	}
}

func TestEveryEventInEveryPhaseDoesWhatTheProductSays(t *testing.T) {
	t.Parallel()
	for _, from := range conversation.Phases() {
		for _, event := range events {
			got, err := conversation.Next(from, event, conversation.Facts{})
			want, allowed := expected[from.Name()][event]
			if allowed {
				require.NoError(t, err, "%s in %s", event, from.Name())
				require.Equal(t, want, got.To.Name(), "%s in %s", event, from.Name())
				continue
			}
			code := conversation.CodeNotAllowedNow
			switch from {
			case conversation.PhaseClosed:
				code = conversation.CodeConversationClosed
			case conversation.PhaseConsent:
				code = conversation.CodeConsentPending
			}
			require.Equal(t, code, conversation.CodeOf(err), "%s in %s", event, from.Name())
		}
	}
}

func TestEveryTransitionKeepsTheBooks(t *testing.T) {
	t.Parallel()
	withSession := func(p conversation.Phase) bool {
		return p == conversation.PhaseBot || p == conversation.PhaseServed || p == conversation.PhaseWrapUp
	}
	seen := map[string]bool{}
	for _, tr := range conversation.Life() {
		name := tr.From.Name() + " " + string(tr.Event)
		require.False(t, seen[name], "%s stands twice", name)
		seen[name] = true
		require.Contains(t, events, tr.Event)

		unasked := tr.From == conversation.PhaseConsent
		require.Equal(t, unasked && tr.To == conversation.PhaseClosed, tr.Has(conversation.EffectDropHeld), name)
		require.Equal(t, unasked && tr.To != conversation.PhaseClosed && tr.To != tr.From, tr.Has(conversation.EffectReleaseHeld), name)

		closes := tr.To == conversation.PhaseClosed
		require.Equal(t, closes, tr.Has(conversation.EffectClose), name)
		if closes {
			require.NotEmpty(t, tr.Reason, name)
		}
		if tr.From != tr.To || tr.Has(conversation.EffectStartSession) {
			require.True(t, tr.Has(conversation.EffectNewEpoch), "%s moves ownership without a new epoch", name)
		}
		starts, ends := tr.Has(conversation.EffectStartSession), tr.Has(conversation.EffectEndSession)
		if withSession(tr.To) && !withSession(tr.From) {
			require.True(t, starts, "%s begins no session", name)
		}
		if withSession(tr.From) && !withSession(tr.To) {
			require.True(t, ends, "%s ends no session", name)
			require.NotEmpty(t, tr.Reason, name)
		}
		if withSession(tr.From) && starts {
			require.True(t, ends, "%s begins a session beside another", name)
		}
		queued := tr.To == conversation.PhaseQueued && tr.From != conversation.PhaseQueued
		require.Equal(t, queued, tr.Has(conversation.EffectEnterQueue), name)
		require.Equal(t, tr.From == conversation.PhaseQueued && tr.To == conversation.PhaseQueued && tr.Event != conversation.EventCustomerWrote,
			tr.Has(conversation.EffectChangeQueue), name)
		if tr.From == conversation.PhaseQueued && tr.To != conversation.PhaseQueued {
			require.True(t, tr.Has(conversation.EffectLeaveQueue), name)
		}
	}
}

func TestGuardsLetThroughWhoTheyShould(t *testing.T) {
	t.Parallel()
	engine, own := conversation.Actor{}, conversation.Actor{AgentID: "agt_1"}
	other, supervisor := conversation.Actor{AgentID: "agt_2"}, conversation.Actor{AgentID: "agt_3", Supervisor: true}
	for _, c := range []struct {
		phase  conversation.Phase
		event  conversation.Event
		actor  conversation.Actor
		refuse conversation.Code
	}{
		{conversation.PhaseServed, conversation.EventReleased, own, ""},
		{conversation.PhaseServed, conversation.EventReleased, engine, ""},
		{conversation.PhaseServed, conversation.EventReleased, other, conversation.CodeNotAssignedToYou},
		{conversation.PhaseServed, conversation.EventReleased, supervisor, conversation.CodeNotAssignedToYou},
		{conversation.PhaseServed, conversation.EventEnded, supervisor, ""},
		{conversation.PhaseServed, conversation.EventEnded, other, conversation.CodeNotAssignedToYou},
		{conversation.PhaseWaiting, conversation.EventResumed, own, ""},
		{conversation.PhaseWaiting, conversation.EventResumed, other, conversation.CodeNotAssignedToYou},
		{conversation.PhaseWaiting, conversation.EventForceClosed, own, ""},
		{conversation.PhaseWaiting, conversation.EventForceClosed, supervisor, ""},
		{conversation.PhaseQueued, conversation.EventAssigned, own, conversation.CodeForbidden},
		{conversation.PhaseQueued, conversation.EventAssigned, supervisor, ""},
		{conversation.PhaseQueued, conversation.EventPicked, other, ""},
	} {
		_, err := conversation.Next(c.phase, c.event, conversation.Facts{Actor: c.actor, AgentID: "agt_1"})
		require.Equal(t, c.refuse, conversation.CodeOf(err), "%s in %s by %+v", c.event, c.phase.Name(), c.actor)
	}
	_, err := conversation.Next(conversation.PhaseNone, conversation.EventStartedWithBot, conversation.Facts{BotBarred: true})
	require.Equal(t, conversation.CodeConflict, conversation.CodeOf(err))
}

package conversation

// Phase is a place in the life of a conversation: the pair of status and owner
// that can occur. Every other pair is impossible, and the database refuses it.
type Phase struct {
	Status Status
	Owner  Owner
}

// The phases.
var (
	PhaseNone    = Phase{}                         // before the first message
	PhaseConsent = Phase{StatusOpen, OwnerNone}    // waits for the customer's yes to the privacy notice
	PhaseBot     = Phase{StatusActive, OwnerBot}   // a bot answers
	PhaseQueued  = Phase{StatusOpen, OwnerQueue}   // waits for an agent
	PhaseServed  = Phase{StatusActive, OwnerAgent} // an agent answers
	PhaseWaiting = Phase{StatusWaiting, OwnerNone} // waits for the customer
	PhaseWrapUp  = Phase{StatusWrapUp, OwnerAgent} // the agent finishes notes
	PhaseClosed  = Phase{StatusClosed, OwnerNone}  // final, but for a reopen window
)

// Phases lists every phase in the order of a life.
func Phases() []Phase {
	return []Phase{PhaseNone, PhaseConsent, PhaseBot, PhaseQueued, PhaseServed, PhaseWaiting, PhaseWrapUp, PhaseClosed}
}

// Name is the phase's word in diagrams and in the Temporal UI.
func (p Phase) Name() string {
	switch p {
	case PhaseNone:
		return "none"
	case PhaseConsent:
		return "consent"
	case PhaseBot:
		return "bot"
	case PhaseQueued:
		return "queued"
	case PhaseServed:
		return "served"
	case PhaseWaiting:
		return "waiting"
	case PhaseWrapUp:
		return "wrap_up"
	case PhaseClosed:
		return "closed"
	}
	return "impossible"
}

// Event is something that can move a conversation from one phase to another.
type Event string

// The events of a life.
const (
	EventStartedWithBot   Event = "started_with_bot"     // first message; the workstream has a bot
	EventStartedInQueue   Event = "started_in_queue"     // first message; the workstream has none
	EventStartedAsking    Event = "started_asking"       // first message; the workstream requires consent
	EventConsentedBot     Event = "consented_bot"        // the customer says yes; a bot takes it
	EventConsentedQueue   Event = "consented_queue"      // the customer says yes; no bot takes it
	EventConsentRefused   Event = "consent_refused"      // the customer says no
	EventReopenedWithBot  Event = "reopened_with_bot"    // a message within the reopen window; a bot takes it
	EventReopenedInQueue  Event = "reopened_in_queue"    // a message within the reopen window; no bot takes it
	EventCustomerWrote    Event = "customer_wrote"       // any further message of the customer
	EventBotEscalated     Event = "bot_escalated"        // the bot hands off
	EventBotFailed        Event = "bot_failed"           // no usable answer within the deadline
	EventCustomerAsked    Event = "customer_asked"       // the customer asks for a person
	EventBotEnded         Event = "bot_ended"            // the bot finishes the conversation
	EventHandedOff        Event = "handed_off"           // a supervisor takes it from the bot
	EventBotIdle          Event = "bot_idle"             // the customer stayed silent before the bot
	EventRouted           Event = "routed"               // classified, and its queue decided
	EventAccepted         Event = "accepted"             // an agent accepts an offer
	EventPicked           Event = "picked"               // an agent takes it out of the queue
	EventAssigned         Event = "assigned"             // a supervisor gives it to an agent
	EventAgentWrote       Event = "agent_wrote"          // a message of the agent to the customer
	EventReleased         Event = "released"             // the agent gives it back to the queue
	EventTransferredQueue Event = "transferred_to_queue" // the agent passes it to a queue
	EventTransferredAgent Event = "transferred_to_agent" // the agent passes it to another agent
	EventTransferredBot   Event = "transferred_to_bot"   // the agent sends it to a bot
	EventAgentLost        Event = "agent_lost"           // the agent is gone beyond the grace time
	EventParked           Event = "parked"               // the agent, or a time-out rule, sets it aside
	EventResumed          Event = "resumed"              // its agent takes it up again
	EventEnded            Event = "ended"                // the agent ends it
	EventWrapUpDone       Event = "wrap_up_done"         // the agent finishes wrap-up
	EventWrapUpExpired    Event = "wrap_up_expired"      // the time for wrap-up is over
	EventForceClosed      Event = "force_closed"         // an agent or supervisor closes it at once
	EventAutoClosed       Event = "auto_closed"          // nothing happened for the time that is set
	EventTimeoutRule      Event = "timeout_rule"         // a time-out rule closes it
	EventOverflow         Event = "overflow"             // the queue's overflow rule ends it
	EventOutOfHours       Event = "out_of_hours"         // it comes to a queue that is closed, which ends it
	EventChannelDeleted   Event = "channel_deleted"      // the channel is removed
	EventCustomerBlocked  Event = "customer_blocked"     // the customer blocks the account
	EventCancelled        Event = "cancelled"            // an operator cancels the workflow
)

// Effect is something a transition does beside changing the phase. The
// transaction that commits the transition carries all of them out.
type Effect string

// The effects.
const (
	EffectStartSession Effect = "start_session" // the new owner's engagement begins
	EffectEndSession   Effect = "end_session"   // the current engagement ends, with the transition's reason
	EffectEnterQueue   Effect = "enter_queue"   // the clock of waiting starts, unless it runs since an earlier wait
	EffectLeaveQueue   Effect = "leave_queue"   // the clock of waiting stops
	EffectChangeQueue  Effect = "change_queue"  // it waits in another queue; the clock goes on
	EffectNewEpoch     Effect = "new_epoch"     // ownership moved: whatever the former owner still says is discarded
	EffectBarBot       Effect = "bar_bot"       // the bot does not take this conversation again by itself
	EffectReadmitBot   Effect = "readmit_bot"   // an agent sends it back to a bot, which may take it again
	EffectReleaseHeld  Effect = "release_held"  // what the customer wrote before the yes is there for everybody
	EffectDropHeld     Effect = "drop_held"     // what the customer wrote and never agreed to is deleted
	EffectClose        Effect = "close"         // closed_at and closure_reason are set; nothing changes any more
)

// Guard is a condition on who asks for a transition.
type Guard string

// The guards.
const (
	GuardNone              Guard = ""                     // the engine itself, or anybody with the route's permission
	GuardOwnAgent          Guard = "own_agent"            // only the agent who holds it
	GuardOwnOrSupervisor   Guard = "own_or_supervisor"    // the agent who holds it, or a supervisor
	GuardSupervisor        Guard = "supervisor"           // a supervisor or administrator
	GuardBotNotBarred      Guard = "bot_not_barred"       // no bot has escalated it before
	GuardAgentOfRecord     Guard = "agent_of_record"      // the agent who had it last
	GuardAgentOfRecordOrUp Guard = "agent_of_record_or_s" // the agent who had it last, or a supervisor
)

// Actor is who asks for a transition, as far as guards need to know.
// The zero Actor is the engine itself.
type Actor struct {
	AgentID    string
	Supervisor bool // supervisor or administrator
}

// Transition is one row of the life table.
type Transition struct {
	From    Phase
	Event   Event
	Guard   Guard
	To      Phase
	Effects []Effect
	Reason  ClosureReason // why the session or the conversation ended; "" when neither did
}

// life is the life of a conversation. Validators, the workflow, the API's
// refusals, the diagram in docs/ and the exhaustive test are all driven by it;
// no second place decides a transition.
var life = []Transition{
	{PhaseNone, EventStartedWithBot, GuardBotNotBarred, PhaseBot, []Effect{EffectStartSession, EffectNewEpoch}, ""},
	{PhaseNone, EventStartedInQueue, GuardNone, PhaseQueued, []Effect{EffectEnterQueue, EffectNewEpoch}, ""},

	{PhaseNone, EventStartedAsking, GuardNone, PhaseConsent, []Effect{EffectNewEpoch}, ""},

	{PhaseConsent, EventCustomerWrote, GuardNone, PhaseConsent, nil, ""},
	{PhaseConsent, EventConsentedBot, GuardBotNotBarred, PhaseBot, []Effect{EffectStartSession, EffectNewEpoch, EffectReleaseHeld}, ""},
	{PhaseConsent, EventConsentedQueue, GuardNone, PhaseQueued, []Effect{EffectEnterQueue, EffectNewEpoch, EffectReleaseHeld}, ""},
	{PhaseConsent, EventConsentRefused, GuardNone, PhaseClosed, []Effect{EffectNewEpoch, EffectDropHeld, EffectClose}, ReasonConsentRefused},

	{PhaseBot, EventCustomerWrote, GuardNone, PhaseBot, nil, ""},
	{PhaseBot, EventBotEscalated, GuardNone, PhaseQueued, botToQueue, ReasonBotEscalated},
	{PhaseBot, EventBotFailed, GuardNone, PhaseQueued, botToQueue, ReasonBotFailed},
	{PhaseBot, EventCustomerAsked, GuardNone, PhaseQueued, botToQueue, ReasonCustomerAsked},
	{PhaseBot, EventHandedOff, GuardSupervisor, PhaseQueued, botToQueue, ReasonBotEscalated},
	{PhaseBot, EventBotEnded, GuardNone, PhaseClosed, closeSession, ReasonBotEnded},
	{PhaseBot, EventBotIdle, GuardNone, PhaseClosed, closeSession, ReasonBotIdle},

	{PhaseQueued, EventCustomerWrote, GuardNone, PhaseQueued, nil, ""},
	{PhaseQueued, EventRouted, GuardNone, PhaseQueued, []Effect{EffectChangeQueue}, ""},
	{PhaseQueued, EventAccepted, GuardNone, PhaseServed, queueToAgent, ""},
	{PhaseQueued, EventPicked, GuardNone, PhaseServed, queueToAgent, ""},
	{PhaseQueued, EventAssigned, GuardSupervisor, PhaseServed, queueToAgent, ""},
	{PhaseQueued, EventTransferredQueue, GuardSupervisor, PhaseQueued, []Effect{EffectChangeQueue}, ""},
	{PhaseQueued, EventOverflow, GuardNone, PhaseClosed, closeQueued, ReasonOverflow},
	{PhaseQueued, EventOutOfHours, GuardNone, PhaseClosed, closeQueued, ReasonOutOfHours},

	{PhaseServed, EventCustomerWrote, GuardNone, PhaseServed, nil, ""},
	{PhaseServed, EventAgentWrote, GuardOwnOrSupervisor, PhaseServed, nil, ""},
	{PhaseServed, EventAssigned, GuardSupervisor, PhaseServed, agentToAgent, ReasonAgentTransferred},
	{PhaseServed, EventReleased, GuardOwnAgent, PhaseQueued, agentToQueue, ReasonAgentReleased},
	{PhaseServed, EventTransferredQueue, GuardOwnOrSupervisor, PhaseQueued, agentToQueue, ReasonAgentTransferred},
	{PhaseServed, EventTransferredAgent, GuardOwnOrSupervisor, PhaseServed, agentToAgent, ReasonAgentTransferred},
	{PhaseServed, EventTransferredBot, GuardOwnOrSupervisor, PhaseBot, agentToBot, ReasonAgentTransferred},
	{PhaseServed, EventAgentLost, GuardNone, PhaseQueued, agentToQueue, ReasonAgentLost},
	{PhaseServed, EventParked, GuardOwnOrSupervisor, PhaseWaiting, []Effect{EffectEndSession, EffectNewEpoch}, ReasonAgentParked},
	{PhaseServed, EventEnded, GuardOwnOrSupervisor, PhaseWrapUp, []Effect{EffectNewEpoch}, ""},

	{PhaseWaiting, EventCustomerWrote, GuardNone, PhaseQueued, []Effect{EffectEnterQueue, EffectNewEpoch}, ""},
	{PhaseWaiting, EventResumed, GuardAgentOfRecord, PhaseServed, []Effect{EffectStartSession, EffectNewEpoch}, ""},
	{PhaseWaiting, EventAssigned, GuardSupervisor, PhaseServed, []Effect{EffectStartSession, EffectNewEpoch}, ""},

	{PhaseWrapUp, EventCustomerWrote, GuardNone, PhaseServed, []Effect{EffectNewEpoch}, ""},
	{PhaseWrapUp, EventWrapUpDone, GuardOwnOrSupervisor, PhaseClosed, closeSession, ReasonAgentEnded},
	{PhaseWrapUp, EventWrapUpExpired, GuardNone, PhaseClosed, closeSession, ReasonAgentEnded},

	// Only where the workstream sets a reopen window, and only within it.
	{PhaseClosed, EventReopenedWithBot, GuardBotNotBarred, PhaseBot, []Effect{EffectStartSession, EffectNewEpoch}, ""},
	{PhaseClosed, EventReopenedInQueue, GuardNone, PhaseQueued, []Effect{EffectEnterQueue, EffectNewEpoch}, ""},
}

var (
	botToQueue   = []Effect{EffectEndSession, EffectEnterQueue, EffectNewEpoch, EffectBarBot}
	queueToAgent = []Effect{EffectLeaveQueue, EffectStartSession, EffectNewEpoch}
	agentToQueue = []Effect{EffectEndSession, EffectEnterQueue, EffectNewEpoch}
	agentToAgent = []Effect{EffectEndSession, EffectStartSession, EffectNewEpoch}
	agentToBot   = []Effect{EffectEndSession, EffectStartSession, EffectNewEpoch, EffectReadmitBot}
	closeSession = []Effect{EffectEndSession, EffectNewEpoch, EffectClose}
	closeQueued  = []Effect{EffectLeaveQueue, EffectNewEpoch, EffectClose}
	closeAny     = []Effect{EffectEndSession, EffectLeaveQueue, EffectNewEpoch, EffectClose}
)

// Whatever phase a live conversation is in, these end it at once.
func init() {
	for _, from := range []Phase{PhaseConsent, PhaseBot, PhaseQueued, PhaseServed, PhaseWaiting, PhaseWrapUp} {
		guard, closeAny := GuardSupervisor, closeAny
		switch from {
		case PhaseConsent:
			closeAny = []Effect{EffectNewEpoch, EffectDropHeld, EffectClose}
		case PhaseServed, PhaseWrapUp:
			guard = GuardOwnOrSupervisor
		case PhaseWaiting:
			guard = GuardAgentOfRecordOrUp
		}
		life = append(life,
			Transition{from, EventForceClosed, guard, PhaseClosed, closeAny, ReasonForceClosed},
			Transition{from, EventTimeoutRule, GuardNone, PhaseClosed, closeAny, ReasonTimeoutRule},
			Transition{from, EventChannelDeleted, GuardNone, PhaseClosed, closeAny, ReasonChannelDeleted},
			Transition{from, EventCustomerBlocked, GuardNone, PhaseClosed, closeAny, ReasonCustomerBlocked},
			Transition{from, EventCancelled, GuardNone, PhaseClosed, closeAny, ReasonCancelled},
		)
		if from != PhaseWrapUp { // a wrap-up that is never finished expires instead
			life = append(life, Transition{from, EventAutoClosed, GuardNone, PhaseClosed, closeAny, ReasonAutoClosed})
		}
	}
}

// Life returns a copy of the life table.
func Life() []Transition {
	return append([]Transition(nil), life...)
}

// Facts is what guards look at: who asks, and what the conversation remembers.
type Facts struct {
	Actor     Actor
	AgentID   string // the agent who holds it, or held it last
	BotBarred bool   // a bot escalated it before
}

// Next returns the transition that event causes in a conversation at from.
// It returns an Error of CodeConversationClosed when the conversation is
// closed, CodeConsentPending while the customer has not agreed to the privacy
// notice, CodeNotAllowedNow when the table has no such row, and
// CodeNotAssignedToYou, CodeForbidden or CodeConflict when the guard refuses.
func Next(from Phase, event Event, facts Facts) (Transition, error) {
	for _, t := range life {
		if t.From == from && t.Event == event {
			if err := t.Guard.check(facts); err != nil {
				return Transition{}, err
			}
			return t, nil
		}
	}
	if from == PhaseClosed {
		return Transition{}, Errorf(CodeConversationClosed, "The conversation is closed; the customer's next message starts a new one.")
	}
	if from == PhaseConsent {
		return Transition{}, Errorf(CodeConsentPending, "The customer has not agreed to the privacy notice. Until they do, nobody sees or answers what they write.")
	}
	return Transition{}, Errorf(CodeNotAllowedNow, "%q is not possible while the conversation is %q.", event, from.Name())
}

// Has tells whether the transition carries out effect e.
func (t Transition) Has(e Effect) bool {
	for _, x := range t.Effects {
		if x == e {
			return true
		}
	}
	return false
}

func (g Guard) check(f Facts) error {
	engine := f.Actor == Actor{}
	own := f.Actor.AgentID != "" && f.Actor.AgentID == f.AgentID
	switch g {
	case GuardNone:
		return nil
	case GuardBotNotBarred:
		if f.BotBarred {
			return Errorf(CodeConflict, "A bot has already handed this conversation to people.")
		}
		return nil
	case GuardOwnAgent, GuardAgentOfRecord:
		if engine || own {
			return nil
		}
		return Errorf(CodeNotAssignedToYou, "Only the agent who has this conversation may do this.")
	case GuardOwnOrSupervisor, GuardAgentOfRecordOrUp:
		if engine || own || f.Actor.Supervisor {
			return nil
		}
		return Errorf(CodeNotAssignedToYou, "Only the agent who has this conversation, or a supervisor, may do this.")
	case GuardSupervisor:
		if engine || f.Actor.Supervisor {
			return nil
		}
		return Errorf(CodeForbidden, "Only a supervisor may do this.")
	}
	return Errorf(CodeForbidden, "Unknown guard %q.", g)
}

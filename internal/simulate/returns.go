package simulate

import (
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// assignment takes over whom a workstream's conversations are offered to.
func (c *compiler) assignment(at string, w Workstream, made *workstream) error {
	if err := c.knownProfile(at+"/capacity_profile_id", w.CapacityProfileID); err != nil {
		return err
	}
	for i, name := range w.Presences {
		p := conversation.Presence(name)
		if !slices.Contains([]conversation.Presence{conversation.PresenceAvailable, conversation.PresenceBusy, conversation.PresenceDoNotDisturb, conversation.PresenceAway}, p) {
			return c.wrong(fmt.Sprintf("%s/presences/%d", at, i), "%q is no presence: it is available, busy, do_not_disturb or away.", name)
		}
		made.presences = append(made.presences, p)
	}
	switch w.Affinity {
	case "":
		made.affinity = routing.AffinityPrefer
	case "off":
		made.affinity = routing.AffinityOff
	case string(routing.AffinityPrefer), string(routing.AffinityRequire):
		made.affinity = routing.AffinityMode(w.Affinity)
	default:
		return c.wrong(at+"/affinity", "%q is no affinity: it is off, prefer or require.", w.Affinity)
	}
	return nil
}

// maxReturns bounds how likely a conversation comes back: it ends some time.
const maxReturns = 0.95

// comesBack takes over whom a kind prefers, and how it comes back.
func (c *compiler) comesBack(at string, k Kind, made *kind) error {
	for i, id := range k.PreferredAgents {
		if !slices.ContainsFunc(c.s.agents, func(a agentPlan) bool { return a.ID == id }) {
			return c.wrong(fmt.Sprintf("%s/preferred_agents/%d", at, i), "There is no agent %q. Name one of agents; of a group one of its people, such as ID-1.", id)
		}
	}
	made.preferred = k.PreferredAgents
	if k.Returns == nil {
		return nil
	}
	if !(k.Returns.Chance >= 0 && k.Returns.Chance <= maxReturns) {
		return c.wrong(at+"/returns/chance", "It is a number from 0 to %v.", maxReturns)
	}
	var err error
	made.returns = k.Returns.Chance
	if made.after, err = c.sampler(at+"/returns/after", k.Returns.After); err == nil && made.after == nil {
		err = c.wrong(at+"/returns", "Say after how long they come back: give after, such as {exponential: 1h}.")
	}
	return err
}

// park sets a conversation aside, until its customer writes again.
func (p *play) park(t *talk) {
	p.leaveAgent(t)
	p.agenda.note(p.now+p.s.kinds[t.kind].after(p.draws[t.kind].returns), func() { p.comeBack(t) })
}

// comeBack lets a conversation wait once more where it did, for the agent who
// served it as far as its workstream keeps them; its place is by when it first
// waited. It is counted as another one.
func (p *play) comeBack(before *talk) {
	p.came++
	t := &talk{Item: before.Item, units: before.units, profile: before.profile, workstream: before.workstream, kind: before.kind, came: p.now, since: before.since, been: before.been, handling: -1}
	t.Refusals = nil
	t.Affinity = routing.Affinity{AgentID: before.agent.ID, Mode: t.workstream.affinity}
	if t.Affinity.Mode == routing.AffinityPrefer {
		t.Affinity.Until = p.time().Add(routing.AffinityPatience)
	}
	p.begin(t, routing.Arrival{QueueID: before.QueueID, Been: before.been, ByPeople: true})
}

package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
)

// ingest empties the chat's inbox. A script bot answers in the same step.
func (c *talk) ingest() {
	c.drain()
	in := activities.IngestInput{
		ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey, ConversationID: c.state.ConversationID, Seen: c.state.Seen, Epoch: c.state.Epoch,
		Asking: c.phase() == conversation.PhaseConsent, Sending: c.sending,
	}
	if !c.begun() {
		in.RunID, in.Left = workflow.GetInfo(c.ctx).WorkflowExecution.RunID, c.in.Left
	} else if c.botAnswersAtOnce() {
		in.Turn = c.turnInput(false)
	}
	var out activities.IngestOutput
	if err := c.do("take in what arrived", acts.Ingest, in, &out); err != nil {
		// A refusal here means that the channel is gone with all that belonged
		// to it; there is nobody to answer.
		workflow.GetLogger(c.ctx).Error("the inbox cannot be read", "error", err)
		c.more = false
		return
	}
	c.more = out.More
	c.fetchMedia(out.Media)
	c.doErrands(out.Errands)
	c.strangers = out.Members
	c.refresh(out.ProfileStale, out.StaleMembers)
	if out.ConversationID == "" {
		return
	}
	if !c.begun() {
		c.state.ConversationID, c.new = out.ConversationID, true
		c.profileDue, c.greeted = out.ProfileDue, out.Greeted
	}
	c.unsent, c.quick, c.plot = c.unsent || out.Pending, out.Quick, out.Plot
	ruled := c.state.Settings.SilenceRules
	if out.Settings != nil {
		c.state.Settings = *out.Settings
	}
	c.state.Seen = out.Seen
	c.state.Unanswered += out.Messages
	if out.Messages > 0 {
		c.state.CustomerMS = c.now().UnixMilli()
		c.wrote = true
	}
	c.blocked = c.blocked || out.Blocked
	if out.Messages > 0 {
		c.state.SilenceMS = 0 // a new one begins
	}
	c.offeredTo, c.offeredUntilMS, c.autoOffer = out.OfferedTo, out.OfferedUntil/1000, out.AutoOffer
	c.lost = out.Lost
	c.stands(standing{out.Status, out.Owner, out.Epoch, out.QueueID, out.AgentID, out.Routed, out.TendMS})
	if c.state.Settings.SilenceRules != ruled && out.Messages == 0 {
		c.heedNewRules()
	}
	if c.closed() {
		c.reason, c.remains = out.ClosureReason, true // closed elsewhere: whatever waits is for the next conversation
		c.heedRefusal()
		return
	}
	c.ask, c.unshown = c.ask || out.Ask, c.unshown || out.Unsupported
	if out.Turn != nil {
		c.state.Unanswered = out.Turn.Unanswered
		c.answered = out.Turn
		c.unsent = c.unsent || out.Turn.Messages > 0 // also when a close that is under way lets nobody heed it
	}
}

// standing is where a conversation stands, as the database has it.
type standing struct {
	status  conversation.Status
	owner   conversation.Owner
	epoch   int64
	queueID string
	agentID string
	routed  bool
	tendMS  int64
}

// stands notes where the conversation stands now.
func (c *talk) stands(at standing) {
	moved := at.status != c.state.Status || at.owner != c.state.Owner
	shown := moved || at.queueID != c.state.QueueID || at.agentID != c.state.AgentID
	c.state.Status, c.state.Owner, c.state.Epoch = at.status, at.owner, at.epoch
	c.state.QueueID, c.state.AgentID, c.state.Routed = at.queueID, at.agentID, at.routed
	c.state.TendMS = at.tendMS
	c.mindRichMenu()
	if moved {
		c.state.SinceMS = c.now().UnixMilli()
	}
	if c.phase() != conversation.PhaseQueued {
		c.offeredTo, c.autoOffer = "", ""
	}
	if moved {
		c.state.SilenceMS = 0
	}
	c.expectSilence()
	if shown {
		c.moved = true
	}
	if c.plot == 0 {
		c.showMoved()
	}
}

// drain takes all wake-ups there are. One ingest answers all of them.
func (c *talk) drain() {
	for c.wake.ReceiveAsync(nil) {
	}
}

// arrived tells whether the inbox has to be looked into.
func (c *talk) arrived() bool { return c.more || c.wake.Len() > 0 }

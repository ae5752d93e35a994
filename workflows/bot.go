package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// botAnswersAtOnce tells whether a script bot may answer in the ingest itself: it
// needs nothing but the database. Every other kind is a service that may be slow.
func (c *talk) botAnswersAtOnce() bool {
	return c.phase() == conversation.PhaseBot && c.state.Settings.BotKind == store.BotScript && !c.asking && c.answered == nil && c.greeted
}

// turnInput names a turn by how far the workflow has seen the chat, and by
// whether the turn answers that (asked) or what the ingest it is part of takes.
// Every message moves what is seen on, so no two turns share a name, and a run
// that takes the conversation over names none anew.
func (c *talk) turnInput(asked bool) *activities.TurnInput {
	return &activities.TurnInput{
		ID:             conversation.DerivedID(conversation.PrefixTurn, c.state.ConversationID, c.state.Epoch, asked, c.state.Seen),
		ConversationID: c.state.ConversationID, Epoch: c.state.Epoch, Misses: c.state.Misses,
	}
}

// answerByBot has the bot answer what the customer said, if a bot has the
// conversation and owes an answer. A bot that is a service is asked on the
// side: the conversation goes on while it thinks, and may leave it behind.
func (c *talk) answerByBot() {
	if c.phase() != conversation.PhaseBot || c.state.Unanswered == 0 || c.asking || c.answered != nil {
		return
	}
	c.state.Unanswered = 0
	in := c.turnInput(true)
	if c.state.Settings.BotKind == store.BotScript {
		var out activities.TurnOutput
		if err := c.do("answer by the script bot", acts.BotTurn, *in, &out); err != nil {
			out = turnFailed(refused(err))
		}
		c.answered = &out
		return
	}
	c.asking = true
	workflow.Go(c.ctx, func(ctx workflow.Context) {
		var out activities.TurnOutput
		deadline := time.Duration(c.state.Settings.BotDeadlineS) * time.Second
		if err := workflow.ExecuteActivity(turn(ctx, deadline), acts.BotTurn, *in).Get(ctx, &out); err != nil {
			out = turnFailed("no_worker")
		}
		c.asking, c.answered = false, &out
	})
}

func turnFailed(code conversation.Code) activities.TurnOutput {
	return activities.TurnOutput{TurnResult: store.TurnResult{Outcome: store.TurnFailed, Failure: string(code)}}
}

// heedBot acts on a bot's answer. One that arrives after ownership moved was
// discarded where it was stored.
func (c *talk) heedBot() {
	out := *c.answered
	c.answered = nil
	c.unsent = c.unsent || out.Messages > 0
	if c.phase() != conversation.PhaseBot {
		return
	}
	switch out.Outcome {
	case store.TurnFailed:
		c.handOff(conversation.EventBotFailed, "", out.Failure)
		return
	case store.TurnDiscarded:
		return
	case store.TurnNothing:
		if c.ending {
			c.mustClose(conversation.EventBotEnded)
		}
		return
	}
	c.ending = false
	switch out.Action {
	case string(bot.ActionHandoff):
		c.handOff(conversation.EventBotEscalated, out.QueueID, "")
	case activities.ActionAsked:
		c.handOff(conversation.EventCustomerAsked, "", "")
	case activities.ActionGiveUp:
		c.handOff(conversation.EventBotEscalated, "", out.Action)
	case string(bot.ActionEnd):
		if c.state.Unanswered > 0 {
			c.ending = true // the customer may have written meanwhile: that is answered instead
			return
		}
		c.mustClose(conversation.EventBotEnded)
	case activities.ActionMissed:
		c.state.Misses++
	default:
		c.state.Misses = 0
	}
}

// handOff gives the conversation from the bot to people. Where it waits is
// decided next.
func (c *talk) handOff(event conversation.Event, queueID, note string) {
	in := activities.TransitionInput{
		ID: c.step(string(event)), ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey,
		Event: event, QueueID: queueID, Note: note,
	}
	var res activities.TransitionOutput
	if err := c.do("hand over to people", acts.Transition, in, &res); err != nil {
		workflow.GetLogger(c.ctx).Warn("no handoff", "error", err)
		return
	}
	c.settle(res)
}

package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"kaiwa/internal/conversation"
)

// alarm is the one timer of a conversation. It is set for the nearest deadline
// and left alone when that moves away: it then rings early and is set again.
// Only when the conversation waits for something else than before is it set
// anew, because its summary says what that is.
type alarm struct {
	at    time.Time
	event conversation.Event
	armed bool
	rang  bool
	stop  workflow.CancelFunc
}

// setAlarm makes the alarm ring at the nearest deadline, at the latest.
func (c *talk) setAlarm() {
	d := c.deadline()
	if d.at.IsZero() || c.alarm.rang || c.alarm.armed && d.event == c.alarm.event && !d.at.Before(c.alarm.at) {
		return
	}
	if c.alarm.armed {
		c.alarm.stop()
	}
	wait := d.at.Sub(c.now())
	if wait <= 0 {
		c.alarm.armed, c.alarm.rang = false, true
		return
	}
	ctx, stop := workflow.WithCancel(c.ctx)
	c.alarm = alarm{at: d.at, event: d.event, armed: true, stop: stop}
	set := c.alarm.at
	timer := workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: d.summary})
	workflow.Go(ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) == nil && c.alarm.at.Equal(set) {
			c.alarm.armed, c.alarm.rang = false, true
		}
	})
}

// deadline is when something happens by itself, and what.
type deadline struct {
	at      time.Time
	event   conversation.Event
	summary string
}

// deadline returns the nearest deadline of the phase the conversation is in.
func (c *talk) deadline() deadline {
	since, customer := time.UnixMilli(c.state.SinceMS), time.UnixMilli(c.state.CustomerMS)
	quietSince := since
	if customer.After(since) {
		quietSince = customer
	}
	s := c.state.Settings
	switch c.phase() {
	case conversation.PhaseBot:
		if c.asking || c.state.Unanswered > 0 {
			return deadline{} // the bot has the word
		}
		return earlier(
			deadline{after(quietSince, s.BotIdleS), conversation.EventBotIdle, "close when the customer stays silent before the bot"},
			deadline{after(quietSince, s.CloseActiveS), conversation.EventAutoClosed, "close when nothing happens"})
	case conversation.PhaseConsent:
		return deadline{after(quietSince, s.CloseOpenS), conversation.EventAutoClosed, "close when the customer does not say whether they agree"}
	case conversation.PhaseQueued:
		return earlier(
			deadline{atMillis(c.state.TendMS), conversation.EventOverflow, "look after the rules of its queue"},
			deadline{after(quietSince, s.CloseOpenS), conversation.EventAutoClosed, "close when nobody takes it and nothing happens"})
	case conversation.PhaseServed:
		return earlier(
			deadline{atMillis(c.state.SilenceMS), conversation.EventTimeoutRule, "look after the time-out rules"},
			deadline{after(quietSince, s.CloseActiveS), conversation.EventAutoClosed, "close when nothing happens"})
	case conversation.PhaseWaiting:
		return deadline{after(since, s.CloseWaitingS), conversation.EventAutoClosed, "close when the customer does not come back"}
	case conversation.PhaseWrapUp:
		return deadline{after(since, s.CloseWrapUpS), conversation.EventWrapUpExpired, "finish a forgotten wrap-up"}
	}
	return deadline{}
}

// atMillis is a time in Unix milliseconds; 0 is never.
func atMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func after(t time.Time, seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return t.Add(time.Duration(seconds) * time.Second)
}

func earlier(a, b deadline) deadline {
	if a.at.IsZero() || !b.at.IsZero() && b.at.Before(a.at) {
		return b
	}
	return a
}

// heedDeadline acts when a deadline has come. One that has moved away since
// the alarm was set is waited for again.
func (c *talk) heedDeadline() {
	c.alarm.rang = false
	d := c.deadline()
	switch {
	case d.at.IsZero() || c.now().Before(d.at):
	case d.event == conversation.EventOverflow:
		c.tend()
	case d.event == conversation.EventTimeoutRule:
		c.heedSilence()
	default:
		c.mustClose(d.event)
	}
}

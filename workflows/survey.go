package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// Survey asks the customer about one closed conversation. Its workflow id is
// conversation.SurveyWorkflowID, so that Temporal keeps one run of it alive.
// The database says what was asked and answered: whenever it is woken, it does
// what is due, and brings what that says to LINE. A run that is started when
// the survey is over does nothing, but for thanking who answered late.
//
// It returns no error: whatever fails is tried again.
func Survey(ctx workflow.Context, in conversation.SurveyInput) error {
	s := newSurvey(ctx, in)
	for {
		if !s.advance() {
			return nil // there is no such survey
		}
		s.send()
		switch {
		case s.arrived():
		case s.step.State != survey.Open:
			return nil
		case workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			return workflow.NewContinueAsNewError(ctx, Survey, in)
		default:
			s.await()
		}
	}
}

// inquiry is one run of the Survey workflow.
type inquiry struct {
	ctx  workflow.Context // outlives a cancellation, which is only something that happens
	in   conversation.SurveyInput
	wake workflow.ReceiveChannel

	step      store.SurveyStep
	stopTimer workflow.CancelFunc
	over      bool // its time is
	cancelled bool // an operator cancelled the workflow
}

func newSurvey(ctx workflow.Context, in conversation.SurveyInput) *inquiry {
	detached, _ := workflow.NewDisconnectedContext(ctx)
	s := &inquiry{ctx: detached, in: in, wake: workflow.GetSignalChannel(ctx, conversation.SignalWake)}
	workflow.Go(ctx, func(ctx workflow.Context) {
		ctx.Done().Receive(ctx, nil)
		s.cancelled = true
	})
	return s
}

// advance does what is due. It returns false when there is nothing to do it to.
func (s *inquiry) advance() bool {
	for s.wake.ReceiveAsync(nil) {
	}
	in := activities.AdvanceSurveyInput{ConversationID: s.in.ConversationID, Expire: s.over, Cancel: s.cancelled}
	if err := do(s.ctx, "ask what is due", acts.AdvanceSurvey, in, &s.step); err != nil {
		workflow.GetLogger(s.ctx).Warn("no survey", "error", err)
		return false
	}
	if s.step.State == survey.Open {
		s.setTimer()
	} else if s.stopTimer != nil {
		s.stopTimer()
	}
	s.explain()
	return true
}

// send brings what waits to LINE.
func (s *inquiry) send() {
	if !s.step.Pending {
		return
	}
	for s.step.Pending {
		s.step.Pending = sendWaiting(s.ctx, s.in.ConversationID, false).More
	}
	s.explain()
}

func (s *inquiry) arrived() bool { return s.wake.Len() > 0 }

// await waits for an answer, or for the end.
func (s *inquiry) await() {
	if err := workflow.Await(s.ctx, func() bool { return s.arrived() || s.over || s.cancelled }); err != nil {
		s.over = true // the context is never cancelled; this ends the survey rather than spin
	}
}

// setTimer waits for the end of the survey, once.
func (s *inquiry) setTimer() {
	if s.stopTimer != nil {
		return
	}
	var ctx workflow.Context
	ctx, s.stopTimer = workflow.WithCancel(s.ctx)
	timer := workflow.NewTimerWithOptions(ctx, max(s.ends().Sub(workflow.Now(ctx)), 0), workflow.TimerOptions{Summary: "the survey expires"})
	workflow.Go(ctx, func(ctx workflow.Context) {
		s.over = timer.Get(ctx, nil) == nil
	})
}

func (s *inquiry) ends() time.Time { return time.UnixMilli(s.step.ExpiresMS) }

// explain says in words, for the operator who opens the workflow in Temporal's
// UI, what the survey waits for and until when. It costs no event.
func (s *inquiry) explain() {
	says := map[survey.State]string{
		survey.Open: "Waits for the customer's answer", survey.Answered: "Answered",
		survey.Expired: "Expired", survey.Cancelled: "Cancelled",
	}[s.step.State]
	text := fmt.Sprintf("**%s**\n\n- after conversation `%s`\n", says, s.in.ConversationID)
	if s.step.Mode == survey.ModeLink {
		text += "- all questions are on its page\n"
	} else {
		text += fmt.Sprintf("- question %d of %d\n", s.step.Asked, s.step.Questions)
	}
	if s.step.State == survey.Open {
		text += fmt.Sprintf("- expires at %s\n", clock(s.step.ExpiresMS))
	}
	if s.step.Pending {
		text += "- messages are on their way to LINE\n"
	}
	workflow.SetCurrentDetails(s.ctx, text)
}

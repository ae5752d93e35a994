package activities

import (
	"context"
	"sync"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// planFresh is how old a plan may be when a step uses it: a change of
// configuration is felt within this time, and a busy channel's plan costs one
// statement in it instead of one a message.
const planFresh = 2 * time.Second

// plans keeps each channel's plan for a moment.
type plans struct {
	store *store.Store
	mu    sync.Mutex
	byID  map[string]cachedPlan
}

type cachedPlan struct {
	plan store.Plan
	read time.Time
}

func newPlans(s *store.Store) *plans { return &plans{store: s, byID: map[string]cachedPlan{}} }

func (p *plans) get(ctx context.Context, channelID string) (store.Plan, error) {
	p.mu.Lock()
	c, ok := p.byID[channelID]
	p.mu.Unlock()
	if ok && time.Since(c.read) < planFresh {
		return c.plan, nil
	}
	read := time.Now()
	plan, err := p.store.Plan(ctx, channelID)
	if err != nil {
		return store.Plan{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[channelID] = cachedPlan{plan, read}
	return plan, nil
}

// forget has a channel's plan read anew.
func (p *plans) forget(channelID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byID, channelID)
}

// settings are the parts of a plan a workflow acts on.
func settings(p store.Plan) conversation.Settings {
	w := p.Workstream.Settings
	s := conversation.Settings{
		WorkstreamID:    p.Workstream.ID,
		BotDeadlineS:    w.Bot.DeadlineSeconds,
		BotIdleS:        w.Bot.IdleSeconds,
		BotMaxMisses:    int(w.Bot.MaxMisses),
		CloseOpenS:      w.AutoClose.OpenSeconds,
		CloseActiveS:    w.AutoClose.ActiveSeconds,
		CloseWaitingS:   w.AutoClose.WaitingSeconds,
		CloseWrapUpS:    w.AutoClose.WrapUpSeconds,
		SilenceS:        shortestSilence(w.TimeoutRules),
		SilenceRules:    digestOf(w.TimeoutRules),
		FallbackQueueID: p.Workstream.FallbackQueueID,
		ServicesMS:      min(p.ServicesMS, routing.MaxServiceTime.Milliseconds()),
	}
	s.Survey = surveyPolicy(p).On()
	s.RichMenus = p.Channel.RichMenus.On()
	_, s.TellsAssigned = automessage.Text(automessage.AgentAssigned, p.Channel.Locale, overrides(p)...)
	if p.Bot != nil {
		s.BotKind = p.Bot.Kind
	}
	return s
}

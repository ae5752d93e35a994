package activities

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"kaiwa/internal/classifier"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// ClassifyInput asks for the services among a workstream's classification
// rulesets to be asked about a waiting conversation.
type ClassifyInput struct {
	ID             string `json:"id"` // names the step: it is answered once
	ConversationID string `json:"conversation_id"`
	ChannelID      string `json:"channel_id"`
}

// ClassifyOutput is what came of it.
type ClassifyOutput struct {
	FindingsID string `json:"findings_id,omitempty"` // names what they found; "" when there was none to ask
}

// FindingsID names what services found for a step.
func FindingsID(step string) string {
	return conversation.DerivedID(conversation.PrefixFinding, step)
}

// findingsKept is how long what a step found is known: until the conversation is
// routed, however long the database is away.
const findingsKept = 24 * time.Hour

// Classify asks the services in their order, within the time that all of them
// have. One that fails, or is late, is an answer too: the finding says so, and
// the next ruleset decides.
func (a *Activities) Classify(ctx context.Context, in ClassifyInput) (ClassifyOutput, error) {
	out := ClassifyOutput{FindingsID: FindingsID(in.ID)}
	known, err := a.store.Findings(ctx, out.FindingsID)
	if known != nil || err != nil {
		return out, final(err)
	}
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return ClassifyOutput{}, final(err)
	}
	ids := plan.Workstream.Settings.ClassificationRulesetIDs
	sets, err := a.store.RulesetsByID(ctx, ids...)
	if err != nil {
		return ClassifyOutput{}, final(err)
	}
	facts, err := a.store.RoutingFacts(ctx, in.ConversationID)
	if err != nil {
		return ClassifyOutput{}, final(err)
	}
	skills, err := a.store.Skills(ctx, store.Cursor{}, routing.MaxServiceSkills)
	if err != nil {
		return ClassifyOutput{}, final(err)
	}
	asking, cancel := context.WithTimeout(ctx, routing.MaxServiceTime)
	defer cancel()
	found := map[string]routing.Finding{}
	for _, id := range ids {
		set, ok := sets[id]
		if !ok || set.Service == nil {
			continue
		}
		if found[id], err = a.finding(asking, set, serviceQuestion(*set.Service, plan, facts, skills)); err != nil {
			return ClassifyOutput{}, final(err)
		}
		if f := found[id]; f.Failure != "" {
			a.logger.WarnContext(ctx, "a service that classifies gave no usable answer", slog.String("conversation", in.ConversationID),
				slog.String("ruleset", id), slog.String("failure", string(f.Failure)), slog.Int("status", f.Status))
		}
	}
	failpoint.Hit("classify.after_answer")
	if len(found) == 0 {
		return ClassifyOutput{}, nil
	}
	if _, err := a.store.KeepFindings(ctx, out.FindingsID, found, findingsKept); err != nil {
		return ClassifyOutput{}, final(err)
	}
	failpoint.Hit("classify.after_commit")
	return out, nil
}

// findings reads what services found, without the skills that are gone since.
func (a *Activities) findings(ctx context.Context, id string) (map[string]routing.Finding, error) {
	if id == "" {
		return nil, nil
	}
	found, err := a.store.Findings(ctx, id)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range found {
		for _, k := range f.Skills {
			ids = append(ids, k.SkillID)
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	there, err := a.store.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	for id, f := range found {
		found[id] = f.Keep(func(skillID string) bool { _, ok := there[skillID]; return ok })
	}
	return found, nil
}

// serviceQuestion is what a service is asked. It is made of what the answer may depend
// on, and of nothing that names the customer: the same question has the same
// answer.
func serviceQuestion(s routing.Service, plan store.Plan, facts store.RoutingFacts, skills []store.Skill) classifier.Question {
	q := classifier.Question{
		Locale: plan.Channel.Locale, Texts: []string{}, Intents: []classifier.Choice{}, Sentiments: routing.Sentiments(), Skills: []routing.KnownSkill{},
	}
	texts := facts.Message.Texts
	for _, text := range texts[max(0, len(texts)-routing.MaxServiceTexts):] {
		if runes := []rune(text); len(runes) > routing.MaxServiceText {
			text = string(runes[:routing.MaxServiceText])
		}
		q.Texts = append(q.Texts, text)
	}
	for _, in := range s.Intents {
		q.Intents = append(q.Intents, classifier.Choice{Name: in.Name, Description: in.Description})
	}
	for _, k := range skills {
		q.Skills = append(q.Skills, routing.KnownSkill{ID: k.ID, Name: k.Name})
	}
	return q
}

// finding is what a service finds: what it found for the same question before,
// or what it answers now. The only errors are the database's.
func (a *Activities) finding(ctx context.Context, set store.Ruleset, q classifier.Question) (routing.Finding, error) {
	if strings.TrimSpace(strings.Join(q.Texts, "")) == "" {
		return routing.Finding{Failure: routing.ServiceNoText}, nil
	}
	asked, err := json.Marshal(q)
	if err != nil {
		return routing.Finding{Failure: routing.ServiceUnusable}, nil
	}
	id := a.store.QuestionID(set.ID, set.Version, asked)
	keep := time.Duration(set.Service.CacheSeconds) * time.Second
	if keep > 0 {
		known, err := a.store.Findings(ctx, id)
		if err != nil && ctx.Err() == nil {
			return routing.Finding{}, err
		}
		if f, ok := known[set.ID]; ok {
			a.metrics.ClassifierKnown(set.ID)
			f.Cached, f.Milliseconds = true, 0
			return f, nil
		}
	}
	if ctx.Err() != nil {
		return routing.Finding{Failure: routing.ServiceTimeout}, nil
	}
	q.ID = conversation.DerivedID(conversation.PrefixFinding, id)
	// Who asks the same at the same time waits for the same call, which ends in
	// its own time whoever waits for it.
	answer := a.services.calls.DoChan(id, func() (any, error) {
		calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(set.Service.DeadlineMS)*time.Millisecond)
		defer cancel()
		return a.call(calling, set, q, id, keep), nil
	})
	select {
	case res := <-answer:
		return res.Val.(routing.Finding), nil
	case <-ctx.Done():
		return routing.Finding{Failure: routing.ServiceTimeout}, nil
	}
}

// call asks a service, and keeps what it found for whoever asks the same.
func (a *Activities) call(ctx context.Context, set store.Ruleset, q classifier.Question, id string, keep time.Duration) routing.Finding {
	service, err := a.services.get(set)
	if err != nil {
		a.logger.WarnContext(ctx, "a service that classifies cannot be used", slog.String("ruleset", set.ID), slog.Any("error", err))
		return routing.Finding{Failure: routing.ServiceUnusable}
	}
	begun := time.Now()
	answer, err := service.Classify(ctx, q)
	lasted := time.Since(begun)
	took := lasted.Milliseconds()
	if err != nil {
		a.logger.DebugContext(ctx, "a service that classifies failed", slog.String("ruleset", set.ID), slog.Any("error", err), slog.Any("cause", errors.Unwrap(err)))
		f := routing.Finding{Failure: routing.ServiceUnusable, Milliseconds: took}
		var failed *classifier.Error
		if errors.As(err, &failed) {
			f.Failure, f.Status = failed.Failure, failed.Status
		}
		a.metrics.Classified(set.ID, string(f.Failure), lasted)
		return f
	}
	a.metrics.Classified(set.ID, string(routing.ServiceAnswered), lasted)
	f := set.Service.Read(answer, q.Skills)
	f.Milliseconds = took
	if keep > 0 {
		if _, err := a.store.KeepFindings(context.WithoutCancel(ctx), id, map[string]routing.Finding{set.ID: f}, keep); err != nil {
			a.logger.WarnContext(ctx, "what a service found is not kept for the same question", slog.String("ruleset", set.ID), slog.Any("error", err))
		}
	}
	return f
}

// services builds classifiers from their rulesets, and keeps those it has built.
type services struct {
	http  *http.Client
	calls singleflight.Group
	mu    sync.Mutex
	built map[string]builtService
}

type builtService struct {
	version    int64
	classifier classifier.Classifier
}

func newServices(c *http.Client) *services {
	return &services{http: c, built: map[string]builtService{}}
}

func (s *services) get(set store.Ruleset) (classifier.Classifier, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.built[set.ID]; ok && have.version == set.Version {
		return have.classifier, nil
	}
	made, err := classifier.New(*set.Service, set.Secret, s.http)
	if err != nil {
		return nil, err
	}
	s.built[set.ID] = builtService{set.Version, made}
	return made, nil
}

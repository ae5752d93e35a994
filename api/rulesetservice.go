package api

import (
	"slices"

	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// showService shows a service without its secret; nil when there is none.
func showService(s *routing.Service) *RulesetService {
	if s == nil {
		return nil
	}
	return &RulesetService{
		Kind: RulesetServiceKind(s.Kind), URL: s.URL, Model: s.Model, Instructions: s.Instructions,
		DeadlineMs: s.DeadlineMS, MinConfidence: s.MinConfidence, CacheSeconds: s.CacheSeconds, Intents: append([]routing.Intent{}, s.Intents...),
	}
}

// serviceInput is the input that would make set's service; nil when it has none.
func serviceInput(set store.Ruleset) *RulesetServiceInput {
	s := set.Service
	if s == nil {
		return nil
	}
	in := &RulesetServiceInput{
		Kind: RulesetServiceKind(s.Kind), URL: s.URL, Model: s.Model, Instructions: s.Instructions,
		DeadlineMs: &s.DeadlineMS, MinConfidence: &s.MinConfidence, CacheSeconds: &s.CacheSeconds, Intents: slices.Clone(s.Intents),
	}
	if s.Kind == routing.ServiceOpenAI {
		in.APIKey = set.Secret
	} else {
		in.Secret = set.Secret
	}
	return in
}

// applyService checks a service and puts it into set. made says that it got a
// new secret.
func (s *Server) applyService(wrong *invalid, in *RulesetServiceInput, set *store.Ruleset) (made bool) {
	if in == nil {
		wrong.add("/service", "A ruleset of this kind has a service.")
		return false
	}
	given := routing.Service{
		Kind: routing.ServiceKind(in.Kind), URL: in.URL, Model: in.Model, Instructions: in.Instructions, Intents: in.Intents,
		DeadlineMS: valueOr(in.DeadlineMs, routing.DefaultServiceDeadline), MinConfidence: valueOr(in.MinConfidence, routing.DefaultServiceConfidence),
		CacheSeconds: valueOr(in.CacheSeconds, routing.DefaultServiceCache),
	}
	*wrong = append(*wrong, routing.CheckService("/service", given)...)
	s.checkURL(wrong, "/service/url", in.URL)
	switch given.Kind {
	case routing.ServiceHTTP:
		if in.APIKey != "" {
			wrong.add("/service/api_key", "A service of kind http has a secret, and no API key.")
		}
		switch {
		case in.Secret == "":
			in.Secret, made = newSecret(), true
		case !validSecret(in.Secret):
			wrong.add("/service/secret", wrongSecret, minSecret, maxSecret)
		}
		set.Secret = in.Secret
	case routing.ServiceOpenAI:
		if in.Secret != "" {
			wrong.add("/service/secret", "A service of kind openai has an API key, and no secret.")
		}
		set.Secret = in.APIKey
	}
	set.Service = &given
	return made
}

// valueOr is what p points at, or a default.
func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

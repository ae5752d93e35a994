package api

import (
	"context"
	"strconv"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

func showRuleset(set store.Ruleset) Ruleset {
	return Ruleset{
		ID: set.ID, Name: set.Name, Kind: RulesetKind(set.Kind), Rules: showRules(set), Service: showService(set.Service),
		Version: set.Version, CreatedAt: Time(set.CreatedAt), UpdatedAt: Time(set.UpdatedAt),
	}
}

func showRules(set store.Ruleset) []Rule {
	if set.Kind == store.RulesetRoute {
		return shown(set.RouteRules, func(r routing.RouteRule) Rule {
			return Rule{ID: r.ID, Name: r.Name, Condition: r.Condition, QueueID: r.QueueID, Split: r.Split}
		})
	}
	return shown(set.Rules, func(r routing.Rule) Rule {
		return Rule{ID: r.ID, Name: r.Name, Condition: r.Condition, Outputs: &r.Outputs}
	})
}

// rulesetResponse shows the secret when it was made for this very request.
func rulesetResponse(set store.Ruleset, made bool) RulesetJSONResponse {
	r := RulesetJSONResponse{Body: showRuleset(set), Headers: RulesetResponseHeaders{ETag: etag(set.Version)}}
	if made && r.Body.Service != nil {
		r.Body.Service.Secret = set.Secret
	}
	return r
}

// applyRuleset checks the input and puts it into set. made says that its service
// got a new secret.
func (s *Server) applyRuleset(in RulesetInput, set *store.Ruleset) (made bool, _ error) {
	set.Name, set.Kind, set.Rules, set.RouteRules, set.Service = in.Name, string(in.Kind), nil, nil, nil
	var wrong invalid
	if set.Kind == store.RulesetService {
		if len(in.Rules) > 0 {
			wrong.add("/rules", "A service stands in the place of rules.")
		}
		made = s.applyService(&wrong, in.Service, set)
		return made, wrong.err()
	}
	if in.Service != nil {
		wrong.add("/service", "A ruleset of this kind has rules; a service is a ruleset of kind service.")
	}
	if in.Rules == nil {
		wrong.add("/rules", "This field is required.")
	}
	for i, rule := range in.Rules {
		at := "/rules/" + strconv.Itoa(i)
		if rule.ID == "" {
			rule.ID = conversation.NewID("rule_")
		}
		if set.Kind == store.RulesetRoute {
			if rule.Outputs != nil {
				wrong.add(at+"/outputs", "A route rule names a queue; outputs are set by classification rules.")
			}
			set.RouteRules = append(set.RouteRules, routing.RouteRule{ID: rule.ID, Name: rule.Name, Condition: rule.Condition, QueueID: rule.QueueID, Split: rule.Split})
			continue
		}
		if rule.QueueID != "" {
			wrong.add(at+"/queue_id", "A classification rule sets outputs; queues are named by route rules.")
		}
		if rule.Split != nil {
			wrong.add(at+"/split", "A classification rule sets outputs; queues are named by route rules.")
		}
		var outputs routing.Outputs
		if rule.Outputs != nil {
			outputs = *rule.Outputs
		}
		set.Rules = append(set.Rules, routing.Rule{ID: rule.ID, Name: rule.Name, Condition: rule.Condition, Outputs: outputs})
	}
	wrong = append(wrong, routing.CheckRules("/rules", set.Rules)...)
	wrong = append(wrong, routing.CheckRouteRules("/rules", set.RouteRules)...)
	return false, wrong.err()
}

// ListRulesets lists rulesets.
func (s *Server) ListRulesets(ctx context.Context, r ListRulesetsRequestObject) (ListRulesetsResponseObject, error) {
	items, next, err := listed("rulesets", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Ruleset, error) {
		return s.store.Rulesets(ctx, after, limit)
	}, func(set store.Ruleset) store.Cursor { return store.Cursor{At: set.CreatedAt, ID: set.ID} }, showRuleset)
	return ListRulesets200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateRuleset creates a ruleset.
func (s *Server) CreateRuleset(ctx context.Context, r CreateRulesetRequestObject) (CreateRulesetResponseObject, error) {
	set := store.Ruleset{ID: idFor(ctx, conversation.PrefixRuleset)}
	made, err := s.applyRuleset(*r.Body, &set)
	if err != nil {
		return nil, err
	}
	set, err = s.store.CreateRuleset(ctx, origin(ctx), set)
	return CreateRuleset201JSONResponse{rulesetResponse(set, made)}, err
}

// GetRuleset reads a ruleset.
func (s *Server) GetRuleset(ctx context.Context, r GetRulesetRequestObject) (GetRulesetResponseObject, error) {
	set, err := s.store.Ruleset(ctx, r.ID)
	return GetRuleset200JSONResponse{rulesetResponse(set, false)}, err
}

// UpdateRuleset changes a ruleset.
func (s *Server) UpdateRuleset(ctx context.Context, r UpdateRulesetRequestObject) (UpdateRulesetResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	var made bool
	set, err := s.store.UpdateRuleset(ctx, origin(ctx), r.ID, version, func(set *store.Ruleset) error {
		in := RulesetInput{Rules: []Rule{}} // which stay, when there are none
		if err := mergePatch(RulesetInput{Name: set.Name, Kind: RulesetKind(set.Kind), Rules: showRules(*set), Service: serviceInput(*set)}, *r.Body, &in); err != nil {
			return err
		}
		fresh, err := s.applyRuleset(in, set)
		made = fresh
		return err
	})
	return UpdateRuleset200JSONResponse{rulesetResponse(set, made)}, err
}

// DeleteRuleset deletes a ruleset.
func (s *Server) DeleteRuleset(ctx context.Context, r DeleteRulesetRequestObject) (DeleteRulesetResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteRuleset204Response{}, s.store.DeleteRuleset(ctx, origin(ctx), r.ID, version)
}

package decide_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/decide"
	"kaiwa/internal/store"
)

func TestTheFirstLookAfterAClassificationIsFound(t *testing.T) {
	t.Parallel()
	line := func(id, stage, outcome string) store.RoutingLogLine {
		return store.RoutingLogLine{ID: id, Stage: stage, Outcome: outcome}
	}
	log := []store.RoutingLogLine{
		line("c1", store.StageClassification, "rules_matched"), line("r1", store.StageRoute, "rule"),
		line("x", store.StageAssignment, "overridden"), line("a1", store.StageAssignment, "no_agent"), line("a2", store.StageAssignment, "offered"),
		line("c2", store.StageClassification, "no_rule_matched"), line("r2", store.StageRoute, "fallback"),
		line("c3", store.StageClassification, "rules_matched"), line("a3", store.StageAssignment, "offered"), line("y", store.StageAssignment, "taken_back"),
	}
	for classification, want := range map[string]string{"": "a3", "c1": "a1", "c2": "", "c3": "a3", "none": ""} {
		found, ok := decide.Assigned(log, classification)
		require.Equal(t, want, found.ID, classification)
		require.Equal(t, want != "", ok, classification)
	}
	_, ok := decide.Assigned(nil, "")
	require.False(t, ok)
}

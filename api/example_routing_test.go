package api_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
)

// The example of routing in the documentation is accepted as it stands, and does
// what is said of it.
func TestTheRoutingOfTheDocumentationWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/examples/refunds.json")
	require.NoError(t, err)
	var requests []struct {
		As   string          `json:"as"`
		Post string          `json:"post"`
		Body json.RawMessage `json:"body"`
	}
	require.NoError(t, json.Unmarshal(text, &requests))
	each(t, func(t *testing.T, b *bundle) {
		made := map[string]string{}
		for _, r := range requests {
			body := string(r.Body)
			for name, id := range made {
				body = strings.ReplaceAll(body, `"$`+name+`"`, `"`+id+`"`)
			}
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(body), &fields))
			res := b.as(store.RoleAdmin, "POST", r.Post, fields)
			require.Equal(t, 201, res.Status, "%s: %s", r.As, res.Raw)
			made[r.As] = res.text(t, "id")
		}
		outcomes := func(now string) (list []string) {
			res := b.as(store.RoleAdmin, "POST", "/api/v1/routing/dry-run", map[string]any{
				"conversation": map[string]any{"workstream_id": made["workstream"], "texts": []any{"返金してください"}, "now": now},
				"proposed":     map[string]any{"queues": []any{map[string]any{"id": made["refunds"], "members": 2}, map[string]any{"id": made["general"], "members": 3}}},
			})
			require.Equal(t, 200, res.Status, "%s", res.Raw)
			for _, line := range res.get(t, "items").([]any) {
				list = append(list, line.(map[string]any)["outcome"].(string))
			}
			return list[:len(list)-1] // without whom it would be offered to
		}
		require.Equal(t, []string{"rules_matched", "rule"}, outcomes("2026-11-02T03:00:00Z"), "a Monday at noon in Tokyo")
		require.Equal(t, []string{"rules_matched", "soonest", "passed_on"}, outcomes("2026-11-01T03:00:00Z"), "a Sunday")
	})
}

package api_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestARoutingLogIsReadPageByPage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.queued(b.channel(), b.queue())
		b.sql("DELETE FROM routing_log")
		for i := range 120 { // two and two of one time
			b.sql(`INSERT INTO routing_log (id, conversation_id, epoch, stage, outcome, entry, created_at) VALUES ($1, $2, 1, 'assignment', 'no_agent', '{}', $3)`,
				fmt.Sprintf("rtl_%03d", i), id, 1000+i/2)
		}
		path := "/api/v1/conversations/" + id + "/routing-log"
		var read []any
		var sizes []int
		for cursor := any(""); cursor != nil; {
			r := b.as(store.RoleAgent, "GET", path+"?limit=49&cursor="+cursor.(string), nil)
			require.Equal(t, 200, r.Status, "%s", r.Raw)
			items := r.get(t, "items").([]any)
			for _, item := range items {
				read = append(read, item.(map[string]any)["id"])
			}
			sizes = append(sizes, len(items))
			cursor = r.get(t, "next_cursor")
		}
		require.Equal(t, []int{49, 49, 22}, sizes)
		for i, got := range read {
			require.Equal(t, fmt.Sprintf("rtl_%03d", i), got)
		}
		require.Len(t, b.as(store.RoleAgent, "GET", path, nil).get(t, "items"), 50)

		requireProblem(t, b.as(store.RoleAgent, "GET", path+"?cursor=bm9uc2Vuc2U", nil), 400, conversation.CodeInvalid, "/cursor")
		requireProblem(t, b.as(store.RoleAgent, "GET", path+"?limit=0", nil), 400, conversation.CodeInvalid, "/limit")
	})
}

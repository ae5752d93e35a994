package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// arrives is a webhook body with one message that LINE made an age ago.
func arrives(eventID string, age time.Duration, again bool) string {
	return fmt.Sprintf(`{"destination":%q,"events":[{"type":"message","webhookEventId":%q,"timestamp":%d,"mode":"active","deliveryContext":{"isRedelivery":%t},
		"source":{"type":"user","userId":%q},"message":{"type":"text","id":"1","text":"hello"}}]}`, botUserID, eventID, time.Now().Add(-age).UnixMilli(), again, someUser)
}

func TestWebhooksAreCountedByTheHour(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		other, otherURL := b.serve(storetest.Open(t, b.dbURL))
		id := b.channel()
		path := "/api/v1/channels/" + id + "/webhook-stats"
		require.Equal(t, map[string]any{"p50": nil, "p99": nil}, b.as(store.RoleAdmin, "GET", path, nil).get(t, "total", "acknowledgement_ms"))

		for i := range 98 {
			require.Equal(t, 200, b.deliver(id, lineSecret, arrives(fmt.Sprint("e", i), 0, false)).Status)
		}
		require.Equal(t, 200, b.deliver(id, lineSecret, arrives("late", 20*time.Minute, false)).Status)
		require.Equal(t, 200, b.deliver(id, lineSecret, arrives("later", 20*time.Minute, false)).Status)
		require.Equal(t, 200, b.deliver(id, lineSecret, arrives("e1", 20*time.Minute, true)).Status)
		body := arrives("e2", 0, false)
		require.Equal(t, 200, b.send(otherURL, "", "POST", "/webhooks/line/"+id, body, header{"x-line-signature", sign(lineSecret, body)}).Status)
		require.Equal(t, 200, b.deliver(id, lineSecret, `{"destination":"","events":[]}`).Status, "a test of LINE's")
		require.Equal(t, 200, b.deliver(id, lineSecret, `{"events":[{"nonsense":1}]}`).Status)
		require.Equal(t, 401, b.deliver(id, "wrong", arrives("x", 0, false)).Status)
		require.Equal(t, 400, b.deliver(id, lineSecret, `no webhook`).Status)
		require.Equal(t, 404, b.deliver("chn_none", lineSecret, arrives("x", 0, false)).Status)

		for range 2 { // the second time there is nothing to add
			require.NoError(t, b.api.FlushStats(t.Context()))
			require.NoError(t, other.FlushStats(t.Context()))
		}
		r := b.as(store.RoleAdmin, "GET", path, nil)
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		total := r.get(t, "total").(map[string]any)
		for name, n := range map[string]float64{"webhooks": 104, "events": 103, "duplicates": 2, "redeliveries": 1, "refused_signatures": 1, "malformed": 1, "refused": 1, "not_stored": 0} {
			require.Equal(t, n, total[name], name)
		}
		require.Less(t, r.get(t, "total", "event_age_ms", "p50"), float64(300_000))
		require.Equal(t, float64(1_800_000), r.get(t, "total", "event_age_ms", "p99"))
		require.NotNil(t, r.get(t, "total", "acknowledgement_ms", "p99"))
		require.NotEmpty(t, r.get(t, "hours"))
		check := b.as(store.RoleAdmin, "POST", "/api/v1/channels/"+id+"/check", nil)
		require.Contains(t, string(check.Raw), "redelivery_seen")

		requireProblem(t, b.as(store.RoleAdmin, "GET", path+"?hours=0", nil), 400, conversation.CodeInvalid, "/hours")
		requireProblem(t, b.as(store.RoleAdmin, "GET", "/api/v1/channels/chn_none/webhook-stats", nil), 404, conversation.CodeNotFound)
	})
}

func TestStatisticsThatCannotBeStoredAreStoredLater(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.channel()
	require.Equal(t, 200, b.deliver(id, lineSecret, arrives("e1", 0, false)).Status)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, b.api.FlushStats(gone))
	require.NoError(t, b.api.FlushStats(t.Context()))
	require.Equal(t, float64(1), b.as(store.RoleAdmin, "GET", "/api/v1/channels/"+id+"/webhook-stats", nil).get(t, "total", "webhooks"))
}

package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

func TestAChannelsQuotaIsWhatLINESays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		path := "/api/v1/channels/" + b.channel() + "/quota"
		_, err := b.sim.Faults(linesim.Fault{ID: "away", Kind: linesim.FaultStatus, Endpoint: "quota"})
		require.NoError(t, err)
		res := b.as(store.RoleSupervisor, http.MethodGet, path, nil)
		require.Equal(t, "line_unreachable", res.text(t, "code"), "nobody knows")
		b.sim.ResetFaults()

		res = b.as(store.RoleSupervisor, http.MethodGet, path, nil)
		require.Equal(t, http.StatusOK, res.Status, "%s", res.Raw)
		require.Nil(t, res.get(t, "limit"))
		require.Nil(t, res.get(t, "left"))
		require.Equal(t, true, res.get(t, "fresh"))

		require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.Quota = 200 }))
		res = b.as(store.RoleSupervisor, http.MethodGet, path, nil)
		require.Equal(t, 200.0, res.get(t, "limit"))
		require.Equal(t, 200.0, res.get(t, "left"))
		require.Equal(t, 0.0, res.get(t, "used"))
		require.Empty(t, res.get(t, "warnings"))
		month, _, _ := store.QuotaMonth(time.Now())
		require.Equal(t, month, res.text(t, "month"))

		_, err = b.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "quota"})
		require.NoError(t, err)
		res = b.as(store.RoleSupervisor, http.MethodGet, path, nil)
		require.Equal(t, http.StatusOK, res.Status)
		require.Equal(t, 200.0, res.get(t, "limit"), "what it last said")
		require.Equal(t, false, res.get(t, "fresh"))
		require.NotEmpty(t, res.text(t, "detail"))

		require.Equal(t, http.StatusForbidden, b.as(store.RoleAgent, http.MethodGet, path, nil).Status)
		require.Equal(t, http.StatusNotFound, b.as(store.RoleSupervisor, http.MethodGet, "/api/v1/channels/chn_none/quota", nil).Status)
	})
}

func TestHowAWorkstreamSpendsPaidMessagesIsASetting(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		path := "/api/v1/workstreams/" + b.workstream()
		res := b.as(store.RoleAdmin, http.MethodGet, path, nil)
		require.NotContains(t, res.get(t, "settings"), "sending", "off")
		patch := func(sending map[string]any) response {
			return b.patch(path, map[string]any{"settings": map[string]any{"sending": sending}})
		}
		res = patch(map[string]any{"hold_seconds": 30, "when_spent": "hold"})
		require.Equal(t, http.StatusOK, res.Status, "%s", res.Raw)
		require.Equal(t, map[string]any{"hold_seconds": 30.0, "when_spent": "hold"}, res.get(t, "settings", "sending"))
		res = patch(map[string]any{"reserve_for_agents": 20, "hold_seconds": 0})
		require.Equal(t, map[string]any{"reserve_for_agents": 20.0, "when_spent": "hold"}, res.get(t, "settings", "sending"))
		for field, wrong := range map[string]any{"hold_seconds": -1, "reserve_for_agents": -1, "when_spent": "never", "else": 1} {
			res = patch(map[string]any{field: wrong})
			require.Equal(t, http.StatusBadRequest, res.Status, field)
			require.Equal(t, []string{"/settings/sending/" + field}, res.pointers(), field)
		}
	})
}

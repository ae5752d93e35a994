package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// classifiedBy has a service classify the conversations, which then wait in the
// queue that it returns when the service takes them for a refund.
func (k *kaiwa) classifiedBy(handler http.HandlerFunc) (refunds store.Queue) {
	k.t.Helper()
	ctx, by := k.t.Context(), store.Origin{}
	server := httptest.NewServer(handler)
	k.t.Cleanup(server.Close)
	refunds, err := k.Store.CreateQueue(ctx, by, store.Queue{Name: "Refunds"})
	require.NoError(k.t, err)
	require.NoError(k.t, k.Store.AddMember(ctx, by, refunds.ID, k.as("kaiwa-dev-kenta").id))
	service, err := k.Store.CreateRuleset(ctx, by, store.Ruleset{
		Name: "service", Kind: store.RulesetService, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		Service: &routing.Service{Kind: routing.ServiceHTTP, URL: server.URL, DeadlineMS: 1000, Intents: []routing.Intent{{Name: "refund"}}},
	})
	require.NoError(k.t, err)
	routes, err := k.Store.CreateRuleset(ctx, by, store.Ruleset{Name: "routes", Kind: store.RulesetRoute, RouteRules: []routing.RouteRule{
		{ID: "refunds", Condition: `conversation.attributes[?"intent"].orValue("") == "refund"`, QueueID: refunds.ID},
	}})
	require.NoError(k.t, err)
	k.arrange(func(w *store.Workstream, _ *store.Bot) {
		w.BotID = ""
		w.Settings.ClassificationRulesetIDs, w.Settings.RouteRulesetID = []string{service.ID}, routes.ID
	})
	return refunds
}

// routed waits until the customer's conversation has its queue, and returns it
// with what the routing log says of the service.
func (c customer) routed() (queueID string, service map[string]any) {
	c.k.t.Helper()
	c.k.eventually(func() bool { list := c.conversations(); return len(list) == 1 && list[0].QueueID != "" }, "the conversation is routed")
	conv := c.conversations()[0]
	res, log := c.k.call("GET", "/conversations/"+conv.ID+"/routing-log", nil, nil)
	require.Equal(c.k.t, http.StatusOK, res.StatusCode)
	first := log["items"].([]any)[0].(map[string]any)
	require.Equal(c.k.t, "classification", first["stage"])
	return conv.QueueID, first["entry"].(map[string]any)["services"].([]any)[0].(map[string]any)
}

func TestAConversationGoesWhereAServiceSaysItBelongs(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		refunds := k.classifiedBy(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"intent": {"value": "refund", "confidence": 0.9}, "sentiment": {"value": "very_negative"}}`)
		})
		emma := k.newCustomer("Emma")
		emma.writes("I want my money back")
		queue, service := emma.routed()
		require.Equal(t, refunds.ID, queue)
		require.Equal(t, "answered", service["verdict"])
		require.Equal(t, "refund", service["intent"])
		require.Equal(t, "very_negative", service["sentiment"])
		require.Equal(t, "service", service["ruleset_name"])
	})
}

func TestAServiceThatHangsKeepsNobodyFromPeople(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		release := make(chan struct{})
		refunds := k.classifiedBy(func(http.ResponseWriter, *http.Request) { <-release })
		t.Cleanup(func() { close(release) })
		emma := k.newCustomer("Emma")
		emma.writes("I want my money back")
		queue, service := emma.routed()
		require.NotEqual(t, refunds.ID, queue)
		require.Equal(t, "failed", service["verdict"])
		require.Equal(t, "timeout", service["failure"])
	})
}

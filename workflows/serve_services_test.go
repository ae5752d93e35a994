package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// classifiedBy has a service classify the conversations of a life.
func (l *life) classifiedBy(handler http.HandlerFunc) {
	l.t.Helper()
	server := httptest.NewServer(handler)
	l.t.Cleanup(server.Close)
	set, err := l.store.CreateRuleset(l.t.Context(), store.Origin{}, store.Ruleset{
		Name: "service", Kind: store.RulesetService, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		Service: &routing.Service{Kind: routing.ServiceHTTP, URL: server.URL, DeadlineMS: 300, Intents: []routing.Intent{{Name: "refund"}}},
	})
	require.NoError(l.t, err)
	_, err = l.store.UpdateWorkstream(l.t.Context(), store.Origin{}, l.channel.WorkstreamID, store.AnyVersion, func(w *store.Workstream) error {
		w.Settings.ClassificationRulesetIDs = []string{set.ID}
		return nil
	})
	require.NoError(l.t, err)
}

// isClassified runs the life until it is cancelled, and returns what the log says
// of the service.
func (l *life) isClassified() routing.ServiceLog {
	l.t.Helper()
	l.write("hello")
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, time.Minute)
	l.run()
	require.Equal(l.t, []conversation.Event{conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventCancelled}, l.events())
	lines, err := l.store.RoutingLog(l.t.Context(), l.conversations()[0].ID, store.Position{}, 1000)
	require.NoError(l.t, err)
	require.Equal(l.t, store.StageClassification, lines[0].Stage)
	var entry struct{ Services []routing.ServiceLog }
	require.NoError(l.t, json.Unmarshal([]byte(lines[0].Entry), &entry))
	require.Len(l.t, entry.Services, 1)
	return entry.Services[0]
}

func TestAServiceIsAskedBeforeAConversationIsRouted(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	l.classifiedBy(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"intent": {"value": "refund"}}`)
	})
	require.Equal(t, "refund", l.isClassified().Intent)
}

func TestAServiceThatHangsStopsNoConversation(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	release := make(chan struct{})
	l.classifiedBy(func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	require.Equal(t, routing.ServiceTimeout, l.isClassified().Failure)
}

func TestAQuestionThatIsLostStopsNoConversation(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	l.classifiedBy(func(http.ResponseWriter, *http.Request) {})
	asked := 0
	l.env.OnActivity("Classify", mock.Anything, mock.Anything).Return(func(context.Context, activities.ClassifyInput) (activities.ClassifyOutput, error) {
		asked++
		return activities.ClassifyOutput{}, errors.New("the worker is gone")
	})
	require.Equal(t, routing.ServiceNoAnswer, l.isClassified().Failure)
	require.Equal(t, 2, asked)
}

package outcome_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// temporal is a Temporal that runs what the test says.
type temporal struct {
	client.Client
	runs    []*workflowservice.DescribeWorkflowExecutionResponse
	listing func() // called before each list
}

func (t *temporal) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if t.listing != nil {
		t.listing()
	}
	res := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, r := range t.runs {
		res.Executions = append(res.Executions, r.WorkflowExecutionInfo)
	}
	return res, nil
}

func (t *temporal) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	for _, r := range t.runs {
		if r.WorkflowExecutionInfo.Execution.WorkflowId == id {
			return r, nil
		}
	}
	return nil, fmt.Errorf("no run of %s", id)
}

func running(id, kind string) *workflowservice.DescribeWorkflowExecutionResponse {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: "run"}, Type: &commonpb.WorkflowType{Name: kind}, Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}}
}

// scene is a database and a simulator between which nothing runs, so that what
// is left undone stays so.
type scene struct {
	t        *testing.T
	store    *store.Store
	temporal *temporal
	sources  outcome.Sources
}

const shop = "chn_shop"

func newScene(t *testing.T, s *store.Store) *scene {
	t.Helper()
	sim, err := linesim.New(t.Context(), linesim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	temporal := &temporal{}
	return &scene{t, s, temporal, outcome.Sources{Simulator: sim, Store: s, Temporal: temporal}}
}

func (s *scene) moves() string {
	s.t.Helper()
	left, err := outcome.Settled(s.t.Context(), s.sources)
	require.NoError(s.t, err)
	return strings.Join(left, "\n")
}

func (s *scene) receives(id string) {
	s.t.Helper()
	_, err := s.store.AppendLINEEvents(s.t.Context(), shop, time.Now(), []store.InboxEvent{{
		WebhookEventID: id, ChatKey: "emma", Kind: "message", SourceType: "user", SourceID: "emma", LineTime: time.Now(), Raw: []byte("{}"),
	}})
	require.NoError(s.t, err)
}

func (s *scene) ingests() store.IngestResult {
	s.t.Helper()
	res, err := s.store.Ingest(s.t.Context(), store.IngestRequest{ChannelID: shop, ChatKey: "emma", Plan: &store.Plan{}}, func(store.LINEEvent) store.Item {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello", LINEMessageID: "1"}}
	})
	require.NoError(s.t, err)
	return res
}

func (s *scene) numbers() {
	s.t.Helper()
	_, err := s.store.SequenceEvents(s.t.Context())
	require.NoError(s.t, err)
}

func TestWhatStillMovesIsSaid(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := newScene(t, db)
		ctx := t.Context()
		require.Empty(t, s.moves(), "an empty house")

		s.receives("e1")
		s.receives("e2")
		require.Equal(t, "2 events of LINE are not taken in", s.moves())
		id := s.ingests().ConversationID
		require.Contains(t, s.moves(), "events of the record have no number")
		s.numbers()
		require.Equal(t, "1 conversation waits to be routed", s.moves())
		_, err := db.Transition(ctx, store.TransitionRequest{
			ID: "routed", ConversationID: id, ChannelID: shop, ChatKey: "emma", Event: conversation.EventRouted,
			Routing: &store.Routing{QueueID: "que_1", Matching: conversation.MatchingExact, Units: 1},
		})
		require.NoError(t, err)
		s.numbers()
		workflow := conversation.WorkflowID(shop, "emma")
		require.Equal(t, workflow+" does not run though its conversation is open", s.moves())

		run := running(workflow, conversation.WorkflowConversation)
		s.temporal.runs = append(s.temporal.runs, run)
		require.Empty(t, s.moves(), "it waits for a person")
		run.PendingWorkflowTask = &workflowpb.PendingWorkflowTaskInfo{}
		require.Equal(t, workflow+" has a workflow task to do", s.moves())
		run.PendingWorkflowTask = nil
		run.PendingActivities = []*workflowpb.PendingActivityInfo{{
			ActivityType: &commonpb.ActivityType{Name: "Send"}, Attempt: 3, LastFailure: &failurepb.Failure{Message: "LINE did not take the batch yet"},
		}}
		require.Equal(t, workflow+" has Send under way, attempt 3 LINE did not take the batch yet", s.moves())
		run.PendingActivities = nil

		_, err = db.Announce(ctx, id, "cause", []store.Draft{{SenderKind: conversation.SenderSystem, Content: conversation.Content{Type: "text", Text: "welcome"}}})
		require.NoError(t, err)
		s.numbers()
		require.Equal(t, "1 message waits to be sent", s.moves())

		stray := running(conversation.WorkflowID(shop, "somebody"), conversation.WorkflowConversation)
		s.temporal.runs = append(s.temporal.runs, stray)
		require.NotContains(t, s.moves(), "somebody", "Temporal is asked when the rest is quiet")
	})
}

func TestWhatLINEHasYetToDeliverIsSaid(t *testing.T) {
	t.Parallel()
	db, _ := storetest.New(t, "sqlite")
	s := newScene(t, db)
	ctx, sim := t.Context(), s.sources.Simulator
	require.NoError(t, sim.AddChannel(ctx, linesim.Channel{ID: "1", Secret: "secret", WebhookURL: "http://127.0.0.1:1/", WebhookActive: true}))
	user := linesim.User{ID: linesim.NewUserID(), DisplayName: "Emma"}
	require.NoError(t, sim.AddUser(ctx, user))
	sim.Hold("1")
	_, err := sim.SendText(ctx, "1", user.ID, "hello")
	require.NoError(t, err)
	require.Equal(t, "1 event of LINE is held back", s.moves())
	_, err = sim.Release(linesim.ReleaseOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 delivery of LINE is under way or to be repeated", s.moves())
}

// What goes on while it is read does not fit together: it is read again, and
// given up when there is no end to it.
func TestAnOutcomeIsOfOneMoment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := newScene(t, db)
		lists := 0
		s.temporal.listing = func() {
			if lists++; lists < 3 {
				s.receives(fmt.Sprint("e", lists))
			}
		}
		o, err := outcome.Collect(t.Context(), s.sources)
		require.NoError(t, err)
		require.Len(t, o.Database.LINEEvents, 2, "of the last reading")

		s.temporal.listing = func() {
			lists++
			s.receives(fmt.Sprint("e", lists))
		}
		o, err = outcome.Collect(t.Context(), s.sources)
		require.ErrorIs(t, err, outcome.ErrMoving)
		require.NotNil(t, o, "it can be looked at all the same")
	})
}

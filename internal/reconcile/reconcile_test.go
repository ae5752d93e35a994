package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"kaiwa/internal/conversation"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// run is a workflow as Temporal knows it.
type run struct {
	listed, alive bool
	activities    int // under way
	young         bool
}

// temporal is a Temporal whose visibility and truth the test chooses. It lists
// two runs a page.
type temporal struct {
	client.Client
	ids  []string
	runs map[string]run
	away error
}

func (t *temporal) ListWorkflow(_ context.Context, req *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if t.away != nil {
		return nil, t.away
	}
	var listed []string
	for _, id := range t.ids {
		if t.runs[id].listed {
			listed = append(listed, id)
		}
	}
	from := len(req.NextPageToken)
	res := &workflowservice.ListWorkflowExecutionsResponse{}
	for i := from; i < min(from+2, len(listed)); i++ {
		started := time.Now().Add(-time.Hour)
		if t.runs[listed[i]].young {
			started = time.Now()
		}
		res.Executions = append(res.Executions, &workflowpb.WorkflowExecutionInfo{
			Execution: &commonpb.WorkflowExecution{WorkflowId: listed[i]}, StartTime: timestamppb.New(started),
		})
	}
	if from+2 < len(listed) {
		res.NextPageToken = make([]byte, from+2)
	}
	return res, nil
}

func (t *temporal) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	r, ok := t.runs[id]
	if !ok {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	status := enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
	if r.alive {
		status = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status},
		PendingActivities:     make([]*workflowpb.PendingActivityInfo, r.activities),
	}, nil
}

// house is a database and a Temporal that may differ.
type house struct {
	t          *testing.T
	store      *store.Store
	temporal   *temporal
	reconciler *reconcile.Reconciler
	woken      []string
	kicks      int
}

const shop = "chn_shop"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, temporal: &temporal{runs: map[string]run{}}}
	h.store, _ = storetest.New(t, "sqlite")
	h.reconciler = &reconcile.Reconciler{
		Store: h.store, Temporal: h.temporal, Namespace: "default", Logger: slog.New(slog.DiscardHandler), Settled: time.Nanosecond,
		Wake: func(_ context.Context, channelID, chatKey string) error {
			h.woken = append(h.woken, channelID+"/"+chatKey)
			return nil
		},
		Kick: func(context.Context) error { h.kicks++; return nil },
	}
	return h
}

func (h *house) receives(chat string) {
	h.t.Helper()
	_, err := h.store.AppendLINEEvents(h.t.Context(), shop, time.Now(), []store.InboxEvent{{
		WebhookEventID: "e-" + chat, ChatKey: chat, Kind: "message", SourceType: "user", SourceID: chat, LineTime: time.Now(), Raw: []byte("{}"),
	}})
	require.NoError(h.t, err)
}

// opens has a chat hold a conversation, and returns its id.
func (h *house) opens(chat string) string {
	h.t.Helper()
	h.receives(chat)
	res, err := h.store.Ingest(h.t.Context(), store.IngestRequest{ChannelID: shop, ChatKey: chat, Plan: &store.Plan{}}, func(store.LINEEvent) store.Item {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello"}}
	})
	require.NoError(h.t, err)
	return res.ConversationID
}

// has Temporal run a chat's workflow.
func (h *house) has(chat string, r run) string {
	id := conversation.WorkflowID(shop, chat)
	h.temporal.ids = append(h.temporal.ids, id)
	h.temporal.runs[id] = r
	return id
}

func (h *house) reconciles(mend bool) reconcile.Report {
	h.t.Helper()
	r, err := h.reconciler.Reconcile(h.t.Context(), mend)
	require.NoError(h.t, err)
	return r
}

var alive = run{listed: true, alive: true}

func TestWhatAgreesIsNoFinding(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	require.True(t, h.reconciles(true).Healthy(), "an empty house")
	for i := range 5 {
		chat := fmt.Sprint("c", i)
		h.opens(chat)
		h.has(chat, alive)
	}
	r := h.reconciles(true)
	require.True(t, r.Healthy())
	require.Equal(t, reconcile.Report{OpenConversations: 5, Runs: 5}, r)
	require.Empty(t, h.woken)
}

func TestADispatcherThatIsMissedIsFoundAndStarted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	w, err := h.store.CreateWorkstream(ctx, store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush})
	require.NoError(t, err)
	h.has("emma", alive)
	h.receives("emma")
	res, err := h.store.Ingest(ctx, store.IngestRequest{ChannelID: shop, ChatKey: "emma", Plan: &store.Plan{Workstream: w}}, func(store.LINEEvent) store.Item {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello"}}
	})
	require.NoError(t, err)
	require.True(t, h.reconciles(true).Healthy(), "it is not routed yet")
	_, err = h.store.Transition(ctx, store.TransitionRequest{
		ID: "routed", ConversationID: res.ConversationID, ChannelID: shop, ChatKey: "emma", Event: conversation.EventRouted,
		Routing: &store.Routing{QueueID: "que_1", Matching: conversation.MatchingExact, Units: 1},
	})
	require.NoError(t, err)

	r := h.reconciles(false)
	require.True(t, r.NoDispatcher)
	require.False(t, r.Healthy())
	require.Equal(t, 1, r.Waiting)
	require.Zero(t, h.kicks, "it was only to look")
	var page strings.Builder
	r.Print(&page)
	require.Contains(t, page.String(), "no dispatcher runs")
	h.reconciles(true)
	require.Equal(t, 1, h.kicks)

	h.temporal.runs[conversation.WorkflowDispatcherID] = alive
	require.True(t, h.reconciles(true).Healthy())
	require.Equal(t, 1, h.kicks)
}

func TestAConversationNobodyRunsIsFoundAndWoken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	never, terminated := h.opens("never"), h.opens("terminated")
	h.has("terminated", run{})
	h.opens("fine")
	h.has("fine", alive)
	r := h.reconciles(false)
	require.False(t, r.Healthy())
	require.ElementsMatch(t, []string{never, terminated}, r.WithoutRun.IDs)
	require.Empty(t, h.woken, "it was only to look")
	r = h.reconciles(true)
	require.Equal(t, 2, r.Mended)
	require.ElementsMatch(t, []string{shop + "/never", shop + "/terminated"}, h.woken)
}

func TestARunWithoutAConversationIsFoundAndWoken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	stray := h.has("stray", alive)
	h.has("goodbye", run{listed: true, alive: true, activities: 1}) // is still sending
	h.temporal.ids = append(h.temporal.ids, "survey/cnv_1")         // nobody's chat
	h.temporal.runs["survey/cnv_1"] = alive
	r := h.reconciles(true)
	require.Equal(t, []string{stray}, r.WithoutRow.IDs)
	require.Equal(t, []string{shop + "/stray"}, h.woken)
	require.Equal(t, 1, r.Mended)
}

// Visibility is behind, in both directions: the truth counts.
func TestWhatVisibilityDoesNotKnowYetIsNoFinding(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.opens("begun")
	h.has("begun", run{alive: true})
	h.has("ended", run{listed: true})
	require.True(t, h.reconciles(true).Healthy())
	require.Empty(t, h.woken)
}

func TestWhatIsYoungIsNoFinding(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.reconciler.Settled = 0 // as it is set by itself
	h.opens("begun")
	h.receives("waiting")
	h.has("running", run{listed: true, alive: true, young: true})
	require.True(t, h.reconciles(true).Healthy())
	require.Empty(t, h.woken)
}

func TestUnhandledEventsAreCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := time.Now().Truncate(time.Microsecond)
	h.receives("one")
	h.receives("two")
	r := h.reconciles(true)
	require.False(t, r.Healthy())
	require.Equal(t, 2, r.Unhandled)
	require.WithinRange(t, r.OldestUnhandled, before, time.Now())
	require.Empty(t, h.woken, "that is the relay's")
}

func TestAReportNamesAtMostTwentyOfAKind(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range 25 {
		h.opens(fmt.Sprint("c", i))
	}
	r := h.reconciles(true)
	require.Equal(t, 25, r.WithoutRun.Count)
	require.Len(t, r.WithoutRun.IDs, 20)
	require.Len(t, h.woken, 25, "all are mended")
}

func TestWithoutTemporalOrDatabaseThereIsNoReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.opens("one")
	h.reconciler.Wake = func(context.Context, string, string) error { return errors.New("away") }
	_, err := h.reconciler.Reconcile(t.Context(), true)
	require.EqualError(t, err, "away")
	h.temporal.away = serviceerror.NewUnavailable("connection refused")
	_, err = h.reconciler.Reconcile(t.Context(), true)
	require.ErrorIs(t, err, h.temporal.away)
	h.temporal.away = nil
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.reconciler.Reconcile(gone, true)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAReportForPeople(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report reconcile.Report
		want   string
	}{
		"healthy": {reconcile.Report{OpenConversations: 12, Runs: 12}, `open conversations            12
running workflows             12
open conversations without run 0
runs without open conversation 0
closed with messages unsent    0
unhandled events              0
waiting for an agent          0
`},
		"not": {reconcile.Report{
			OpenConversations: 3, Runs: 2, WithoutRun: reconcile.Finding{Count: 2, IDs: []string{"cnv_1", "cnv_2"}},
			WithoutRow: reconcile.Finding{Count: 1, IDs: []string{"line/chn_1/abc"}}, Unhandled: 4,
			Unsaid:          reconcile.Finding{Count: 1, IDs: []string{"cnv_3"}},
			OldestUnhandled: time.Date(2026, 1, 5, 10, 0, 0, 123, time.FixedZone("JST", 9*3600)), Mended: 3, Waiting: 7, NoDispatcher: true,
		}, `open conversations            3
running workflows             2
open conversations without run 2
    cnv_1
    cnv_2
    → the reconciler starts them again within a minute, if a worker process runs
runs without open conversation 1
    line/chn_1/abc
    → the reconciler wakes them, and they end
closed with messages unsent    1
    cnv_3
    → the reconciler has them sent, if a worker process runs
unhandled events              4
    oldest received 2026-01-05T01:00:00Z → is a worker running, and does Temporal answer?
waiting for an agent          7
    no dispatcher runs → the reconciler starts it within a minute, if a worker process runs
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			c.report.Print(&b)
			require.Equal(t, c.want, b.String())
		})
	}
}

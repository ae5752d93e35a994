package workflows_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	"kaiwa/internal/conversation"
	"kaiwa/internal/telemetry"
	"kaiwa/worker"
	"kaiwa/workflows"
)

// The golden histories are of conversations that real servers ran. Each must
// replay with the code as it is: a conversation that is open during a deploy
// goes on with the new code. A history is recorded once, in a directory for the
// version of the plot (activities.Plot), and stays as long as conversations of its
// time may be open; see e2e/record_test.go.
func goldenHistories(t *testing.T) map[string]*history.History {
	t.Helper()
	files, err := filepath.Glob("testdata/histories/*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string]*history.History{}
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		h, err := client.HistoryFromJSON(f, client.HistoryJSONOptions{})
		require.NoError(t, err, name)
		require.NoError(t, f.Close())
		out[strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(name), "testdata/histories/"), ".json")] = h
	}
	return out
}

// replay runs a history against a workflow registered under Conversation's name.
func replay(t *testing.T, register func(sdkworker.WorkflowRegistry), h *history.History, interceptors ...interceptor.WorkerInterceptor) error {
	t.Helper()
	r, err := sdkworker.NewWorkflowReplayerWithOptions(sdkworker.WorkflowReplayerOptions{Interceptors: interceptors})
	require.NoError(t, err)
	register(r)
	return r.ReplayWorkflowHistory(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), h)
}

func TestEveryGoldenHistoryReplays(t *testing.T) {
	t.Parallel()
	for name, h := range goldenHistories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, replay(t, worker.Register, h))
			traced, err := telemetry.TracerOf(sdktrace.NewTracerProvider()).Interceptor()
			require.NoError(t, err)
			require.NoError(t, replay(t, worker.Register, h, traced), "with traces")
		})
	}
}

// A check that cannot fail checks nothing: a workflow with one step more, and a
// history in which another step was done, are both found out. TMPRL1100 is the
// SDK's code of non-determinism.
func TestAReplayThatDiffersIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, h := range goldenHistories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, replay(t, oneStepMore, h), "TMPRL1100")

			if h.Events[0].GetWorkflowExecutionStartedEventAttributes().WorkflowType.Name == conversation.WorkflowDispatcher {
				return // it has no local activity
			}
			doctored := proto.CloneOf(h)
			changed := false
			for _, e := range doctored.Events {
				if m := e.GetMarkerRecordedEventAttributes(); m != nil && !changed {
					m.Details["data"].Payloads[0].Data = renamed(t, m.Details["data"].Payloads[0])
					changed = true
				}
			}
			require.True(t, changed)
			require.ErrorContains(t, replay(t, worker.Register, doctored), "TMPRL1100")
		})
	}
}

// oneStepMore registers the workflows with a step before all that they do.
func oneStepMore(r sdkworker.WorkflowRegistry) {
	another := func(ctx workflow.Context) error {
		return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 1}), "Another").Get(ctx, nil)
	}
	r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in conversation.WorkflowInput) error {
		if err := another(ctx); err != nil {
			return err
		}
		return workflows.Conversation(ctx, in)
	}, workflow.RegisterOptions{Name: conversation.WorkflowConversation})
	r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in conversation.SurveyInput) error {
		if err := another(ctx); err != nil {
			return err
		}
		return workflows.Survey(ctx, in)
	}, workflow.RegisterOptions{Name: conversation.WorkflowSurvey})
	r.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		if err := another(ctx); err != nil {
			return err
		}
		return workflows.Dispatcher(ctx)
	}, workflow.RegisterOptions{Name: conversation.WorkflowDispatcher})
}

// renamed is a local activity's marker under another activity's name.
func renamed(t *testing.T, p *common.Payload) []byte {
	t.Helper()
	var marker map[string]any
	require.NoError(t, json.Unmarshal(p.Data, &marker))
	require.NotEmpty(t, marker["ActivityType"])
	marker["ActivityType"] = "Another"
	data, err := json.Marshal(marker)
	require.NoError(t, err)
	return data
}

// Histories are read in Temporal's UI by people who may not read transcripts.
// Whatever anybody says while histories are recorded, names included, has the
// word Kanarienvogel in it.
func TestGoldenHistoriesCarryIDsNeverContent(t *testing.T) {
	t.Parallel()
	forbidden := map[string]*regexp.Regexp{
		"something that was said":    regexp.MustCompile(`(?i)kanarienvogel`),
		"a LINE user id":             regexp.MustCompile(`\b[UCR][0-9a-f]{32}\b`),
		"a LINE message id":          regexp.MustCompile(`\b5612[0-9]{14}\b`),
		"a webhook event id or ULID": regexp.MustCompile(`\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b`),
		"a path of some machine":     regexp.MustCompile(`/(root|home|work|tmp|Users)/`),
	}
	for name, h := range goldenHistories(t) {
		for _, s := range everyText(t, h) {
			for what, shape := range forbidden {
				require.NotRegexp(t, shape, s, "%s has %s", name, what)
			}
		}
	}
}

// everyText is every string and every byte string of a history, payloads among them.
func everyText(t *testing.T, h *history.History) (out []string) {
	t.Helper()
	require.NoError(t, protorange.Range(h.ProtoReflect(), func(p protopath.Values) error {
		switch v := p.Index(-1).Value.Interface().(type) {
		case string:
			out = append(out, v)
		case []byte:
			out = append(out, string(v))
		}
		return nil
	}))
	return out
}

// Together the histories have every way a run ends, so that a new one must be
// recorded.
func TestTheGoldenHistoriesCoverHowRunsEnd(t *testing.T) {
	t.Parallel()
	ends := map[enums.EventType]bool{}
	for _, h := range goldenHistories(t) {
		ends[h.Events[len(h.Events)-1].EventType] = true
	}
	require.True(t, ends[enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED])
	require.True(t, ends[enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW])
}

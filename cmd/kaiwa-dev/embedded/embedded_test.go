package embedded_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"kaiwa/cmd/kaiwa-dev/embedded"
	"kaiwa/internal/searchattr"
)

const (
	taskQueue = "greetings"
	hello     = "hello"
)

// Greet collects as many greetings as asked for, in order of their arrival.
func Greet(ctx workflow.Context, count int) ([]string, error) {
	var names []string
	for len(names) < count {
		var name string
		workflow.GetSignalChannel(ctx, hello).Receive(ctx, &name)
		names = append(names, name)
	}
	return names, nil
}

// Converse lives a conversation's search attributes.
func Converse(ctx workflow.Context, since time.Time) error {
	err := workflow.UpsertTypedSearchAttributes(ctx,
		searchattr.KaiwaStatus.ValueSet("waiting"),
		searchattr.KaiwaWaitingSince.ValueSet(since))
	if err != nil {
		return err
	}
	workflow.GetSignalChannel(ctx, hello).Receive(ctx, nil)
	return nil
}

func TestAWorkflowWaitsForASignalInMemory(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Options{})
	c := dial(t, s.Addr())
	work(t, c)
	run := greet(t, c, "in-memory", 1)
	signal(t, c, "in-memory", "Aiko")
	require.Equal(t, []string{"Aiko"}, result(t, run))
	require.Empty(t, s.UIURL())
}

func TestAFileSurvivesARestartOnOtherPorts(t *testing.T) {
	t.Parallel()
	// SQLite takes the path as a URI: what means something there must not.
	path := filepath.Join(t.TempDir(), "made on demand", "50%41 ?#.db")

	first, err := embedded.Start(t.Context(), embedded.Options{Path: path})
	require.NoError(t, err)
	c := dial(t, first.Addr())
	require.NoError(t, searchattr.Register(t.Context(), c, embedded.DefaultNamespace))
	greet(t, c, "restarted", 2)
	signal(t, c, "restarted", "Aiko")
	c.Close()
	first.Stop()
	require.FileExists(t, path)

	// The first ports stay taken, so the second start must live with others.
	taken, err := net.Listen("tcp", first.Addr())
	require.NoError(t, err, "a stopped server has given its port back")
	defer func() { _ = taken.Close() }()
	second := start(t, embedded.Options{Path: path, UIAddr: "127.0.0.1:0"})
	require.NotEqual(t, first.Addr(), second.Addr())

	c = dial(t, second.Addr())
	work(t, c)
	signal(t, c, "restarted", "Botan")
	require.Equal(t, []string{"Aiko", "Botan"}, result(t, c.GetWorkflow(t.Context(), "restarted", "")))
	require.NoError(t, searchattr.Register(t.Context(), c, embedded.DefaultNamespace), "the attributes are still there")
	info, err := c.WorkflowService().GetClusterInfo(t.Context(), &workflowservice.GetClusterInfoRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 1, info.GetHistoryShardCount())
}

func TestAKilledServerLosesNothingItAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "temporal.db")
	names := []string{"Aiko", "Botan", "Chie", "Daichi", "Emi"}

	killed := startChild(t, path)
	_, err := embedded.Start(t.Context(), embedded.Options{Path: path})
	require.ErrorContains(t, err, path+" is in use by another server")

	c := dial(t, killed.addr)
	w := work(t, c)
	greet(t, c, "killed", len(names))
	for _, name := range names[:3] {
		signal(t, c, "killed", name)
	}
	w.Stop()
	signal(t, c, "killed", names[3])
	killed.kill()
	c.Close()

	again := start(t, embedded.Options{Path: path})
	c = dial(t, again.Addr())
	work(t, c)
	signal(t, c, "killed", names[4])
	require.Equal(t, names, result(t, c.GetWorkflow(t.Context(), "killed", "")))
}

func TestAServerKilledWhileItCreatesItsFileStartsAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "temporal.db")
	cmd := childCommand(path)
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd}
	t.Cleanup(c.kill)
	require.Eventually(t, func() bool {
		_, err := os.Stat(path)
		return err == nil
	}, 20*time.Second, time.Millisecond)
	c.kill()
	start(t, embedded.Options{Path: path})
}

func TestServersSideBySideKnowNothingOfEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers := []*embedded.Server{
		start(t, embedded.Options{Path: filepath.Join(dir, "a.db"), UIAddr: "127.0.0.1:0"}),
		start(t, embedded.Options{Path: filepath.Join(dir, "b.db"), UIAddr: "127.0.0.1:0"}),
		start(t, embedded.Options{}),
	}
	for i, s := range servers {
		c := dial(t, s.Addr())
		work(t, c)
		run := greet(t, c, "same id everywhere", 1)
		name := string(rune('A' + i))
		signal(t, c, "same id everywhere", name)
		require.Equal(t, []string{name}, result(t, run))
	}
	require.NotEqual(t, servers[0].UIURL(), servers[1].UIURL())
}

func TestTheUIServesPagesAndSpeaksToTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Options{UIAddr: "localhost:0", Namespace: "support"})
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, s.UIURL())

	get := func(path string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.UIURL()+path, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode, "%s: %s", path, body)
		return string(body)
	}
	require.Contains(t, get("/"), "<html")
	require.Contains(t, get("/namespaces/support/workflows/line%2Fchn_1%2Fabc/0198/history"), "<html")
	require.Contains(t, get("/api/v1/namespaces"), `"support"`)
	settings := get("/api/v1/settings")
	require.Contains(t, settings, `"DefaultNamespace":"support"`)
	require.Contains(t, settings, `"DisableNewsFetch":true`)
}

func TestABusyAddressNamesItsSetting(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	busy := taken.Addr().String()
	for name, tt := range map[string]struct {
		o    embedded.Options
		want string
	}{
		"frontend":       {embedded.Options{Addr: busy}, "address " + busy + " is in use: set KAIWA_TEMPORAL_ADDR to another port, or 0 for any free one"},
		"UI":             {embedded.Options{UIAddr: busy}, "address " + busy + " is in use: set KAIWA_TEMPORAL_UI_ADDR to another port, or 0 for any free one"},
		"no port":        {embedded.Options{Addr: "127.0.0.1"}, `KAIWA_TEMPORAL_ADDR: "127.0.0.1" is not a usable address`},
		"port too large": {embedded.Options{UIAddr: "127.0.0.1:70000"}, `KAIWA_TEMPORAL_UI_ADDR: "127.0.0.1:70000" is not a usable address`},
		"not ours":       {embedded.Options{Addr: "192.0.2.1:0"}, "KAIWA_TEMPORAL_ADDR: cannot listen on 192.0.2.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.o.Path = filepath.Join(t.TempDir(), "temporal.db")
			_, err := embedded.Start(t.Context(), tt.o)
			require.ErrorContains(t, err, tt.want)
			require.NoFileExists(t, tt.o.Path, "nothing was begun")
		})
	}
}

func TestAPathThatCannotHoldADatabaseIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := embedded.Start(t.Context(), embedded.Options{Path: dir})
	require.ErrorContains(t, err, dir)
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "temporal.db")
	_, err := embedded.Start(ctx, embedded.Options{Path: path})
	require.ErrorIs(t, err, context.Canceled)
	start(t, embedded.Options{Path: path}) // nothing holds the file
}

func TestStopMayBeCalledAgainAndAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Options{UIAddr: "127.0.0.1:0"})
	var all sync.WaitGroup
	for range 3 {
		all.Go(s.Stop)
	}
	all.Wait()
	s.Stop()
	_, err := net.Dial("tcp", s.Addr())
	require.Error(t, err)
}

func TestTheRetentionIsThatOfTheLatestStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "temporal.db")
	retention := func(s *embedded.Server) time.Duration {
		t.Helper()
		found, err := dial(t, s.Addr()).WorkflowService().DescribeNamespace(t.Context(),
			&workflowservice.DescribeNamespaceRequest{Namespace: embedded.DefaultNamespace})
		require.NoError(t, err)
		return found.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	}
	s := start(t, embedded.Options{Path: path})
	require.Equal(t, 30*24*time.Hour, retention(s))
	s.Stop()
	require.Equal(t, 2*time.Hour, retention(start(t, embedded.Options{Path: path, Retention: 2 * time.Hour})))

	_, err := embedded.Start(t.Context(), embedded.Options{Retention: time.Minute})
	require.ErrorContains(t, err, "below the minimum")
}

func TestSearchAttributesAreUsableOnceRegistered(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, embedded.Options{}).Addr())
	work(t, c)

	var all sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		all.Go(func() { errs[i] = searchattr.Register(t.Context(), c, embedded.DefaultNamespace) })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}

	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID:        "conversation",
		TaskQueue: taskQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			searchattr.KaiwaChannel.ValueSet("chn_1"),
			searchattr.KaiwaStatus.ValueSet("new")),
	}, Converse, since)
	require.NoError(t, err)
	require.EventuallyWithT(t, func(poll *assert.CollectT) {
		found, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
			Query: "KaiwaChannel = 'chn_1' AND KaiwaStatus = 'waiting' AND KaiwaWaitingSince BETWEEN '2026-01-02T03:04:04Z' AND '2026-01-02T03:04:06Z'",
		})
		require.NoError(poll, err)
		require.EqualValues(poll, 1, found.GetCount())
	}, 20*time.Second, 20*time.Millisecond)
}

func TestASearchAttributeOfAnotherTypeStopsTheRegistration(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, embedded.Options{}).Addr())
	_, err := c.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace:        embedded.DefaultNamespace,
		SearchAttributes: map[string]enumspb.IndexedValueType{"KaiwaQueue": enumspb.INDEXED_VALUE_TYPE_INT},
	})
	require.NoError(t, err)
	var mismatch *searchattr.TypeMismatchError
	require.ErrorAs(t, searchattr.Register(t.Context(), c, embedded.DefaultNamespace), &mismatch)
	require.Equal(t, "KaiwaQueue", mismatch.Name)
}

func start(t *testing.T, o embedded.Options) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func dial(t *testing.T, addr string) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: addr,
		Logger:   sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func work(t *testing.T, c client.Client) worker.Worker {
	t.Helper()
	w := worker.New(c, taskQueue, worker.Options{})
	w.RegisterWorkflow(Greet)
	w.RegisterWorkflow(Converse)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return w
}

func greet(t *testing.T, c client.Client, id string, count int) client.WorkflowRun {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID:        id,
		TaskQueue: taskQueue,
		// What was handed to a worker that died is handed out again this much later.
		WorkflowTaskTimeout: time.Second,
	}, Greet, count)
	require.NoError(t, err)
	return run
}

func signal(t *testing.T, c client.Client, id, name string) {
	t.Helper()
	require.NoError(t, c.SignalWorkflow(t.Context(), id, "", hello, name))
}

func result(t *testing.T, run client.WorkflowRun) []string {
	t.Helper()
	var names []string
	require.NoError(t, run.Get(t.Context(), &names))
	return names
}

package searchattr_test

import (
	"context"
	"maps"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"kaiwa/internal/searchattr"
)

const (
	keyword  = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	datetime = enumspb.INDEXED_VALUE_TYPE_DATETIME
)

var want = map[string]enumspb.IndexedValueType{
	"KaiwaChannel":      keyword,
	"KaiwaStatus":       keyword,
	"KaiwaOwner":        keyword,
	"KaiwaQueue":        keyword,
	"KaiwaAgent":        keyword,
	"KaiwaWorkstream":   keyword,
	"KaiwaConversation": keyword,
	"KaiwaWaitingSince": datetime,
}

func TestTheKeysFitTheColumnsOfASQLVisibilityStore(t *testing.T) {
	t.Parallel()
	have := map[string]enumspb.IndexedValueType{}
	columns := map[enumspb.IndexedValueType]int{}
	for _, key := range searchattr.Keys() {
		have[key.GetName()] = key.GetValueType()
		columns[key.GetValueType()]++
	}
	require.Equal(t, want, have)
	require.LessOrEqual(t, columns[keyword], 10)
	require.LessOrEqual(t, columns[datetime], 3)
}

func TestRegisterAddsEverythingToANewNamespace(t *testing.T) {
	t.Parallel()
	server := &temporalServer{}
	require.NoError(t, searchattr.Register(t.Context(), dial(t, server), "default"))
	require.Equal(t, want, server.attributes)
	require.Equal(t, "default", server.namespace)
}

func TestRegisterAddsOnlyWhatLacksAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	server := &temporalServer{attributes: map[string]enumspb.IndexedValueType{"KaiwaStatus": keyword, "Theirs": keyword}}
	require.NoError(t, searchattr.Register(t.Context(), dial(t, server), "default"))
	require.Len(t, server.attributes, len(want)+1)
	require.Len(t, server.added, 1)
	require.NotContains(t, server.added[0], "KaiwaStatus")
}

func TestRegisterAgainAddsNothing(t *testing.T) {
	t.Parallel()
	server := &temporalServer{attributes: maps.Clone(want)}
	require.NoError(t, searchattr.Register(t.Context(), dial(t, server), "default"))
	require.Empty(t, server.added)
}

func TestMissingNamesWhatLacksInOrder(t *testing.T) {
	t.Parallel()
	server := &temporalServer{attributes: maps.Clone(want)}
	c := dial(t, server)
	names, err := searchattr.Missing(t.Context(), c, "default")
	require.NoError(t, err)
	require.Empty(t, names)

	server.mu.Lock()
	delete(server.attributes, "KaiwaQueue")
	delete(server.attributes, "KaiwaChannel")
	server.mu.Unlock()
	names, err = searchattr.Missing(t.Context(), c, "default")
	require.NoError(t, err)
	require.Equal(t, []string{"KaiwaChannel", "KaiwaQueue"}, names)
	require.Empty(t, server.added)
}

func TestAnAttributeOfAnotherTypeIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	server := &temporalServer{attributes: map[string]enumspb.IndexedValueType{"KaiwaQueue": enumspb.INDEXED_VALUE_TYPE_INT}}
	err := searchattr.Register(t.Context(), dial(t, server), "default")
	var mismatch *searchattr.TypeMismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, "KaiwaQueue", mismatch.Name)
	require.ErrorContains(t, err, `search attribute KaiwaQueue of namespace "default" has type Int, Kaiwa needs Keyword`)
	require.Empty(t, server.added, "nothing is added beside a mismatch")
}

func TestRegisterSurvivesAnotherProcessThatRegistersAtTheSameTime(t *testing.T) {
	t.Parallel()
	server := &temporalServer{addErrors: []error{serviceerror.NewAlreadyExists("KaiwaAgent already exists")}}
	require.NoError(t, searchattr.Register(t.Context(), dial(t, server), "default"))
	require.Equal(t, want, server.attributes)
}

func TestRegisterReturnsOnlyWhenTheAttributesCanBeQueried(t *testing.T) {
	t.Parallel()
	unknown := serviceerror.NewInvalidArgument("invalid query: column name 'KaiwaChannel' is not a valid search attribute")
	server := &temporalServer{countErrors: []error{unknown, unknown}}
	require.NoError(t, searchattr.Register(t.Context(), dial(t, server), "default"))
	require.Equal(t, 3, server.counts)
}

func TestARefusalIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	server := &temporalServer{addErrors: []error{serviceerror.NewInvalidArgument("cannot have more than 10 search attributes of type Keyword")}}
	err := searchattr.Register(t.Context(), dial(t, server), "default")
	require.ErrorContains(t, err, "cannot have more than 10")
	require.ErrorContains(t, err, `namespace "default"`)
}

func TestRegisterEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := &temporalServer{neverUsable: true, onCount: cancel}
	require.Error(t, searchattr.Register(ctx, dial(t, server), "default"))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

// temporalServer is the part of Temporal that Register speaks to. The errors are
// answered once each, in order.
type temporalServer struct {
	operatorservice.UnimplementedOperatorServiceServer
	workflowservice.UnimplementedWorkflowServiceServer

	addErrors, countErrors []error
	neverUsable            bool
	onCount                func()

	mu         sync.Mutex
	namespace  string
	attributes map[string]enumspb.IndexedValueType
	added      []map[string]enumspb.IndexedValueType
	counts     int
}

func (s *temporalServer) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: maps.Clone(s.attributes)}, nil
}

func (s *temporalServer) AddSearchAttributes(_ context.Context, r *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := next(&s.addErrors); err != nil {
		return nil, err
	}
	if s.attributes == nil {
		s.attributes = map[string]enumspb.IndexedValueType{}
	}
	s.namespace = r.GetNamespace()
	maps.Copy(s.attributes, r.GetSearchAttributes())
	s.added = append(s.added, r.GetSearchAttributes())
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

func (s *temporalServer) CountWorkflowExecutions(context.Context, *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts++
	if s.onCount != nil {
		s.onCount()
	}
	if s.neverUsable {
		return nil, serviceerror.NewInvalidArgument("invalid query")
	}
	return &workflowservice.CountWorkflowExecutionsResponse{}, next(&s.countErrors)
}

func (s *temporalServer) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

func next(errs *[]error) error {
	if len(*errs) == 0 {
		return nil
	}
	err := (*errs)[0]
	*errs = (*errs)[1:]
	return err
}

func dial(t *testing.T, s *temporalServer) client.Client {
	t.Helper()
	server := grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			answer, err := handle(ctx, req)
			if status := serviceerror.ToStatus(err); status.Code() != codes.OK {
				return nil, status.Err()
			}
			return answer, nil
		}))
	operatorservice.RegisterOperatorServiceServer(server, s)
	workflowservice.RegisterWorkflowServiceServer(server, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	c, err := client.NewLazyClient(client.Options{HostPort: l.Addr().String()})
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		server.Stop()
		require.NoError(t, <-served)
	})
	return c
}

package main_test

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
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// temporalServer is the part of Temporal that is asked at the start and by the
// doctor; what it does not have, it refuses. The end-to-end tests have the real
// one.
type temporalServer struct {
	operatorservice.UnimplementedOperatorServiceServer
	workflowservice.UnimplementedWorkflowServiceServer

	Addr       string
	Namespaces []string
	Refuse     error // the answer to whoever adds search attributes

	mu         sync.Mutex
	attributes map[string]enumspb.IndexedValueType
	away       error // the answer to whoever begins to work, nil once there is one
	begun      int   // how often somebody tried
	deaf       int   // how many more looks for the namespace get no answer
}

// goAway has everybody who begins to work refused.
func (s *temporalServer) goAway(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

// tried is how often somebody began to work.
func (s *temporalServer) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// startTemporal serves one, with the namespace "default".
func startTemporal(t *testing.T) *temporalServer {
	t.Helper()
	s := &temporalServer{Namespaces: []string{"default"}, attributes: map[string]enumspb.IndexedValueType{}}
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
	s.Addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return s
}

func (s *temporalServer) registered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.attributes)
}

func (s *temporalServer) DescribeNamespace(_ context.Context, r *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	s.mu.Lock()
	s.deaf--
	deaf := s.deaf >= 0
	s.mu.Unlock()
	if deaf {
		return nil, serviceerror.NewUnavailable("not yet")
	}
	for _, n := range s.Namespaces {
		if n == r.GetNamespace() {
			return &workflowservice.DescribeNamespaceResponse{}, nil
		}
	}
	return nil, serviceerror.NewNamespaceNotFound(r.GetNamespace())
}

func (s *temporalServer) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: maps.Clone(s.attributes)}, nil
}

func (s *temporalServer) AddSearchAttributes(_ context.Context, r *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	if s.Refuse != nil {
		return nil, s.Refuse
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.attributes, r.GetSearchAttributes())
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

func (s *temporalServer) CountWorkflowExecutions(context.Context, *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	return &workflowservice.CountWorkflowExecutionsResponse{}, nil
}

func (s *temporalServer) ListWorkflowExecutions(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return &workflowservice.ListWorkflowExecutionsResponse{}, nil
}

func (s *temporalServer) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	if s.away != nil {
		return nil, s.away
	}
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

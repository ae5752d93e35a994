package searchattr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

const (
	// registerTimeout bounds Register where the caller's context does not. Hosts
	// learn of a new attribute within seconds (their namespace cache: 2 s).
	registerTimeout = time.Minute
	// retryInterval is the pause after an answer that may change by itself.
	// Servers allow 10 visibility queries a second and namespace.
	retryInterval = 250 * time.Millisecond
)

// TypeMismatchError says that the namespace has an attribute of Kaiwa's name and
// another type. Temporal cannot change a type: somebody must remove the
// attribute (and what it indexed) or give Kaiwa another namespace.
type TypeMismatchError struct {
	Namespace  string
	Name       string
	Have, Want enumspb.IndexedValueType
}

func (e *TypeMismatchError) Error() string {
	return fmt.Sprintf("search attribute %s of namespace %q has type %s, Kaiwa needs %s", e.Name, e.Namespace, e.Have, e.Want)
}

// Register adds the attributes the namespace lacks and returns once the frontend
// takes queries by all of them. It may run again and at the same time in several
// processes. Other hosts of a cluster may follow up to two seconds later; the
// server retries what workflows upsert in between.
//
// Errors: *TypeMismatchError; what the operator service refuses (no room for
// another attribute, no permission), naming the namespace; ctx's, or a deadline
// after a minute.
func Register(ctx context.Context, c client.Client, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	if err := retry(ctx, func() error { return addMissing(ctx, c.OperatorService(), namespace) }, mayPass); err != nil {
		return fmt.Errorf("register search attributes in namespace %q: %w", namespace, err)
	}
	if err := retry(ctx, func() error { return query(ctx, c.WorkflowService(), namespace) }, mayPassForQuery); err != nil {
		return fmt.Errorf("wait for search attributes in namespace %q: %w", namespace, err)
	}
	return nil
}

// Missing returns the names of the attributes the namespace lacks, in the order
// of Keys. Errors are those of Register, but nothing is tried again.
func Missing(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	lacks, err := missing(ctx, c.OperatorService(), namespace)
	if err != nil {
		return nil, fmt.Errorf("search attributes of namespace %q: %w", namespace, err)
	}
	var names []string
	for _, key := range Keys() {
		if _, ok := lacks[key.GetName()]; ok {
			names = append(names, key.GetName())
		}
	}
	return names, nil
}

func missing(ctx context.Context, operator operatorservice.OperatorServiceClient, namespace string) (map[string]enumspb.IndexedValueType, error) {
	found, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	lacks := map[string]enumspb.IndexedValueType{}
	for _, key := range Keys() {
		have, ok := found.GetCustomAttributes()[key.GetName()]
		if !ok {
			lacks[key.GetName()] = key.GetValueType()
			continue
		}
		if have != key.GetValueType() {
			return nil, &TypeMismatchError{Namespace: namespace, Name: key.GetName(), Have: have, Want: key.GetValueType()}
		}
	}
	return lacks, nil
}

func addMissing(ctx context.Context, operator operatorservice.OperatorServiceClient, namespace string) error {
	lacks, err := missing(ctx, operator, namespace)
	if err != nil || len(lacks) == 0 {
		return err
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace:        namespace,
		SearchAttributes: lacks,
	})
	if err != nil {
		return fmt.Errorf("add: %w", err)
	}
	return nil
}

// query names every attribute; the server refuses a query by one it does not know.
func query(ctx context.Context, service workflowservice.WorkflowServiceClient, namespace string) error {
	var terms []string
	for _, key := range Keys() {
		terms = append(terms, key.GetName()+" IS NOT NULL")
	}
	_, err := service.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: namespace,
		Query:     strings.Join(terms, " AND "),
	})
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return nil
}

// mayPass tells what another attempt may find gone: a busy server, and another
// process that registers at the same time.
func mayPass(err error) bool {
	var (
		unavailable *serviceerror.Unavailable
		exhausted   *serviceerror.ResourceExhausted
		exists      *serviceerror.AlreadyExists
	)
	return errors.As(err, &unavailable) || errors.As(err, &exhausted) || errors.As(err, &exists)
}

func mayPassForQuery(err error) bool {
	var unknownAttribute *serviceerror.InvalidArgument
	return mayPass(err) || errors.As(err, &unknownAttribute)
}

// retry calls f until it succeeds, fails with what will not pass, or ctx ends.
func retry(ctx context.Context, f func() error, passes func(error) bool) error {
	tick := time.NewTicker(retryInterval)
	defer tick.Stop()
	for {
		err := f()
		if err == nil || !passes(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

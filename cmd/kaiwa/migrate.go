package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"

	"kaiwa/cmd/process"
	"kaiwa/internal/searchattr"
	"kaiwa/internal/settings"
)

// migrateCommand brings the database's schema up to date and registers the
// search attributes in Temporal's namespace. It may run again at any time, and
// several at once. The namespace itself is the Temporal operator's to create,
// because its retention and access are. A database or a Temporal that is away is
// waited for within KAIWA_START_TIMEOUT.
type migrateCommand struct {
	common
	Temporal     settings.Temporal `embed:""`
	DatabaseOnly bool              `name:"database-only" help:"leave Temporal alone: somebody else registers the search attributes"`
}

// Run migrates.
func (c *migrateCommand) Run(ctx context.Context, out streams) error {
	if err := c.common.Check(); err != nil {
		return err
	}
	logger, err := process.Logger(out.Err, c.LogLevel)
	if err != nil {
		return err
	}
	temporal, err := process.NewTemporal(c.Temporal, nil, logger)
	if err != nil {
		return err
	}
	defer temporal.Close()
	st, err := c.openStore(ctx, logger)
	if err != nil {
		return err
	}
	defer closeStore(st, logger)
	if err := st.Migrate(ctx); err != nil {
		return fmt.Errorf("the database's schema could not be brought up to date: %w", err)
	}
	if _, err := fmt.Fprintln(out.Out, "database: the schema is current"); err != nil || c.DatabaseOnly {
		return err
	}
	if err := temporal.Await(ctx, c.StartTimeout, logger); err != nil {
		return err
	}
	if err := process.PrepareTemporal(ctx, temporal.Client, temporal.Namespace); err != nil {
		return notRegistered(temporal, err)
	}
	_, err = fmt.Fprintf(out.Out, "Temporal: namespace %q has the search attributes\n", temporal.Namespace)
	return err
}

// notRegistered says what to do when the search attributes cannot be
// registered: creating them is an operator's right, which clients need not have.
func notRegistered(t *process.Temporal, err error) error {
	switch serviceerror.ToStatus(err).Code() {
	case codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
	default:
		var mismatch *searchattr.TypeMismatchError
		if errors.As(err, &mismatch) {
			return settings.Wrong("TEMPORAL_NAMESPACE", "%s: remove the attribute, or take another namespace", mismatch)
		}
		return err
	}
	var wanted []string
	for _, key := range searchattr.Keys() {
		wanted = append(wanted, key.GetName()+"="+key.GetValueType().String())
	}
	return fmt.Errorf("these credentials may not create search attributes in namespace %q of Temporal at %s, which is an operator's right (%w): "+
		"have an operator create %s, or run kaiwa migrate with an operator's credentials", t.Namespace, t.Address, err, strings.Join(wanted, ", "))
}

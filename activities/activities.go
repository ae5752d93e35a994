// Package activities is what touches the world on behalf of the workflows: the
// database, LINE, bots. Every activity may run more than once, and then answers
// the same: ids are derived from causes, and what was stored is read first.
//
// Results hold ids, numbers and enumerations, never content: histories are
// readable in Temporal's UI by people who may not read transcripts.
package activities

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// Activities holds what activities need. Make it with New.
type Activities struct {
	store  *store.Store
	line   *line.API
	bots   *bots
	plans  *plans
	logger *slog.Logger
	now    func() time.Time
}

// Options are the parts of New.
type Options struct {
	Store   *store.Store
	LINE    *line.API
	BotHTTP *http.Client // reaches webhook bots; guards against private addresses
	Logger  *slog.Logger
	// Now is the clock by which sending judges reply tokens and deadlines; nil
	// means time.Now.
	Now func() time.Time
}

// New returns the activities, ready to be registered with a worker.
func New(o Options) *Activities {
	now := o.Now
	if now == nil {
		now = time.Now
	}
	return &Activities{
		store: o.Store, line: o.LINE, bots: newBots(o.BotHTTP), plans: newPlans(o.Store), logger: o.Logger, now: now,
	}
}

// final tells Temporal which errors of the store no retry can mend: an Error
// with a code is an answer, everything else may pass.
func final(err error) error {
	var e *conversation.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case conversation.CodeLate, conversation.CodeUnavailable, conversation.CodeLINEUnreachable:
		return err
	}
	return temporal.NewApplicationErrorWithOptions(e.Detail, string(e.Code), temporal.ApplicationErrorOptions{
		NonRetryable: true, Cause: err, Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// attemptDeadline is when an attempt of a store activity must have the lock it
// needs: Temporal gives up on the attempt then and may run it elsewhere, so a
// late one may change nothing.
func attemptDeadline(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Time{}
	}
	return deadline
}

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
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/callrate"
	"kaiwa/internal/conversation"
	"kaiwa/internal/courtesy"
	"kaiwa/internal/dispatch"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
)

// Activities holds what activities need. Make it with New.
type Activities struct {
	store      *store.Store
	tokens     *accesstoken.Keeper
	line       *line.API
	blobs      *blob.Bucket
	scanner    *attachment.Scanner
	mediaHTTP  *http.Client
	elsewhere  chan struct{} // has room for the files that are fetched from elsewhere than LINE at once
	bots       *bots
	services   *services
	plans      *plans
	pace       pace
	quotas     *quotas
	rates      *callrate.Limits
	courtesy   *courtesy.Courtesy
	inbox      Notifier
	dispatcher Dispatcher
	looker     *dispatch.Looker
	wakeSurvey func(ctx context.Context, channelID, conversationID string) error
	publicURL  string
	metrics    *telemetry.Worker
	tracer     *telemetry.Tracer
	logger     *slog.Logger
	now        func() time.Time
}

// Notifier wakes the workflow of a chat. It never blocks, and a wake-up may get
// lost without harm.
type Notifier interface {
	Notify(channelID, chatKey string)
}

// Dispatcher offers waiting conversations to agents. Kick says that something
// changed that it goes by; it never blocks, and may get lost without harm.
type Dispatcher interface {
	Kick(ctx context.Context)
}

// nobody is who is told when nobody is set.
type nobody struct{}

func (nobody) Notify(_, _ string)   {}
func (nobody) Kick(context.Context) {}

// Options are the parts of New.
type Options struct {
	Store *store.Store
	LINE  *line.API
	Blobs *blob.Bucket // where files are kept
	// Scanner looks at customers' files; nil looks at none.
	Scanner *attachment.Scanner
	BotHTTP *http.Client // reaches webhook bots and services that classify; guards against private addresses
	// MediaHTTP reaches files that are not at LINE; guards against private
	// addresses, and bounds what it reads.
	MediaHTTP *http.Client
	Logger    *slog.Logger
	Metrics   *telemetry.Worker // optional
	Tracer    *telemetry.Tracer // optional
	// Inbox and Dispatcher are told what concerns them; nil tells nobody, and
	// they find out by themselves some time.
	Inbox      Notifier
	Dispatcher Dispatcher
	// Looker makes the looks of the dispatcher's workflow; nil means one that
	// tells nobody how long they take.
	Looker *dispatch.Looker
	// WakeSurvey wakes the workflow of the survey after a conversation, starting
	// it if none runs; nil wakes none.
	WakeSurvey func(ctx context.Context, channelID, conversationID string) error
	// PublicURL is how customers' browsers reach the API.
	PublicURL string
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
	a := &Activities{
		store: o.Store, line: o.LINE, tokens: accesstoken.New(o.LINE, now), blobs: o.Blobs, scanner: o.Scanner, mediaHTTP: o.MediaHTTP, elsewhere: make(chan struct{}, elsewhereAtOnce), bots: newBots(o.BotHTTP), services: newServices(o.BotHTTP), plans: newPlans(o.Store),
		quotas: newQuotas(), rates: callrate.New(o.Store.TakeCalls, now, o.Logger),
		inbox: o.Inbox, dispatcher: o.Dispatcher, looker: o.Looker, wakeSurvey: o.WakeSurvey, publicURL: strings.TrimRight(o.PublicURL, "/"), metrics: o.Metrics, tracer: o.Tracer, logger: o.Logger, now: now,
	}
	a.courtesy = &courtesy.Courtesy{Store: a.store, Tokens: a.tokens, Rates: a.rates, Logger: a.logger, Now: now}
	if a.wakeSurvey == nil {
		a.wakeSurvey = func(context.Context, string, string) error { return nil }
	}
	if a.inbox == nil {
		a.inbox = nobody{}
	}
	if a.dispatcher == nil {
		a.dispatcher = nobody{}
	}
	if a.looker == nil {
		a.looker = &dispatch.Looker{Store: o.Store, Notify: a.inbox.Notify, Logger: o.Logger}
	}
	return a
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
		NonRetryable: true, Cause: err, Details: []any{e.Fields}, Category: temporal.ApplicationErrorCategoryBenign,
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

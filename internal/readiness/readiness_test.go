package readiness

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// dependency is one that tests switch on and off.
type dependency struct {
	asked atomic.Int64
	away  atomic.Bool
}

func (d *dependency) ask(context.Context) error {
	d.asked.Add(1)
	if d.away.Load() {
		return errors.New("dial tcp 10.1.2.3:5432: connection refused")
	}
	return nil
}

func TestAProcessIsReadyWhileAllItDependsOnIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(slog.New(slog.DiscardHandler), "database", "temporal")
		database, temporal := &dependency{}, &dependency{}
		r.Watch("database", Answers(database.ask))
		require.Equal(t, Report{NotReady, []Dependency{{"database", OK}, {"temporal", Starting}}}, r.Report(t.Context()))
		r.Watch("temporal", Answers(temporal.ask))
		require.Equal(t, Report{Ready, []Dependency{{"database", OK}, {"temporal", OK}}}, r.Report(t.Context()))
		temporal.away.Store(true)
		time.Sleep(readyFor)
		require.Equal(t, Report{NotReady, []Dependency{{"database", OK}, {"temporal", Unavailable}}}, r.Report(t.Context()))
		temporal.away.Store(false)
		time.Sleep(notReadyFor)
		require.Equal(t, Ready, r.Report(t.Context()).Status, "it is back")
		r.Drain()
		require.Equal(t, Report{Draining, []Dependency{{"database", OK}, {"temporal", OK}}}, r.Report(t.Context()), "at once")
	})
}

func TestManyProbesAreOneQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(slog.New(slog.DiscardHandler), "database")
		open := make(chan struct{})
		var asked atomic.Int64
		r.Watch("database", Answers(func(context.Context) error { asked.Add(1); <-open; return nil }))
		answers := make(chan Status, 100)
		for range cap(answers) {
			go func() { answers <- r.Report(t.Context()).Status }()
		}
		synctest.Wait()
		close(open)
		for range cap(answers) {
			require.Equal(t, Ready, <-answers)
		}
		for range 100 {
			r.Report(t.Context())
		}
		require.EqualValues(t, 1, asked.Load())
	})
}

func TestADependencyThatHangsIsUnavailableAndAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(slog.New(slog.DiscardHandler), "database", "temporal")
		hangs := make(chan struct{})
		var asked atomic.Int64
		r.Watch("database", Answers(func(context.Context) error { asked.Add(1); <-hangs; return nil }))
		r.Watch("temporal", Answers(func(context.Context) error { return nil }))
		for range 10 {
			begun := time.Now()
			require.Equal(t, Report{NotReady, []Dependency{{"database", Unavailable}, {"temporal", OK}}}, r.Report(t.Context()))
			require.LessOrEqual(t, time.Since(begun), lookTime)
			time.Sleep(readyFor)
		}
		require.EqualValues(t, 1, asked.Load(), "it has not answered the first question")
		close(hangs)
		synctest.Wait()
		time.Sleep(readyFor)
		require.Equal(t, Ready, r.Report(t.Context()).Status)
	})
}

func TestAProbeThatHangsUpDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(slog.New(slog.DiscardHandler), "database")
		r.Watch("database", Answers(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		require.Equal(t, NotReady, r.Report(ctx).Status)
		require.Equal(t, begun, time.Now())
		time.Sleep(lookTime)
	})
}

func TestAProbeIsToldTheStatesAndNothingElse(t *testing.T) {
	t.Parallel()
	r := New(slog.New(slog.DiscardHandler), "database")
	d := &dependency{}
	d.away.Store(true)
	r.Watch("database", Answers(d.ask))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.JSONEq(t, `{"status":"not_ready","dependencies":[{"name":"database","state":"unavailable"}]}`, w.Body.String())
}

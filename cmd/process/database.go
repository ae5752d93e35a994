package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/lib/pq"

	"kaiwa/internal/settings"
	"kaiwa/internal/store"
)

const (
	// attemptTime bounds one look at the database or at Temporal.
	attemptTime = 5 * time.Second
	// firstPause and longestPause are the waits between two looks; each is
	// twice the one before.
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// OpenStore opens the database that is set. The error names the setting.
func OpenStore(ctx context.Context, s settings.Common, options ...func(*store.Options)) (*store.Store, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	keys, err := s.Keys()
	if err != nil {
		return nil, err
	}
	o := store.Options{Keys: keys}
	for _, option := range options {
		option(&o)
	}
	st, err := store.Open(ctx, s.DatabaseURL, o)
	if err != nil {
		return nil, fmt.Errorf("KAIWA_DATABASE_URL: %w", err)
	}
	return st, nil
}

// AwaitStore opens the database that is set, and waits for one that is away: it
// tries again, at growing intervals, for so long. What no waiting mends (a
// password, a database that does not exist) is a settings.Error at once.
func AwaitStore(ctx context.Context, s settings.Common, patience time.Duration, logger *slog.Logger, options ...func(*store.Options)) (*store.Store, error) {
	until := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		st, err := OpenStore(attempt, s, options...)
		cancel()
		var wrong *settings.Error
		switch {
		case err == nil:
			return st, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &wrong):
			return nil, err
		}
		if hopeless(err) {
			return nil, settings.Wrong("KAIWA_DATABASE_URL", "%s", cause(err))
		}
		if time.Now().Add(pause).After(until) {
			return nil, fmt.Errorf("the database of KAIWA_DATABASE_URL did not answer within %s: %s", patience, cause(err))
		}
		logger.Warn("waiting for the database", slog.String("error", cause(err)))
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// hopeless tells errors of a database that answers and refuses, or cannot be
// asked at all, from those of one that is away or not yet up.
func hopeless(err error) bool {
	var refused *pq.Error
	if errors.As(err, &refused) {
		switch class := string(refused.Code.Class()); class {
		case "28", "3D", "42": // password or host rule, no such database, no right to it
			return true
		}
		return false
	}
	// SQLite opens a file or does not; an unencrypted server stays so.
	return errors.Is(err, pq.ErrSSLNotSupported) || strings.Contains(err.Error(), "unable to open database file") ||
		strings.Contains(err.Error(), "file is not a database")
}

// cause is what the driver said, without what was put before it on the way.
func cause(err error) string {
	var refused *pq.Error
	if errors.As(err, &refused) {
		return refused.Message
	}
	if _, said, ok := strings.Cut(err.Error(), "does not answer: "); ok {
		return said
	}
	return err.Error()
}

// sleep returns after d, or ctx's error when ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

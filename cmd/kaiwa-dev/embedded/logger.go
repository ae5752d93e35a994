package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// The server's info is one developer's debug: it tells of every service, shard
// and poller that starts.
const (
	levelServerInfo  = slog.LevelDebug
	levelServerDebug = slog.LevelDebug - 4
)

// logger is the server's log.Logger on top of slog.
type logger struct {
	out  *slog.Logger
	tags []tag.Tag
	life *lifecycle
}

var _ log.WithLogger = (*logger)(nil)

func newLogger(out *slog.Logger, life *lifecycle) *logger {
	return &logger{out: out.With("component", "temporal"), life: life}
}

// With keeps the tags as they are: most loggers made so never write a line, and
// a tag's value is costly to take out.
func (l *logger) With(tags ...tag.Tag) log.Logger {
	return &logger{out: l.out, tags: slices.Concat(l.tags, tags), life: l.life}
}

func (l *logger) Debug(msg string, tags ...tag.Tag) { l.write(levelServerDebug, msg, tags) }
func (l *logger) Info(msg string, tags ...tag.Tag)  { l.write(levelServerInfo, msg, tags) }

// Error is info while the server stops: its queues then complain of shards that
// were given up under them. A stop that fails is told by Stop.
func (l *logger) Error(msg string, tags ...tag.Tag) {
	if l.life.is(stopping) {
		l.write(levelServerInfo, msg, tags)
	} else {
		l.write(slog.LevelError, msg, tags)
	}
}

// Warn is info while the server starts or stops: its services then miss each
// other as a matter of course, and it warns of what was left out on purpose.
func (l *logger) Warn(msg string, tags ...tag.Tag) {
	if l.life.is(working) {
		l.write(slog.LevelWarn, msg, tags)
	} else {
		l.write(levelServerInfo, msg, tags)
	}
}

// DPanic is what panics in the server's own development only.
func (l *logger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l *logger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic(msg)
}

// Fatal does not return: see lifecycle.giveUp.
func (l *logger) Fatal(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	l.life.giveUp(describe(msg, slices.Concat(l.tags, tags)))
}

func (l *logger) write(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if !l.out.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(l.tags)+len(tags))
	for _, t := range slices.Concat(l.tags, tags) {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	l.out.LogAttrs(ctx, level, msg, attrs...)
}

func describe(msg string, tags []tag.Tag) error {
	for _, t := range tags {
		if t.Key() == "error" {
			return fmt.Errorf("%s: %v", msg, t.Value())
		}
	}
	return fmt.Errorf("%s", msg)
}

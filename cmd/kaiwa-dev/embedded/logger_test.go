package embedded

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

func TestTheServersInfoIsOurDebug(t *testing.T) {
	t.Parallel()
	write := func(level slog.Level) string {
		var out bytes.Buffer
		life := newLifecycle()
		l := log.With(newLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})), life), tag.ShardID(1))
		l.Warn("warned while starting")
		life.enter(working)
		l.Debug("debugged")
		l.Info("informed")
		l.Warn("warned", tag.Error(errors.New("disk full")))
		l.Error("failed at work")
		life.enter(stopping)
		l.Error("failed while stopping")
		return out.String()
	}
	usual := write(slog.LevelInfo)
	require.NotContains(t, usual, "debugged")
	require.NotContains(t, usual, "informed")
	require.NotContains(t, usual, "starting")
	require.NotContains(t, usual, "stopping")
	require.Contains(t, usual, `level=ERROR msg="failed at work"`)
	require.Contains(t, usual, `level=WARN msg=warned component=temporal shard-id=1 error="disk full"`)
	require.Contains(t, write(slog.LevelDebug), "informed")
	require.NotContains(t, write(slog.LevelDebug), "debugged")
}

package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that is told to stop does so, however far it is.
func TestATemporalThatIsStoppedWhileItBeginsDoesNotComplain(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := temporalCommand{File: filepath.Join(t.TempDir(), "t.db"), Addr: "127.0.0.1:0", LogLevel: "error"}
	require.NoError(t, c.Run(ctx))
}

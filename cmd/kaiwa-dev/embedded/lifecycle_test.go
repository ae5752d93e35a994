package embedded

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/log/tag"
	"go.temporal.io/server/common/primitives"
)

func TestFatalEndsTheGoroutineWhileTheServerStarts(t *testing.T) {
	t.Parallel()
	life := newLifecycle()
	life.enter(starting)
	l := newLogger(slog.New(slog.DiscardHandler), life)
	ended := make(chan bool)
	go func() {
		returned := false
		defer func() { ended <- returned }()
		l.Fatal("no port", tag.Error(errors.New("in use")))
		returned = true
	}()
	require.False(t, <-ended)
	<-life.done()
	require.EqualError(t, life.gaveUp(), "no port: in use")
}

func TestFatalTakesTheProcessDownWhileTheServerWorks(t *testing.T) {
	t.Parallel()
	life := newLifecycle()
	life.enter(working)
	l := newLogger(slog.New(slog.DiscardHandler), life)
	require.PanicsWithValue(t, "temporal: shard lost", func() { l.Fatal("shard lost") })
}

func TestAPortTakenAtTheLastMomentIsAnErrorOfStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for _, service := range []primitives.ServiceName{primitives.FrontendService, primitives.HistoryService} {
		t.Run(string(service), func(t *testing.T) {
			ports, err := reservePorts(t.Context(), net.JoinHostPort(loopback, "0"))
			require.NoError(t, err)
			store, err := openStore(t.Context(), "", DefaultNamespace, DefaultRetention)
			require.NoError(t, err)
			cfg := serverConfig(ports, store)
			lost := cfg.Services[string(service)]
			lost.RPC.GRPCPort = taken.Addr().(*net.TCPAddr).Port
			cfg.Services[string(service)] = lost

			s := &Server{logger: slog.New(slog.DiscardHandler), life: newLifecycle()}
			require.ErrorContains(t, s.startTemporal(cfg, ports, dynamicConfig(Options{})), "Failed to start gRPC listener: listen tcp")
			s.Stop()
		})
	}
}

package process

import (
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"
)

// ServeProfiles serves Go's profiles of this process on an address that
// KAIWA_PPROF_ADDR names, until it is stopped; "" serves none. They are for
// whoever reaches the address, so it should be a loopback one.
func ServeProfiles(addr string, logger *slog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	listener, err := Listen("KAIWA_PPROF_ADDR", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug)}
	go func() { _ = server.Serve(listener) }() // ends with stop
	logger.Warn("profiles are served to whoever reaches this address", slog.String("pprof", listener.Addr().String()))
	return func() { _ = server.Close() }, nil
}

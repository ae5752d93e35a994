package process

import (
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/settings"
	"kaiwa/internal/store/storetest"
)

var (
	documented = regexp.MustCompile("(?m)^\\| (`kaiwa_[^|]*) \\| (api|worker|both) \\| (.+) \\|$")
	named      = regexp.MustCompile("`(kaiwa_[a-z_]+)`")
	described  = regexp.MustCompile(`fqName: "(kaiwa_[a-z_]+)", help: "([^"]+)"`)
)

// metrics are those that a registry has, with their help.
func metrics(t *testing.T, r *prometheus.Registry) map[string]string {
	t.Helper()
	ch := make(chan *prometheus.Desc)
	go func() { r.Describe(ch); close(ch) }()
	out := map[string]string{}
	for d := range ch {
		if m := described.FindStringSubmatch(d.String()); m != nil {
			out[m[1]] = m[2]
		}
	}
	return out
}

// Every metric is in the documentation, of the process that has it, and nothing
// is there that is not.
func TestTheDocumentationHasEveryMetric(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operating.md")
	require.NoError(t, err)
	docs := map[string]map[string]bool{"api": {}, "worker": {}}
	for _, row := range documented.FindAllStringSubmatch(string(text), -1) {
		for _, name := range named.FindAllStringSubmatch(row[1], -1) {
			for of := range docs {
				if row[2] == of || row[2] == "both" {
					docs[of][name[1]] = true
				}
			}
		}
	}

	s, databaseURL := storetest.New(t, "sqlite")
	logger := slog.New(slog.DiscardHandler)
	start := func() *Telemetry {
		tell, err := NewTelemetry(nil, logger)
		require.NoError(t, err)
		require.NoError(t, tell.Opened(s))
		return tell
	}
	api := start()
	temporal, err := NewTemporal(settings.Temporal{Address: "127.0.0.1:1", Namespace: "default"}, api, logger)
	require.NoError(t, err)
	defer temporal.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	running, err := StartAPI(t.Context(), APIOptions{
		HTTP: settings.HTTP{HTTPAddr: "127.0.0.1:0"}, Store: s, Temporal: temporal.Client, Logger: logger, Telemetry: api, Listener: listener,
		Outside: settings.Outside{PublicURL: "http://127.0.0.1", BlobURL: (&url.URL{Scheme: "file", Path: t.TempDir()}).String()},
	})
	require.NoError(t, err, databaseURL)
	defer running.Stop()
	worker := start()
	_, err = worker.worker()
	require.NoError(t, err)

	for of, registry := range map[string]*prometheus.Registry{"api": api.Registry, "worker": worker.Registry} {
		have := metrics(t, registry)
		require.Equal(t, slices.Sorted(maps.Keys(docs[of])), slices.Sorted(maps.Keys(have)), of)
		for name, help := range have {
			require.NotEmpty(t, help, name)
			require.True(t, strings.HasSuffix(help, "."), name)
		}
	}
}

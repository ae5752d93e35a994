package main_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store/storetest"
)

func TestAMissingOrWrongSettingStopsTheStartWithOneSentenceThatNamesIt(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, busy.Close()) })
	for _, test := range []struct{ command, name, value, says string }{
		{"api", "KAIWA_DATABASE_URL", "", "is missing"},
		{"api", "KAIWA_DATABASE_URL", "mysql://x", "is wrong"},
		{"api", "KAIWA_DATABASE_URL", "sqlite:/no/such/directory/kaiwa.db", "is wrong"},
		{"api", "KAIWA_SECRET_KEYS", "", "is missing"},
		{"api", "KAIWA_SECRET_KEYS", "k1:c2hvcnQ=", "is wrong"},
		{"api", "KAIWA_LOG_LEVEL", "loud", "is wrong"},
		{"api", "KAIWA_START_TIMEOUT", "-1s", "is wrong"},
		{"api", "KAIWA_START_TIMEOUT", "soon", "KAIWA_START_TIMEOUT"},
		{"api", "KAIWA_ALLOW_PRIVATE_ADDRESSES", "maybe", "KAIWA_ALLOW_PRIVATE_ADDRESSES"},
		{"api", "KAIWA_BLOB_URL", "", "is missing"},
		{"api", "KAIWA_BLOB_URL", "ftp://files", "is wrong"},
		{"api", "KAIWA_BLOB_URL", "file:///no/such/directory", "is wrong"},
		{"api", "KAIWA_FILES_URL", "files.example.com", "is wrong"},
		{"worker", "KAIWA_CLAMD_ADDR", "clamd", "is wrong"},
		{"doctor", "KAIWA_CLAMD_ADDR", "unix:clamd.ctl", "is wrong"},
		{"api", "KAIWA_LINE_API_URL", "line", "is wrong"},
		{"api", "KAIWA_HTTP_ADDR", "8080", "is wrong"},
		{"api", "KAIWA_HTTP_ADDR", busy.Addr().String(), "is in use"},
		{"api", "KAIWA_PPROF_ADDR", "6060", "is wrong"},
		{"worker", "KAIWA_PPROF_ADDR", busy.Addr().String(), "is in use"},
		{"api", "KAIWA_PUBLIC_URL", "", "is missing"},
		{"api", "KAIWA_PUBLIC_URL", "kaiwa.example.com", "is wrong"},
		{"api", "TEMPORAL_ADDRESS", "temporal", "is wrong"},
		{"api", "TEMPORAL_TLS", "maybe", "is wrong"},
		{"api", "TEMPORAL_TLS_CLIENT_CERT_PATH", "/no/such/file", "is wrong"},
		{"api", "TEMPORAL_TLS_CLIENT_KEY_DATA", "key", "TEMPORAL_TLS_CLIENT_CERT_DATA is missing"},
		{"api", "TEMPORAL_TLS_SERVER_CA_CERT_DATA", "no certificate", "is wrong"},
		{"api", "TEMPORAL_PROFILE", "nobody", "is wrong"},
		{"worker", "KAIWA_DATABASE_URL", "", "is missing"},
		{"worker", "KAIWA_BLOB_URL", "", "is missing"},
		{"worker", "KAIWA_PUBLIC_URL", "", "is missing"},
		{"worker", "KAIWA_WORKER_HTTP_ADDR", "9090", "is wrong"},
		{"worker", "KAIWA_WORKER_HTTP_ADDR", busy.Addr().String(), "is in use"},
		{"worker", "TEMPORAL_ADDRESS", "temporal", "is wrong"},
		{"migrate", "KAIWA_DATABASE_URL", "", "is missing"},
		{"migrate", "TEMPORAL_ADDRESS", "temporal", "is wrong"},
		{"doctor", "KAIWA_DATABASE_URL", "", "is missing"},
		{"doctor", "KAIWA_LINE_API_URL", "line", "is wrong"},
		{"health", "KAIWA_HTTP_ADDR", "8080", "is wrong"},
		{"bench", "KAIWA_DATABASE_URL", "", "is missing"},
		{"bench", "TEMPORAL_ADDRESS", "", "is missing"},
	} {
		t.Run(test.command+" "+test.name+"="+test.value, func(t *testing.T) {
			t.Parallel()
			_, url := storetest.New(t, "sqlite")
			code, stdout, stderr := run(t, complete(t, url).with(test.name, test.value), test.command)
			require.Equal(t, 2, code, stderr)
			require.Empty(t, stdout)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.Contains(t, stderr, "kaiwa: ")
			require.Contains(t, stderr, test.says)
			if !strings.Contains(test.says, "_") {
				require.Contains(t, stderr, "kaiwa: "+test.name+" is ")
			}
		})
	}
}

func TestAFlagWinsOverTheEnvironment(t *testing.T) {
	t.Parallel()
	_, url := storetest.New(t, "sqlite")
	e := complete(t, "mysql://x").with("TEMPORAL_ADDRESS", "nowhere")
	code, stdout, stderr := run(t, e, "migrate", "--database-only", "--database-url", url, "--temporal-address", "127.0.0.1:1")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, "database: the schema is current\n", stdout)
	code, _, stderr = run(t, e, "migrate", "--database-only", "--kaiwa-database-url", url, "--temporal-address", "127.0.0.1:1")
	require.Equal(t, 0, code, stderr)
}

func TestAWrongCommandLineIsOneSentence(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"serve"}, {"api", "--colour"}, {"admin"}, {"admin", "create"}, {"admin", "create", "--name", "A", "--email", "nobody"},
		{"admin", "token", "--email", "a@example.com", "--role", "boss"}, {"admin", "token", "--email", "a@example.com", "--expires", "yesterday"},
		{"admin", "token", "--email", "a@example.com", "--expires", "2020-01-01"}, {"admin", "create", "--name", "A", "--email", "a@b", "--locale", "xx-yy-zz"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, env{"HOME": t.TempDir()}, args...)
			require.Equal(t, 2, code, stderr)
			require.Empty(t, stdout)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}

func TestTheVersionIsPrinted(t *testing.T) {
	t.Parallel()
	code, stdout, _ := run(t, nil, "version")
	require.Equal(t, 0, code)
	require.Contains(t, stdout, "kaiwa v0.0.0-test, go")
}

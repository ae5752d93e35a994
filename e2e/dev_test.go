package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// laptop is a kaiwa-dev as a newcomer starts it, with the simulator inside.
type laptop struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	urls   map[string]string // what was printed, by its label
	rest   *bufio.Reader
}

// startLaptop starts kaiwa-dev on free ports and waits for "kaiwa ready".
func startLaptop(t *testing.T, dir string) *laptop {
	t.Helper()
	binary, err := buildOnce()
	require.NoError(t, err)
	l := &laptop{t: t, stderr: &bytes.Buffer{}, urls: map[string]string{}}
	l.cmd = exec.Command(binary, "--data-dir", dir, "--log-level", "warn",
		"--http-addr", "127.0.0.1:0", "--simulator-addr", "127.0.0.1:0", "--temporal-addr", "127.0.0.1:0", "--temporal-ui-addr", "127.0.0.1:0")
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	l.cmd.Stderr = l.stderr
	stdout, err := l.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, l.cmd.Start())
	t.Cleanup(func() { _ = l.cmd.Process.Kill() })
	l.rest = bufio.NewReader(stdout)
	for {
		line, err := l.rest.ReadString('\n')
		require.NoError(t, err, "%s", l.stderr)
		if strings.Contains(line, "kaiwa ready") {
			return l
		}
		if m := regexp.MustCompile(`^  (\S.*?)  +(\S.*)$`).FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			l.urls[m[1]] = m[2]
		}
	}
}

// interrupted is Ctrl-C.
func (l *laptop) interrupted() {
	l.t.Helper()
	require.NoError(l.t, l.cmd.Process.Signal(os.Interrupt))
	_, err := io.Copy(io.Discard, l.rest) // until it has ended
	require.NoError(l.t, err)
	require.NoError(l.t, l.cmd.Wait(), "%s", l.stderr)
	require.Empty(l.t, l.stderr.String(), "a clean stop complains of nothing")
}

func (l *laptop) get(url string) int {
	l.t.Helper()
	res, err := http.Get(url)
	require.NoError(l.t, err)
	require.NoError(l.t, res.Body.Close())
	return res.StatusCode
}

func TestKaiwaDevShowsTheWholeProductAndStopsCleanly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := startLaptop(t, dir), startLaptop(t, t.TempDir())
	for _, l := range []*laptop{one, two} {
		require.Equal(t, http.StatusOK, l.get(l.urls["console and API"]+"/readyz"))
		require.Equal(t, http.StatusOK, l.get(l.urls["console and API"]+"/"))
		require.Equal(t, http.StatusOK, l.get(l.urls["phone page (LINE simulator)"]+"/"))
		require.Equal(t, http.StatusOK, l.get(l.urls["Temporal UI"]+"/"))
	}
	require.NotEqual(t, one.urls["Temporal"], two.urls["Temporal"])
	two.interrupted()
	one.interrupted()

	again := startLaptop(t, dir)
	require.Equal(t, http.StatusOK, again.get(again.urls["console and API"]+"/readyz"))
	again.interrupted()
}

func TestAWrongSettingStopsKaiwaDevWithOneSentence(t *testing.T) {
	t.Parallel()
	binary, err := buildOnce()
	require.NoError(t, err)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	for setting, value := range map[string]string{
		"KAIWA_HTTP_ADDR":        "8080",
		"KAIWA_SIMULATOR_ADDR":   taken.Addr().String(),
		"KAIWA_TEMPORAL_ADDR":    taken.Addr().String(),
		"KAIWA_TEMPORAL_UI_ADDR": "nowhere",
		"KAIWA_DATABASE_URL":     "mysql://localhost",
		"KAIWA_SECRET_KEYS":      "short",
		"KAIWA_BLOB_URL":         "nosuch://bucket",
		"KAIWA_PUBLIC_URL":       "kaiwa",
		"KAIWA_LINE_API_URL":     "http://127.0.0.1:1",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary)
			cmd.Env = append(os.Environ(), "KAIWA_DATA_DIR="+t.TempDir(), "KAIWA_LOG_LEVEL=error",
				"KAIWA_HTTP_ADDR=127.0.0.1:0", "KAIWA_SIMULATOR_ADDR=127.0.0.1:0", "KAIWA_TEMPORAL_ADDR=127.0.0.1:0", "KAIWA_TEMPORAL_UI_ADDR=127.0.0.1:0",
				setting+"="+value)
			cmd.WaitDelay = time.Second
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			require.Error(t, cmd.Run())
			require.NoError(t, ctx.Err(), "it did not stop")
			said := strings.TrimSpace(stderr.String())
			require.NotContains(t, said, "\n", "one sentence")
			require.Contains(t, said, setting)
		})
	}
}

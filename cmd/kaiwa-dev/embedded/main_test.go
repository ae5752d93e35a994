package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/embedded"
)

// childFile, when set, makes the test binary a server on that file, to be killed.
const childFile = "KAIWA_EMBEDDED_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		serveUntilKilled(path)
	}
	os.Exit(m.Run())
}

// serveUntilKilled tells its address on a line of its own and ends with its
// standard input, should the parent die first.
func serveUntilKilled(path string) {
	s, err := embedded.Start(context.Background(), embedded.Options{Path: path})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// child is a server in a process of its own.
type child struct {
	addr string
	cmd  *exec.Cmd
}

func childCommand(path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFile+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

func startChild(t *testing.T, path string) *child {
	t.Helper()
	cmd := childCommand(path)
	_, err := cmd.StdinPipe() // open until kill
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd}
	t.Cleanup(c.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	c.addr = strings.TrimSpace(line)
	require.NotContains(t, c.addr, "error")
	return c
}

// kill is kill -9; a second one does nothing.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait() // "signal: killed"
	}
}

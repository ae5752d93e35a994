// Package clamdtest starts ClamAV's daemon for tests, knowing one signature.
package clamdtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/clamd"
)

// Signature is what the daemon calls EICAR.
const Signature = "Eicar-Test-Signature.UNOFFICIAL"

// StreamMax is the size of a file that the daemon no longer takes, in bytes.
const StreamMax = 4 << 20

// EICAR is the file that every scanner takes for malware, and that does nothing.
//
// Source: https://www.eicar.org/download-anti-malware-testfile/
func EICAR() []byte {
	// In two pieces, so that nobody takes this program for it.
	return []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-` + `ANTIVIRUS-TEST-FILE!$H+H*`)
}

// Daemon is a running clamd.
type Daemon struct {
	Address string // as clamd.New takes it

	t   *testing.T
	dir string
	cmd *exec.Cmd
}

// Start starts a daemon that ends with the test, with more lines of its
// configuration, which go before those it has. Debian's package clamav-daemon has its program; without it the
// test fails.
func Start(t *testing.T, more ...string) *Daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "clamd") // the path of a socket has 107 bytes at most
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	signatures := filepath.Join(dir, "signatures")
	require.NoError(t, os.Mkdir(signatures, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(signatures, "test.ndb"), []byte(fmt.Sprintf("%s:0:0:%x\n", strings.TrimSuffix(Signature, ".UNOFFICIAL"), EICAR())), 0o600))
	d := &Daemon{t: t, dir: dir, Address: "unix:" + filepath.Join(dir, "socket")}
	conf := strings.Join(more, "\n") + "\n" + fmt.Sprintf("Foreground yes\nDatabaseDirectory %s\nLocalSocket %s\nStreamMaxLength %d\nPidFile %s\nMaxThreads 4\nConcurrentDatabaseReload no\nSelfCheck 0\n",
		signatures, filepath.Join(dir, "socket"), StreamMax, filepath.Join(dir, "pid"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "clamd.conf"), []byte(conf), 0o600))
	d.Resume()
	t.Cleanup(d.Stop)
	return d
}

// Stop stops the daemon.
func (d *Daemon) Stop() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait() // it was killed
	d.cmd = nil
	_ = os.Remove(filepath.Join(d.dir, "socket"))
}

// Hang has the daemon do nothing any more, until Stop.
func (d *Daemon) Hang() {
	d.t.Helper()
	require.NoError(d.t, d.cmd.Process.Signal(syscall.SIGSTOP))
}

// Resume starts it again where it was, and returns when it answers.
func (d *Daemon) Resume() {
	d.t.Helper()
	path, err := exec.LookPath("clamd")
	if err != nil {
		path = "/usr/sbin/clamd" // not in everybody's PATH
	}
	var out strings.Builder
	d.cmd = exec.Command(path, "--config-file", filepath.Join(d.dir, "clamd.conf"))
	d.cmd.Stdout, d.cmd.Stderr = &out, &out
	require.NoError(d.t, d.cmd.Start(), "ClamAV's daemon is not installed: apt-get install clamav-daemon")
	s, err := clamd.New(d.Address)
	require.NoError(d.t, err)
	require.Eventually(d.t, func() bool { return s.Ping(d.t.Context()) == nil }, time.Minute, 20*time.Millisecond, "clamd answers: %s", &out)
}

// Silent is a daemon that takes everything and never answers.
func Silent(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return l.Addr().String()
}

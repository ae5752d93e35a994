//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// KAIWA_FAILPOINT is NAME:N — the process kills itself with SIGKILL the Nth
// time it passes NAME. KAIWA_FAILPOINT_DIR is a directory; a file NAME in it
// tells that the point was reached, also to the next process, which therefore
// does not die there again.
var (
	name, nth = setting()
	passed    atomic.Int64
)

func setting() (string, int64) {
	n, count, ok := strings.Cut(os.Getenv("KAIWA_FAILPOINT"), ":")
	if !ok {
		return n, 1
	}
	i, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("KAIWA_FAILPOINT: %v", err))
	}
	return n, i
}

// Hit marks an instant; at the one that is asked for, the process dies. A file
// NAME.armed in the directory asks for the next time it is passed, once: it is gone
// with the process.
func Hit(at string) {
	if dir := os.Getenv("KAIWA_FAILPOINT_DIR"); dir != "" && os.Remove(filepath.Join(dir, at+".armed")) == nil {
		die()
	}
	if at != name || passed.Add(1) != nth {
		return
	}
	mark := filepath.Join(os.Getenv("KAIWA_FAILPOINT_DIR"), at)
	f, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return // reached by an earlier process
	}
	_ = f.Close()
	die()
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing runs after the signal was sent
}

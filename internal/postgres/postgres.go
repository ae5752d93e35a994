// Package postgres finds the PostgreSQL server programs of this machine and the
// user they may run as, for scratch servers: of tests, of the chaos run and of
// the benchmarks.
package postgres

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// ErrNotInstalled says what to do when there is no server here.
var ErrNotInstalled = errors.New("PostgreSQL's server is not installed: apt-get install postgresql")

// Binaries is the directory of the newest installed server's programs.
func Binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) < version(found[j]) })
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrNotInstalled
}

func version(path string) float64 {
	v, err := strconv.ParseFloat(strings.Split(path, "/")[4], 64)
	if err != nil {
		return 0
	}
	return v
}

// Prepare makes a command run as a user that PostgreSQL accepts, and gives that
// user a directory: the server refuses to run as root.
func Prepare(cmd *exec.Cmd, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return runAs(cmd, dir)
}

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// buildOnce is kaiwa-dev with its failpoints; buildKaiwaOnce is kaiwa as it is
// released.
var (
	buildOnce      = sync.OnceValues(func() (string, error) { return build("kaiwa-dev", "-tags", "failpoint") })
	buildKaiwaOnce = sync.OnceValues(func() (string, error) { return build("kaiwa") })
)

// build builds a command for all tests of this process, and returns its path.
func build(command string, flags ...string) (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, command)
	args := append(append([]string{"build"}, flags...), "-o", binary, "kaiwa/cmd/"+command)
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
}

// buildDir is where they are; TestMain removes it.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "kaiwa-e2e-") })

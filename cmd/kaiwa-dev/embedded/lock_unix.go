//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// fileLock keeps a second server off the same database: two of them would take
// the one shard from each other without end. The kernel drops it when the
// process dies, however it dies.
type fileLock struct{ f *os.File }

// lockFile takes the lock beside the database at path, creating the directory.
func lockFile(path string) (*fileLock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("temporal database %s: %w", path, err)
	}
	f, err := os.OpenFile(path+"-lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock temporal database %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("temporal database %s is in use by another server: stop it, or set KAIWA_DATA_DIR to another directory", path)
		}
		return nil, fmt.Errorf("lock temporal database %s: %w", path, err)
	}
	return &fileLock{f: f}, nil
}

// release leaves the file: removing it could take it from under a server that
// has just opened it.
func (l *fileLock) release() { _ = l.f.Close() }

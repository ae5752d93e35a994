package store

import (
	"context"
	"os"

	"github.com/fsnotify/fsnotify"
)

// hintFile is how processes on one SQLite file tell each other that something
// was committed: a file beside the database, to which who tells writes a byte
// and which who listens has watched. What is in it says nothing. A hint may be
// lost, and whoever gets none looks by themselves; so every error here only
// means that there are none.
type hintFile struct{ f *os.File }

// openHints opens the hints beside a database; nil when it cannot.
func openHints(path string) *hintFile {
	f, err := os.OpenFile(path+"-hint", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil
	}
	return &hintFile{f}
}

func (h *hintFile) close() {
	if h != nil {
		_ = h.f.Close() // nothing in it counts
	}
}

// give tells the others.
func (h *hintFile) give() error {
	if h == nil {
		return nil
	}
	_, err := h.f.WriteAt([]byte{'!'}, 0)
	return err
}

// take calls wake for the hints of this process and others until ctx is done.
func (h *hintFile) take(ctx context.Context, wake func()) {
	if h == nil {
		return
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return
	}
	defer w.Close()
	if err := w.Add(h.f.Name()); err != nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-w.Events:
			if !open {
				return
			}
			wake()
		case _, open := <-w.Errors: // some were too many to be kept: one is enough
			if !open {
				return
			}
			wake()
		}
	}
}

//go:build unix

package store

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// neighbours are the other processes that write to a file. One goroutine at a
// time may use it.
type neighbours struct {
	first, second *manners
	patience      time.Duration
}

// manners is a lock of a file's, which ends with its process.
type manners struct{ f *os.File }

// meetNeighbours opens the locks beside a database.
func meetNeighbours(path string) (*neighbours, error) {
	n := neighbours{patience: mannersTime}
	for i, m := range []**manners{&n.first, &n.second} {
		f, err := os.OpenFile(fmt.Sprintf("%s-turn%d", path, i+1), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			n.close()
			return nil, err
		}
		*m = &manners{f}
	}
	return &n, nil
}

func (n *neighbours) close() {
	if n == nil {
		return
	}
	for _, m := range []*manners{n.first, n.second} {
		if m != nil {
			_ = m.f.Close() // nothing is written to it
		}
	}
}

// take asks for the lock until it is there, or it is too late.
func (m *manners) take(until time.Time) bool {
	for syscall.Flock(int(m.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		if time.Now().After(until) {
			return false
		}
		time.Sleep(askAgain)
	}
	return true
}

func (m *manners) give() { _ = syscall.Flock(int(m.f.Fd()), syscall.LOCK_UN) } // it ends with the process at the latest

//go:build unix

package rig

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	pauseSignal  = syscall.SIGSTOP
	resumeSignal = syscall.SIGCONT
)

// sendSignal signals a process; one that has ended meanwhile is no error.
func sendSignal(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// goneTime is how long killed processes may take to be gone.
const goneTime = 10 * time.Second

// awaitGone waits until processes that were killed, and are not our children,
// have given up what they shared.
func awaitGone(pids []int) error {
	until := time.Now().Add(goneTime)
	for _, pid := range pids {
		for !gone(pid) {
			if time.Now().After(until) {
				return fmt.Errorf("process %d does not end", pid)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return nil
}

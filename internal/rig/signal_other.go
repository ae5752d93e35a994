//go:build !unix

package rig

import (
	"errors"
	"os"
	"syscall"
)

const pauseSignal, resumeSignal = syscall.Signal(-1), syscall.Signal(-2)

func sendSignal(pid int, signal syscall.Signal) error {
	if signal != syscall.SIGKILL {
		return errors.New("this system has no such signal")
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

func awaitGone([]int) error { return nil }

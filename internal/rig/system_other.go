//go:build !linux

package rig

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

func endWithUs(*exec.Cmd) {}

func childrenOf(pid int) (children []int) {
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output()
	if err != nil {
		return nil // it has none
	}
	for _, field := range strings.Fields(string(out)) {
		if child, err := strconv.Atoi(field); err == nil {
			children = append(children, child)
		}
	}
	return children
}

// gone tells whether a process has ended.
func gone(pid int) bool { return exec.Command("ps", "-p", strconv.Itoa(pid)).Run() != nil }

func residentBytes(pid int) (int64, error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	kilobytes, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return kilobytes << 10, err
}

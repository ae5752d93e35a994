package rig

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// ports gives addresses that stay a process's own over restarts: below those
// that systems give to outgoing connections.
type ports struct {
	taken map[int]bool
}

const lowestPort, highestPort = 18_000, 31_000

func (p *ports) take() (string, error) {
	if p.taken == nil {
		p.taken = map[int]bool{}
	}
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if p.taken[port] {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue // somebody else's
		}
		if err := l.Close(); err != nil {
			return "", err
		}
		p.taken[port] = true
		return address, nil
	}
	return "", errors.New("no port is free")
}

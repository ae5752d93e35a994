//go:build !unix

package postgres

import (
	"errors"
	"os/exec"
)

func runAs(*exec.Cmd, string) error {
	return errors.New("scratch PostgreSQL servers are not started on this system")
}

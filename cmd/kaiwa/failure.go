package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/settings"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // a setting, a flag or an argument is missing or wrong
)

// usageError is a command line that cannot be carried out.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

// errReported ends a command that has said what is wrong already.
var errReported = errors.New("reported")

// fail says why a command failed, in one line, and returns the exit code.
func fail(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if !errors.Is(err, errReported) {
		_, _ = fmt.Fprintln(w, "kaiwa: "+sentence(err)) // there is nowhere else to say it
	}
	var usage *usageError
	var setting *settings.Error
	if errors.As(err, &usage) || errors.As(err, &setting) {
		return exitUsage
	}
	return exitFailed
}

// sentence is an error for people, on one line.
func sentence(err error) string {
	text := err.Error()
	var usage *usageError
	var known *conversation.Error
	switch {
	case errors.As(err, &usage):
		text += "; kaiwa --help says what there is"
	case errors.As(err, &known) && len(known.Fields) > 0:
		text = known.Fields[0].Detail
	case errors.As(err, &known):
		text = known.Detail
	}
	return strings.Join(strings.Fields(text), " ")
}

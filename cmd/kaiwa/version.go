package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the build of a release: -ldflags "-X main.release=v1.2.3".
var release string

// version names this build: the release, or the commit it was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var commit, changed string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				changed = ", changed"
			}
		}
	}
	if commit == "" {
		return "development"
	}
	return "development (" + commit + changed + ")"
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(out streams) error {
	_, err := fmt.Fprintf(out.Out, "kaiwa %s, %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// Package console holds the web console's files, so that one binary serves all
// of Kaiwa. The console is written in TypeScript and built by `make console`
// into dist; a Go build needs neither Node nor that directory's content.
package console

import (
	"embed"
	"io/fs"
)

// built is what Vite wrote. In a fresh checkout only the file that keeps the
// directory is in it.
//
//go:embed all:dist
var built embed.FS

//go:embed unbuilt
var unbuilt embed.FS

// Files returns the console's files, index.html among them. When the console
// was not built, they are one page that says how to build it.
func Files() fs.FS {
	if !Built() {
		return sub(unbuilt, "unbuilt")
	}
	return sub(built, "dist")
}

// Built tells whether the console itself is in the binary, rather than the page
// that says how to build it.
func Built() bool {
	_, err := fs.Stat(built, "dist/index.html")
	return err == nil
}

// sub is fs.Sub for a directory that the embed directive names.
func sub(files embed.FS, dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // only an invalid name fails, and these are constants
	}
	return f
}

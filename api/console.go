package api

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// forConsole tells whether a request without a route may be one for a page or
// file of the console.
func forConsole(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
	case "api", "webhooks", "survey", "healthz", "readyz", "metrics":
		return false
	}
	return true
}

// consoleHandler serves the console's files, and its first page for every
// address that is none of them: the console finds its own way from there.
func consoleHandler(files fs.FS) http.Handler {
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		info, err := fs.Stat(files, name)
		switch {
		case err == nil && !info.IsDir():
			if strings.HasPrefix(name, "assets/") { // their names change with their content
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			}
			server.ServeHTTP(w, r)
		default:
			w.Header().Set("Cache-Control", "no-cache")
			first := r.Clone(r.Context())
			first.URL.Path = "/" // ServeFileFS has opinions on what is in it
			http.ServeFileFS(w, first, files, "index.html")
		}
	})
}

package linesim

import (
	"embed"
	"fmt"
	"hash/fnv"
	"html"
	"io/fs"
	"net/http"
	"unicode/utf8"
)

//go:embed web
var webFiles embed.FS

// pagePolicy lets no script but the page's own files run. Pictures may come
// from anywhere: they are at whatever URL the bot sends.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data: blob: http: https:; media-src 'self' blob: http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageRoutes serve the phone page, without a build step and without any
// other host.
func (s *Simulator) pageRoutes(mux *http.ServeMux) {
	files, err := fs.Sub(webFiles, "web")
	if err != nil {
		s.log.Error("phone page", "error", err)
		return
	}
	server := http.FileServerFS(files)
	assets := func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		server.ServeHTTP(w, r)
	}
	mux.HandleFunc("GET /{$}", assets)
	mux.HandleFunc("GET /assets/", assets)
	mux.HandleFunc("GET /_media/avatars/{file}", s.avatar)
}

// avatar draws a profile picture: the first letter of the name on a colour of
// its own.
func (s *Simulator) avatar(w http.ResponseWriter, r *http.Request) {
	var id, name string
	if n, err := fmt.Sscanf(r.PathValue("file"), "%33s", &id); err != nil || n != 1 {
		http.NotFound(w, r)
		return
	}
	for _, c := range s.Channels() {
		if c.BotUserID == id {
			name = c.DisplayName
		}
	}
	if name == "" {
		if u, err := s.user(r.Context(), id); err == nil {
			name = u.DisplayName
		}
	}
	letter := "?"
	if first, size := utf8.DecodeRuneInString(name); size > 0 {
		letter = string(first)
	}
	sum := fnv.New32a()
	sum.Write([]byte(id)) // never fails (hash.Hash)
	hue := sum.Sum32() % 360
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("Cache-Control", "no-cache")
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96"><defs><linearGradient id="g" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="hsl(%d 62%% 66%%)"/><stop offset="1" stop-color="hsl(%d 58%% 52%%)"/></linearGradient></defs><rect width="96" height="96" fill="url(#g)"/><text x="48" y="50" text-anchor="middle" dominant-baseline="central" font-family="system-ui,Hiragino Sans,Noto Sans JP,Noto Sans CJK JP,sans-serif" font-weight="600" font-size="44" fill="#fff">%s</text></svg>`, hue, (hue+18)%360, html.EscapeString(letter))
	if err != nil {
		s.log.Info("avatar not sent", "error", err)
	}
}

package linesim

import (
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"time"
)

// stream sends what happens as server-sent events: message, unsend, read,
// loading, block, menu, user, channel, call, delivery; reload when some were missed.
func (s *Simulator) stream(w http.ResponseWriter, r *http.Request) {
	frames, cancel := s.hub.subscribe()
	defer cancel()
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	write := func(frame []byte) bool {
		if _, err := w.Write(frame); err != nil {
			return false
		}
		return rc.Flush() == nil
	}
	// A reconnecting browser may have missed anything.
	if !write([]byte("retry: 1000\nevent: hello\ndata: {}\n\n")) {
		return
	}
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	for {
		select {
		case frame, open := <-frames:
			if !open || !write(frame) {
				return
			}
		case <-alive.C:
			if !write([]byte(": alive\n\n")) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// media shows the phone page what a customer sent, without the waits the API
// has.
func (s *Simulator) media(w http.ResponseWriter, r *http.Request) {
	var row contentRow
	err := s.store.r.GetContext(r.Context(), &row, `SELECT m.type, c.content_type, c.file_name, c.bytes, c.preview FROM content c JOIN messages m ON m.id = c.message_id WHERE c.message_id = ?`, messageNumber(r.PathValue("message")))
	if errors.Is(err, sql.ErrNoRows) {
		http.NotFound(w, r)
		return
	}
	body, kind := row.Bytes, row.ContentType
	if err == nil && strings.HasSuffix(r.URL.Path, "/preview") {
		body, kind, err = row.thumbnail()
	}
	if err != nil {
		s.log.Error("media", "error", err)
		http.Error(w, "the simulator could not read it", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'")
	if row.Type == "file" {
		h.Set("Content-Disposition", "attachment")
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(body)))
}

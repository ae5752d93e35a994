package linesim

import (
	"encoding/json"
	"fmt"
	"sync"
)

// hub tells browsers what happens, by server-sent events. It never waits for
// one: a browser that falls behind is told to load everything again.
type hub struct {
	mu     sync.Mutex
	subs   map[chan []byte]bool // true: fell behind, owes a "reload"
	closed bool
}

func newHub() *hub { return &hub{subs: map[chan []byte]bool{}} }

func (h *hub) subscribe() (ch chan []byte, cancel func()) {
	ch = make(chan []byte, 256)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(ch)
		return ch, func() {}
	}
	h.subs[ch] = false
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.subs[ch]; ok {
			delete(h.subs, ch)
			close(ch)
		}
	}
}

var reloadFrame = []byte("event: reload\ndata: {}\n\n")

func (h *hub) publish(kind string, v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) == 0 {
		return
	}
	data, err := json.Marshal(v)
	if err != nil {
		// Only a body that is not JSON can do this; the page then shows it
		// after the next load.
		data = []byte(`{}`)
		kind = "reload"
	}
	frame := fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, data)
	for ch, behind := range h.subs {
		if behind {
			select {
			case ch <- reloadFrame:
				h.subs[ch] = false
			default:
				continue
			}
		}
		select {
		case ch <- frame:
		default:
			h.subs[ch] = true
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for ch := range h.subs {
		delete(h.subs, ch)
		close(ch)
	}
}

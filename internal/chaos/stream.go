package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"kaiwa/internal/chaos/outcome"
)

// silence is how long a stream of events may say nothing before it is cut.
const silence = 45 * time.Second

// comesBack is how long a stream may be away while nobody disturbs it.
const comesBack = 15 * time.Second

// happening is one event of the stream.
type happening struct {
	Seq            int64  `json:"seq"`
	Type           string `json:"type"`
	ConversationID string `json:"conversation_id"`
	SubjectID      string `json:"subject_id"`
}

// follow follows the stream of events until ctx ends, going on where it was cut.
func (d *desk) follow(ctx context.Context, told func(happening)) {
	last := ""
	for ctx.Err() == nil {
		d.listen(ctx, &last, told)
		rest(ctx, longestPause)
	}
}

// listen reads one connection's events to its end.
func (d *desk) listen(ctx context.Context, last *string, told func(happening)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.front+"/api/v1/events/stream", nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	res, err := d.client.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return
	}
	d.tally.add("event streams opened", 1)
	id, data := "", ""
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		quiet.Reset(silence)
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "id":
			id = value
		case name == "data":
			data = value
		case lines.Text() == "":
			var h happening
			if data != "" && json.Unmarshal([]byte(data), &h) == nil {
				told(h)
			}
			if id != "" {
				*last = id
			}
			id, data = "", ""
		}
	}
}

// witness sees everything that happens, as the stream tells it.
type witness struct {
	mu   sync.Mutex
	seen []int64
}

func (w *witness) tell(h happening) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, h.Seq)
}

// told are the numbers of the events that were told, in that order.
func (w *witness) told() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

// reach waits until the last of some events was told, no longer than a stream
// needs to come back.
func (w *witness) reach(ctx context.Context, events []outcome.Event) {
	last := int64(0)
	for _, e := range events {
		if e.Seq != nil {
			last = max(last, *e.Seq)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, comesBack)
	defer cancel()
	for {
		if told := w.told(); len(told) > 0 && told[len(told)-1] >= last || !rest(ctx, firstPause) {
			return
		}
	}
}

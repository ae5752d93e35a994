package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// event is one of the stream's.
type event struct {
	Type           string          `json:"type"`
	ConversationID string          `json:"conversation_id"`
	SubjectID      string          `json:"subject_id"`
	Data           json.RawMessage `json:"data"`
	CreatedAt      time.Time       `json:"created_at"`
}

// follower is a reader of GET /api/v1/events/stream, which comes back when it is
// cut.
type follower struct {
	client     *http.Client
	url, token string
	// wants tells which types are read; take gets those, one after the other.
	wants func(kind string) bool
	take  func(e event, at time.Time)

	cancel context.CancelFunc
	wg     sync.WaitGroup
	begun  chan struct{} // closed once it has a position
	once   sync.Once
	last   string // the last id
	failed error  // why it never began
}

// follow begins to read what happens from now on, and returns once it does.
func follow(ctx context.Context, client *http.Client, url, token string, wants func(string) bool, take func(event, time.Time)) (*follower, error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &follower{client: client, url: url, token: token, wants: wants, take: take, cancel: cancel, begun: make(chan struct{})}
	f.wg.Go(func() { f.run(running) })
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-f.begun:
		return f, nil
	case <-ctx.Done():
	case <-late.C:
	}
	f.close()
	return nil, fmt.Errorf("the stream of events does not begin: %w", f.failed)
}

func (f *follower) close() {
	f.cancel()
	f.wg.Wait()
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		f.failed = f.read(ctx)
		_ = sleep(ctx, 100*time.Millisecond) // the loop looks whether it is over
	}
}

// read reads until the stream is cut.
func (f *follower) read(ctx context.Context) error {
	url := f.url + "/api/v1/events/stream"
	if f.last == "" {
		url += "?after=latest"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	if f.last != "" {
		req.Header.Set("Last-Event-ID", f.last)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the stream of events: %s", res.Status)
	}
	var kind, data string
	lines := bufio.NewReaderSize(res.Body, 32<<10)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		switch name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); name {
		case "id":
			f.last = strings.TrimSpace(value)
		case "event":
			kind = strings.TrimSpace(value)
		case "data":
			data = value
		case "":
			if value != "" {
				continue // a comment
			}
			f.once.Do(func() { close(f.begun) })
			if kind != "" && f.wants(kind) {
				var e event
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					return err
				}
				f.take(e, time.Now())
			}
			kind, data = "", ""
		}
	}
}

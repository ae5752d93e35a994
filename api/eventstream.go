package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

const (
	// streamPage is how many events a stream reads at a time, and so how many
	// it holds in memory.
	streamPage = 200
	// streamReads bounds the pages read at once for all streams of a process,
	// so that they leave connections for requests.
	streamReads = 4
	// streamWrite is how long a client may take to accept what is sent to it.
	streamWrite = 30 * time.Second
	// streamRetry is how long a stream waits before it asks a database again
	// that did not answer.
	streamRetry = time.Second
	// A client that was cut comes back after reconnectAfter and a part of
	// reconnectSpread, so that not all come at once.
	reconnectAfter, reconnectSpread = time.Second, 2 * time.Second
)

// streams is what all open streams of events share.
type streams struct {
	perToken  int
	keepAlive time.Duration // something is sent at least as often
	recheck   time.Duration // the token is looked at as often
	reads     chan struct{}
	life      context.Context // ends when the server shuts down
	end       context.CancelFunc

	mu   sync.Mutex
	open map[string]int // by token
}

func newStreams(perToken int) *streams {
	s := &streams{
		perToken: perToken, keepAlive: 15 * time.Second, recheck: 30 * time.Second,
		reads: make(chan struct{}, streamReads), open: map[string]int{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// take counts a stream of a token in, unless there are too many.
func (s *streams) take(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[token] >= s.perToken {
		return false
	}
	s.open[token]++
	return true
}

func (s *streams) give(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[token]--; s.open[token] == 0 {
		delete(s.open, token)
	}
}

// StreamEvents follows the record.
func (s *Server) StreamEvents(ctx context.Context, r StreamEventsRequestObject) (StreamEventsResponseObject, error) {
	from, at := r.Params.After, "/after"
	if r.Params.LastEventID != "" {
		from, at = r.Params.LastEventID, "/Last-Event-ID"
	}
	after, err := s.position(ctx, from, at)
	if err != nil {
		return nil, err
	}
	last, err := s.store.LastEvent(ctx)
	if err != nil {
		return nil, err
	}
	if after > last { // of another database, or of one restored from a backup
		return nil, conversation.Invalid(at, "There is no event %d; the latest is %d. Read anew what you know, and begin with after=latest.", after, last)
	}
	return &eventStream{s: s, request: ctx, after: after, told: -1}, nil
}

// eventStream is one open stream.
type eventStream struct {
	s       *Server
	request context.Context
	after   int64 // everything up to here was sent, or may not be seen

	w       http.ResponseWriter
	buf     bytes.Buffer
	broken  error     // the client is gone, or too slow
	told    int64     // the position that the client knows
	sent    time.Time // when something was sent last
	checked time.Time // when the token was looked at last
}

// VisitStreamEventsResponse sends events until the connection, the server or
// the token ends. Past the first byte there is no error to report: whoever is
// cut comes back.
func (e *eventStream) VisitStreamEventsResponse(w http.ResponseWriter) error {
	streams, token := e.s.streams, caller(e.request).Token
	if !streams.take(token.ID) {
		return conversation.Errorf(codeTooManyStreams, "The token has %d streams of events open, which is as many as it may. Close one first.", streams.perToken)
	}
	defer streams.give(token.ID)
	e.s.metrics.streams.Inc()
	defer e.s.metrics.streams.Dec()

	ctx, cancel := connection(e.request)
	defer cancel()
	defer context.AfterFunc(streams.life, cancel)()
	if !token.ExpiresAt.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, token.ExpiresAt)
		defer cancel()
	}
	// The server's limit on the time to read a request would end the stream.
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lift the time limit of a stream: %w", err)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	e.w, e.checked = w, time.Now()
	fmt.Fprintf(&e.buf, "retry: %d\n", (reconnectAfter + rand.N(reconnectSpread)).Milliseconds())
	e.tell() // also who is cut before the first event knows where to go on
	if e.send() == nil {
		e.s.alive(ctx)
		e.follow(ctx)
	}
	if streams.life.Err() != nil { // with its position, the reader goes on where another process serves
		e.buf.WriteString(": this process stops\n")
		e.tell()
		_ = e.send() // who is gone has missed nothing
	}
	return nil
}

func (e *eventStream) follow(ctx context.Context) {
	for e.send() == nil && ctx.Err() == nil {
		more := e.s.feed.More() // before the reading, so that nothing is missed
		page, err := e.read(ctx)
		if err == nil {
			err = e.take(page)
		}
		var refused *conversation.Error
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &refused):
			e.s.log.Info("a stream of events is ended", "request_id", requestID(ctx), "reason", refused.Detail)
			return
		case err != nil:
			e.s.log.Warn("a stream of events does not get on; it tries again", "request_id", requestID(ctx), "error", err)
			e.rest(ctx, nil, streamRetry)
		case !page.More:
			e.rest(ctx, more, time.Until(e.checked.Add(e.s.streams.recheck)))
		case time.Since(e.sent) >= e.s.streams.keepAlive:
			e.live()
		}
	}
}

// rest sends what there is to send, and then nothing but signs of life until
// there is more, or for at most so long.
func (e *eventStream) rest(ctx context.Context, more <-chan struct{}, atMost time.Duration) {
	over := time.NewTimer(atMost)
	defer over.Stop()
	for e.send() == nil {
		alive := time.NewTimer(time.Until(e.sent.Add(e.s.streams.keepAlive)))
		select {
		case <-ctx.Done():
		case <-more:
		case <-over.C:
		case <-alive.C:
			e.live()
			continue
		}
		alive.Stop()
		return
	}
}

// read reads the next page, after a look at the token when that is due. An
// Error means that the caller may no longer see what they saw.
func (e *eventStream) read(ctx context.Context) (store.EventPage, error) {
	select {
	case e.s.streams.reads <- struct{}{}:
		defer func() { <-e.s.streams.reads }()
	case <-ctx.Done():
		return store.EventPage{}, ctx.Err()
	}
	was := caller(ctx)
	if time.Since(e.checked) >= e.s.streams.recheck {
		i, err := e.s.store.Authenticate(ctx, bearer(ctx))
		if err != nil {
			return store.EventPage{}, err
		}
		if !slices.Contains(permissions(i), PermissionEventsRead) || viewer(i) != viewer(was) {
			return store.EventPage{}, conversation.Errorf(conversation.CodeForbidden, "The token's permissions have changed.")
		}
		e.checked = time.Now()
		e.s.alive(ctx)
	}
	return e.s.store.EventPage(ctx, store.EventQuery{After: e.after, Limit: streamPage, AgentID: viewer(was)})
}

// take puts a page into what is sent next, or nothing of it.
func (e *eventStream) take(page store.EventPage) error {
	for _, event := range page.Events {
		data, err := json.Marshal(showEvent(event))
		if err != nil {
			e.buf.Reset()
			return fmt.Errorf("event %d: %w", event.Seq, err)
		}
		fmt.Fprintf(&e.buf, "id: %d\nevent: %s\ndata: %s\n\n", event.Seq, event.Type, data)
	}
	e.after = page.Next
	if n := len(page.Events); n > 0 {
		e.told = page.Events[n-1].Seq
	}
	return nil
}

// live puts a sign of life into what is sent next.
func (e *eventStream) live() {
	e.buf.WriteString(": still here\n")
	e.tell()
}

// tell ends a block that is no event. It tells the client its position, so that
// what it may not see is not looked through again when it comes back.
func (e *eventStream) tell() {
	if e.told != e.after {
		fmt.Fprintf(&e.buf, "id: %d\n", e.after)
		e.told = e.after
	}
	e.buf.WriteByte('\n')
}

// send sends what was put together, if anything.
func (e *eventStream) send() error {
	if e.buf.Len() == 0 || e.broken != nil {
		return e.broken
	}
	c := http.NewResponseController(e.w)
	e.broken = c.SetWriteDeadline(time.Now().Add(streamWrite))
	if e.broken == nil {
		_, e.broken = e.buf.WriteTo(e.w)
	}
	if e.broken == nil {
		e.sent, e.broken = time.Now(), c.Flush()
	}
	return e.broken
}

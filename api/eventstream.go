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
	// streamReads bounds what is read at once for the streams of a process that
	// are behind, or whose token is looked at, so that they leave connections for
	// requests.
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
		defer e.s.feed.Follow()()
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
		behind, err := e.read(ctx)
		var refused *conversation.Error
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &refused):
			e.s.log.Info("a stream of events is ended", "request_id", requestID(ctx), "reason", refused.Detail)
			return
		case err != nil:
			e.s.log.Warn("a stream of events does not get on; it tries again", "request_id", requestID(ctx), "error", err)
			e.rest(ctx, nil, streamRetry)
		case !behind:
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

// read puts the next events into what is sent next, after a look at the token
// when that is due, and tells whether there are more already. An Error means
// that the caller may no longer see what they saw.
func (e *eventStream) read(ctx context.Context) (behind bool, err error) {
	if time.Since(e.checked) >= e.s.streams.recheck {
		if err := e.check(ctx); err != nil {
			return false, err
		}
	}
	seen := viewer(caller(ctx))
	if items, next, more, ok := e.s.feed.After(e.after, seen, streamPage); ok {
		return more, e.take(len(items), next, func(i int) (int64, []byte, error) {
			frame, err := items[i].Shown(eventFrame)
			return items[i].Seq, frame, err
		})
	}
	if !e.turn(ctx) {
		return false, ctx.Err()
	}
	page, err := e.s.store.EventPage(ctx, store.EventQuery{After: e.after, Limit: streamPage, AgentID: seen})
	<-e.s.streams.reads
	if err != nil {
		return false, err
	}
	return page.More, e.take(len(page.Events), page.Next, func(i int) (int64, []byte, error) {
		frame, err := eventFrame(page.Events[i])
		return page.Events[i].Seq, frame, err
	})
}

// turn waits until the stream may read the database.
func (e *eventStream) turn(ctx context.Context) bool {
	select {
	case e.s.streams.reads <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// check looks at the token.
func (e *eventStream) check(ctx context.Context) error {
	if !e.turn(ctx) {
		return ctx.Err()
	}
	defer func() { <-e.s.streams.reads }()
	i, err := e.s.store.Authenticate(ctx, bearer(ctx))
	if err != nil {
		return err
	}
	if !slices.Contains(permissions(i), PermissionEventsRead) || viewer(i) != viewer(caller(ctx)) {
		return conversation.Errorf(conversation.CodeForbidden, "The token's permissions have changed.")
	}
	e.checked = time.Now()
	e.s.alive(ctx)
	return nil
}

// eventFrame is an event as streams carry it.
func eventFrame(event store.Event) ([]byte, error) {
	data, err := json.Marshal(showEvent(event))
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", event.Seq, err)
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", event.Seq, event.Type, data), nil
}

// take puts n events into what is sent next, or none of them. Everything up to
// next is sent then, or may not be seen.
func (e *eventStream) take(n int, next int64, event func(int) (seq int64, frame []byte, err error)) error {
	told := e.told
	for i := range n {
		seq, frame, err := event(i)
		if err != nil {
			e.buf.Reset()
			return err
		}
		e.buf.Write(frame)
		told = seq
	}
	e.after, e.told = next, told
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

package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

const (
	headerIdempotencyKey      = "Idempotency-Key"
	headerIdempotencyReplayed = "Idempotency-Replayed"
	maxIdempotencyKey         = 255 // characters
)

// idempotent gives the second and every further request with the same
// Idempotency-Key the answer of the first.
func (s *Server) idempotent(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		given, err := idempotencyKey(r)
		if err != nil {
			return err
		}
		if given == "" {
			return next(c)
		}
		body, err := io.ReadAll(r.Body) // in memory since validation
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		digest := sha256.New()
		digest.Write([]byte(r.URL.RawQuery + "\n"))
		digest.Write(body)

		key := store.IdempotencyKey{Caller: caller(r.Context()).Token.ID, Route: r.Method + " " + r.URL.Path, Key: given}
		answer, lease, err := s.store.BeginIdempotent(r.Context(), key, hex.EncodeToString(digest.Sum(nil)))
		if err != nil {
			return err
		}
		if answer != nil {
			c.Response().Header().Set(headerIdempotencyReplayed, "true")
			return send(c, *answer)
		}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), keyAttempt, attempt{key, lease.Seed})))
		return s.firstAnswer(c, next, key, lease)
	}
}

// idempotencyKey is the key of a request; "" when it has none.
func idempotencyKey(r *http.Request) (string, error) {
	keys := r.Header.Values(headerIdempotencyKey)
	if len(keys) == 0 {
		return "", nil
	}
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > maxIdempotencyKey || strings.ContainsFunc(keys[0], notPrintable) {
		return "", conversation.Errorf(conversation.CodeInvalid, "The Idempotency-Key must be 1 to %d printable ASCII characters.", maxIdempotencyKey)
	}
	return keys[0], nil
}

// firstAnswer runs the handler, keeps its answer and then sends it. An answer
// that says Kaiwa failed, or that the caller must wait, is not kept.
func (s *Server) firstAnswer(c echo.Context, next echo.HandlerFunc, key store.IdempotencyKey, lease store.Lease) error {
	kept := false
	stop := s.keepLease(c.Request().Context(), key, lease)
	defer func() { // also when the handler panics
		stop()
		if !kept {
			ctx, cancel := afterwards(c.Request().Context())
			defer cancel()
			if err := s.store.AbandonIdempotent(ctx, key, lease); err != nil {
				s.log.Warn("an idempotency key stays taken until its lease ends", "request_id", requestID(ctx), "error", err)
			}
		}
	}()
	answer := record(c, next)
	stop()
	if answer.Status < http.StatusInternalServerError && answer.Status != http.StatusTooManyRequests {
		ctx, cancel := afterwards(c.Request().Context())
		defer cancel()
		if err := s.store.FinishIdempotent(ctx, key, lease, answer); err != nil {
			// What was done is done; the next attempt finds it by its id.
			s.log.Warn("the answer to an idempotency key was not kept", "request_id", requestID(ctx), "error", err)
		} else {
			kept = true
		}
	}
	return send(c, answer)
}

// keepLease renews a lease until the returned function is called, once or more
// often.
func (s *Server) keepLease(ctx context.Context, key store.IdempotencyKey, lease store.Lease) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(store.IdempotencyLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.store.RenewIdempotent(ctx, key, lease); err != nil && ctx.Err() == nil {
				s.log.Warn("an idempotency key's lease was not renewed", "request_id", requestID(ctx), "error", err)
			}
		}
	})
	return func() { cancel(); renewing.Wait() }
}

// afterwards is a context for what is left to do when the client may be gone.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
}

// record runs the handler and returns what it would have sent, errors too.
func record(c echo.Context, next echo.HandlerFunc) store.Answer {
	to := c.Response()
	w := &recorder{header: http.Header{}}
	c.SetResponse(echo.NewResponse(w, c.Echo()))
	defer c.SetResponse(to)
	if err := next(c); err != nil {
		c.Error(err)
	}
	answer := store.Answer{Status: c.Response().Status, Header: map[string]string{}, Body: w.body.Bytes()}
	for name := range w.header {
		answer.Header[name] = w.header.Get(name)
	}
	return answer
}

func send(c echo.Context, a store.Answer) error {
	for name, value := range a.Header {
		c.Response().Header().Set(name, value)
	}
	c.Response().WriteHeader(a.Status)
	_, err := c.Response().Write(a.Body)
	return err
}

// recorder is a response kept in memory.
type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) WriteHeader(int)             {} // echo's Response has it

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

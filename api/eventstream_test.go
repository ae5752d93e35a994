package api_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/sequencer"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

const (
	time30 = 30 * time.Second
	soon   = 20 * time.Millisecond
)

// block is one block of server-sent events; one without data is no event.
type block struct{ id, event, data, retry, comment string }

// eventStream is an open stream as a client reads it.
type eventStream struct {
	t     testing.TB
	lines *bufio.Reader
	res   *http.Response
	close context.CancelFunc
}

// stream opens a stream that closes with the test.
func (b *bundle) stream(base, token, path string, headers ...header) *eventStream {
	b.t.Helper()
	s, err := openStream(b.t, base, token, path, headers...)
	require.NoError(b.t, err)
	require.Equal(b.t, 200, s.res.StatusCode)
	require.Equal(b.t, "text/event-stream", s.res.Header.Get("Content-Type"))
	require.Empty(b.t, s.res.Header.Get("Content-Encoding"))
	require.Equal(b.t, "no-store", s.res.Header.Get("Cache-Control"))
	return s
}

func openStream(t testing.TB, base, token, path string, headers ...header) (*eventStream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept-Encoding", "gzip")
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return &eventStream{t, bufio.NewReader(res.Body), res, cancel}, nil
}

// next reads a block; the error is the end of the stream.
func (s *eventStream) next() (block, error) {
	var b block
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return b, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			if line == "\n" {
				return b, nil
			}
			b.comment = value
		case "id":
			b.id = value
		case "event":
			b.event = value
		case "data":
			b.data = value
		case "retry":
			b.retry = value
		default:
			return b, fmt.Errorf("unknown field in %q", line)
		}
	}
}

func (s *eventStream) block() block {
	s.t.Helper()
	b, err := s.next()
	require.NoError(s.t, err)
	return b
}

type streamed struct {
	block
	seq int64
}

// event reads up to the next event.
func (s *eventStream) event() streamed {
	s.t.Helper()
	for {
		b := s.block()
		if b.data != "" {
			seq, err := strconv.ParseInt(b.id, 10, 64)
			require.NoError(s.t, err)
			return streamed{b, seq}
		}
	}
}

// ends reads until the stream ends as an answer ends, and not as a cut.
func (s *eventStream) ends() {
	s.t.Helper()
	for {
		if _, err := s.next(); err != nil {
			require.ErrorIs(s.t, err, io.EOF)
			require.NotErrorIs(s.t, err, io.ErrUnexpectedEOF)
			return
		}
	}
}

func TestAStreamShowsTheSameAsTheList(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.happen(3)
		s := b.stream(b.url, b.tokens[store.RoleSupervisor], "/api/v1/events/stream")
		first := s.block()
		retry, err := strconv.Atoi(first.retry)
		require.NoError(t, err)
		require.True(t, retry >= 1000 && retry < 3000, "%d ms", retry)
		require.Equal(t, block{id: "0", retry: first.retry}, first, "the position comes before the first event")
		list := b.as(store.RoleSupervisor, "GET", "/api/v1/events", nil)
		for i := range 3 {
			e := s.event()
			require.Equal(t, int64(i+1), e.seq)
			require.Equal(t, "conversation.changed", e.block.event)
			require.NoError(t, schema("Event").VisitJSON(decoded(t, e.data)))
			require.Equal(t, list.get(t, "items", i), decoded(t, e.data))
		}
		b.happen(1)
		require.Equal(t, int64(4), s.event().seq, "and goes on")
	})
}

func decoded(t testing.TB, doc string) (v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(doc), &v))
	return v
}

func TestAStreamBeginsWhereItIsTold(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.happen(5)
		for _, c := range []struct {
			query, last string
			from        int64
		}{
			{"", "", 0}, {"?after=3", "", 3}, {"?after=latest", "", 5}, {"?after=latest", "2", 2}, {"?after=1", "5", 5}, {"", "latest", 5},
		} {
			s := b.stream(b.url, b.tokens[store.RoleAdmin], "/api/v1/events/stream"+c.query, header{"Last-Event-ID", c.last})
			require.Equal(t, fmt.Sprint(c.from), s.block().id, "%+v", c)
			if c.from < 5 {
				require.Equal(t, c.from+1, s.event().seq, "%+v", c)
			}
		}
		latest := b.stream(b.url, b.tokens[store.RoleAdmin], "/api/v1/events/stream?after=latest")
		latest.block()
		b.happen(1)
		require.Equal(t, int64(6), latest.event().seq)
	})
}

// A reader is cut fifty times, at any byte, while eight writers commit in
// whatever order and the sequencer numbers. It comes back with the id it saw
// last, and ends with everything, in order, once.
func TestAReaderThatIsCutFiftyTimesMissesNothingAndSeesNothingTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ctx, stop := context.WithCancel(t.Context())
		var writing, working sync.WaitGroup
		working.Go(func() { sequencer.Run(ctx, storetest.Open(t, b.dbURL), slog.New(slog.DiscardHandler)) })
		defer func() { stop(); working.Wait() }()
		db := b.database()
		defer func() { require.NoError(t, db.Close()) }()
		if strings.HasPrefix(b.dbURL, "sqlite:") {
			db.SetMaxOpenConns(1) // it has one writer
		}
		work := make(chan int, 1000) // transactions to do
		for w := range 8 {
			writing.Go(func() {
				for i := range work {
					tx, err := db.BeginTx(ctx, nil)
					if err != nil {
						t.Error(err)
						return
					}
					for range 1 + rand.IntN(3) {
						if _, err := tx.ExecContext(ctx, "INSERT INTO events (type, conversation_id, created_at) VALUES ('conversation.changed', $1, 1)", fmt.Sprint("cnv_", w)); err != nil {
							t.Error(err)
						}
					}
					if i%5 == 0 {
						err = tx.Rollback() // its ids are never seen
					} else {
						err = tx.Commit()
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		urls := []string{b.url}
		if !strings.HasPrefix(b.dbURL, "sqlite:") { // any process may take it up
			_, other := b.serve(storetest.Open(t, b.dbURL))
			urls = append(urls, other)
		}
		var got []streamed
		position, cuts := "0", 0
		read := func(s *eventStream, enough func() bool) {
			defer s.close()
			for !enough() {
				next, err := s.next()
				if err != nil { // cut
					return
				}
				if next.id != "" {
					position = next.id
				}
				if next.data != "" {
					seq, err := strconv.ParseInt(next.id, 10, 64)
					require.NoError(t, err)
					got = append(got, streamed{next, seq})
				}
			}
		}
		for ; cuts < 50; cuts++ {
			for i := range 20 { // more than is read until the next cut
				work <- i
			}
			s := b.stream(urls[cuts%len(urls)], b.tokens[store.RoleSupervisor], "/api/v1/events/stream", header{"Last-Event-ID", position})
			left := &cutter{s.res.Body, rand.IntN(4000)}
			s.lines = bufio.NewReader(left)
			read(s, func() bool { return false })
		}
		close(work)
		writing.Wait()
		var total int64
		b.query(func(rows *sql.Rows) { require.NoError(t, rows.Scan(&total)) }, "SELECT count(*) FROM events")
		read(b.stream(b.url, b.tokens[store.RoleSupervisor], "/api/v1/events/stream", header{"Last-Event-ID", position}),
			func() bool { return len(got) > 0 && got[len(got)-1].seq >= total })

		whole, err := b.store.Events(t.Context(), 0, int(total)+1, "")
		require.NoError(t, err)
		require.Len(t, whole, int(total))
		require.Len(t, got, int(total))
		for i, e := range got {
			require.Equal(t, int64(i+1), e.seq, "no gap, and nothing twice")
			require.Equal(t, whole[i].ConversationID, decoded(t, e.data).(map[string]any)["conversation_id"])
		}
		t.Logf("%d events, %d cuts", total, cuts)
	})
}

// cutter breaks off after so many bytes.
type cutter struct {
	from io.Reader
	left int
}

func (c *cutter) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("cut")
	}
	n, err := c.from.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func TestEveryProcessDelivers(t *testing.T) {
	t.Parallel()
	b := setup(t, "postgres")
	_, other := b.serve(storetest.Open(t, b.dbURL))
	streams := []*eventStream{
		b.stream(b.url, b.tokens[store.RoleSupervisor], "/api/v1/events/stream"),
		b.stream(other, b.tokens[store.RoleAdmin], "/api/v1/events/stream"),
	}
	for i := range 5 {
		b.happen(1)
		for _, s := range streams {
			require.Equal(t, int64(i+1), s.event().seq)
		}
	}
}

// The connection that brings notifications dies again and again; the look once
// a second finds what nobody told of.
func TestALostNotificationLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, "postgres")
	s := b.stream(b.url, b.tokens[store.RoleSupervisor], "/api/v1/events/stream")
	for i := range 3 {
		require.Eventually(t, func() bool {
			killed := 0
			b.query(func(rows *sql.Rows) { killed++ }, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN "kaiwa_events"'`)
			return killed > 0
		}, time.Minute, 10*time.Millisecond)
		b.happen(1)
		require.Equal(t, int64(i+1), s.event().seq)
	}
	require.Contains(t, b.log.String(), "the database does not tell of new events")
}

func TestAStreamOutlivesEveryTimeLimitOfRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		const limit = time.Second
		b.api.Hasten(limit, soon, time30)
		server := b.api.HTTPServer("")
		server.ReadTimeout, server.WriteTimeout, server.ReadHeaderTimeout = limit, limit, limit
		url := serveOn(t, server)
		s := b.stream(url, b.tokens[store.RoleSupervisor], "/api/v1/events/stream")
		began := time.Now()
		for time.Since(began) < 3*limit {
			s.block() // signs of life
		}
		b.happen(1)
		require.Equal(t, int64(1), s.event().seq)
	})
}

// serveOn serves on a free port until the test ends.
func serveOn(t *testing.T, server *http.Server) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return "http://" + l.Addr().String()
}

func TestAShutdownEndsTheStreamsAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		server := b.api.HTTPServer("")
		url := serveOn(t, server)
		var streams []*eventStream
		for range 5 {
			s := b.stream(url, b.tokens[store.RoleSupervisor], "/api/v1/events/stream")
			s.block()
			streams = append(streams, s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, server.Shutdown(ctx))
		for _, s := range streams {
			s.ends()
		}
	})
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.api.Hasten(time30, time30, soon)
		admin := b.agents[store.RoleAdmin]
		issue := func(body map[string]any) (token, id string) {
			r := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+admin.ID+"/tokens", body)
			require.Equal(t, 201, r.Status, "%s", r.Raw)
			return r.text(t, "token"), r.text(t, "id")
		}
		token, id := issue(map[string]any{"name": "revoked"})
		s := b.stream(b.url, token, "/api/v1/events/stream")
		b.happen(1)
		require.Equal(t, int64(1), s.event().seq)
		require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", "/api/v1/tokens/"+id, nil).Status)
		s.ends()

		token, id = issue(map[string]any{"name": "expires"})
		s = b.stream(b.url, token, "/api/v1/events/stream")
		s.event()
		b.sql("UPDATE api_tokens SET expires_at = 1 WHERE id = $1", id)
		s.ends()

		// Somebody else's eyes see something else.
		token, _ = issue(map[string]any{"name": "demoted"})
		s = b.stream(b.url, token, "/api/v1/events/stream")
		s.event()
		b.sql("UPDATE agents SET role = 'agent' WHERE id = $1", admin.ID)
		s.ends()
	})
}

func TestAStreamEndsWhenItsTokenExpires(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	value := store.NewTokenValue()
	_, err := b.store.IssueToken(t.Context(), store.Origin{}, store.Token{AgentID: b.agents[store.RoleAgent].ID, Name: "short", Role: store.RoleAgent, ExpiresAt: time.Now().Add(time.Second)}, value)
	require.NoError(t, err)
	b.stream(b.url, value, "/api/v1/events/stream").ends()
}

func TestATokenHasSoManyStreamsAndNoMore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		_, url := b.serve(b.store, func(c *api.Config) { c.TokenStreams = 2 })
		const path = "/api/v1/events/stream"
		open := []*eventStream{b.stream(url, b.tokens[store.RoleAgent], path), b.stream(url, b.tokens[store.RoleAgent], path)}
		requireProblem(t, b.send(url, b.tokens[store.RoleAgent], "GET", path, nil), 429, "too_many_streams")
		b.stream(url, b.tokens[store.RoleAdmin], path) // another token
		open[0].close()
		require.Eventually(t, func() bool {
			s, err := openStream(t, url, b.tokens[store.RoleAgent], path)
			require.NoError(t, err)
			return s.res.StatusCode == 200
		}, time.Minute, time.Millisecond, "who leaves makes room")
	})
}

// What fifty streams cost while nothing happens is next to nothing; while
// something happens, one look each.
func TestWhatFiftyStreamsCost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		var streams []*eventStream
		for i := range 50 {
			role := []store.Role{store.RoleAgent, store.RoleSupervisor, store.RoleAdmin}[i%3]
			s := b.stream(b.url, b.tokens[role], "/api/v1/events/stream")
			s.block()
			streams = append(streams, s)
		}
		const batches, each = 10, 20
		before := b.store.Statements()
		for batch := range batches {
			for range each {
				b.sql("INSERT INTO events (type, subject_id, created_at) VALUES ('agent.presence_changed', $1, 1)", b.agents[store.RoleAgent].ID)
			}
			b.number()
			for _, s := range streams {
				for i := range each {
					require.Equal(t, int64(batch*each+i+1), s.event().seq)
				}
			}
		}
		cost := b.store.Statements() - before
		t.Logf("50 streams: %d statements for %d batches, %.3f for each event that is delivered", cost, batches, float64(cost)/(50*batches*each))
		require.LessOrEqual(t, cost, int64(batches*10+50)) // and each stream's first look and sign of life

		idle, began := b.store.Statements(), time.Now()
		require.Eventually(t, func() bool { return b.store.Statements() >= idle+2 }, time.Minute, time.Millisecond)
		t.Logf("50 idle streams: %.1f statements a second", float64(b.store.Statements()-idle)/time.Since(began).Seconds())
	})
}

func TestAClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	stuck := b.stream(b.url, b.tokens[store.RoleSupervisor], "/api/v1/events/stream")
	data := string(bytes.Repeat([]byte("x"), 1<<10))
	b.sql(`INSERT INTO events (type, conversation_id, data, created_at) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT 'x', 'cnv_x', $1, i FROM n`, `{"x":"`+data+`"}`)
	for range 20 {
		b.number()
	}
	s := b.stream(b.url, b.tokens[store.RoleAdmin], "/api/v1/events/stream")
	for s.event().seq < 20000 {
	}
	for stuck.event().seq < 20000 { // its own events waited in the database
	}
}

func TestOneStreamFewerAfterEachEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	s := b.stream(b.url, b.tokens[store.RoleAgent], "/api/v1/events/stream")
	require.Contains(t, string(b.as("", "GET", "/metrics", nil).Raw), "kaiwa_event_streams 1\n")
	s.close()
	require.Eventually(t, func() bool {
		return strings.Contains(string(b.as("", "GET", "/metrics", nil).Raw), "kaiwa_event_streams 0\n")
	}, time.Minute, time.Millisecond)
}

// Whoever has a stream open is there, whatever else they do.
func TestAnOpenStreamIsASignOfLife(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.api.Hasten(time30, time30, soon)
		agent := b.agents[store.RoleAgent].ID
		b.sql("INSERT INTO agent_states (agent_id, chosen, presence, last_seen_at) VALUES ($1, 'available', 'offline', 1)", agent)
		seen := func() (presence string, at int64) {
			b.query(func(rows *sql.Rows) { require.NoError(t, rows.Scan(&presence, &at)) }, "SELECT presence, last_seen_at FROM agent_states WHERE agent_id = $1", agent)
			return presence, at
		}
		kicks := b.kicks.n.Load()
		s := b.stream(b.url, b.tokens[store.RoleAgent], "/api/v1/events/stream?after=latest")
		var first int64
		require.Eventually(t, func() bool {
			var presence string
			presence, first = seen()
			return presence == "available" && b.kicks.n.Load() == kicks+1
		}, time.Minute, time.Millisecond)
		b.number()
		require.Equal(t, "agent.presence_changed", s.event().block.event)
		require.Eventually(t, func() bool { _, at := seen(); return at > first }, time.Minute, time.Millisecond, "again and again")
	})
}

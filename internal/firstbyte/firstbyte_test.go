package firstbyte_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/firstbyte"
)

// pipes is a listener within the process, on whose connections a bubble's clock
// runs.
type pipes struct {
	conns chan net.Conn
	fails chan error
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), fails: make(chan error), done: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case err := <-p.fails:
		return nil, err
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial() net.Conn {
	theirs, ours := net.Pipe()
	p.conns <- theirs
	return ours
}

const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"

// serve serves what was posted back, with the time-outs of an API.
func serve(l net.Listener) *http.Server {
	s := &http.Server{
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = w.Write(body)
		}),
	}
	go func() { _ = s.Serve(l) }() // ends with Close
	return s
}

func answer(t *testing.T, c net.Conn) string {
	t.Helper()
	go func() { _, _ = io.WriteString(c, post) }() // its end is the answer's
	buf := make([]byte, 4096)
	said := ""
	for !strings.HasSuffix(said, "body") {
		n, err := c.Read(buf)
		require.NoError(t, err)
		said += string(buf[:n])
	}
	return said
}

func TestAConnectionThatWasNeverUsedServesAfterAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := newPipes()
		s := serve(firstbyte.Listen(inner, 2*time.Minute))
		c := inner.dial()
		for range 2 { // the second time it is one that was used
			time.Sleep(time.Minute)
			require.Contains(t, answer(t, c), "200 OK")
		}
		require.NoError(t, s.Close())
		require.NoError(t, c.Close())
	})
}

// A server by itself ends such a connection after its time for headers, which is
// what the package is for.
func TestHowLongAConnectionThatCarriesNothingLives(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		listen func(net.Listener) net.Listener
		lives  time.Duration
	}{
		"by itself":      {func(l net.Listener) net.Listener { return l }, 5 * time.Second},
		"for first byte": {func(l net.Listener) net.Listener { return firstbyte.Listen(l, 2*time.Minute) }, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				inner := newPipes()
				s := serve(c.listen(inner))
				unused := inner.dial()
				start := time.Now()
				_, err := unused.Read(make([]byte, 1))
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, c.lives, time.Since(start))
				require.NoError(t, s.Close())
			})
		})
	}
}

// Who begins a request and does not go on is not waited for any longer than
// before.
func TestHeadersThatDoNotComeAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := newPipes()
		s := serve(firstbyte.Listen(inner, 2*time.Minute))
		c := inner.dial()
		time.Sleep(time.Minute)
		start := time.Now()
		_, err := io.WriteString(c, post[:10])
		require.NoError(t, err)
		_, err = io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.NoError(t, s.Close())
	})
}

func TestClosingEndsConnectionsThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := newPipes()
		l := firstbyte.Listen(inner, 2*time.Minute)
		c := inner.dial()
		synctest.Wait()
		require.NoError(t, l.Close())
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestAFailureToAcceptIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := newPipes()
		l := firstbyte.Listen(inner, time.Minute)
		full := errors.New("too many open files")
		go func() { inner.fails <- full }()
		_, err := l.Accept()
		require.ErrorIs(t, err, full)
		go func() { _, _ = io.WriteString(inner.dial(), "x") }()
		c, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
	})
}

// Over TCP, whose connections can end one direction and send files.
func TestOverTCP(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := firstbyte.Listen(inner, time.Minute)
	require.Equal(t, inner.Addr(), l.Addr())
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(c, "hello")
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	server, err := l.Accept()
	require.NoError(t, err)
	heard, err := io.ReadAll(server)
	require.NoError(t, err)
	require.Equal(t, "hello", string(heard))
	n, err := server.(io.ReaderFrom).ReadFrom(strings.NewReader("goodbye"))
	require.NoError(t, err)
	require.EqualValues(t, 7, n)
	require.NoError(t, server.(interface{ CloseWrite() error }).CloseWrite())
	heard, err = io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "goodbye", string(heard))
	require.NoError(t, server.Close())
	require.NoError(t, c.Close())
	require.NoError(t, l.Close())
}

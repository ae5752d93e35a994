// Package firstbyte lets a connection that has not carried anything yet live as
// long as one that has.
//
// An http.Server's time for the headers of a first request begins with the
// connection. Clients and balancers open connections that they then do not need
// at once, as Go's do when another becomes free meanwhile, and keep them for later.
// The server would end those after its few seconds; a POST that is sent at
// that moment fails, and nobody knows whether it was done.
package firstbyte

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Listener hands connections on when their first byte is there. Until then they
// cost a goroutine each, as they would in a server.
type Listener struct {
	inner  net.Listener
	unused time.Duration
	ready  chan accepted
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	waiting map[net.Conn]struct{} // nil when closed
}

type accepted struct {
	conn net.Conn
	err  error
}

// Listen makes a Listener of another, and closes connections that carry nothing
// for the time given. Close closes those that have not carried anything as well.
func Listen(inner net.Listener, unused time.Duration) *Listener {
	l := &Listener{inner: inner, unused: unused, ready: make(chan accepted), closed: make(chan struct{}), waiting: map[net.Conn]struct{}{}}
	go l.run()
	return l
}

// Accept returns the next connection that carries something.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close ends the listening.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	err := l.inner.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.waiting {
		err = errors.Join(err, c.Close())
	}
	l.waiting = nil
	return err
}

func (l *Listener) run() {
	for {
		c, err := l.inner.Accept()
		if err == nil {
			go l.await(c)
			continue
		}
		if !l.hand(accepted{err: err}) || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// hand gives something to Accept; false when nobody accepts any more.
func (l *Listener) hand(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.closed:
		return false
	}
}

// await hands a connection on with its first byte.
func (l *Listener) await(c net.Conn) {
	if !l.enter(c) {
		_ = c.Close()
		return
	}
	begun := &conn{Conn: c}
	err := c.SetReadDeadline(time.Now().Add(l.unused))
	if err == nil {
		_, err = io.ReadFull(c, begun.first[:])
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	if !l.leave(c) || err != nil || !l.hand(accepted{conn: begun}) {
		_ = c.Close()
	}
}

func (l *Listener) enter(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		return false
	}
	l.waiting[c] = struct{}{}
	return true
}

func (l *Listener) leave(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, c)
	return l.waiting != nil
}

// conn is a connection whose first byte was read already. As any of a server's,
// it is read by one goroutine at a time.
type conn struct {
	net.Conn
	first [1]byte
	given bool
}

func (c *conn) Read(p []byte) (int, error) {
	if c.given || len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.given = true
	return copy(p, c.first[:]), nil
}

// ReadFrom writes what a reader has, in the way the connection itself does best.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite ends one direction, where that can be done: the other side reads the
// last answer to its end.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

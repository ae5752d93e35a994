package netguard

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"syscall"
)

// guard is the transport of a client: it decides about URLs before a request
// and about addresses before a connection.
type guard struct {
	allowPrivate bool
	maxBytes     int64
	transport    *http.Transport

	// What tests need to have a public server on this machine; nil otherwise.
	except map[netip.AddrPort]bool
	tls    *tls.Config
}

// RoundTrip checks the request's URL, carries it out and bounds the response.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkShape(req.URL, g.allowPrivate); err != nil {
		if req.Body != nil {
			err = errors.Join(err, req.Body.Close())
		}
		return nil, err
	}
	res, err := g.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.ContentLength > g.maxBytes {
		return nil, errors.Join(fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, res.ContentLength, g.maxBytes), res.Body.Close())
	}
	res.Body = &bounded{ReadCloser: res.Body, left: g.maxBytes, max: g.maxBytes}
	return res, nil
}

// control sees every connection's address after resolution, before it is made.
func (g *guard) control(network, address string, _ syscall.RawConn) error {
	if g.allowPrivate {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return refuse("%s %s is not an internet address", network, address)
	}
	if g.except[at] || public(at.Addr()) {
		return nil
	}
	return refuse("%s is not a public address", at.Addr())
}

// bounded reads at most left bytes and then fails, unless that was all.
type bounded struct {
	io.ReadCloser
	left, max int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("%w: at most %d bytes are read", ErrTooLarge, b.max)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more, to tell the end from more to come
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, fmt.Errorf("%w: at most %d bytes are read", ErrTooLarge, b.max)
	}
	return n, err
}

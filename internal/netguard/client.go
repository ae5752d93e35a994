package netguard

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The defaults of Options.
const (
	DefaultTimeout          = 10 * time.Second
	DefaultMaxResponseBytes = 1 << 20
)

const (
	dialTimeout       = 3 * time.Second
	maxResponseHeader = 64 << 10
)

// ErrTooLarge is what reading a response comes to that is larger than
// Options.MaxResponseBytes.
var ErrTooLarge = errors.New("the response is too large")

// ErrTooManyRedirects is what a call comes to that is redirected more often
// than Options.MaxRedirects.
var ErrTooManyRedirects = errors.New("too many redirects")

// Options says what a client may do.
type Options struct {
	// AllowPrivate lifts every restriction on addresses, and allows http. It is
	// for development, where bots run on the same machine.
	AllowPrivate bool
	// Timeout bounds a call from the name's resolution to the last byte read of
	// the body; 0 is DefaultTimeout.
	Timeout time.Duration
	// MaxRedirects is how many redirects are followed. With 0 the redirect
	// itself is the response.
	MaxRedirects int
	// MaxResponseBytes bounds the body, after decompression; 0 is
	// DefaultMaxResponseBytes.
	MaxResponseBytes int64
}

// NewClient returns a client for addresses that users give. Unless AllowPrivate,
// it speaks https only and connects to public addresses only: not to loopback,
// private, link-local, carrier-grade NAT, multicast, reserved, documentation and
// cloud metadata addresses, nor to IPv6 forms that carry an IPv4 address
// (mapped, NAT64, 6to4, Teredo); so a network that reaches the internet by NAT64
// alone needs IPv4 of its own for this. It refuses URLs with user names, ignores the
// environment's proxies, and checks every redirect like a first request.
//
// A refusal has ErrRefused in its chain. The client is safe for concurrent use
// and keeps connections: make one and share it.
func NewClient(o Options) *http.Client {
	return newClient(o, &guard{allowPrivate: o.AllowPrivate})
}

func newClient(o Options, g *guard) *http.Client {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if g.maxBytes = o.MaxResponseBytes; g.maxBytes == 0 {
		g.maxBytes = DefaultMaxResponseBytes
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: g.control}
	g.transport = &http.Transport{
		Proxy:                  nil, // a proxy would make the connection where nobody checks it
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        g.tls,
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	return &http.Client{
		Transport: g,
		Timeout:   o.Timeout,
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			switch {
			case o.MaxRedirects == 0:
				return http.ErrUseLastResponse
			case len(via) > o.MaxRedirects:
				return fmt.Errorf("%w: more than %d", ErrTooManyRedirects, o.MaxRedirects)
			}
			return nil // the guard checks the next request as it does the first
		},
	}
}

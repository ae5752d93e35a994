package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asPublic returns a client that takes s for a server on the internet.
func asPublic(t *testing.T, s *httptest.Server, o Options) *http.Client {
	t.Helper()
	at, err := netip.ParseAddrPort(s.Listener.Addr().String())
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := newClient(o, &guard{except: map[netip.AddrPort]bool{at: true}, tls: &tls.Config{RootCAs: roots}})
	t.Cleanup(func() { c.Transport.(*guard).transport.CloseIdleConnections() })
	return c
}

func get(t *testing.T, c *http.Client, url string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(res.Body)
	require.NoError(t, res.Body.Close())
	return res.StatusCode, string(body), err
}

func serve(t *testing.T, start func(http.Handler) *httptest.Server, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := start(h)
	t.Cleanup(s.Close)
	return s
}

func TestPrivateAddressesAreRefusedWhenConnecting(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewTLSServer, func(http.ResponseWriter, *http.Request) { t.Error("was reached") })
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	c := NewClient(Options{})
	// "localhost" stands for any name that resolves to an inner address: the
	// client is not told what the name said before.
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		_, _, err := get(t, c, "https://"+host+":"+port+"/")
		if host == "127.1" && !errors.Is(err, ErrRefused) {
			require.Error(t, err) // not every resolver knows this spelling
			continue
		}
		require.ErrorIs(t, err, ErrRefused, host)
	}
}

func TestARedirectToAPrivateAddressIsRefused(t *testing.T) {
	t.Parallel()
	inner := serve(t, httptest.NewTLSServer, func(http.ResponseWriter, *http.Request) { t.Error("was reached") })
	for _, target := range []string{
		inner.URL,
		strings.Replace(inner.URL, "127.0.0.1", "localhost", 1),
		"http://169.254.169.254/latest/meta-data/",
		"https://169.254.169.254/latest/meta-data/",
		"https://user:word@example.com/",
		"file:///etc/passwd",
	} {
		outer := serve(t, httptest.NewTLSServer, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target, http.StatusFound)
		})
		_, _, err := get(t, asPublic(t, outer, Options{MaxRedirects: 3}), outer.URL)
		require.ErrorIs(t, err, ErrRefused, target)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewTLSServer, func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"/3": "/2", "/2": "/1", "/1": "/0"}[r.URL.Path]
		if next == "" {
			_, _ = io.WriteString(w, "arrived")
			return
		}
		http.Redirect(w, r, next, http.StatusFound)
	})

	status, _, err := get(t, asPublic(t, s, Options{}), s.URL+"/1")
	require.NoError(t, err)
	require.Equal(t, http.StatusFound, status, "none followed: the redirect is the response")

	c := asPublic(t, s, Options{MaxRedirects: 2})
	_, body, err := get(t, c, s.URL+"/2")
	require.NoError(t, err)
	require.Equal(t, "arrived", body)

	_, _, err = get(t, c, s.URL+"/3")
	require.ErrorIs(t, err, ErrTooManyRedirects)
}

func TestAllowPrivateReachesThisMachineByHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	_, body, err := get(t, NewClient(Options{AllowPrivate: true}), s.URL)
	require.NoError(t, err)
	require.Equal(t, "hello", body)

	_, _, err = get(t, NewClient(Options{}), s.URL)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "https")

	_, _, err = get(t, NewClient(Options{AllowPrivate: true}), strings.Replace(s.URL, "://", "://user:word@", 1))
	require.ErrorIs(t, err, ErrRefused)
}

func TestResponsesAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewTLSServer, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("chunked") {
			w.(http.Flusher).Flush() // no Content-Length from here on
		}
		_, _ = io.WriteString(w, strings.Repeat("x", len(r.URL.Query().Get("n"))))
	})
	c := asPublic(t, s, Options{MaxResponseBytes: 10})
	for _, mode := range []string{"", "&chunked"} {
		_, body, err := get(t, c, s.URL+"/?n="+strings.Repeat("1", 10)+mode)
		require.NoError(t, err)
		require.Len(t, body, 10)

		_, body, err = get(t, c, s.URL+"/?n="+strings.Repeat("1", 11)+mode)
		require.ErrorIs(t, err, ErrTooLarge)
		require.LessOrEqual(t, len(body), 10)
	}
}

func TestTheTimeoutBoundsTheBodyToo(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, httptest.NewTLSServer, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	t.Cleanup(func() { close(release) })
	_, _, err := get(t, asPublic(t, s, Options{Timeout: 100 * time.Millisecond}), s.URL)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
}

// t.Setenv forbids t.Parallel.
func TestTheEnvironmentsProxyIsIgnored(t *testing.T) {
	proxy := serve(t, httptest.NewServer, func(http.ResponseWriter, *http.Request) { t.Error("was asked") })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	s := serve(t, httptest.NewTLSServer, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "direct") })
	_, body, err := get(t, asPublic(t, s, Options{}), s.URL)
	require.NoError(t, err)
	require.Equal(t, "direct", body)
	require.Nil(t, NewClient(Options{}).Transport.(*guard).transport.Proxy)
}

func TestARefusedRequestClosesItsBody(t *testing.T) {
	t.Parallel()
	body := &closing{Reader: strings.NewReader("secret")}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://example.com", body)
	require.NoError(t, err)
	res, err := NewClient(Options{}).Transport.RoundTrip(req)
	require.ErrorIs(t, err, ErrRefused)
	require.Nil(t, res)
	require.True(t, body.closed)
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestControlRefusesWhatIsNoInternetAddress(t *testing.T) {
	t.Parallel()
	g := &guard{}
	require.ErrorIs(t, g.control("unix", "/var/run/docker.sock", nil), ErrRefused)
	require.ErrorIs(t, g.control("tcp4", "nonsense", nil), ErrRefused)
	require.NoError(t, g.control("tcp4", "8.8.8.8:443", nil))
	var asURL *url.Error
	_, _, err := get(t, NewClient(Options{}), "https://10.0.0.1/")
	require.ErrorAs(t, err, &asURL)
	require.ErrorIs(t, err, ErrRefused)
}

package line

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// LINE's two hosts.
const (
	DefaultAPIURL     = "https://api.line.me"
	DefaultDataAPIURL = "https://api-data.line.me"
)

const (
	dialTimeout = 3 * time.Second
	callTimeout = 10 * time.Second

	// maxAnswer bounds what is read of an answer, content apart. LINE's largest is
	// a list of 1,000 rich menus; the others are a few kilobytes.
	maxAnswer = 4 << 20
)

// Config says where LINE is and how to reach it.
type Config struct {
	APIURL     string // "" is DefaultAPIURL
	DataAPIURL string // "" is DefaultDataAPIURL
	// HTTPClient nil is one that gives a connection 3 s and a call 10 s. The
	// download of content has no limit of its own once LINE has begun to
	// answer: its context bounds it. Redirects are never followed: LINE makes
	// none, and a request carries the channel's token.
	HTTPClient *http.Client
	// Observe, when set, is told of every call.
	Observe func(Call)
	// Wrap, when set, goes around whatever carries the requests.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// API is LINE's Messaging API. It is safe for concurrent use; one serves every
// channel of a process.
type API struct {
	apiURL, dataURL string
	calls           *http.Client // whole call bounded
	downloads       *http.Client // bounded to the answer's header
	observe         func(Call)
}

// New returns LINE's API. The URLs must be absolute; with one that is not,
// every call fails as ClassRefused.
func New(cfg Config) *API {
	a := &API{apiURL: DefaultAPIURL, dataURL: DefaultDataAPIURL, observe: cfg.Observe}
	if cfg.APIURL != "" {
		a.apiURL = strings.TrimRight(cfg.APIURL, "/")
	}
	if cfg.DataAPIURL != "" {
		a.dataURL = strings.TrimRight(cfg.DataAPIURL, "/")
	}
	base := cfg.HTTPClient
	if base == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
		transport.TLSHandshakeTimeout = dialTimeout
		transport.ResponseHeaderTimeout = callTimeout
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 128, 64 // there are only two hosts
		base = &http.Client{Transport: transport, Timeout: callTimeout}
	}
	calls, downloads := *base, *base
	if cfg.Wrap != nil {
		transport := base.Transport
		if transport == nil {
			transport = http.DefaultTransport
		}
		calls.Transport = cfg.Wrap(transport)
		downloads.Transport = calls.Transport
	}
	calls.CheckRedirect, downloads.CheckRedirect = noRedirects, noRedirects
	downloads.Timeout = 0
	a.calls, a.downloads = &calls, &downloads
	return a
}

func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// As returns a client that acts as the channel whose access token it is given.
// It costs nothing to make, so make one per call: tokens change.
func (a *API) As(token string) *Client { return &Client{api: a, token: token} }

// Client calls LINE as one channel. Every failure of its methods is an *Error.
type Client struct {
	api   *API
	token string
}

// answer is what LINE said, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // the body broke off or is larger than maxAnswer
}

func (a *answer) requestID() string {
	id := a.header.Get("X-Line-Request-Id")
	if !validToken(id) {
		return ""
	}
	return id
}

// read reads and closes the answer's body, within maxAnswer.
func read(res *http.Response) *answer {
	a := &answer{status: res.StatusCode, header: res.Header}
	a.body, a.err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if a.err == nil && len(a.body) > maxAnswer {
		a.body, a.err = nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	if err := res.Body.Close(); a.err == nil {
		a.err = err
	}
	return a
}

// exchange is an http.RoundTripper that reads the answer whole, within
// maxAnswer, and keeps it. The SDK reads answers without a limit, drops their
// headers and turns refusals into text; behind an exchange none of that
// matters.
type exchange struct {
	api  *API
	last *answer
}

// RoundTrip carries out req and hands on a copy of the answer in memory.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	transport := x.api.calls.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	begun := time.Now()
	res, err := transport.RoundTrip(req)
	if err != nil {
		x.api.note(req, begun, nil)
		return nil, err
	}
	a := read(res)
	x.api.note(req, begun, a)
	x.last = a
	res.Body = io.NopCloser(bytes.NewReader(a.body))
	return res, nil
}

// http returns a client for one call that goes through x.
func (x *exchange) http() *http.Client {
	c := *x.api.calls
	c.Transport = x
	return &c
}

// fail turns what a call through x returned into an Error; nil stays nil.
func (x *exchange) fail(err error) error {
	switch {
	case x.last == nil && err != nil:
		return noAnswer(err)
	case x.last == nil:
		return nil
	case x.last.status/100 != 2:
		return errorOf(x.last)
	case x.last.err != nil || err != nil:
		return &Error{Class: ClassServer, Status: x.last.status, RequestID: x.last.requestID(), Message: "LINE's answer could not be read", Err: x.last.err}
	}
	return nil
}

func (x *exchange) requestID() string {
	if x.last == nil {
		return ""
	}
	return x.last.requestID()
}

// do carries out a request of our own making.
func (c *Client) do(req *http.Request) (*answer, error) {
	if err := c.checkToken(); err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	x := &exchange{api: c.api}
	res, err := x.http().Do(req)
	if err != nil {
		return nil, noAnswer(err)
	}
	if err := res.Body.Close(); err != nil {
		return nil, noAnswer(err)
	}
	return x.last, nil
}

// checkToken keeps a token that no header can carry from being mistaken for a
// LINE that does not answer.
func (c *Client) checkToken() error {
	if !validToken(c.token) {
		return &Error{Class: ClassUnauthorized, Message: "The channel has no usable access token.", unsent: true}
	}
	return nil
}

// noAnswer classifies the failure of a call that got no answer.
func noAnswer(err error) *Error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the URL holds ids
	}
	e := &Error{Class: ClassNoAnswer, Err: err}
	var op *net.OpError
	var dns *net.DNSError
	e.unsent = errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns)
	return e
}

// post makes a request with a JSON body.
func (c *Client) post(ctx context.Context, path string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.api.apiURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, refused("the request could not be made: %v", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	return req, nil
}

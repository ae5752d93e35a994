package rig

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// healthPause is how often the balancer asks the APIs whether they are ready.
const healthPause = 200 * time.Millisecond

// balancer passes requests on to the APIs in turn, as any load balancer does:
// those that say that they are not ready are left out while another is. A
// request that an API did not take is tried with the next; one that it took and
// did not answer is answered 502, since nobody knows what became of it.
type balancer struct {
	turn  atomic.Uint64
	apis  atomic.Pointer[[]*backend]
	inner *http.Transport
	proxy http.Handler
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

// backend is an API as the balancer knows it.
type backend struct {
	process *Process
	url     *url.URL
	unready atomic.Bool
}

func newBalancer() *balancer {
	ctx, stop := context.WithCancel(context.Background())
	b := &balancer{stop: stop, inner: &http.Transport{
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second,
	}}
	b.apis.Store(&[]*backend{})
	b.proxy = &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetXForwarded() },
		Transport:    b,
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	b.wg.Go(func() { b.watch(ctx) })
	return b
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.proxy.ServeHTTP(w, r) }

// Close ends what the balancer does by itself.
func (b *balancer) Close() error {
	b.stop()
	b.wg.Wait()
	b.inner.CloseIdleConnections()
	return nil
}

// add makes an API known.
func (b *balancer) add(p *Process) error {
	u, err := url.Parse(p.URL())
	if err != nil {
		return err
	}
	all := append(slices.Clone(*b.apis.Load()), &backend{process: p, url: u})
	b.apis.Store(&all)
	return nil
}

func (b *balancer) watch(ctx context.Context) {
	tick := time.NewTicker(healthPause)
	defer tick.Stop()
	for {
		for _, api := range *b.apis.Load() {
			api.unready.Store(answersReady(ctx, api.process.URL()) != nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// inTurn are the APIs to try: the ready ones, or all when none is.
func (b *balancer) inTurn() []*backend {
	all := *b.apis.Load()
	var ready, rest []*backend
	first := b.turn.Add(1)
	for i := range all {
		api := all[(first+uint64(i))%uint64(len(all))]
		switch {
		case !api.process.Alive():
		case api.unready.Load():
			rest = append(rest, api)
		default:
			ready = append(ready, api)
		}
	}
	return append(ready, rest...)
}

var errNoAPI = errors.New("no API takes requests")

// RoundTrip asks one API after the other until one takes the request.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	err := errNoAPI
	if r.Body != nil {
		r.Body = io.NopCloser(r.Body) // a connection that cannot be made would close it
	}
	for _, api := range b.inTurn() {
		r.URL.Scheme, r.URL.Host = api.url.Scheme, api.url.Host
		var res *http.Response
		res, err = b.inner.RoundTrip(r)
		var op *net.OpError
		if err == nil || !errors.As(err, &op) || op.Op != "dial" {
			return res, err
		}
	}
	return nil, err
}

package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"syscall"
)

// The settings that people change when an address cannot be had.
const (
	frontendSetting = "KAIWA_TEMPORAL_ADDR"
	uiSetting       = "KAIWA_TEMPORAL_UI_ADDR"
)

const loopback = "127.0.0.1"

// reservation is a listener that holds a port until the server, which can only
// be told a number, takes it over.
type reservation struct {
	ip   string
	port int
	held *net.TCPListener
}

// ports are the four gRPC addresses of the server. Only the frontend's may be
// chosen; the others are internal.
type ports struct {
	frontend, history, matching, worker reservation
}

func reservePorts(ctx context.Context, frontendAddr string) (_ *ports, err error) {
	p := &ports{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.frontend.held, err = listen(ctx, frontendSetting, frontendAddr); err != nil {
		return nil, err
	}
	for _, internal := range []*reservation{&p.history, &p.matching, &p.worker} {
		if internal.held, err = listen(ctx, "a port of the embedded Temporal", net.JoinHostPort(loopback, "0")); err != nil {
			return nil, err
		}
	}
	for _, r := range p.all() {
		addr := r.held.Addr().(*net.TCPAddr)
		r.ip, r.port = addr.IP.String(), addr.Port
	}
	return p, nil
}

func (p *ports) all() []*reservation {
	return []*reservation{&p.frontend, &p.history, &p.matching, &p.worker}
}

func (p *ports) frontendAddr() string {
	return net.JoinHostPort(dialable(p.frontend.ip), strconv.Itoa(p.frontend.port))
}

// release gives the ports up for the server to take within the next seconds.
func (p *ports) release() error {
	for _, r := range p.all() {
		if err := r.release(); err != nil {
			return fmt.Errorf("hand over port %d: %w", r.port, err)
		}
	}
	return nil
}

// close gives up what is still held.
func (p *ports) close() {
	for _, r := range p.all() {
		if r.held != nil {
			_ = r.held.Close()
		}
	}
}

// release leaves behind, on Linux, a connection that the server's side closed
// first. While it is in TIME_WAIT (a minute) the kernel gives the port to nobody
// who asks for any free one, yet it can be bound by number. Other systems hand
// ephemeral ports out in sequence and need no such care.
func (r *reservation) release() (err error) {
	held := r.held
	r.held = nil
	defer func() {
		if closeErr := held.Close(); err == nil {
			err = closeErr
		}
	}()
	if runtime.GOOS != "linux" {
		return nil
	}
	out, err := net.Dial("tcp", net.JoinHostPort(dialable(r.ip), strconv.Itoa(r.port)))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	in, err := held.Accept()
	if err != nil {
		return err
	}
	return in.Close()
}

func listenUI(ctx context.Context, addr string) (net.Listener, error) {
	return listen(ctx, uiSetting, addr)
}

// listen binds addr. The errors are sentences for the person who set it.
func listen(ctx context.Context, setting, addr string) (*net.TCPListener, error) {
	ip, port, err := resolve(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not a usable address: %w", setting, addr, err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(ip, port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address %s is in use: set %s to another port, or 0 for any free one: %w", addr, setting, err)
	case err != nil:
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", setting, addr, err)
	}
	return l.(*net.TCPListener), nil
}

// resolve turns host:port into an IP, because that is what the server binds. A
// missing host means every interface, a name its IPv4 address if it has one.
func resolve(ctx context.Context, addr string) (ip, port string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "", err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	if host == "" {
		return "0.0.0.0", port, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), port, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", "", err
	}
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			return a.String(), port, nil
		}
	}
	return found[0].String(), port, nil
}

// dialable is ip, or loopback where ip stands for every interface.
func dialable(ip string) string {
	if a, err := netip.ParseAddr(ip); err == nil && a.IsUnspecified() {
		return loopback
	}
	return ip
}

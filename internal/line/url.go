package line

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"kaiwa/internal/textlen"
)

// checkURL says what is wrong with the URL of something LINE or its apps load:
// HTTPS, or plain HTTP on this machine itself, which only a simulator reaches.
func checkURL(raw string, limit int) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return errors.New("is missing")
	case textlen.UTF16(raw) > limit:
		return fmt.Errorf("is longer than %d characters", limit)
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("is not an absolute URL")
	case u.Scheme == "https":
	case u.Scheme == "http" && Loopback(u.Hostname()):
	default:
		return errors.New("must be an https URL")
	}
	if !percentEncoded(raw) {
		return errors.New("must be percent-encoded")
	}
	return nil
}

// Loopback tells whether a host is this machine itself.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// percentEncoded tells whether a URI has no character that must be encoded in
// every part of it.
func percentEncoded(raw string) bool {
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] > '~' {
			return false
		}
	}
	return true
}

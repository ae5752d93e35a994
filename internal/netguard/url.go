package netguard

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ErrRefused is in the chain of every error by which this package refuses an
// address or a URL.
var ErrRefused = errors.New("refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

const maxURL = 2000 // bytes

// CheckURL says early and clearly whether a client of this package would refuse
// a URL whatever its name resolves to: for settings, where somebody waits to be
// told. It asks no name server, so what it accepts may still be refused when a
// connection is made. allowPrivate is Options.AllowPrivate.
func CheckURL(raw string, allowPrivate bool) error {
	if len(raw) > maxURL {
		return refuse("the URL is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return refuse("that is not a URL")
	}
	if err := checkShape(u, allowPrivate); err != nil {
		return err
	}
	if allowPrivate {
		return nil
	}
	return checkHost(u.Hostname())
}

// checkShape checks all of a URL but where it leads.
func checkShape(u *url.URL, allowPrivate bool) error {
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && allowPrivate:
	case u.Scheme == "http":
		return refuse("the URL must be https")
	default:
		return refuse("the URL must begin with https://")
	}
	if u.User != nil {
		return refuse("the URL must not hold a user name or password")
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return refuse("the URL has no host")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return refuse("the URL's port must be 1 to 65535")
		}
	}
	return nil
}

// checkHost refuses what needs no name server to be seen through.
func checkHost(host string) error {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(host); err == nil {
		if !public(a) {
			return refuse("%s is not a public address", host)
		}
		return nil
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	switch {
	case last == "localhost" || last == "local" || last == "internal" || len(labels) == 1:
		return refuse("%s is not a name on the internet", host)
	case isNumber(last):
		// 127.1, 0x7f.1 and 2130706433 are spellings of addresses that some
		// resolvers understand.
		return refuse("%s is neither a name nor an address in its usual form", host)
	}
	return nil
}

func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

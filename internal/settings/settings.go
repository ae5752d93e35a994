// Package settings is what an installation of Kaiwa is told from outside: flags,
// and environment variables of the same name. A missing or wrong setting stops
// the start with one sentence that names it.
package settings

import (
	"net"
	"net/url"
	"strings"
	"time"

	"kaiwa/internal/clamd"
	"kaiwa/internal/keyring"
)

// Common are the settings of every process that opens the database.
type Common struct {
	DatabaseURL string `name:"database-url" aliases:"kaiwa-database-url" env:"KAIWA_DATABASE_URL" placeholder:"URL" help:"postgres://… or sqlite:PATH"`
	SecretKeys  string `name:"secret-keys" aliases:"kaiwa-secret-keys" env:"KAIWA_SECRET_KEYS" placeholder:"KEYS" help:"key ring id:base64(32 bytes)[,…] that encrypts channel secrets at rest; the first is current"`
	LogLevel    string `name:"log-level" aliases:"kaiwa-log-level" env:"KAIWA_LOG_LEVEL" default:"info" help:"debug, info, warn or error"`
}

// Outside are the settings of processes that talk to LINE and to bots.
type Outside struct {
	LINEAPIURL            string `name:"line-api-url" aliases:"kaiwa-line-api-url" env:"KAIWA_LINE_API_URL" placeholder:"URL" help:"LINE's API host, if other than the public one"`
	LINEDataAPIURL        string `name:"line-data-api-url" aliases:"kaiwa-line-data-api-url" env:"KAIWA_LINE_DATA_API_URL" placeholder:"URL" help:"LINE's data API host, if other than the public one"`
	LINEAccessURL         string `name:"line-access-url" aliases:"kaiwa-line-access-url" env:"KAIWA_LINE_ACCESS_URL" placeholder:"URL" help:"host of LINE's account link dialog, if other than the public one"`
	AllowPrivateAddresses bool   `name:"allow-private-addresses" aliases:"kaiwa-allow-private-addresses" env:"KAIWA_ALLOW_PRIVATE_ADDRESSES" help:"bots and webhooks may be on private or loopback addresses"`
	BlobURL               string `name:"blob-url" aliases:"kaiwa-blob-url" env:"KAIWA_BLOB_URL" placeholder:"URL" help:"where files are kept: a gocloud.dev bucket URL"`
	PublicURL             string `name:"public-url" aliases:"kaiwa-public-url" env:"KAIWA_PUBLIC_URL" placeholder:"URL" help:"how LINE and browsers reach the API"`
	FilesURL              string `name:"files-url" aliases:"kaiwa-files-url" env:"KAIWA_FILES_URL" placeholder:"URL" help:"origin for customer files, if other than the public URL"`
	ClamdAddr             string `name:"clamd-addr" aliases:"kaiwa-clamd-addr" env:"KAIWA_CLAMD_ADDR" placeholder:"ADDR" help:"ClamAV's daemon, which looks at every file: host:port, or unix:/path of its socket; without it nobody looks"`
}

// HTTP are the settings of the process that serves the API.
type HTTP struct {
	HTTPAddr string `name:"http-addr" aliases:"kaiwa-http-addr" env:"KAIWA_HTTP_ADDR" default:"127.0.0.1:8080" help:"where the API, the webhook and the console listen; port 0 picks a free one"`
	// DrainDelay is how long the process serves on after it was told to stop,
	// so that whoever balances load notices.
	DrainDelay time.Duration `name:"drain-delay" aliases:"kaiwa-drain-delay" env:"KAIWA_DRAIN_DELAY" default:"0s" help:"how long a process that was told to stop says that it is not ready and serves on, so that balancers notice"`
}

// maxDrainDelay bounds HTTP.DrainDelay: whoever sets more means something else.
const maxDrainDelay = 5 * time.Minute

// Check reports the first setting that is missing or wrong.
func (s Common) Check() error {
	if s.DatabaseURL == "" {
		return Missing("KAIWA_DATABASE_URL", "postgres://… or sqlite:PATH")
	}
	if !strings.HasPrefix(s.DatabaseURL, "sqlite:") && !strings.HasPrefix(s.DatabaseURL, "postgres://") && !strings.HasPrefix(s.DatabaseURL, "postgresql://") {
		return Wrong("KAIWA_DATABASE_URL", "it must start with postgres:// or sqlite:")
	}
	if path, sqlite := strings.CutPrefix(s.DatabaseURL, "sqlite:"); sqlite && path == "" {
		return Wrong("KAIWA_DATABASE_URL", "the path after sqlite: is missing")
	} else if _, err := url.Parse(s.DatabaseURL); !sqlite && err != nil {
		return Wrong("KAIWA_DATABASE_URL", "it is not a URL") // the error of Parse would show the password
	}
	if _, err := s.Keys(); err != nil {
		return err
	}
	switch s.LogLevel {
	case "debug", "info", "warn", "error":
		return nil
	}
	return Wrong("KAIWA_LOG_LEVEL", "it must be debug, info, warn or error")
}

// Keys returns the key ring.
func (s Common) Keys() (*keyring.Ring, error) {
	if s.SecretKeys == "" {
		return nil, Missing("KAIWA_SECRET_KEYS", "id:base64(32 random bytes), for example k1:$(head -c 32 /dev/urandom | base64)")
	}
	ring, err := keyring.Parse(s.SecretKeys)
	if err != nil {
		return nil, Wrong("KAIWA_SECRET_KEYS", "%s", err)
	}
	return ring, nil
}

// Check reports the first setting that is missing or wrong.
func (s Outside) Check() error {
	for _, u := range []struct{ name, value string }{
		{"KAIWA_LINE_API_URL", s.LINEAPIURL}, {"KAIWA_LINE_DATA_API_URL", s.LINEDataAPIURL}, {"KAIWA_LINE_ACCESS_URL", s.LINEAccessURL}, {"KAIWA_FILES_URL", s.FilesURL},
	} {
		if u.value != "" && !webURL(u.value) {
			return Wrong(u.name, "it must be an http or https address such as https://files.example.com")
		}
	}
	if s.PublicURL == "" {
		return Missing("KAIWA_PUBLIC_URL", "the address by which LINE and browsers reach the API, such as https://kaiwa.example.com")
	}
	if !webURL(s.PublicURL) {
		return Wrong("KAIWA_PUBLIC_URL", "it must be an http or https address such as https://kaiwa.example.com")
	}
	if s.BlobURL == "" {
		return Missing("KAIWA_BLOB_URL", "a bucket such as file:///var/lib/kaiwa/blobs")
	}
	return CheckClamd(s.ClamdAddr)
}

// Check reports the first setting that is missing or wrong.
func (s HTTP) Check() error {
	if s.DrainDelay < 0 || s.DrainDelay > maxDrainDelay {
		return Wrong("KAIWA_DRAIN_DELAY", "it must be between 0s and %s", maxDrainDelay)
	}
	return Addr("KAIWA_HTTP_ADDR", s.HTTPAddr)
}

// CheckClamd checks KAIWA_CLAMD_ADDR.
func CheckClamd(addr string) error {
	if addr == "" {
		return nil
	}
	if _, err := clamd.New(addr); err != nil {
		return Wrong("KAIWA_CLAMD_ADDR", "it must be host:port, such as clamd:3310, or unix: and the path of a socket, such as unix:/run/clamav/clamd.ctl")
	}
	return nil
}

// Addr checks an address to listen on.
func Addr(name, value string) error {
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		return Wrong(name, "%q is not host:port, such as 127.0.0.1:8080", value)
	}
	return nil
}

func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

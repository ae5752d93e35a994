package settings

import (
	"net"
	"os"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
)

// Temporal are Temporal's own client settings, the same as its other tools
// take, its configuration file included (TEMPORAL_CONFIG_FILE,
// TEMPORAL_PROFILE); what is set here wins over the file.
type Temporal struct {
	Address                    string `name:"temporal-address" env:"TEMPORAL_ADDRESS" placeholder:"HOST:PORT" help:"Temporal's frontend, localhost:7233 when not set"`
	Namespace                  string `name:"temporal-namespace" env:"TEMPORAL_NAMESPACE" placeholder:"NAME" help:"Temporal's namespace, default when not set"`
	APIKey                     string `name:"temporal-api-key" env:"TEMPORAL_API_KEY" placeholder:"KEY" help:"API key; turns TLS on"`
	TLS                        string `name:"temporal-tls" env:"TEMPORAL_TLS" placeholder:"BOOL" help:"TLS on or off, whatever else is set"`
	TLSClientCertPath          string `name:"temporal-tls-client-cert-path" env:"TEMPORAL_TLS_CLIENT_CERT_PATH" placeholder:"FILE" help:"client certificate"`
	TLSClientCertData          string `name:"temporal-tls-client-cert-data" env:"TEMPORAL_TLS_CLIENT_CERT_DATA" placeholder:"PEM" help:"client certificate"`
	TLSClientKeyPath           string `name:"temporal-tls-client-key-path" env:"TEMPORAL_TLS_CLIENT_KEY_PATH" placeholder:"FILE" help:"its key"`
	TLSClientKeyData           string `name:"temporal-tls-client-key-data" env:"TEMPORAL_TLS_CLIENT_KEY_DATA" placeholder:"PEM" help:"its key"`
	TLSServerCACertPath        string `name:"temporal-tls-server-ca-cert-path" env:"TEMPORAL_TLS_SERVER_CA_CERT_PATH" placeholder:"FILE" help:"authority of the server's certificate"`
	TLSServerCACertData        string `name:"temporal-tls-server-ca-cert-data" env:"TEMPORAL_TLS_SERVER_CA_CERT_DATA" placeholder:"PEM" help:"authority of the server's certificate"`
	TLSServerName              string `name:"temporal-tls-server-name" env:"TEMPORAL_TLS_SERVER_NAME" placeholder:"NAME" help:"name in the server's certificate, if other than the address"`
	TLSDisableHostVerification string `name:"temporal-tls-disable-host-verification" env:"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION" placeholder:"BOOL" help:"do not check the server's certificate"`
}

// ClientOptions are the settings as Temporal's client takes them, address and
// namespace filled in. The error names the setting that is missing or wrong.
func (s Temporal) ClientOptions() (client.Options, error) {
	if err := s.check(); err != nil {
		return client.Options{}, err
	}
	profile, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{EnvLookup: s})
	if err != nil {
		name := "TEMPORAL_CONFIG_FILE"
		if strings.Contains(err.Error(), "profile") {
			name = "TEMPORAL_PROFILE"
		}
		return client.Options{}, Wrong(name, "%s", err)
	}
	o, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		return client.Options{}, s.blame(err)
	}
	if o.HostPort == "" {
		o.HostPort = client.DefaultHostPort
	}
	if o.Namespace == "" {
		o.Namespace = client.DefaultNamespace
	}
	if _, port, err := net.SplitHostPort(strings.TrimPrefix(o.HostPort, "dns:///")); err != nil || port == "" {
		return o, Wrong("TEMPORAL_ADDRESS", "%q is not host:port, such as temporal:7233", o.HostPort)
	}
	// A request of Kaiwa's is a few hundred bytes, ids and numbers: to press them
	// costs both ends more than it saves.
	o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	return o, nil
}

// check finds what envconfig would pass over in silence or not name.
func (s Temporal) check() error {
	for _, b := range []struct{ name, value string }{
		{"TEMPORAL_TLS", s.TLS}, {"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", s.TLSDisableHostVerification},
	} {
		switch strings.ToLower(b.value) {
		case "", "1", "0", "true", "false":
		default:
			return Wrong(b.name, "it must be true or false")
		}
	}
	for _, f := range []struct{ name, path string }{
		{"TEMPORAL_TLS_CLIENT_CERT_PATH", s.TLSClientCertPath}, {"TEMPORAL_TLS_CLIENT_KEY_PATH", s.TLSClientKeyPath},
		{"TEMPORAL_TLS_SERVER_CA_CERT_PATH", s.TLSServerCACertPath},
	} {
		if f.path == "" {
			continue
		}
		if _, err := os.ReadFile(f.path); err != nil {
			return Wrong(f.name, "%s", err)
		}
	}
	for _, p := range []struct{ name, value, other, otherValue string }{
		{"TEMPORAL_TLS_CLIENT_CERT_PATH", s.TLSClientCertPath, "TEMPORAL_TLS_CLIENT_KEY_PATH", s.TLSClientKeyPath},
		{"TEMPORAL_TLS_CLIENT_CERT_DATA", s.TLSClientCertData, "TEMPORAL_TLS_CLIENT_KEY_DATA", s.TLSClientKeyData},
	} {
		if p.value != "" && p.otherValue == "" {
			return Missing(p.other, "the key of the certificate in "+p.name)
		}
		if p.value == "" && p.otherValue != "" {
			return Missing(p.name, "the certificate of the key in "+p.other)
		}
	}
	return nil
}

// blame names the setting of a TLS configuration that cannot be used.
func (s Temporal) blame(err error) error {
	name := "TEMPORAL_TLS_CLIENT_CERT_DATA"
	switch {
	case strings.Contains(err.Error(), "server CA") && s.TLSServerCACertPath != "":
		name = "TEMPORAL_TLS_SERVER_CA_CERT_PATH"
	case strings.Contains(err.Error(), "server CA"):
		name = "TEMPORAL_TLS_SERVER_CA_CERT_DATA"
	case s.TLSClientCertPath != "":
		name = "TEMPORAL_TLS_CLIENT_CERT_PATH"
	}
	return Wrong(name, "%s", err)
}

// Environ is envconfig's look at the whole environment.
func (s Temporal) Environ() []string { return os.Environ() }

// LookupEnv is envconfig's look at one variable. A variable that is set to
// nothing counts as not set: envconfig would turn TLS on for an empty path.
func (s Temporal) LookupEnv(name string) (string, bool) {
	value, known := map[string]string{
		"TEMPORAL_ADDRESS":                       s.Address,
		"TEMPORAL_NAMESPACE":                     s.Namespace,
		"TEMPORAL_API_KEY":                       s.APIKey,
		"TEMPORAL_TLS":                           s.TLS,
		"TEMPORAL_TLS_CLIENT_CERT_PATH":          s.TLSClientCertPath,
		"TEMPORAL_TLS_CLIENT_CERT_DATA":          s.TLSClientCertData,
		"TEMPORAL_TLS_CLIENT_KEY_PATH":           s.TLSClientKeyPath,
		"TEMPORAL_TLS_CLIENT_KEY_DATA":           s.TLSClientKeyData,
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH":       s.TLSServerCACertPath,
		"TEMPORAL_TLS_SERVER_CA_CERT_DATA":       s.TLSServerCACertData,
		"TEMPORAL_TLS_SERVER_NAME":               s.TLSServerName,
		"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": s.TLSDisableHostVerification,
	}[name]
	if !known {
		value = os.Getenv(name)
	}
	return value, value != ""
}

package settings_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/keyring"
	"kaiwa/internal/settings"
)

func TestAWrongSettingIsNamedInOneSentence(t *testing.T) {
	t.Parallel()
	keys, err := keyring.Generate("k1")
	require.NoError(t, err)
	good := settings.Common{DatabaseURL: "sqlite:x", SecretKeys: keys, LogLevel: "info"}
	require.NoError(t, good.Check())
	outside := settings.Outside{PublicURL: "https://kaiwa.example.com", BlobURL: "mem://"}
	require.NoError(t, outside.Check())
	http := settings.HTTP{HTTPAddr: "127.0.0.1:0"}
	require.NoError(t, http.Check())

	readable := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(readable, nil, 0o600))

	for name, check := range map[string]func() error{
		"KAIWA_DATABASE_URL is missing":                func() error { s := good; s.DatabaseURL = ""; return s.Check() },
		"KAIWA_DATABASE_URL is wrong":                  func() error { s := good; s.DatabaseURL = "mysql://x"; return s.Check() },
		"KAIWA_SECRET_KEYS is missing":                 func() error { s := good; s.SecretKeys = ""; return s.Check() },
		"KAIWA_SECRET_KEYS is wrong":                   func() error { s := good; s.SecretKeys = "k1:short"; return s.Check() },
		"KAIWA_LOG_LEVEL is wrong":                     func() error { s := good; s.LogLevel = "loud"; return s.Check() },
		"KAIWA_BLOB_URL is missing":                    func() error { s := outside; s.BlobURL = ""; return s.Check() },
		"KAIWA_LINE_API_URL is wrong":                  func() error { s := outside; s.LINEAPIURL = "line"; return s.Check() },
		"KAIWA_FILES_URL is wrong":                     func() error { s := outside; s.FilesURL = "ftp://x"; return s.Check() },
		"KAIWA_DRAIN_DELAY is wrong":                   func() error { s := http; s.DrainDelay = -1; return s.Check() },
		"KAIWA_HTTP_ADDR is wrong":                     func() error { s := http; s.HTTPAddr = "8080"; return s.Check() },
		"KAIWA_PUBLIC_URL is missing":                  func() error { s := outside; s.PublicURL = ""; return s.Check() },
		"KAIWA_DATABASE_URL is wrong: it is not a URL": func() error { s := good; s.DatabaseURL = "postgres://u:secret@%zz/"; return s.Check() },
		"TEMPORAL_ADDRESS is wrong":                    func() error { return temporal(settings.Temporal{Address: "temporal"}) },
		"TEMPORAL_TLS is wrong":                        func() error { return temporal(settings.Temporal{TLS: "maybe"}) },
		"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION is wrong": func() error {
			return temporal(settings.Temporal{TLSDisableHostVerification: "maybe"})
		},
		"TEMPORAL_TLS_CLIENT_CERT_PATH is wrong":    func() error { return temporal(settings.Temporal{TLSClientCertPath: "/no/file"}) },
		"TEMPORAL_TLS_CLIENT_KEY_PATH is missing":   func() error { return temporal(settings.Temporal{TLSClientCertPath: readable}) },
		"TEMPORAL_TLS_CLIENT_CERT_DATA is missing":  func() error { return temporal(settings.Temporal{TLSClientKeyData: "secret"}) },
		"TEMPORAL_TLS_CLIENT_CERT_DATA is wrong":    func() error { return temporal(settings.Temporal{TLSClientCertData: "no", TLSClientKeyData: "secret"}) },
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH is wrong": func() error { return temporal(settings.Temporal{TLSServerCACertPath: readable}) },
		"TEMPORAL_TLS_SERVER_CA_CERT_DATA is wrong": func() error { return temporal(settings.Temporal{TLSServerCACertData: "no"}) },
		"KAIWA_PUBLIC_URL is wrong":                 func() error { s := outside; s.PublicURL = "kaiwa.example.com"; return s.Check() },
	} {
		err := check()
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "secret")
		var wrong *settings.Error
		require.ErrorAs(t, err, &wrong)
		require.Contains(t, name, wrong.Name)
	}
}

func temporal(s settings.Temporal) error {
	_, err := s.ClientOptions()
	return err
}

func TestTemporalHasDefaultsAndTakesWhatItIsGiven(t *testing.T) {
	t.Parallel()
	o, err := settings.Temporal{}.ClientOptions()
	require.NoError(t, err)
	require.Equal(t, "localhost:7233", o.HostPort)
	require.Equal(t, "default", o.Namespace)
	require.Nil(t, o.ConnectionOptions.TLS)

	o, err = settings.Temporal{Address: "temporal.example.com:7233", Namespace: "kaiwa", APIKey: "key", TLSServerName: "other.example.com"}.ClientOptions()
	require.NoError(t, err)
	require.Equal(t, "temporal.example.com:7233", o.HostPort)
	require.Equal(t, "kaiwa", o.Namespace)
	require.NotNil(t, o.Credentials)
	require.Equal(t, "other.example.com", o.ConnectionOptions.TLS.ServerName)

	o, err = settings.Temporal{Address: "dns:///temporal:7233", TLS: "false", TLSServerName: "other.example.com"}.ClientOptions()
	require.NoError(t, err)
	require.Nil(t, o.ConnectionOptions.TLS)
}

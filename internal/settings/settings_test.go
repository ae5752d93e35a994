package settings_test

import (
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
	outside := settings.Outside{BlobURL: "mem://"}
	require.NoError(t, outside.Check())
	http := settings.HTTP{HTTPAddr: "127.0.0.1:0", PublicURL: "https://kaiwa.example.com"}
	require.NoError(t, http.Check())

	for name, check := range map[string]func() error{
		"KAIWA_DATABASE_URL is missing": func() error { s := good; s.DatabaseURL = ""; return s.Check() },
		"KAIWA_DATABASE_URL is wrong":   func() error { s := good; s.DatabaseURL = "mysql://x"; return s.Check() },
		"KAIWA_SECRET_KEYS is missing":  func() error { s := good; s.SecretKeys = ""; return s.Check() },
		"KAIWA_SECRET_KEYS is wrong":    func() error { s := good; s.SecretKeys = "k1:short"; return s.Check() },
		"KAIWA_LOG_LEVEL is wrong":      func() error { s := good; s.LogLevel = "loud"; return s.Check() },
		"KAIWA_BLOB_URL is missing":     func() error { return settings.Outside{}.Check() },
		"KAIWA_LINE_API_URL is wrong":   func() error { s := outside; s.LINEAPIURL = "line"; return s.Check() },
		"KAIWA_FILES_URL is wrong":      func() error { s := outside; s.FilesURL = "ftp://x"; return s.Check() },
		"KAIWA_HTTP_ADDR is wrong":      func() error { s := http; s.HTTPAddr = "8080"; return s.Check() },
		"KAIWA_PUBLIC_URL is missing":   func() error { s := http; s.PublicURL = ""; return s.Check() },
		"KAIWA_PUBLIC_URL is wrong":     func() error { s := http; s.PublicURL = "kaiwa.example.com"; return s.Check() },
	} {
		err := check()
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "\n")
	}
}

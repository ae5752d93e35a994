package netguard

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	const ok = ""
	for _, tc := range []struct {
		url     string
		public  string // why it is refused, as far as that must be said
		private string // likewise, with private addresses allowed
	}{
		{"https://bot.example.com/hook", ok, ok},
		{"https://bot.example.com:8443/hook?a=b#c", ok, ok},
		{"HTTPS://BOT.EXAMPLE.COM./", ok, ok},
		{"https://例え.テスト/hook", ok, ok},
		{"https://8.8.8.8/", ok, ok},
		{"https://[2606:4700:4700::1111]/", ok, ok},
		{"http://bot.example.com/hook", "must be https", ok},
		{"http://127.0.0.1:9000/hook", "must be https", ok},
		{"https://127.0.0.1/", "not a public address", ok},
		{"https://[::1]/", "not a public address", ok},
		{"https://[::ffff:10.0.0.1]/", "not a public address", ok},
		{"https://[fe80::1%25eth0]/", "not a public address", ok},
		{"https://169.254.169.254/latest/meta-data/", "not a public address", ok},
		{"https://localhost/", "not a name on the internet", ok},
		{"https://LOCALHOST./", "not a name on the internet", ok},
		{"https://a.localhost/", "not a name on the internet", ok},
		{"https://printer.local/", "not a name on the internet", ok},
		{"https://metadata.google.internal/", "not a name on the internet", ok},
		{"https://postgres/", "not a name on the internet", ok},
		{"https://127.1/", "usual form", ok},
		{"https://0x7f.0.0.0x1/", "usual form", ok},
		{"https://0177.0.0.1/", "usual form", ok},
		{"https://2130706433/", "not a name on the internet", ok},
		{"https://user:word@bot.example.com/", "user name", "user name"},
		{"https://user@bot.example.com/", "user name", "user name"},
		{"https://bot.example.com:0/", "port", "port"},
		{"https://bot.example.com:70000/", "port", "port"},
		{"https:///hook", "no host", "no host"},
		{"https:bot.example.com", "no host", "no host"},
		{"ftp://bot.example.com/", "https://", "https://"},
		{"file:///etc/passwd", "https://", "https://"},
		{"gopher://bot.example.com/", "https://", "https://"},
		{"//bot.example.com/", "https://", "https://"},
		{"bot.example.com", "https://", "https://"},
		{"", "https://", "https://"},
		{"https://bot.example.com/\x00", "not a URL", "not a URL"},
		{"https://bot.example.com/%zz", "not a URL", "not a URL"},
		{"https://bot.example.com/" + strings.Repeat("a", 2000), "longer", "longer"},
	} {
		for _, c := range []struct {
			allowPrivate bool
			want         string
		}{{false, tc.public}, {true, tc.private}} {
			err := CheckURL(tc.url, c.allowPrivate)
			if c.want == ok {
				require.NoError(t, err, tc.url)
				continue
			}
			require.ErrorIs(t, err, ErrRefused, tc.url)
			require.ErrorContains(t, err, c.want, tc.url)
		}
	}
}

func TestARefusalDoesNotRepeatCredentials(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"https://user:hunter2@example.com/", "https://user:hunter2@exa mple.com/", "ftp://user:hunter2@x/"} {
		require.NotContains(t, CheckURL(u, false).Error(), "hunter2")
	}
}

func FuzzCheckURL(f *testing.F) {
	f.Add("https://[::ffff:127.0.0.1]:80/")
	f.Add("https://0x7f000001/")
	f.Fuzz(func(t *testing.T, raw string) {
		if CheckURL(raw, false) == nil {
			require.NoError(t, CheckURL(raw, true), "what is allowed in production is allowed in development")
		}
	})
}

package linesim

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePhonePageNeedsNoOtherHostAndNoInlineScript(t *testing.T) {
	t.Parallel()
	b := setup(t)
	page := b.call("GET", "/", nil)
	require.Equal(t, 200, page.Status)
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "script-src 'self'")
	require.NotRegexp(t, regexp.MustCompile(`<script>|\son[a-z]+=|style="`), string(page.Body))
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(page.Body), -1) {
		require.False(t, strings.Contains(match[1], "//"), match[1])
		require.Equal(t, 200, b.call("GET", "/"+match[1], nil).Status, match[1])
	}
	// Every module a module imports is there, too.
	imports := regexp.MustCompile(`from "\./([^"]+)"`)
	require.NoError(t, fs.WalkDir(webFiles, "web/assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".js") {
			return err
		}
		source, err := fs.ReadFile(webFiles, path)
		require.NoError(t, err)
		for _, match := range imports.FindAllStringSubmatch(string(source), -1) {
			require.Equal(t, 200, b.call("GET", "/assets/"+match[1], nil).Status, "%s imports %s", path, match[1])
		}
		return nil
	}))
	require.Equal(t, 404, b.call("GET", "/nothing", nil).Status)
}

func TestAvatarsAreDrawnFromNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.call("GET", "/_media/avatars/"+bob+".svg", nil)
	require.Equal(t, "image/svg+xml", r.Header.Get("Content-Type"))
	require.Contains(t, string(r.Body), ">ボ<")
}

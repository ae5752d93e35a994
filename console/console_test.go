package console_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/console"
)

func TestThereIsAlwaysAFirstPage(t *testing.T) {
	t.Parallel()
	page, err := fs.ReadFile(console.Files(), "index.html")
	require.NoError(t, err)
	require.Contains(t, string(page), "<title>Kaiwa")
	if !console.Built() {
		require.Contains(t, string(page), "make console")
	}
}

package media_test

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/media"
)

func TestNamesAreMadeFitToBeShown(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"請求書.pdf": "請求書.pdf", "../../etc/passwd": "passwd", `C:\Users\me\a.txt`: "a.txt", "a\r\nSet-Cookie: x.txt": "aSet-Cookie: x.txt",
		"invoice\u202efdp.exe": "invoicefdp.exe", "": "", "..": "", "a/": "", " \t": "", "\xff.txt": ".txt", ".profile": ".profile",
	} {
		require.Equal(t, want, media.Name(given), "%q", given)
	}
	long := media.Name(strings.Repeat("👩‍👩‍👧", 500) + ".jpeg")
	require.True(t, strings.HasSuffix(long, "👩‍👩‍👧.jpeg"), "cut between characters, with its ending")
	require.LessOrEqual(t, uniseg.GraphemeClusterCount(long), 125)
	require.LessOrEqual(t, len(long), 900)
	require.Equal(t, "a.txt", media.Name("a"+"b"+strings.Repeat("\u0301", 100_000)+".txt"), "one character of 200 kB")
}

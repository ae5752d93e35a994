package failpoint_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/failpoint"
)

func TestThePageOnDurabilityHasARowForEveryFailpoint(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/durability.md")
	require.NoError(t, err)
	var documented, known []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, row[1])
	}
	for _, p := range failpoint.Names() {
		require.NotEmpty(t, p.After, p.Name)
		known = append(known, p.Name)
	}
	require.Equal(t, known, documented, "the same points in the same order")
}

package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The commands of docs/first-conversation.md run as they stand.
func TestTheFirstConversationOfTheDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/first-conversation.md")
	require.NoError(t, err)
	script := "set -euo pipefail\n"
	for _, block := range shellBlock.FindAllStringSubmatch(string(page), -1) {
		script += block[1]
	}
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := startSeeded(t, dialect)
		emma := dev.Customers()[1]
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.Env = append(os.Environ(), "API="+k.APIURL+"/api/v1", "EMMA="+k.SimulatorURL+"/_control/channels/"+dev.SimChannelID+"/users/"+emma.ID)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), `"closure_reason": "agent_ended"`)
		require.Contains(t, string(out), "No, that was quick!")
		require.NotContains(t, strings.ToLower(string(out)), `"state": "failed"`)
		served := customer{k, emma.ID}.conversations()
		require.Len(t, served, 1)
		require.Equal(t, conversation.ReasonAgentEnded, served[0].ClosureReason)
	})
}

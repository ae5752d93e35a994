package outcome

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReportSaysWhatWasDoneWhatHappenedAndWhatWasFound(t *testing.T) {
	t.Parallel()
	o := recorded(t)
	verdicts := Judge(o)
	verdicts[0].Findings = nil
	verdicts[1].Checked, verdicts[1].Of = 0, "nothings"
	for i := range 25 {
		verdicts[2].Findings = append(verdicts[2].Findings, Finding{verdicts[2].Invariant.Name, fmt.Sprint("msg_", i), "says something else"})
	}
	var b strings.Builder
	require.NoError(t, Report(&b, o, []Done{{"kills of a worker", 12}}, verdicts))
	page := b.String()
	for _, line := range []string{
		`kills of a worker +12`,
		`webhook events +27 +27 acknowledged, 2 more than once`,
		`messages to customers +31 +30 accepted, .*1 failed`,
		`conversations +13 +2 agent_ended, 3 bot, .*1 wrap_up`,
		`offers +9 +7 accepted, 1 declined, 1 live`,
		`by an operator +3 +1 cancelled, 1 reset, 1 terminated`,
		verdicts[0].Invariant.Name + ` +27 +acknowledged events +ok`,
		verdicts[1].Invariant.Name + ` +0 +nothings +NOTHING TO CHECK`,
		verdicts[2].Invariant.Name + ` .*25 FOUND`,
		verdicts[2].Invariant.Promise,
		`msg_19: says something else\n  and 5 more`,
	} {
		require.Regexp(t, line, page)
	}
	require.NotContains(t, page, "msg_20")
}

func TestAReportThatCannotBeWrittenSaysSo(t *testing.T) {
	t.Parallel()
	o := recorded(t)
	require.ErrorIs(t, Report(full{}, o, nil, Judge(o)), errFull)
}

var errFull = errors.New("the disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestASavedOutcomeIsTheSame(t *testing.T) {
	t.Parallel()
	o := recorded(t)
	path := filepath.Join(t.TempDir(), "outcome.json")
	require.NoError(t, Save(path, o))
	again, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, o, again)
}

func TestTheDocumentationHasEveryInvariant(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/durability.md")
	require.NoError(t, err)
	for _, inv := range Invariants {
		require.Contains(t, string(page), "| `"+inv.Name+"` | "+inv.Promise+" |")
	}
}

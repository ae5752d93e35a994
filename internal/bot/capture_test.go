package bot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTypedInputIsKeptInOneForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ declared, typed, kept string }{ // kept "": refused
		{`"kind": "text"`, "  佐藤 花子 ", "佐藤 花子"},
		{`"kind": "text", "max": 3`, "四文字だ", ""},
		{`"kind": "text", "min": 2`, "a", ""},
		{`"kind": "text"`, strings.Repeat("x", 1001), ""},
		{`"kind": "text"`, "  ", ""},
		{`"kind": "number"`, "１２", "12"},
		{`"kind": "number"`, "๑๒", "12"},
		{`"kind": "number"`, "1,234.50", "1234.50"},
		{`"kind": "number"`, "+5", "5"},
		{`"kind": "number"`, "1,2", ""},
		{`"kind": "number"`, "five", ""},
		{`"kind": "number", "min": 1, "max": 5`, "5", "5"},
		{`"kind": "number", "min": 1, "max": 5`, "6", ""},
		{`"kind": "number", "min": 1, "max": 5`, "-1", ""},
		{`"kind": "email"`, "hana＠example.co.jp", "hana@example.co.jp"},
		{`"kind": "email"`, "hana@localhost", ""},
		{`"kind": "email"`, "hana example.com", ""},
		{`"kind": "phone"`, "０９０-1234-5678", "09012345678"},
		{`"kind": "phone"`, "+45 12 34 56 78", "+4512345678"},
		{`"kind": "phone"`, "(02) 123-4567", "021234567"},
		{`"kind": "phone"`, "123", ""},
		{`"kind": "phone"`, "call me", ""},
		{`"kind": "pattern", "pattern": "[A-Z]{2}[0-9]{4}"`, "ＡＢ１２３４", "AB1234"},
		{`"kind": "pattern", "pattern": "[A-Z]{2}[0-9]{4}"`, "AB1234 please", ""},
		{`"kind": "pattern", "pattern": "a|b"`, "ab", ""},
		{`"kind": "pattern", "pattern": ".*?([0-9]{4}).*"`, "it is 1234, I think", "1234"},
	} {
		s, err := ParseScript(fmt.Appendf(nil, `{"version": 1, "default_locale": "en", "start": "ask", "handoff": {"node": "person"}, "nodes": {
			"person": {"handoff": {}}, "done": {"say": ["Thanks"], "end": true},
			"ask": {"say": ["?"], "capture": {"into": "x", %s, "goto": "done"}}}}`, c.declared))
		require.NoError(t, err, c.declared)
		kept, ok := s.nodes["ask"].capture.accept(c.typed)
		require.Equal(t, c.kept != "", ok, "%s: %q", c.declared, c.typed)
		if ok {
			require.Equal(t, c.kept, kept)
		}
	}
}

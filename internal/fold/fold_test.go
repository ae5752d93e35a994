package fold_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/fold"
)

func TestTextsAreComparedAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b string }{
		{"Opening Hours", "opening  hours"},
		{"ＯＰＥＮ", "open"},
		{"ｵﾍﾟﾚｰﾀｰ", "オペレーター"},
		{"ガ", "ガ"},
		{"Åbningstider", "abningstider"},
		{"Ødelagt", "odelagt"},
		{"café", "CAFE"},
		{"straße", "STRASSE"},
		{"don’t", "don't"},
		{"๑๒๓", "123"},
		{"①", "1"},
		{"zero\u200bwidth", "zerowidth"},
		{"❤️", "❤"},
	} {
		require.Equal(t, fold.Text(c.a), fold.Text(c.b), c.a)
	}
	for _, c := range []struct{ a, b string }{
		{"が", "か"},
		{"ป่า", "ป้า"},
		{"มา", "ม่า"},
	} {
		require.NotEqual(t, fold.Text(c.a), fold.Text(c.b), "a mark that makes another word stays")
	}
}

func TestAMessageIsComparedWithoutWhatStandsAroundIt(t *testing.T) {
	t.Parallel()
	require.Equal(t, fold.Key("opening hours"), fold.Key(" «Opening hours?!» 🙂"))
	require.Equal(t, "2", fold.Key("２。"))
	require.Equal(t, "👍", fold.Key("👍"))
	require.Equal(t, "", fold.Key("  "))
}

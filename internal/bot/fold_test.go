package bot

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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
		require.Equal(t, fold(c.a), fold(c.b), c.a)
	}
	for _, c := range []struct{ a, b string }{
		{"が", "か"},
		{"ป่า", "ป้า"},
		{"มา", "ม่า"},
	} {
		require.NotEqual(t, fold(c.a), fold(c.b), "a mark that makes another word stays")
	}
}

func TestAMessageIsComparedWithoutWhatStandsAroundIt(t *testing.T) {
	t.Parallel()
	require.Equal(t, Key("opening hours"), Key(" «Opening hours?!» 🙂"))
	require.Equal(t, "2", Key("２。"))
	require.Equal(t, "👍", Key("👍"))
	require.Equal(t, "", Key("  "))
}

func TestAWordIsFoundWhereItsScriptHasWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, word string
		found      bool
	}{
		{"when do you open?", "open", true},
		{"open", "open", true},
		{"it is opened", "open", false},
		{"reopen", "open", false},
		{"reopen or open", "open", true},
		{"open24", "open", false},
		{"営業時間を教えて", "営業時間", true},
		{"オペレーターに", "オペレーター", true},
		{"オペレーター", "オペレータ", true},
		{"ร้านเปิดกี่โมงคะ", "เปิดกี่โมง", true},
		{"請問幾點開門", "幾點開", true},
		{"LINEで注文した", "line", true},
		{"lineup", "line", false},
		{"주문을 확인", "주문", true},
		{"hej, hvor er min pakke", "min pakke", true},
		{"", "open", false},
		{"open", "", false},
	} {
		require.Equal(t, c.found, mentions(fold(c.text), fold(c.word)), "%q in %q", c.word, c.text)
	}
}

func TestATextAlwaysMentionsItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		w := hear(s)
		require.Equal(t, w.folded != "", mentions(w.folded, w.folded))
		require.Equal(t, w.key != "", mentions(w.folded, w.key))
	})
}

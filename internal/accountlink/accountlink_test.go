package accountlink

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/keyring"
)

func keys(t *testing.T) *keyring.Ring {
	t.Helper()
	setting, err := keyring.Generate("k1")
	require.NoError(t, err)
	ring, err := keyring.Parse(setting)
	require.NoError(t, err)
	return ring
}

func TestATokenIsReadByWhoeverMadeIt(t *testing.T) {
	t.Parallel()
	ring := keys(t)
	profile := conversation.DerivedID(conversation.PrefixProfile, "x")
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	token := Token(ring, profile, expires)
	id, at, err := ReadToken(ring, token)
	require.NoError(t, err)
	require.Equal(t, profile, id)
	require.True(t, at.Equal(expires))
	for _, wrong := range []string{"", ".", "a.b.c", token + "A", "A" + token, strings.Replace(token, ".", "..", 1)} {
		_, _, err := ReadToken(ring, wrong)
		require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err), wrong)
	}
	_, _, err = ReadToken(keys(t), token)
	require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err), "another's keys")
}

func TestReferencesAndNoncesAreOfOneLink(t *testing.T) {
	t.Parallel()
	ring := keys(t)
	require.True(t, Refers(ring, "lnk_a", Reference(ring, "lnk_a")))
	require.False(t, Refers(ring, "lnk_b", Reference(ring, "lnk_a")))
	require.False(t, Refers(ring, "lnk_a", Nonce(ring, "lnk_a")), "one is good for one thing")
	nonce := Nonce(ring, "lnk_a")
	require.Regexp(t, `^[A-Za-z0-9_-]{43}$`, nonce, "LINE takes 10 to 255 characters; 256 bits")
	require.Equal(t, nonce, Nonce(ring, "lnk_a"))
	require.NotEqual(t, nonce, Nonce(ring, "lnk_b"))
	require.NotContains(t, Digest(nonce), nonce)
}

func TestTheSignInIsToldWhoComes(t *testing.T) {
	t.Parallel()
	to, err := SignInURL("https://example.com/in?from=line", "lnk_a", "r-e_f", "zh-TW")
	require.NoError(t, err)
	require.Equal(t, "https://example.com/in?from=line&link=lnk_a&locale=zh-TW&reference=r-e_f", to)
	require.Equal(t, "https://access.line.me/dialog/bot/accountLink?linkToken=t%2Bk&nonce=n", DialogURL(DefaultAccessURL, "t+k", "n"))
	for address, fits := range map[string]bool{
		"https://example.com": true, "https://example.com:8443/a?b=c": true, "http://localhost:3000/in": true, "http://127.0.0.1/": true,
		"": false, "http://example.com": false, "https:///in": false, "//example.com": false, "https://u:p@example.com": false,
		"https://example.com/#in": false, "https://example.com/?link=1": false, "ftp://example.com": false, "https://example.com/" + strings.Repeat("x", MaxLoginURL): false,
	} {
		require.Equal(t, fits, CheckLoginURL(address) == "", address)
	}
}

// Every word there is, is there in every language; what stands on a button fits.
func TestEveryLanguageHasEveryWord(t *testing.T) {
	t.Parallel()
	require.Len(t, wordings, len(locales))
	for _, lang := range locales {
		w, found := wordsIn(lang)
		require.Equal(t, lang, found)
		page := reflect.ValueOf(w.Page)
		for i := range page.NumField() {
			require.False(t, page.Field(i).IsZero(), "%s: %s", lang, page.Type().Field(i).Name)
		}
		for _, words := range append([]string{w.invite, w.undoable}, w.Steps[:]...) {
			require.NotEmpty(t, words, lang)
		}
		for _, label := range []string{w.link, w.manage, w.unlink} {
			require.NotEmpty(t, label)
			require.LessOrEqual(t, uniseg.GraphemeClusterCount(label), 20, label)
		}
	}
	require.Equal(t, "zh-TW", Language("zh-Hant", "en"))
	require.Equal(t, "ja", Language("fr", "ja"), "the channel's, where there are no words in the customer's")
	require.Equal(t, "en", Language("fr", "fr"))
	require.Equal(t, "da", Language("", "da"))
}

func TestACardOffersTheWayAndTheWayBack(t *testing.T) {
	t.Parallel()
	card, err := Card(conversation.Content{Type: conversation.ContentAccountLink, Locale: "en"}, "https://example.com/link/t")
	require.NoError(t, err)
	require.Equal(t, conversation.ContentFlex, card.Type)
	require.Contains(t, string(card.Contents), "You can undo this at any time")
	require.True(t, strings.HasSuffix(card.AltText, "\nhttps://example.com/link/t"), "where there are no cards, the link stands in the text")
	card, err = Card(conversation.Content{Type: conversation.ContentAccountLink, Locale: "ja", Text: strings.Repeat("会", MaxText), Linked: true}, "https://example.com/link/t")
	require.NoError(t, err)
	require.Contains(t, string(card.Contents), TapUnlink.Data())
	require.LessOrEqual(t, len([]rune(card.AltText)), maxAltText)
	_, err = Card(conversation.Content{Text: strings.Repeat("x", MaxText+1)}, "https://example.com/link/t")
	require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(err))
	for data, want := range map[string]Tap{TapLink.Data(): TapLink, TapUnlink.Data(): TapUnlink, dataPrefix + "other": TapNone} {
		tap, ours := ReadTap(data)
		require.True(t, ours)
		require.Equal(t, want, tap)
	}
	_, ours := ReadTap("book")
	require.False(t, ours)
}

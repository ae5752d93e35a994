package keyring_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/keyring"
)

func TestAValueSealedForOnePlaceOpensOnlyThere(t *testing.T) {
	t.Parallel()
	setting, err := keyring.Generate("k1")
	require.NoError(t, err)
	ring, err := keyring.Parse(setting)
	require.NoError(t, err)
	sealed, err := ring.Seal("秘密", "channel/a/secret")
	require.NoError(t, err)
	require.NotContains(t, sealed, "秘密")
	plain, err := ring.Open(sealed, "channel/a/secret")
	require.NoError(t, err)
	require.Equal(t, "秘密", plain)
	_, err = ring.Open(sealed, "channel/b/secret")
	require.Error(t, err)
	_, err = ring.Open(sealed[:len(sealed)-2], "channel/a/secret")
	require.Error(t, err)
}

func TestAReplacedKeyStillOpensWhatItSealed(t *testing.T) {
	t.Parallel()
	old, err := keyring.Generate("old")
	require.NoError(t, err)
	fresh, err := keyring.Generate("new")
	require.NoError(t, err)
	before, err := keyring.Parse(old)
	require.NoError(t, err)
	sealed, err := before.Seal("x", "p")
	require.NoError(t, err)

	both, err := keyring.Parse(fresh + "," + old)
	require.NoError(t, err)
	plain, err := both.Open(sealed, "p")
	require.NoError(t, err)
	require.Equal(t, "x", plain)

	without, err := keyring.Parse(fresh)
	require.NoError(t, err)
	_, err = without.Open(sealed, "p")
	require.ErrorContains(t, err, `"old"`)
}

func TestAWrongSettingNamesTheKeyAndNotItsValue(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "nokey", "a:c2hvcnQ=", "a:!!!", ":AAAA"} {
		_, err := keyring.Parse(s)
		require.Error(t, err, s)
		require.False(t, strings.Contains(err.Error(), "c2hvcnQ"), s)
	}
	one, err := keyring.Generate("a")
	require.NoError(t, err)
	_, err = keyring.Parse(one + "," + one)
	require.ErrorContains(t, err, "twice")
}

func TestASignatureHoldsForOneMessageAndPurposeAndOutlivesTheCurrentKey(t *testing.T) {
	t.Parallel()
	old, err := keyring.Generate("old")
	require.NoError(t, err)
	fresh, err := keyring.Generate("new")
	require.NoError(t, err)
	before, err := keyring.Parse(old)
	require.NoError(t, err)
	signature := before.Sign("message", "link")
	require.True(t, before.Verify("message", "link", signature))
	require.False(t, before.Verify("message2", "link", signature))
	require.False(t, before.Verify("message", "file", signature))
	require.False(t, before.Verify("linkmessage", "", signature))
	require.False(t, before.Verify("message", "link", ""))
	require.False(t, before.Verify("message", "link", signature[1:]))
	require.False(t, before.Verify("message", "link", "!"))

	both, err := keyring.Parse(fresh + "," + old)
	require.NoError(t, err)
	require.True(t, both.Verify("message", "link", signature))
	require.NotEqual(t, signature, both.Sign("message", "link"), "the first key signs")
	without, err := keyring.Parse(fresh)
	require.NoError(t, err)
	require.False(t, without.Verify("message", "link", signature))
}

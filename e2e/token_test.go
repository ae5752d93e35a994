package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// The access token is revoked while a customer talks to the bot, and a good one
// is given later: what both said waits, and goes in order, once.
func TestWhileTheAccessTokenIsRevokedNothingIsLost(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma, noah := k.newCustomer("Emma"), k.newCustomer("Noah")
		emma.writes("m000")
		emma.isAnswered(1)
		lineTakes := func(token string) {
			require.NoError(t, k.Sim.ChangeChannel(t.Context(), dev.SimChannelID, func(c *linesim.Channel) { c.AccessToken = token }))
		}
		channel := func() (etag string, token map[string]any) {
			res, body := k.call("GET", "/channels/"+k.Seeded.ChannelID, nil, nil)
			return res.Header.Get("Etag"), body["access_token"].(map[string]any)
		}

		lineTakes("another")
		for _, text := range numbered(4)[1:] {
			emma.writes(text)
			noah.writes(text)
		}
		k.eventually(func() bool { _, token := channel(); return token["state"] == "refused" }, "the channel shows that LINE refuses its token")
		k.eventually(func() bool { return len(emma.transcript()) == 8 && len(noah.transcript()) == 6 }, "the bot goes on answering")
		require.Equal(t, []string{"welcome"}, emma.reads())
		require.Empty(t, noah.reads())

		etag, _ := channel()
		res, body := k.call("PATCH", "/channels/"+k.Seeded.ChannelID, map[string]any{"channel_access_token": "another"}, map[string]string{"If-Match": etag})
		require.Equal(t, 200, res.StatusCode, "%v", body)
		emma.isAnswered(4)
		noah.isAnswered(3)
		emma.isQuiet()
		noah.isQuiet()
		require.Equal(t, []string{"welcome", "heard m001", "heard m002", "heard m003"}, emma.reads())
		require.Equal(t, []string{"welcome", "heard m002", "heard m003"}, noah.reads())
		for _, c := range []customer{emma, noah} {
			for _, m := range c.transcript() {
				require.Equal(t, conversation.MessageAccepted, m.State)
			}
		}
		waiting, err := k.Store.WaitingConversations(t.Context(), k.Seeded.ChannelID, store.WaitingConversation{}, 10)
		require.NoError(t, err)
		require.Empty(t, waiting)
	})
}

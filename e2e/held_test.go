package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// The access token is refused before anything was asked of LINE. Once a good one
// is given, all that had to do with LINE is done, though no customer does anything.
func TestWhatHadToDoWithLINEIsDoneOnceTheTokenIsGood(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		k.groups(store.GroupsLeft)
		require.NoError(t, k.Sim.ChangeChannel(t.Context(), dev.SimChannelID, func(c *linesim.Channel) { c.AccessToken = "another" }))
		emma, hana := k.newCustomer("Emma"), k.newCustomer("Hana")
		emma.posts(linesim.Message{Type: "image", Content: photo(t)})
		k.group(hana)
		held := func() store.Channel {
			c, err := k.Store.Channel(t.Context(), k.Seeded.ChannelID)
			require.NoError(t, err)
			return c
		}
		k.eventually(func() bool { return !held().HeldAt.IsZero() }, "the channel is held")
		k.eventually(func() bool {
			due := 0
			for _, key := range []string{conversation.ChatKey("user", emma.id), conversation.ChatKey("group", "C77777777777777777777777777777777")} {
				d, err := k.Temporal.DescribeWorkflowExecution(t.Context(), conversation.WorkflowID(k.Seeded.ChannelID, key), "")
				if err == nil && len(d.PendingActivities) == 0 {
					due++
				}
			}
			files := 0
			for _, m := range emma.transcript() {
				if m.AttachmentID != "" {
					if f, err := k.Store.Fetch(t.Context(), m.AttachmentID); err == nil && f.WaitsSince > 0 {
						files++
					}
				}
			}
			return due == 2 && files == 1
		}, "nothing goes on at LINE, and the file waits")

		res, _ := k.call("GET", "/channels/"+k.Seeded.ChannelID, nil, nil)
		res, body := k.call("PATCH", "/channels/"+k.Seeded.ChannelID, map[string]any{"channel_access_token": "another"}, map[string]string{"If-Match": res.Header.Get("Etag")})
		require.Equal(t, 200, res.StatusCode, "%v", body)
		require.Equal(t, conversation.AttachmentStored, emma.file(1).State)
		k.eventually(func() bool {
			for _, c := range k.Sim.Calls(linesim.CallFilter{Endpoint: "leave_group"}) {
				if c.Status == 200 {
					return true
				}
			}
			return false
		}, "the group is left")
		k.eventually(func() bool {
			p, err := k.Store.Profile(t.Context(), k.Seeded.ChannelID, conversation.ChatKey("user", emma.id))
			return err == nil && p.DisplayName == "Emma"
		}, "her name is known")
		emma.isQuiet()
		k.eventually(func() bool { return held().ResumedAt.IsZero() }, "nothing is left to resume")
	})
}

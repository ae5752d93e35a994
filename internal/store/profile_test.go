package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestAProfileIsStaleWhenItIsOlderThanTheWorkstreamWantsAndTheCustomerWrites(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		told := func(ago time.Duration) {
			t.Helper()
			require.NoError(t, s.ExecForTest(ctx, `UPDATE social_profiles SET fetched_at = $1`, time.Now().Add(-ago).UnixMicro()))
		}
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingest("", 0)
		require.True(t, first.ProfileDue, "nobody knows them")
		require.False(t, first.ProfileStale)
		p, err := s.Profile(ctx, k.plan.Channel.ID, k.chat)
		require.NoError(t, err)
		p.DisplayName = "Aoi"
		require.NoError(t, s.SaveProfile(ctx, p, false))

		seen, n := first.Seen, 0
		writes := func() store.IngestResult {
			t.Helper()
			n++
			k.receive(k.event(fmt.Sprint("m", n), "message", "again"))
			res := k.ingest(first.ConversationID, seen)
			require.False(t, res.ProfileDue)
			require.Equal(t, res.ProfileStale, k.ingest(first.ConversationID, seen).ProfileStale, "run again, it answers the same")
			seen = res.Seen
			return res
		}
		require.False(t, writes().ProfileStale, "it is fresh")
		told(23 * time.Hour)
		require.False(t, writes().ProfileStale)
		told(25 * time.Hour)
		require.False(t, k.ingest(first.ConversationID, seen).ProfileStale, "nobody has written")
		require.True(t, writes().ProfileStale, "a day by default")
		k.plan.Workstream.Settings.Courtesies.ProfileSeconds = 7 * 24 * 3600
		require.False(t, writes().ProfileStale)
		k.plan.Workstream.Settings.Courtesies.ProfileSeconds = 60
		told(2 * time.Minute)
		require.True(t, writes().ProfileStale)

		// At the next conversation nobody waits for a name that is known.
		require.NoError(t, s.ExecForTest(ctx, `UPDATE conversations SET status = 'closed', owner = 'none'`))
		k.receive(k.event("later", "message", "hello"))
		next := k.ingest("", 0)
		require.NotEqual(t, first.ConversationID, next.ConversationID)
		require.False(t, next.ProfileDue)
		require.True(t, next.ProfileStale)
	})
}

func TestAgentsLearnThatACustomerHasAnotherNameOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		id := k.ingest("", 0).ConversationID
		p, err := s.Profile(ctx, k.plan.Channel.ID, k.chat)
		require.NoError(t, err)
		changes := func() string {
			t.Helper()
			return k.value(`SELECT count(*) FROM events WHERE type = 'customer.changed' AND conversation_id = '` + id + `' AND subject_id = '` + p.ID + `'`)
		}
		save := func(name, picture, language string) {
			t.Helper()
			p.DisplayName, p.PictureURL, p.Language = name, picture, language
			require.NoError(t, s.SaveProfile(ctx, p, true))
		}
		p.DisplayName, p.PictureURL, p.Language = "葵", "https://example.test/a.jpg", "ja"
		require.NoError(t, s.SaveProfile(ctx, p, false))
		require.Equal(t, "0", changes(), "the conversation begins with it")
		save("葵", "https://example.test/a.jpg", "ja")
		require.Equal(t, "0", changes())
		save("山田 葵", "https://example.test/a.jpg", "ja")
		save("山田 葵", "https://example.test/a.jpg", "ja")
		require.Equal(t, "1", changes())
		save("", "", "")
		require.Equal(t, "1", changes(), "LINE tells nothing any more: what is known stays")
		save("山田 葵", "https://example.test/b.jpg", "en")
		require.Equal(t, "2", changes())
		conv, err := s.Conversation(ctx, id)
		require.NoError(t, err)
		require.Equal(t, []string{"山田 葵", "https://example.test/b.jpg", "en"}, []string{conv.DisplayName, conv.PictureURL, conv.Language})
	})
}

func TestNamesOfMembersAreStaleAfterTheSameTime(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("first", "spoken", "U1 hello"))
		res := k.takes(store.IngestResult{})
		member := res.Members[0]
		require.NoError(t, s.SaveChatMember(ctx, member, "Hanako", "", false))
		k.plan.Workstream.Settings.Courtesies.ProfileSeconds = 3600
		require.NoError(t, s.ExecForTest(ctx, `UPDATE chat_members SET fetched_at = $1`, time.Now().Add(-2*time.Hour).UnixMicro()))
		k.receive(k.event("second", "spoken", "U1 again"), k.event("third", "spoken", "U2 hello"))
		res = k.takes(res)
		require.Equal(t, []string{member}, res.StaleMembers)
		require.Len(t, res.Members, 1, "who is new")
		require.NoError(t, s.SaveChatMember(ctx, member, "花子", "", true))
		require.Equal(t, "1", k.value(`SELECT count(*) FROM events WHERE type = 'customer.changed' AND conversation_id = '`+res.ConversationID+`' AND subject_id = '`+member+`'`))
		k.receive(k.event("fourth", "spoken", "U1 again"))
		res = k.takes(res)
		require.Empty(t, res.StaleMembers)
	})
}

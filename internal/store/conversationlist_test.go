package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// Whatever a list is narrowed by, it has everything that fits, newest first, and
// its pages are those of the whole.
func TestAListHasEverythingThatFitsWhateverItIsNarrowedBy(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s, url := storetest.New(t, dialect)
			town{open: 600, closed: 300}.fill(t, writer(t, url))
			pages := func(f store.ConversationFilter, limit int) (all []store.Conversation) {
				var after store.Position
				for {
					page, err := s.Conversations(ctx, f, after, limit)
					require.NoError(t, err)
					all = append(all, page...)
					if len(page) < limit {
						return all
					}
					after = store.Position{At: page[limit-1].CreatedAt, ID: page[limit-1].ID}
				}
			}
			everything := pages(store.ConversationFilter{}, 1000)
			require.Len(t, everything, 900)
			for _, f := range filters() {
				for status := range map[conversation.Status]bool{f.Status: true, "closed": f.Status != "", "waiting": f.Status != ""} {
					for n := range 2 {
						one := f
						if f.Status != "" {
							one.Status = status
						}
						for field, value := range map[*string]string{&one.QueueID: fmt.Sprint("que_", n), &one.AgentID: fmt.Sprint("agt_", n), &one.ContactID: fmt.Sprint("con_", n), &one.ChannelID: fmt.Sprint("chn_", n)} {
							if *field != "" {
								*field = value
							}
						}
						fits := func(c store.Conversation) bool {
							return (one.Status == "" || c.Status == one.Status) && (one.QueueID == "" || c.QueueID == one.QueueID) && (one.AgentID == "" || c.AgentID == one.AgentID) &&
								(one.ContactID == "" || c.ContactID == one.ContactID) && (one.ChannelID == "" || c.ChannelID == one.ChannelID)
						}
						want := slices.DeleteFunc(slices.Clone(everything), func(c store.Conversation) bool { return !fits(c) })
						require.ElementsMatch(t, want, pages(one, 11), "%+v", one)
						require.Equal(t, len(want), len(pages(one, 1000)), "%+v", one)
						require.True(t, slices.IsSortedFunc(pages(one, 11), func(a, b store.Conversation) int { return int(b.CreatedAt - a.CreatedAt) }))
					}
				}
			}
			found, err := s.Conversations(ctx, store.ConversationFilter{Search: "CUSTOMER 77", ChannelID: "chn_2"}, store.Position{}, 50)
			require.NoError(t, err)
			require.Len(t, found, 3, "77, 772, 777")
		})
	}
}

package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestQuickRepliesAreEverybodysOrAnAgentsOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		mei, kai := anAgent(t, s, "mei"), anAgent(t, s, "kai")
		w, other := aWorkstream(t, s), aWorkstream(t, s)
		create := func(q store.QuickReply) store.QuickReply {
			made, err := s.CreateQuickReply(ctx, admin, q)
			require.NoError(t, err)
			read, err := s.QuickReply(ctx, made.ID)
			require.NoError(t, err)
			require.Equal(t, made, read)
			return made
		}
		shared := create(store.QuickReply{Title: "b", Text: "Hello {customer_name}", Locale: "en", Tags: []string{"greeting"}})
		ours := create(store.QuickReply{Title: "a", Text: "Shop", WorkstreamIDs: []string{w.ID}})
		mine := create(store.QuickReply{Title: "c", Text: "Mei", AgentID: mei.ID})
		_, err := s.CreateQuickReply(ctx, admin, store.QuickReply{Title: "d", Text: "x", WorkstreamIDs: []string{w.ID, "wst_none"}})
		requireFields(t, err, "/workstream_ids/1")

		ids := func(list []store.QuickReply, err error) (out []string) {
			require.NoError(t, err)
			for _, q := range list {
				out = append(out, q.ID)
			}
			return out
		}
		require.Equal(t, []string{shared.ID, ours.ID, mine.ID}, ids(s.QuickReplies(ctx, mei.ID, store.Cursor{}, 10)))
		require.Equal(t, []string{ours.ID}, ids(s.QuickReplies(ctx, kai.ID, store.Cursor{At: shared.CreatedAt, ID: shared.ID}, 10)))
		require.Equal(t, []string{ours.ID, shared.ID, mine.ID}, ids(s.QuickRepliesFor(ctx, mei.ID, w.ID, 10)))
		require.Equal(t, []string{shared.ID}, ids(s.QuickRepliesFor(ctx, kai.ID, other.ID, 10)))
		require.Equal(t, []string{ours.ID}, ids(s.QuickRepliesFor(ctx, kai.ID, w.ID, 1)))

		requireCode(t, conversation.CodeInUse, s.DeleteWorkstream(ctx, admin, w.ID, store.AnyVersion))
		changed, err := s.UpdateQuickReply(ctx, admin, ours.ID, 1, func(q *store.QuickReply) error {
			q.WorkstreamIDs = []string{}
			return nil
		})
		require.NoError(t, err)
		require.EqualValues(t, 2, changed.Version)
		_, err = s.UpdateQuickReply(ctx, admin, ours.ID, 1, func(*store.QuickReply) error { return nil })
		requireCode(t, conversation.CodeVersionStale, err)
		require.NoError(t, s.DeleteWorkstream(ctx, admin, w.ID, store.AnyVersion))

		// An agent's own go with the agent.
		boss, err := s.CreateAgent(ctx, admin, store.Agent{Name: "boss", Email: "boss@example.test", Role: store.RoleAdmin, Locale: "en"})
		require.NoError(t, err)
		require.NotEmpty(t, boss.ID)
		require.NoError(t, s.DeleteAgent(ctx, admin, mei.ID, store.AnyVersion))
		_, err = s.QuickReply(ctx, mine.ID)
		requireCode(t, conversation.CodeNotFound, err)
		require.NoError(t, s.DeleteQuickReply(ctx, admin, shared.ID, 1))
		require.Equal(t, []string{ours.ID}, ids(s.QuickReplies(ctx, kai.ID, store.Cursor{At: time.Time{}}, 10)))
	})
}

func TestAgentsAndBotsHaveASender(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, k := t.Context(), newTalk(t, s)
		aya := conversation.MessageSender{Name: "Aya", IconURL: "https://example.com/aya.png"}
		mei := anAgent(t, s, "mei")
		mei, err := s.UpdateAgent(ctx, admin, mei.ID, store.AnyVersion, func(a *store.Agent) error { a.Sender = aya; return nil })
		require.NoError(t, err)
		require.Equal(t, aya, mei.Sender)
		value := store.NewTokenValue()
		_, err = s.IssueToken(ctx, admin, store.Token{AgentID: mei.ID, Name: "x", Role: store.RoleAgent}, value)
		require.NoError(t, err)
		who, err := s.Authenticate(ctx, value)
		require.NoError(t, err)
		require.Equal(t, aya, who.Agent.Sender)

		_, err = s.UpdateBot(ctx, admin, k.plan.Bot.ID, store.AnyVersion, func(b *store.Bot) error { b.Sender = conversation.MessageSender{Name: "Guide"}; return nil })
		require.NoError(t, err)
		plan, err := s.Plan(ctx, k.plan.Channel.ID)
		require.NoError(t, err)
		require.Equal(t, conversation.MessageSender{Name: "Guide"}, plan.Bot.Sender)
	})
}

package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestAPopulatedDatabaseIsReadAndMatchedLikeAnother(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, by := t.Context(), store.Origin{}
		skill, err := s.CreateSkill(ctx, by, store.Skill{Name: "Thai"})
		require.NoError(t, err)
		queue, err := s.CreateQueue(ctx, by, store.Queue{Name: "Support", Priority: 1})
		require.NoError(t, err)
		stream, err := s.CreateWorkstream(ctx, by, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: queue.ID})
		require.NoError(t, err)
		channel, err := s.CreateChannel(ctx, by, store.Channel{
			Name: "Shop", LINEChannelID: "1", WorkstreamID: stream.ID, Locale: "ja", Status: store.ChannelActive, ChatMode: "bot", Secrets: []string{"s"}, Token: "t",
		})
		require.NoError(t, err)
		agent, err := s.CreateAgent(ctx, by, store.Agent{Name: "Mali", Email: "mali@example.com", Role: store.RoleAgent, Locale: "th", Capacity: 2})
		require.NoError(t, err)
		require.NoError(t, s.AddMember(ctx, by, queue.ID, agent.ID))
		_, err = s.SetPresence(ctx, agent.ID, conversation.PresenceAvailable, true)
		require.NoError(t, err)

		var list []store.Populated
		for i := range 1200 { // more than one INSERT
			p := store.Populated{ChannelID: channel.ID, WorkstreamID: stream.ID, Number: i, Phase: conversation.PhaseServed, AgentID: "agt_else", QueueID: queue.ID, Messages: 3}
			switch i {
			case 0:
				p.Messages, p.UpdatedAt = 500, time.Now().Add(time.Hour)
			case 1:
				p.Phase, p.AgentID, p.Messages = conversation.PhaseQueued, "", 1
			case 2:
				p.Phase, p.AgentID, p.Skills = conversation.PhaseQueued, "", []conversation.SkillNeed{{SkillID: skill.ID, Level: 3}}
			}
			list = append(list, p)
		}
		require.NoError(t, s.Populate(ctx, list))
		require.NoError(t, s.Analyze(ctx))

		all, err := s.Conversations(ctx, store.ConversationFilter{ChannelID: channel.ID}, store.Position{}, 5000)
		require.NoError(t, err)
		require.Len(t, all, len(list))
		longest := all[len(all)-1]
		require.Equal(t, "Customer 0", longest.DisplayName)
		require.Greater(t, longest.UpdatedAt, time.Now().Add(50*time.Minute).UnixMicro())
		var said []store.Message
		var at store.MessagePosition
		for {
			page, err := s.Messages(ctx, longest.ID, at, 200)
			require.NoError(t, err)
			said = append(said, page...)
			if len(page) < 200 {
				break
			}
			end := page[len(page)-1]
			at = store.MessagePosition{At: end.OccurredAt, Ordinal: end.Ordinal, ID: end.ID}
		}
		require.Len(t, said, 500)
		require.Equal(t, []conversation.Direction{conversation.Inbound, conversation.Outbound}, []conversation.Direction{said[0].Direction, said[499].Direction})

		res, err := s.Match(ctx, store.MatchRequest{})
		require.NoError(t, err)
		require.Equal(t, 1, res.Made, "who waits is offered, but for who needs Thai: %s", fmt.Sprintf("%+v", res))
		require.Equal(t, 1, res.Waiting)
	})
}

package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func aSkill(t *testing.T, s *store.Store, name string) store.Skill {
	t.Helper()
	k, err := s.CreateSkill(t.Context(), admin, store.Skill{Name: name})
	require.NoError(t, err)
	return k
}

func TestAnAgentsSkillsAndCapacityAreChangedAsOne(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		japanese, refunds := aSkill(t, s, "日本語"), aSkill(t, s, "refunds")
		mai := anAgent(t, s, "mai", store.AgentSkill{SkillID: japanese.ID, Level: 8})
		bo := anAgent(t, s, "bo")
		require.Equal(t, []store.AgentSkill{{SkillID: japanese.ID, Level: 8}}, mai.Skills)

		same, err := s.UpdateAgent(ctx, admin, mai.ID, 1, func(a *store.Agent) error {
			a.Skills = []store.AgentSkill{{SkillID: japanese.ID, Level: 8}}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, mai, same, "the same skills are no change")

		_, err = s.UpdateAgent(ctx, admin, mai.ID, 1, func(a *store.Agent) error {
			a.Capacity, a.Skills = 0, []store.AgentSkill{{SkillID: refunds.ID, Level: 1}}
			return nil
		})
		require.NoError(t, err)
		read, err := s.Agents(ctx, store.Cursor{}, 10)
		require.NoError(t, err)
		require.Equal(t, []store.AgentSkill{{SkillID: refunds.ID, Level: 1}}, read[0].Skills)
		require.Zero(t, read[0].Capacity)
		require.Equal(t, bo, read[1])
		log, err := s.AuditLog(ctx, store.AuditFilter{SubjectID: mai.ID}, 0, 1)
		require.NoError(t, err)
		require.Len(t, log[0].Changes, 3, "%v", log[0].Changes)
		require.Equal(t, "8", string(log[0].Changes["skills/"+japanese.ID].From))

		_, err = s.UpdateAgent(ctx, admin, mai.ID, 2, func(a *store.Agent) error {
			a.Name, a.Skills = "Mai", []store.AgentSkill{{SkillID: "skl_none", Level: 1}}
			return nil
		})
		requireCode(t, conversation.CodeInvalid, err)
		require.ErrorContains(t, err, "skl_none")
		unchanged, err := s.Agent(ctx, mai.ID)
		require.NoError(t, err)
		require.Equal(t, read[0], unchanged)
	})
}

func TestASkillIsNotDeletedWhileSomebodyNeedsIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := aSkill(t, s, "japanese")
		_, err := s.CreateSkill(ctx, admin, store.Skill{Name: "japanese"})
		requireCode(t, conversation.CodeConflict, err)
		require.ErrorContains(t, err, "/name")

		mai := anAgent(t, s, "mai", store.AgentSkill{SkillID: k.ID, Level: 5})
		requireCode(t, conversation.CodeInUse, s.DeleteSkill(ctx, admin, k.ID, 1))
		require.NoError(t, s.DeleteAgent(ctx, store.Origin{}, mai.ID, 1))
		require.NoError(t, s.DeleteSkill(ctx, admin, k.ID, 1))
		requireCode(t, conversation.CodeNotFound, s.DeleteSkill(ctx, admin, k.ID, 1))
	})
}

package store_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
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

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		q, err := s.CreateQueue(ctx, admin, store.Queue{Name: "q"})
		require.NoError(t, err)
		require.Equal(t, routing.HighestCapacity, q.Assignment)
		mai, bo := anAgent(t, s, "mai"), anAgent(t, s, "bo")
		for range 2 {
			require.NoError(t, s.AddMember(ctx, admin, q.ID, mai.ID))
		}
		clock.Advance(time.Second)
		require.NoError(t, s.AddMember(ctx, admin, q.ID, bo.ID))
		members, err := s.Members(ctx, q.ID, store.Cursor{}, 1)
		require.NoError(t, err)
		require.Equal(t, []store.Member{{AgentID: mai.ID, Name: "mai", Since: clock.Now().Add(-time.Second)}}, members)
		members, err = s.Members(ctx, q.ID, store.Cursor{At: members[0].Since, ID: mai.ID}, 10)
		require.NoError(t, err)
		require.Len(t, members, 1)
		require.Equal(t, bo.ID, members[0].AgentID)

		for range 2 {
			require.NoError(t, s.RemoveMember(ctx, admin, q.ID, mai.ID))
		}
		log, err := s.AuditLog(ctx, store.AuditFilter{SubjectID: q.ID}, 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 4, "what changes nothing is not recorded")
		require.Equal(t, map[string]store.Change{"members/" + mai.ID: {From: json.RawMessage("true")}}, log[0].Changes)
		for _, change := range []func(context.Context, store.Origin, string, string) error{s.AddMember, s.RemoveMember} {
			requireCode(t, conversation.CodeNotFound, change(ctx, admin, "que_none", mai.ID))
			requireCode(t, conversation.CodeNotFound, change(ctx, admin, q.ID, "agt_none"))
		}
		_, err = s.Members(ctx, "que_none", store.Cursor{}, 1)
		requireCode(t, conversation.CodeNotFound, err)

		require.NoError(t, s.DeleteAgent(ctx, store.Origin{}, bo.ID, 1))
		members, err = s.Members(ctx, q.ID, store.Cursor{}, 10)
		require.NoError(t, err)
		require.Empty(t, members)
		require.NoError(t, s.AddMember(ctx, admin, q.ID, mai.ID))
		require.NoError(t, s.DeleteQueue(ctx, admin, q.ID, 1), "members do not keep a queue")
	})
}

func TestRulesNameWhatIsThereAndKeepIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := aSkill(t, s, "japanese")
		q, err := s.CreateQueue(ctx, admin, store.Queue{Name: "q"})
		require.NoError(t, err)
		urgent := int64(10)
		classify, err := s.CreateRuleset(ctx, admin, store.Ruleset{Name: "what", Kind: store.RulesetClassification, Rules: []routing.Rule{
			{ID: "r1", Name: "返金", Condition: `message.text.contains("返金")`, Outputs: routing.Outputs{Priority: &urgent, Skills: []conversation.SkillNeed{{SkillID: k.ID, Level: 5}}}},
		}})
		require.NoError(t, err)
		route, err := s.CreateRuleset(ctx, admin, store.Ruleset{Name: "where", Kind: store.RulesetRoute, RouteRules: []routing.RouteRule{
			{ID: "r1", Condition: "true", Split: []routing.Share{{QueueID: q.ID, Percent: 100}}},
		}})
		require.NoError(t, err)
		for _, made := range []store.Ruleset{classify, route} {
			read, err := s.Ruleset(ctx, made.ID)
			require.NoError(t, err)
			require.Equal(t, made, read)
		}
		_, err = s.CreateRuleset(ctx, admin, store.Ruleset{Name: "x", Kind: store.RulesetRoute, RouteRules: []routing.RouteRule{
			{ID: "a", Condition: "true", QueueID: q.ID}, {ID: "b", Condition: "true", QueueID: "que_none"},
			{ID: "c", Condition: "true", Split: []routing.Share{{QueueID: "que_gone", Percent: 50}, {QueueID: "que_none", Percent: 50}}},
		}})
		requireFields(t, err, "/rules/1/queue_id", "/rules/2/split/0/queue_id", "/rules/2/split/1/queue_id")
		_, err = s.UpdateRuleset(ctx, admin, classify.ID, 1, func(r *store.Ruleset) error {
			r.Rules[0].Outputs.Skills = append(r.Rules[0].Outputs.Skills, conversation.SkillNeed{SkillID: "skl_none", Level: 1})
			return nil
		})
		requireFields(t, err, "/rules/0/outputs/skills/1/skill_id")

		d, err := s.CreateDisposition(ctx, admin, store.Disposition{Name: "解決"})
		require.NoError(t, err)
		w := aWorkstream(t, s)
		require.Equal(t, int64(1), w.Settings.CapacityUnits)
		_, err = s.UpdateWorkstream(ctx, admin, w.ID, 1, func(w *store.Workstream) error {
			w.Settings.ClassificationRulesetIDs, w.Settings.RouteRulesetID = []string{classify.ID, route.ID, "rul_none"}, classify.ID
			return nil
		})
		requireFields(t, err, "/settings/classification_ruleset_ids/1", "/settings/classification_ruleset_ids/2")
		w, err = s.UpdateWorkstream(ctx, admin, w.ID, 1, func(w *store.Workstream) error {
			w.Settings.ClassificationRulesetIDs, w.Settings.RouteRulesetID = []string{classify.ID}, route.ID
			w.Settings.DispositionIDs, w.Settings.DispositionRequired = []string{d.ID}, true
			return nil
		})
		require.NoError(t, err)

		requireCode(t, conversation.CodeInUse, s.DeleteSkill(ctx, admin, k.ID, 1))
		requireCode(t, conversation.CodeInUse, s.DeleteQueue(ctx, admin, q.ID, 1))
		requireCode(t, conversation.CodeInUse, s.DeleteRuleset(ctx, admin, classify.ID, 1))
		requireCode(t, conversation.CodeInUse, s.DeleteRuleset(ctx, admin, route.ID, 1))
		requireCode(t, conversation.CodeInUse, s.DeleteDisposition(ctx, admin, d.ID, 1))
		require.NoError(t, s.DeleteWorkstream(ctx, admin, w.ID, 2))
		require.NoError(t, s.DeleteRuleset(ctx, admin, classify.ID, 1))
		require.NoError(t, s.DeleteRuleset(ctx, admin, route.ID, 1))
		require.NoError(t, s.DeleteDisposition(ctx, admin, d.ID, 1))
		require.NoError(t, s.DeleteSkill(ctx, admin, k.ID, 1))
		require.NoError(t, s.DeleteQueue(ctx, admin, q.ID, 1))
	})
}

func TestAQueueHasACalendar(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k, err := s.CreateCalendar(ctx, admin, store.Calendar{Name: "東京", Calendar: calendar.Calendar{
			Zone: "Asia/Tokyo", Hours: []calendar.Span{{Day: calendar.Monday, Opens: "09:00", Closes: "18:00"}}, Holidays: []calendar.Holiday{{Date: "2026-01-01", Name: "元日"}},
		}})
		require.NoError(t, err)
		read, err := s.Calendar(ctx, k.ID)
		require.NoError(t, err)
		require.Equal(t, k, read)
		q, err := s.CreateQueue(ctx, admin, store.Queue{Name: "q", CalendarID: k.ID, Assignment: routing.LongestIdle})
		require.NoError(t, err)
		require.Equal(t, k.ID, q.CalendarID)
		require.Equal(t, routing.LongestIdle, q.Assignment)
		_, err = s.CreateQueue(ctx, admin, store.Queue{Name: "q", CalendarID: "cal_none"})
		requireFields(t, err, "/calendar_id")
		requireCode(t, conversation.CodeInUse, s.DeleteCalendar(ctx, admin, k.ID, 1))
		require.NoError(t, s.DeleteQueue(ctx, admin, q.ID, 1))
		require.NoError(t, s.DeleteCalendar(ctx, admin, k.ID, 1))
	})
}

// requireFields looks at a refusal by field.
func requireFields(t *testing.T, err error, pointers ...string) {
	t.Helper()
	requireCode(t, conversation.CodeInvalid, err)
	var e *conversation.Error
	require.ErrorAs(t, err, &e)
	got := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		got[i] = f.Pointer
	}
	require.Equal(t, pointers, got)
}

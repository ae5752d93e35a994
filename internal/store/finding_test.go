package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func aService(t *testing.T, s *store.Store, deadlineMS int64) store.Ruleset {
	t.Helper()
	r, err := s.CreateRuleset(t.Context(), admin, store.Ruleset{Name: "service", Kind: store.RulesetService, Secret: "whsec_secret", Service: &routing.Service{
		Kind: routing.ServiceHTTP, URL: "https://classify.example", DeadlineMS: deadlineMS, MinConfidence: 0.6, CacheSeconds: 60, Intents: []routing.Intent{{Name: "返金"}},
	}})
	require.NoError(t, err)
	return r
}

func TestWhatAServiceFoundIsKnownForAWhileAndTheFirstAnswerStands(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		first := map[string]routing.Finding{"rul_1": {Intent: "返金", Skills: []conversation.SkillNeed{{SkillID: "skl_1", Level: 3}}}}
		other := map[string]routing.Finding{"rul_1": {Failure: routing.ServiceTimeout}}
		known, err := s.Findings(ctx, "fnd_1")
		require.NoError(t, err)
		require.Nil(t, known)
		for _, said := range []map[string]routing.Finding{first, other} {
			known, err = s.KeepFindings(ctx, "fnd_1", said, time.Hour)
			require.NoError(t, err)
			require.Equal(t, first, known)
		}
		known, err = s.Findings(ctx, "fnd_1")
		require.NoError(t, err)
		require.Equal(t, first, known)

		c.Advance(time.Hour)
		known, err = s.Findings(ctx, "fnd_1")
		require.NoError(t, err)
		require.Nil(t, known)
		known, err = s.KeepFindings(ctx, "fnd_1", other, time.Hour)
		require.NoError(t, err)
		require.Equal(t, other, known)
		c.Advance(2 * time.Hour)
		require.NoError(t, s.SweepConfiguration(ctx))
		c.Advance(-2 * time.Hour)
		known, err = s.Findings(ctx, "fnd_1")
		require.NoError(t, err)
		require.Nil(t, known, "it is swept")
	})
}

func TestAQuestionIsNamedByWhatTheAnswerDependsOn(t *testing.T) {
	t.Parallel()
	s, _ := storetest.New(t, "sqlite")
	id := s.QuestionID("rul_1", 1, []byte("返金"))
	require.Equal(t, id, s.QuestionID("rul_1", 1, []byte("返金")))
	require.NotEqual(t, id, s.QuestionID("rul_2", 1, []byte("返金")))
	require.NotEqual(t, id, s.QuestionID("rul_1", 2, []byte("返金")))
	require.NotEqual(t, id, s.QuestionID("rul_1", 1, []byte("返品")))
	require.NotContains(t, id, "返金")
}

func TestAPlanSaysHowLongItsServicesMayTake(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		one, two, unused := aService(t, s, 400), aService(t, s, 5000), aService(t, s, 7000)
		read, err := s.Ruleset(ctx, one.ID)
		require.NoError(t, err)
		require.Equal(t, one, read)
		require.Equal(t, store.RulesetService, read.Kind)
		require.Equal(t, "whsec_secret", read.Secret)
		w := aWorkstream(t, s)
		channel, err := s.CreateChannel(ctx, admin, store.Channel{
			Name: "Shop", LINEChannelID: "1000", BotUserID: "Ub", WorkstreamID: w.ID, Locale: "ja", Status: store.ChannelActive, Secrets: []string{"s"}, Token: "t",
		})
		require.NoError(t, err)
		plan, err := s.Plan(ctx, channel.ID)
		require.NoError(t, err)
		require.Zero(t, plan.ServicesMS)
		set := func(ids ...string) {
			_, err := s.UpdateWorkstream(ctx, admin, w.ID, store.AnyVersion, func(w *store.Workstream) error {
				w.Settings.ClassificationRulesetIDs = ids
				return nil
			})
			require.NoError(t, err)
			plan, err = s.Plan(ctx, channel.ID)
			require.NoError(t, err)
		}
		set(one.ID, two.ID)
		require.Equal(t, int64(5400), plan.ServicesMS)
		_, err = s.UpdateRuleset(ctx, admin, two.ID, 1, func(r *store.Ruleset) error { r.Service.DeadlineMS = 600; return nil })
		require.NoError(t, err)
		set(two.ID)
		require.Equal(t, int64(600), plan.ServicesMS)
		requireCode(t, conversation.CodeInUse, s.DeleteRuleset(ctx, admin, two.ID, store.AnyVersion))
		require.NoError(t, s.DeleteRuleset(ctx, admin, unused.ID, store.AnyVersion))
	})
}

func TestRulesSeeTheContactThatTheCustomerIsLinkedTo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		talk := newTalk(t, s)
		talk.receive(talk.event("e1", "message", "こんにちは"))
		id := talk.ingest("", 0).ConversationID
		facts, err := s.RoutingFacts(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, routing.ContactFacts{}, facts.Contact)
		k, err := s.CreateContact(t.Context(), admin, store.Contact{Name: "花子", Email: "hanako@example.com", Company: "Acme", CustomerNumber: "C-7", Phone: "03"})
		require.NoError(t, err)
		require.NoError(t, s.LinkContact(t.Context(), id, k.ID))
		facts, err = s.RoutingFacts(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, routing.ContactFacts{ID: k.ID, Name: "花子", Email: "hanako@example.com", Company: "Acme", CustomerNumber: "C-7"}, facts.Contact)
		require.Equal(t, k.ID, facts.Customer.ContactID)
	})
}

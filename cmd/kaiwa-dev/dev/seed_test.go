package dev

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestTheSeedIsValidAndHappensOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		d := &Dev{Store: s, Settings: Settings{AdminToken: "kaiwa-dev-admin"}}
		first, err := seed(ctx, d)
		require.NoError(t, err)
		for _, signIn := range first.SignIns {
			_, err := s.Authenticate(ctx, signIn.Token)
			require.NoError(t, err, signIn.Token)
		}
		for _, token := range []string{"kaiwa-dev-admin", "kaiwa-dev-sofie", "kaiwa-dev-supervisor", "kaiwa-dev-kenta", "kaiwa-dev-mali", "kaiwa-dev-james"} {
			_, err := s.Authenticate(ctx, token)
			require.NoError(t, err, token)
		}
		for _, set := range []store.Ruleset{byLanguage, bySubject, bySubjectToQueue} {
			require.Empty(t, routing.CheckRules("", set.Rules))
			require.Empty(t, routing.CheckRouteRules("", set.RouteRules))
		}
		require.Empty(t, shopHours.Check())
		require.NoError(t, afterwards.Validate())

		// What people change stays changed.
		require.NoError(t, s.RemoveMember(ctx, store.Origin{}, support.ID, seedID(conversation.PrefixAgent, "james@kaiwa.example")))
		again, err := seed(ctx, d)
		require.NoError(t, err)
		require.Equal(t, first, again)
		members, err := s.Members(ctx, support.ID, store.Cursor{}, 10)
		require.NoError(t, err)
		require.Len(t, members, 2)
	})
}

func TestTheSeededRulesFindLanguageSubjectAndQueue(t *testing.T) {
	t.Parallel()
	rules := []routing.Ruleset{{ID: byLanguage.ID, Rules: byLanguage.Rules}, {ID: bySubject.ID, Rules: bySubject.Rules}}
	queues := map[string]routing.QueueState{support.ID: {Members: 3}, orders.ID: {Members: 2}}
	for text, want := range map[string]struct {
		language, skill, queue string
		priority               int64
	}{
		"返金してください":           {"ja", japanese.ID, orders.ID, 50},
		"ขอคืนเงินค่ะ":       {"th", thai.ID, orders.ID, 50},
		"I want a refund":    {"", english.ID, orders.ID, 50},
		"Where is my order?": {"", english.ID, orders.ID, 0},
		"Hej med jer":        {"", english.ID, support.ID, 0},
	} {
		facts := routing.Facts{Message: routing.MessageFacts{Type: "text", Text: text, Texts: []string{text}}, Context: map[string]string{}}
		found := routing.Classify(rules, facts)
		require.Equal(t, want.language, found.Language, text)
		require.Equal(t, want.skill, found.Skills[0].SkillID, text)
		require.Equal(t, want.priority, found.Priority, text)
		facts.Conversation.Attributes = found.Attributes
		require.Equal(t, want.queue, routing.Route(bySubjectToQueue.RouteRules, facts, queues, support.ID).QueueID, text)
	}
}

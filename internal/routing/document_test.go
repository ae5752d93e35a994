package routing

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

func TestThePageOnRoutingIsTrue(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/routing.md")
	require.NoError(t, err)
	page := string(raw)

	examples := regexp.MustCompile("(?s)```cel\n(.*?)\n```").FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, examples)
	for _, e := range examples {
		assert.NoError(t, Compile(e[1]), e[1])
		assert.Empty(t, evaluate(e[1], someFacts().variables()).failure, e[1])
	}

	customs := regexp.MustCompile("(?s)```json\n(\\{\"buckets\".*?)\n```").FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, customs)
	for _, e := range customs {
		var c CustomAssignment
		require.NoError(t, json.Unmarshal([]byte(e[1]), &c))
		c.Defaults(func(prefix string) string { return conversation.NewID(conversation.Prefix(prefix)) })
		assert.Empty(t, CheckCustom("", c))
	}

	names := []string{"context", "now"}
	for name, facts := range map[string]any{
		"message": MessageFacts{}, "conversation": ConversationFacts{}, "customer": CustomerFacts{}, "contact": ContactFacts{}, "channel": ChannelFacts{}, "bot": BotFacts{}, "agent": AgentFacts{},
	} {
		for i := range reflect.TypeOf(facts).NumField() {
			names = append(names, name+"."+reflect.TypeOf(facts).Field(i).Tag.Get("json"))
		}
	}
	for _, r := range reasons {
		names = append(names, string(r))
	}
	for _, f := range failures {
		names = append(names, string(f.failure))
	}
	for _, f := range ServiceFailures() {
		names = append(names, string(f))
	}
	for _, s := range Sentiments() {
		names = append(names, string(s))
	}
	for _, w := range []any{
		ServiceAnswered, ServiceFailed, IgnoredConfidence, IgnoredUnknown, IgnoredValue,
		FailureCondition, FailureOther, RuleMatched, RuleNotMatched, RuleError, RuleSkipped, QueueMissing, QueueEmpty, RouteByRule, RouteBySplit, RouteFallback, RouteNone,
		QueueClosed, QueueFull, QueueLate, RouteSoonest, KeptForPeople, KeptOnce, KeptMoves, KeptCircle, KeptNoQueue, DeflectAssign, DeflectTransfer, DeflectEnd,
		Offered, NoAgent, WaitsForOne, UnknownQueue, WhyPreferred, WhyOnly, WhyFewestRefusals, WhyClosest, WhyHighestCapacity, WhyRoundRobin, WhyLongestIdle,
		WhyContact, WhyRule, Custom, ByPriority, ByAge, ByFreeCapacity, ByLoad, ByIdle, BySkillFit, ByProficiency, ByRound,
	} {
		names = append(names, reflect.ValueOf(w).String())
	}
	for _, name := range names {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/routing.md does not explain %s", name)
		}
	}
}

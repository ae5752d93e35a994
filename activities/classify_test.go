package activities_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/netguard"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
)

// oracle is a service that classifies. What it says may be changed.
type oracle struct {
	url   string
	calls atomic.Int64
	mu    sync.Mutex
	asked []map[string]any
	ids   []string
	says  http.HandlerFunc
}

func newOracle(t *testing.T, says http.HandlerFunc) *oracle {
	t.Helper()
	o := &oracle{says: says}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.calls.Add(1)
		raw, _ := io.ReadAll(r.Body)
		var body map[string]any
		_ = json.Unmarshal(raw, &body)
		o.mu.Lock()
		o.asked, o.ids = append(o.asked, body), append(o.ids, r.Header.Get("webhook-id"))
		says := o.says
		o.mu.Unlock()
		says(w, r)
	}))
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

func (o *oracle) now(says http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.says = says
}

func saying(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}
}

const refundsSure = `{"intent": {"value": "refund", "confidence": 0.9}, "sentiment": {"value": "negative", "confidence": 0.8}, "language": {"value": "ja"}}`

// service makes a ruleset of an oracle.
func (o *office) service(url string, change ...func(*routing.Service)) string {
	o.t.Helper()
	s := routing.Service{Kind: routing.ServiceHTTP, URL: url, DeadlineMS: 2000, MinConfidence: 0.6, CacheSeconds: 60, Intents: []routing.Intent{
		{Name: "refund", Description: "wants money back", Outputs: routing.Outputs{Priority: priority(20)}}, {Name: "delivery"},
	}}
	for _, f := range change {
		f(&s)
	}
	r, err := o.store.CreateRuleset(o.t.Context(), store.Origin{}, store.Ruleset{Name: "oracle", Kind: store.RulesetService, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Service: &s})
	require.NoError(o.t, err)
	return r.ID
}

// reachable has the activities reach services on this machine, and count.
func (o *office) reachable() {
	o.metrics = prometheus.NewRegistry()
	counting, err := telemetry.NewWorker(o.metrics)
	require.NoError(o.t, err)
	o.acts = activities.New(activities.Options{
		Store: o.store, Metrics: counting, Logger: slog.New(slog.DiscardHandler), Dispatcher: o, Now: func() time.Time { return monday },
		BotHTTP: netguard.NewClient(netguard.Options{AllowPrivate: true}),
	})
}

// counted is what a metric has counted, by its labels.
func (o *office) counted(name string) map[string]uint64 {
	o.t.Helper()
	families, err := o.metrics.Gather()
	require.NoError(o.t, err)
	out := map[string]uint64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			out[strings.Join(labels, " ")] = m.GetHistogram().GetSampleCount() + uint64(m.GetCounter().GetValue())
		}
	}
	return out
}

// classify asks the services, and routes by what they found.
func (o *office) classify(step string) (services []map[string]any, out activities.TransitionOutput) {
	o.t.Helper()
	found, err := o.acts.Classify(o.t.Context(), activities.ClassifyInput{ID: step, ConversationID: o.id, ChannelID: o.channel.ID})
	require.NoError(o.t, err)
	out, err = o.acts.Route(o.t.Context(), activities.RouteInput{ID: step, ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, FindingsID: found.FindingsID})
	require.NoError(o.t, err)
	_, entries := o.log()
	for _, line := range entries[0]["services"].([]any) {
		services = append(services, line.(map[string]any))
	}
	return services, out
}

func TestAServiceSaysWhatAConversationIsAbout(t *testing.T) {
	t.Parallel()
	oracle := newOracle(t, saying(refundsSure))
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{
			o.service(oracle.url, func(s *routing.Service) { s.CacheSeconds = 0 }),
			o.classification(routing.Rule{Condition: `conversation.attributes.intent == "refund" && conversation.attributes.sentiment == "negative"`, Outputs: routing.Outputs{Units: 4}}),
		}
		w.Settings.RouteRulesetID = o.routes(routing.RouteRule{Condition: `conversation.priority == 20 && conversation.units == 4 && conversation.language == "ja"`, QueueID: o.refunds.ID})
	}, func(t *testing.T, o *office) {
		o.reachable()
		for i := range 8 {
			o.writes("秘密 " + strings.Repeat("あ", i))
		}
		services, out := o.classify("tsn_route")
		require.Equal(t, o.refunds.ID, out.QueueID)
		require.Equal(t, "answered", services[0]["verdict"])
		require.Equal(t, "refund", services[0]["intent"])
		require.Equal(t, map[string]any{"intent": 0.9, "sentiment": 0.8, "language": 1.0}, services[0]["confidence"])
		outcomes, entries := o.log()
		require.Equal(t, "rules_matched", outcomes[0])
		require.Equal(t, "ja", entries[0]["written_language"])
		text, err := json.Marshal(entries)
		require.NoError(t, err)
		require.NotContains(t, string(text), "秘密")
		oracle.mu.Lock()
		body := oracle.asked[0]
		oracle.mu.Unlock()
		require.Len(t, body["texts"], 6, "the last six")
		require.Equal(t, "秘密 "+strings.Repeat("あ", 7), body["texts"].([]any)[5])
		require.Equal(t, "日本語", body["skills"].([]any)[0].(map[string]any)["name"])
		require.NotContains(t, body, "conversation_id")
		for _, row := range o.rows(`SELECT id, findings FROM service_findings`) {
			require.NotContains(t, row[0]+row[1], "秘密", "nothing of what was asked is kept")
		}
	})
}

func TestAServiceThatFailsLeavesTheDecisionToTheNextRuleset(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	for name, c := range map[string]struct {
		says   http.HandlerFunc
		change func(*routing.Service)
		want   map[string]any
	}{
		"late":     {func(http.ResponseWriter, *http.Request) { <-release }, func(s *routing.Service) { s.DeadlineMS = 200 }, map[string]any{"verdict": "failed", "failure": "timeout"}},
		"500":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, nil, map[string]any{"verdict": "failed", "failure": "http_status", "status": 500.0}},
		"huge":     {saying(`{"x": "` + strings.Repeat("x", 2<<20) + `"}`), nil, map[string]any{"verdict": "failed", "failure": "too_large"}},
		"nonsense": {saying(`{"intent": 7}`), nil, map[string]any{"verdict": "failed", "failure": "bad_answer"}},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		}, nil, map[string]any{"verdict": "failed", "failure": "http_status", "status": 302.0}},
		"not sure":     {saying(`{"intent": {"value": "refund", "confidence": 0.5}}`), nil, map[string]any{"verdict": "answered", "ignored": []any{map[string]any{"output": "intent", "reason": "low_confidence"}}}},
		"no skill":     {saying(`{"skills": [{"skill": "Klingon", "level": 3}]}`), nil, map[string]any{"verdict": "answered", "ignored": []any{map[string]any{"output": "skill", "reason": "unknown"}}}},
		"no intent":    {saying(`{"intent": {"value": "秘密"}}`), nil, map[string]any{"verdict": "answered", "ignored": []any{map[string]any{"output": "intent", "reason": "unknown"}}}},
		"no such host": {nil, func(s *routing.Service) { s.URL = "http://127.0.0.1:1" }, map[string]any{"verdict": "failed", "failure": "unreachable"}},
		"unusable":     {nil, func(s *routing.Service) { s.Kind = "soap" }, map[string]any{"verdict": "failed", "failure": "unusable"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			oracle := newOracle(t, c.says)
			t.Cleanup(func() {
				if name == "late" {
					close(release)
				}
			})
			eachOffice(t, func(o *office, w *store.Workstream) {
				change := c.change
				if change == nil {
					change = func(*routing.Service) {}
				}
				w.Settings.ClassificationRulesetIDs = []string{
					o.service(oracle.url, change),
					o.classification(routing.Rule{Condition: `!has(conversation.attributes.intent)`, Outputs: routing.Outputs{Attributes: map[string]string{"by": "rules"}}}),
				}
			}, func(t *testing.T, o *office) {
				o.reachable()
				o.writes("hello")
				services, out := o.classify("tsn_route")
				require.True(t, out.Routed)
				for _, ignore := range []string{"ruleset_id", "milliseconds"} {
					delete(services[0], ignore)
				}
				require.Equal(t, c.want, services[0])
				outcome := "answered"
				if failure, failed := c.want["failure"]; failed {
					outcome = failure.(string)
				}
				calls := map[string]uint64{outcome + " " + o.workstream.Settings.ClassificationRulesetIDs[0]: 1}
				if outcome == string(routing.ServiceUnusable) {
					calls = map[string]uint64{} // it was not asked
				}
				require.Equal(t, calls, o.counted("kaiwa_classifier_call_duration_seconds"))
				require.Equal(t, [][]string{{`{"by":"rules"}`}}, o.rows(`SELECT attributes FROM conversations WHERE id = $1`, o.id))
			})
		})
	}
}

func TestAPrivateAddressIsRefusedAndNothingIsAskedWithoutAText(t *testing.T) {
	t.Parallel()
	oracle := newOracle(t, saying(refundsSure))
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{o.service(oracle.url)}
	}, func(t *testing.T, o *office) {
		o.acts = activities.New(activities.Options{Store: o.store, Logger: slog.New(slog.DiscardHandler), Dispatcher: o, BotHTTP: netguard.NewClient(netguard.Options{})})
		o.writes("hello")
		services, _ := o.classify("tsn_route")
		require.Equal(t, "refused_address", services[0]["failure"])
	})
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{o.service(oracle.url)}
	}, func(t *testing.T, o *office) {
		o.reachable()
		o.writes(" ")
		services, _ := o.classify("tsn_route")
		require.Equal(t, "no_text", services[0]["failure"])
	})
	t.Cleanup(func() { require.Zero(t, oracle.calls.Load()) })
}

func TestTheSameQuestionIsAskedOnce(t *testing.T) {
	t.Parallel()
	for _, cached := range []int64{0, 60} {
		eachOffice(t, func(o *office, w *store.Workstream) {
			o.oracle = newOracle(o.t, saying(refundsSure))
			w.Settings.ClassificationRulesetIDs = []string{o.service(o.oracle.url, func(s *routing.Service) { s.CacheSeconds = cached })}
		}, func(t *testing.T, o *office) {
			o.reachable()
			o.writes("返金")
			in := activities.ClassifyInput{ID: "tsn_one", ConversationID: o.id, ChannelID: o.channel.ID}
			first, err := o.acts.Classify(t.Context(), in)
			require.NoError(t, err)
			o.oracle.now(saying(`{"intent": {"value": "delivery"}}`))
			again, err := o.acts.Classify(t.Context(), in)
			require.NoError(t, err)
			require.Equal(t, first, again)
			found, err := o.store.Findings(t.Context(), again.FindingsID)
			require.NoError(t, err)
			ruleset := o.workstream.Settings.ClassificationRulesetIDs[0]
			require.Equal(t, "refund", found[ruleset].Intent, "a step done again has the same answer")

			in.ID = "tsn_two"
			other, err := o.acts.Classify(t.Context(), in)
			require.NoError(t, err)
			found, err = o.store.Findings(t.Context(), other.FindingsID)
			require.NoError(t, err)
			calls, known := o.counted("kaiwa_classifier_call_duration_seconds"), o.counted("kaiwa_classifier_cache_hits_total")
			if cached > 0 {
				require.Equal(t, "refund", found[ruleset].Intent)
				require.True(t, found[ruleset].Cached)
				require.Equal(t, map[string]uint64{"answered " + ruleset: 1}, calls)
				require.Equal(t, map[string]uint64{ruleset: 1}, known)
			} else {
				require.Equal(t, "delivery", found[ruleset].Intent)
				require.Equal(t, map[string]uint64{"answered " + ruleset: 2}, calls)
				require.Empty(t, known)
			}
		})
	}
}

func TestThoseWhoAskTheSameAtOnceAskOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	oracle := newOracle(t, func(w http.ResponseWriter, r *http.Request) { <-release; saying(refundsSure)(w, r) })
	onOffice(t, "sqlite", func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{o.service(oracle.url)}
	}, func(t *testing.T, o *office) {
		o.reachable()
		o.writes("返金")
		var asking sync.WaitGroup
		for i := range 5 {
			asking.Go(func() {
				out, err := o.acts.Classify(t.Context(), activities.ClassifyInput{ID: "tsn_" + string(rune('a'+i)), ConversationID: o.id, ChannelID: o.channel.ID})
				if err == nil && out.FindingsID == "" {
					t.Error("nothing was found")
				}
			})
		}
		require.Eventually(t, func() bool { return oracle.calls.Load() > 0 }, 10*time.Second, time.Millisecond)
		close(release)
		asking.Wait()
		require.Equal(t, int64(1), oracle.calls.Load())
	})
}

func TestASkillThatIsGoneIsNotRequired(t *testing.T) {
	t.Parallel()
	oracle := newOracle(t, saying(`{"skills": [{"skill": "日本語", "level": 3}]}`))
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{o.service(oracle.url)}
	}, func(t *testing.T, o *office) {
		o.reachable()
		o.writes("hello")
		found, err := o.acts.Classify(t.Context(), activities.ClassifyInput{ID: "tsn_route", ConversationID: o.id, ChannelID: o.channel.ID})
		require.NoError(t, err)
		require.NoError(t, o.store.DeleteSkill(t.Context(), store.Origin{}, o.japanese.ID, store.AnyVersion))
		_, err = o.acts.Route(t.Context(), activities.RouteInput{ID: "tsn_route", ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, FindingsID: found.FindingsID})
		require.NoError(t, err)
		require.Equal(t, [][]string{{"[]"}}, o.rows(`SELECT skills FROM conversations WHERE id = $1`, o.id))
	})
}

func TestAServiceWhoseAnswerWasLostIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office, w *store.Workstream) {
		w.Settings.ClassificationRulesetIDs = []string{o.service("http://127.0.0.1:1")}
	}, func(t *testing.T, o *office) {
		o.writes("where is my order")
		o.route()
		outcomes, entries := o.log()
		require.Equal(t, "no_rule_matched", outcomes[0])
		require.Equal(t, "no_answer", entries[0]["services"].([]any)[0].(map[string]any)["failure"])
		require.Equal(t, "en", entries[0]["language"], "the language is that of the texts")
		require.Equal(t, conversation.StatusOpen, conversation.Status(o.rows(`SELECT status FROM conversations WHERE id = $1`, o.id)[0][0]))
	})
}

func TestServicesHaveTenSecondsTogether(t *testing.T) {
	t.Parallel()
	onOffice(t, "sqlite", func(o *office, w *store.Workstream) {
		long := func(s *routing.Service) { s.DeadlineMS = 9000 }
		w.Settings.ClassificationRulesetIDs = []string{o.service("http://127.0.0.1:1", long), o.service("http://127.0.0.1:1", long)}
	}, func(t *testing.T, o *office) {
		o.writes("hello")
		out, err := o.acts.Ingest(t.Context(), activities.IngestInput{ChannelID: o.channel.ID, ChatKey: o.chat, ConversationID: o.id})
		require.NoError(t, err)
		require.Equal(t, int64(10_000), out.Settings.ServicesMS)
	})
}

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/taskqueue/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"kaiwa/activities"
	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// recordSwitch makes TestRecordHistories write. A history that is there is
// evidence of what ran once, so it is recorded anew only when it was removed.
const recordSwitch = "KAIWA_RECORD_HISTORIES"

// historiesDir has the histories of the present plot.
var historiesDir = filepath.Join("../workflows/testdata/histories", strconv.Itoa(activities.Plot))

// canary is in everything that is said while histories are recorded; see
// TestGoldenHistoriesCarryIDsNeverContent.
const canary = "Kanarienvogel"

const canaryScript = `{
	"version": 1, "default_locale": "en", "start": "first",
	"nodes": {
		"first": {"say": ["Kanarienvogel: welcome"], "goto": "wait"},
		"wait": {"capture": {"into": "heard", "kind": "pattern", "pattern": "[^!]*", "goto": "answer"}},
		"answer": {"say": ["Kanarienvogel: {$heard}"], "goto": "wait"},
		"bye": {"say": ["Kanarienvogel: goodbye"], "end": true},
		"person": {"say": ["Kanarienvogel: a person comes"], "handoff": {"summary": "Kanarienvogel wants a person"}}
	},
	"keywords": [{"match": "any", "words": ["bye"], "goto": "bye"}],
	"handoff": {"node": "person", "words": ["person"]}
}`

// scenario is one recorded life of a conversation.
type scenario struct {
	name   string
	limit  int // of the history; see dev.Options.HistoryLimit
	change func(t *testing.T, w *store.Workstream, b *store.Bot)
	play   func(c customer)
	beside func(c customer) map[string][2]string // other runs to record: workflow and run ids, by name
}

var scenarios = []scenario{
	{name: "bot-idle", change: func(_ *testing.T, w *store.Workstream, _ *store.Bot) { w.Settings.Bot.IdleSeconds = 3 }, play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.isQuiet()
		c.says("and this") // before the deadline, so that the alarm rings early once
		c.isClosed(conversation.ReasonBotIdle)
	}},
	{name: "bot-ended", play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.says("bye!")
		c.isClosed(conversation.ReasonBotEnded)
	}},
	{name: "handoff-to-queue", change: func(_ *testing.T, w *store.Workstream, _ *store.Bot) { w.Settings.AutoClose.OpenSeconds = 3 }, play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.says("a person please")
		c.isAnswered(2)
		c.isQuiet()
		c.says("are you there?")
		c.isClosed(conversation.ReasonAutoClosed)
	}},
	{name: "without-bot", change: func(_ *testing.T, w *store.Workstream, _ *store.Bot) { w.BotID = "" }, play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.isQuiet()
		c.isClosedByREST()
	}},
	{name: "closed-by-rest", play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.isQuiet()
		c.isClosedByREST()
	}},
	{name: "customer-blocks", play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		_, err := c.k.Sim.Unfollow(c.k.t.Context(), dev.SimChannelID, c.id)
		require.NoError(c.k.t, err)
		c.isClosed(conversation.ReasonCustomerBlocked)
	}},
	{name: "unsend", play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		sent := c.says("my secret")
		c.isAnswered(2)
		_, err := c.k.Sim.Unsend(c.k.t.Context(), dev.SimChannelID, c.id, sent)
		require.NoError(c.k.t, err)
		c.isQuiet()
		c.says("bye!")
		c.isClosed(conversation.ReasonBotEnded)
	}},
	{name: "follow-alone", play: func(c customer) {
		_, err := c.k.Sim.Follow(c.k.t.Context(), dev.SimChannelID, c.id)
		require.NoError(c.k.t, err)
		c.isQuiet()
	}},
	{name: "webhook-bot-answers-and-ends", change: webhookBot(`{"messages":[{"type":"text","text":"Kanarienvogel"}],"action":"end"}`), play: func(c customer) {
		c.says("hello")
		c.isClosed(conversation.ReasonBotEnded)
	}},
	{name: "webhook-bot-fails", change: webhookBot(`{"messages": 7`), play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.isQuiet()
		c.isClosedByREST()
	}},
	{name: "cancelled", play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.isQuiet()
		require.NoError(c.k.t, c.k.Temporal.CancelWorkflow(c.k.t.Context(), c.workflowID(), ""))
		c.isClosed(conversation.ReasonCancelled)
	}},
	{name: "continue-as-new", limit: 30, play: func(c customer) {
		for i := range 6 {
			c.says("hello")
			c.isAnswered(i + 1)
			c.isQuiet()
		}
		c.says("bye!")
		c.isClosed(conversation.ReasonBotEnded)
	}},
	{name: "consent-given", change: withConsent, play: func(c customer) {
		c.says("hello")
		c.isAnswered(2)
		c.isQuiet()
		c.says("what is this?") // is no answer
		c.isAnswered(3)
		c.isQuiet()
		c.taps(0)
		c.isAnswered(4)
		c.isQuiet()
		c.says("bye!")
		c.isClosed(conversation.ReasonBotEnded)
	}},
	{name: "consent-refused", change: withConsent, play: func(c customer) {
		c.says("hello")
		c.isAnswered(2)
		c.isQuiet()
		c.taps(1)
		c.isClosed(conversation.ReasonConsentRefused)
	}},
	{name: "survey-answered", change: withSurvey, play: func(c customer) {
		c.says("a person please")
		kenta, mali := c.k.as("kaiwa-dev-kenta"), c.k.as("kaiwa-dev-mali")
		kenta.isThere(conversation.PresenceAvailable)
		c.k.eventually(func() bool { return len(c.conversations()) == 1 }, "the conversation is there")
		id := c.conversations()[0].ID
		accept := func() {
			require.Equal(c.k.t, http.StatusOK, kenta.answers(c.k.isOffered(kenta, id), "accept", nil))
			c.isQuiet()
		}
		accept()
		status, said := kenta.says(id, canary+" how can I help?")
		require.Contains(c.k.t, stored, status, said)
		kenta.does("park", id, nil)
		c.isQuiet()
		c.says("I am back")
		accept()
		_, err := c.k.Sim.Send(c.k.t.Context(), dev.SimChannelID, c.id, linesim.Message{Type: "image", Content: photo(c.k.t)})
		require.NoError(c.k.t, err)
		c.isQuiet()
		kenta.does("transfer", id, map[string]any{"agent_id": mali.id})
		mali.does("end", id, nil)
		c.says("one more thing")
		c.isQuiet()
		mali.does("end", id, nil)
		mali.does("wrap-up", id, nil)
		kenta.isThere(conversation.PresenceOffline)
		c.k.eventually(func() bool { return len(c.reads()) > 0 && strings.Contains(c.reads()[len(c.reads())-1], "stars") }, "the survey asks")
		c.presses("4 Satisfied")
		c.k.surveyIsOver(id, "answered")
		c.k.eventually(func() bool {
			d, err := c.k.Temporal.DescribeWorkflowExecution(c.k.t.Context(), conversation.WorkflowDispatcherID, "")
			return err == nil && d.WorkflowExecutionInfo.Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
		}, "the dispatcher has nothing to do")
	}, beside: func(c customer) map[string][2]string {
		served := c.conversations()[0]
		return map[string][2]string{
			"served":     {c.workflowID(), served.RunID},
			"survey":     {conversation.SurveyWorkflowID(served.ID), ""},
			"dispatcher": {conversation.WorkflowDispatcherID, ""},
		}
	}},
	{name: "classified-by-service", play: func(c customer) {
		c.k.classifiedBy(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"intent": {"value": "refund"}, "sentiment": {"value": "Kanarienvogel"}}`))
		})
		c.says("my money back")
		c.routed()
		c.isQuiet()
		c.isClosedByREST()
	}},
	{name: "held-for-a-reply", change: func(_ *testing.T, w *store.Workstream, _ *store.Bot) {
		w.Mode, w.Settings.Sending.HoldSeconds = store.ModePick, 8
		w.Settings.TimeoutRules = []store.TimeoutRule{
			{Name: "ask", When: store.CustomerSilent, AfterSeconds: 2, Action: store.TimeoutTellCustomer, Texts: map[string]string{"en": canary + ": are you there?"}},
		}
	}, play: func(c customer) {
		c.says("a person please")
		c.k.eventually(func() bool { return len(c.conversations()) == 1 && c.conversations()[0].QueueID != "" }, "it waits")
		id, kenta := c.conversations()[0].ID, c.k.as("kaiwa-dev-kenta")
		kenta.does("pick", id, nil)
		asked := func(via string) func() bool {
			return func() bool {
				return slices.ContainsFunc(c.transcript(), func(m store.Message) bool { return m.Automated == store.AutomatedTimeoutRule && m.Via == via })
			}
		}
		c.withoutTokens(kenta, id)
		c.isHeld(8 * time.Second)
		c.says("I am here")
		c.k.eventually(asked("reply"), "it goes for nothing")
		c.withoutTokens(kenta, id)
		c.k.eventually(asked("push"), "it is pushed in the end")
		c.isClosedByREST()
	}},
	{name: "burst", play: func(c customer) {
		c.says("hello")
		c.isAnswered(1)
		c.burst([]string{canary + " one", canary + " two", canary + " three", canary + " four", canary + " five", canary + " six", canary + " seven"})
		c.isAnswered(8)
		c.says("bye!")
		c.isClosed(conversation.ReasonBotEnded)
	}},
}

func TestRecordHistories(t *testing.T) {
	if os.Getenv(recordSwitch) == "" {
		t.Skip("writes golden histories; set " + recordSwitch + "=1 to record those that are missing")
	}
	require.NoError(t, os.MkdirAll(historiesDir, 0o755))
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			if there, err := filepath.Glob(filepath.Join(historiesDir, s.name+"*.json")); err != nil || len(there) > 0 {
				require.NoError(t, err)
				t.Skip("is there")
			}
			k := start(t, "sqlite", func(o *dev.Options) { o.HistoryLimit = s.limit })
			_, err := k.Store.CreateSurvey(t.Context(), store.Origin{}, store.Survey{ID: recordedSurvey, Name: "After", Settings: survey.Settings{
				Mode: survey.ModeLINE, Questions: []survey.Question{{ID: "stars", Kind: survey.KindCSAT, Text: map[string]string{"en": canary + ": how many stars?"}}},
			}})
			require.NoError(t, err)
			k.arrange(func(w *store.Workstream, b *store.Bot) {
				b.Script = []byte(canaryScript)
				if s.change != nil {
					s.change(t, w, b)
				}
			})
			c := k.newCustomer(canary)
			s.play(c)
			c.isQuiet()
			secrets := c.secrets()
			runs := c.runs()
			if s.beside != nil {
				for name, run := range s.beside(c) {
					write(t, name, &history.History{Events: k.run(run[0], run[1])}, secrets)
				}
			}
			for i, run := range runs {
				name := s.name
				if len(runs) > 1 {
					name += "-" + string(rune('1'+i))
				}
				write(t, name, &history.History{Events: run}, secrets)
			}
		})
	}
}

// withConsent asks for consent to a privacy notice first.
func withConsent(_ *testing.T, w *store.Workstream, _ *store.Bot) {
	w.Settings.Privacy = store.Privacy{Notice: true, Consent: true, Version: "1"}
}

// withSurvey asks one question after people have served.
func withSurvey(_ *testing.T, w *store.Workstream, _ *store.Bot) {
	w.Settings.SurveyID = recordedSurvey
}

const recordedSurvey = "svy_recorded"

// says writes something with the canary in it, and returns LINE's message id.
func (c customer) says(text string) string {
	c.k.t.Helper()
	return c.writes(canary + " " + text).MessageID
}

func (c customer) isClosed(reason conversation.ClosureReason) {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		list := c.conversations()
		return len(list) == 1 && list[0].ClosureReason == reason
	}, "the conversation is closed: %s", reason)
}

func (c customer) isClosedByREST() {
	c.k.t.Helper()
	res, problem := c.k.call("POST", "/conversations/"+c.conversations()[0].ID+"/close", map[string]any{}, nil)
	require.Equal(c.k.t, http.StatusOK, res.StatusCode, problem)
}

// webhookBot has a service answer, always the same.
func webhookBot(answer string) func(*testing.T, *store.Workstream, *store.Bot) {
	return func(t *testing.T, _ *store.Workstream, b *store.Bot) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(answer))
		}))
		t.Cleanup(server.Close)
		b.Kind, b.Script, b.URL, b.Secret = store.BotWebhook, nil, server.URL, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	}
}

// secrets is what must not stand in a history of the customer: LINE's ids, the
// tokens and every text.
func (c customer) secrets() []string {
	c.k.t.Helper()
	chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
	require.NoError(c.k.t, err)
	out := []string{c.id, canary}
	for _, m := range chat {
		out = append(out, m.ID, m.EventID, m.ReplyToken, m.QuoteToken, m.RequestID, m.Text())
	}
	for _, m := range c.transcript() {
		out = append(out, m.Text)
	}
	return out
}

// write writes a history as Temporal's command line does. Whose machine ran it,
// and where its code lay, are the only things left out: a replay knows neither.
func write(t *testing.T, name string, h *history.History, secrets []string) {
	t.Helper()
	require.NoError(t, protorange.Range(h.ProtoReflect(), func(p protopath.Values) error {
		r, ok := p.Index(-1).Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		for field, value := range map[string]string{"identity": "recorder", "stack_trace": ""} {
			if f := r.Descriptor().Fields().ByName(protoreflect.Name(field)); f != nil && r.Has(f) {
				r.Set(f, protoreflect.ValueOfString(value))
			}
		}
		if q, ok := r.Interface().(*taskqueue.TaskQueue); ok && q.Kind == enums.TASK_QUEUE_KIND_STICKY {
			q.Name = "recorder" // it is named after the machine
		}
		return nil
	}))
	require.NoError(t, protorange.Range(h.ProtoReflect(), func(p protopath.Values) error {
		var text string
		switch v := p.Index(-1).Value.Interface().(type) {
		case string:
			text = v
		case []byte:
			text = string(v)
		}
		for _, secret := range secrets {
			require.False(t, secret != "" && strings.Contains(text, secret), "%s: %q has %q", name, text, secret)
		}
		return nil
	}))
	raw, err := protojson.Marshal(h)
	require.NoError(t, err)
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, raw, "", "  ")) // protojson's own spacing changes from build to build
	pretty.WriteByte('\n')
	require.NoError(t, os.WriteFile(filepath.Join(historiesDir, name+".json"), pretty.Bytes(), 0o644))
}

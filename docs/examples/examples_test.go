package examples_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/docs/examples"
	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/simulate"
)

// said is a turn in which a customer writes something.
func said(text string, context map[string]string) bot.Turn {
	return bot.Turn{
		ConversationID: "cnv_1", TurnID: "trn_1", Locale: "en", Customer: bot.Customer{Name: "Emma"}, Context: context, First: len(context) == 0,
		Messages: []bot.Message{{ID: "msg_1", Direction: conversation.Inbound, Type: "text", Text: text}},
	}
}

func texts(r bot.Reply) string {
	var all []string
	for _, m := range r.Messages {
		all = append(all, m.Text)
	}
	return strings.Join(all, "\n")
}

func TestTheScriptOfTheDocumentationWorks(t *testing.T) {
	t.Parallel()
	declaration, err := os.ReadFile("script.json")
	require.NoError(t, err)
	script, err := bot.ParseScript(declaration)
	require.NoError(t, err)
	context := map[string]string{}
	ask := func(text string) bot.Reply {
		reply, err := script.Answer(t.Context(), said(text, context))
		require.NoError(t, err)
		for name, value := range reply.Context {
			context[name] = value
		}
		return reply
	}
	require.Contains(t, texts(ask("hi")), "Hello Emma!")
	require.Contains(t, texts(ask("when are you open?")), "Every day from 10 to 19.")
	require.Contains(t, texts(ask("2")), "What is your order number?")
	require.Contains(t, texts(ask("seven")), "It looks like A-12345.")
	end := ask("A-12345")
	require.Equal(t, bot.ActionHandoff, end.Action)
	require.Equal(t, "Order A-12345", end.Handoff.Summary)
}

func TestTheWebhookBotOfTheDocumentationWorks(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	handler, err := examples.WebhookBot(secret)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b, err := bot.NewWebhook(bot.WebhookConfig{URL: server.URL, Secret: secret, HTTPClient: http.DefaultClient})
	require.NoError(t, err)

	first, err := b.Answer(t.Context(), said("what colours are there?", nil))
	require.NoError(t, err)
	require.Equal(t, "We have it in red and in blue.", texts(first))
	require.Len(t, first.Messages[0].QuickReplies, 2)

	second, err := b.Answer(t.Context(), said("red", nil))
	require.NoError(t, err)
	require.Equal(t, bot.ActionHandoff, second.Action)
	require.Equal(t, "Wants to order: red", second.Handoff.Summary)
	require.Equal(t, map[string]string{"colour": "red"}, second.Context)

	stranger, err := bot.NewWebhook(bot.WebhookConfig{URL: server.URL, Secret: "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=", HTTPClient: http.DefaultClient})
	require.NoError(t, err)
	_, err = stranger.Answer(t.Context(), said("red", nil))
	require.Equal(t, bot.FailureStatus, bot.FailureOf(err))
}

// What docs/bots.md shows is what is tested here.
func TestTheDocumentationShowsTheseExamples(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../bots.md")
	require.NoError(t, err)
	for _, file := range []string{"script.json", "webhookbot.go"} {
		example, err := os.ReadFile(file)
		require.NoError(t, err)
		if file == "webhookbot.go" {
			_, code, _ := strings.Cut(string(example), "// WebhookBot answers")
			example = []byte("// WebhookBot answers" + code)
		}
		require.Contains(t, string(page), string(example), "docs/bots.md shows another %s", file)
	}
}

func TestTheOfficeOfTheDocumentationIsPlayed(t *testing.T) {
	t.Parallel()
	office, err := os.ReadFile("office.yaml")
	require.NoError(t, err)
	scenario, err := simulate.Load([]simulate.File{{Name: "office.yaml", Content: office}}, os.ReadFile)
	require.NoError(t, err)
	scenario.Change(0, 2)
	report, err := simulate.Play(t.Context(), scenario)
	require.NoError(t, err)
	require.Len(t, report.Scopes, 3)
	for _, s := range report.Scopes {
		require.Greater(t, s.Measures[simulate.ServiceLevel].Mean, 0.5, s.Name)
	}
}

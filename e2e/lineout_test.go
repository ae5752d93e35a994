package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/textlen"
)

// Each fault strikes the answer to one customer. Whatever it is, the customer
// gets the answer once, and the transcript says so.
func TestAnAnswerReachesTheCustomerOnceWhateverLINEDoes(t *testing.T) {
	t.Parallel()
	// A token somebody else has used, as LINE puts it: what follows is a push.
	usedToken := linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 400, Body: json.RawMessage(`{"message":"Invalid reply token"}`)}
	cases := []struct {
		name   string
		via    string
		faults []linesim.Fault
	}{
		{"nothing", "reply", nil},
		{"no answer to a reply", "reply", []linesim.Fault{{Kind: linesim.FaultDropAnswer, Endpoint: "reply", Times: 1}}},
		{"a lost reply", "reply", []linesim.Fault{{Kind: linesim.FaultDropRequest, Endpoint: "reply", Times: 1}}},
		{"a reply fails twice", "reply", []linesim.Fault{{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 2}}},
		{"a reply is taken, and called a failure", "reply", []linesim.Fault{{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, AfterProcessing: true}}},
		{"too many calls", "reply", []linesim.Fault{{Kind: linesim.FaultRateLimit, Endpoint: "reply", Times: 2}}},
		{"a used token", "push", []linesim.Fault{usedToken}},
		{"no answer to a push", "push", []linesim.Fault{usedToken, {Kind: linesim.FaultDropAnswer, Endpoint: "push", Times: 1}}},
		{"a lost push", "push", []linesim.Fault{usedToken, {Kind: linesim.FaultDropRequest, Endpoint: "push", Times: 1}}},
		{"a push fails twice", "push", []linesim.Fault{usedToken, {Kind: linesim.FaultStatus, Endpoint: "push", Times: 2}}},
	}
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		for _, tc := range cases {
			emma := k.newCustomer("Emma")
			_, err := k.Sim.Faults(tc.faults...)
			require.NoError(t, err)
			emma.writes("m000")
			emma.isAnswered(1)
			emma.isQuiet()
			require.Equal(t, []string{"welcome"}, emma.reads(), tc.name)
			said := emma.transcript()[1]
			require.Equal(t, conversation.MessageAccepted, said.State, tc.name)
			require.Equal(t, tc.via, said.Via, tc.name)
			require.Empty(t, k.Sim.ActiveFaults(), tc.name)
		}
	})
}

func TestWhatLINERefusesIsFailedWithItsReasonAndTheLaneGoesOn(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		// answer is what the API shows of the bot's answer to a text. What only
		// agents are told, such as that no paid message is left, may come after it.
		answers := func() (out []store.Message) {
			for _, m := range emma.transcript() {
				if m.Direction == conversation.Outbound {
					out = append(out, m)
				}
			}
			return out
		}
		answer := func(text string) map[string]any {
			before := len(answers())
			emma.writes(text)
			k.eventually(func() bool {
				said := answers()
				return len(said) == before+1 && said[before].State != conversation.MessagePending
			}, "%s is answered", text)
			_, page := k.call("GET", "/conversations/"+emma.conversations()[0].ID+"/messages?limit=200", nil, nil)
			id := answers()[before].ID
			for _, item := range page["items"].([]any) {
				if m := item.(map[string]any); m["id"] == id {
					return m
				}
			}
			require.Fail(t, "the API does not show the answer", text)
			return nil
		}
		require.Equal(t, "accepted", answer("m000")["state"])

		fail := func(f linesim.Fault) {
			_, err := k.Sim.Faults(f)
			require.NoError(t, err)
		}
		fail(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 403, Body: json.RawMessage(`{"message":"Not permitted."}`)})
		m := answer("m001")
		require.Equal(t, "failed", m["state"])
		require.Equal(t, map[string]any{"code": "line_unauthorized", "detail": "Not permitted."}, m["failure"])

		fail(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 400, Body: json.RawMessage(`{"message":"LINE does not like it"}`)})
		m = answer("m002")
		require.Equal(t, "failed", m["state"])
		require.Equal(t, map[string]any{"code": "line_refused", "detail": "LINE does not like it"}, m["failure"])

		require.NoError(t, k.Sim.ChangeChannel(t.Context(), dev.SimChannelID, func(c *linesim.Channel) { c.Quota = 1 }))
		// The tokens of the two refused replies are as good as before: with that of
		// the third message, and of the fourth, four replies are tried.
		usedToken := linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 4, Status: 400, Body: json.RawMessage(`{"message":"Invalid reply token"}`)}
		fail(usedToken)
		require.Equal(t, "accepted", answer("m003")["state"], "the month's one push")
		m = answer("m004")
		require.Equal(t, "failed", m["state"])
		require.Equal(t, "line_quota", m["failure"].(map[string]any)["code"])

		m = answer("m005")
		require.Equal(t, "accepted", m["state"])
		require.Nil(t, m["failure"])
		require.Equal(t, []string{"welcome", "heard m003", "heard m005"}, emma.reads())
	})
}

// serves makes the conversations' bot a service, with a deadline in seconds.
func serves(t *testing.T, deadline int64, answer http.HandlerFunc) func(*store.Workstream, *store.Bot) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return func(w *store.Workstream, b *store.Bot) {
		b.Kind, b.URL, b.Secret, b.Script = store.BotWebhook, server.URL, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", nil
		w.Settings.Bot.DeadlineSeconds = deadline
	}
}

// says has a service answer with texts.
func says(w http.ResponseWriter, texts ...string) {
	var answer struct {
		Messages []conversation.Content `json:"messages"`
	}
	for _, text := range texts {
		answer.Messages = append(answer.Messages, conversation.TextContent(text))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone shows in the test
}

// Twenty texts of two pieces each: forty messages, eight calls.
func TestALongAnswerIsSplitBetweenCharactersAndGoesOutInOrder(t *testing.T) {
	t.Parallel()
	const family = "👩‍👩‍👧‍👦" // one character to people, eleven UTF-16 units
	texts := make([]string, 20)
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i))+family, 500)
		require.Greater(t, textlen.UTF16(texts[i]), line.MaxText)
	}
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(serves(t, 30, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			says(w, texts...)
		}))
		emma := k.newCustomer("Emma")
		emma.writes("tell me everything")
		emma.isAnswered(40)
		emma.isQuiet()
		emma.allAccepted()
		pieces := emma.reads()
		require.Len(t, pieces, 40)
		require.Equal(t, strings.Join(texts, ""), strings.Join(pieces, ""))
		for _, piece := range pieces {
			require.LessOrEqual(t, textlen.UTF16(piece), line.MaxText)
			require.Equal(t, uniseg.GraphemeClusterCount(piece), strings.Count(piece, family)+len(strings.ReplaceAll(piece, family, "")), "no character is torn")
		}
		replies := k.Sim.Calls(linesim.CallFilter{Endpoint: "reply"})
		pushes := k.Sim.Calls(linesim.CallFilter{Endpoint: "push"})
		require.Len(t, replies, 1)
		require.Len(t, pushes, 7)
	})
}

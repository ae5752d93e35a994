package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/cmd/kaiwa-dev/embedded"
	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// recordOutcomeSwitch makes TestWhatARunLeavesBehindIsJudged write what it read,
// which is what the tests of the invariants plant their violations in.
const (
	recordOutcomeSwitch = "KAIWA_RECORD_OUTCOME"
	recordedOutcome     = "../internal/chaos/outcome/testdata/healthy.json"
)

// A day at the shop with a bit of everything that can happen, little of it
// good: what it leaves behind is read on both databases, and nothing is found.
func TestWhatARunLeavesBehindIsJudged(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		deeds := k.aDayAtTheShop()
		sources := outcome.Sources{Simulator: k.Sim, Store: k.Store, Temporal: k.Temporal, Namespace: embedded.DefaultNamespace, Deeds: deeds}
		k.eventually(func() bool {
			left, err := outcome.Settled(t.Context(), sources)
			require.NoError(t, err)
			return len(left) == 0
		}, "everything settles")
		o, err := outcome.Collect(t.Context(), sources)
		require.NoError(t, err)
		verdicts := outcome.Judge(o)
		var table strings.Builder
		require.NoError(t, outcome.Report(&table, o, nil, verdicts))
		require.Empty(t, outcome.Check(o), table.String())
		for _, v := range verdicts {
			require.NotZero(t, v.Checked, "%s had nothing to look at:\n%s", v.Invariant.Name, table.String())
		}
		if os.Getenv(recordOutcomeSwitch) != "" && dialect == "postgres" {
			raw, err := json.Marshal(o)
			require.NoError(t, err)
			var pretty bytes.Buffer
			require.NoError(t, json.Indent(&pretty, raw, "", " "))
			require.NoError(t, os.WriteFile(recordedOutcome, pretty.Bytes(), 0o644))
		}
	})
}

// fault makes something go wrong at LINE.
func (k *kaiwa) fault(f linesim.Fault) {
	k.t.Helper()
	_, err := k.Sim.Faults(f)
	require.NoError(k.t, err)
}

// operate notes what is done to a customer's workflow in Temporal's UI.
func (c customer) operate(d *outcome.Deeds, verb outcome.Verb, do func(runID string) error) {
	c.k.t.Helper()
	all := c.conversations()
	run, _ := c.runID()
	at := time.Now().UnixMicro()
	require.NoError(c.k.t, do(run))
	d.Operations = append(d.Operations, outcome.Operation{Verb: verb, ConversationID: all[len(all)-1].ID, WorkflowID: c.workflowID(), RunID: run, At: at})
}

// aDayAtTheShop has customers, a bot, agents, an operator and a LINE that fails
// do something of everything, and leaves open conversations of each kind.
func (k *kaiwa) aDayAtTheShop() *outcome.Deeds {
	t := k.t
	t.Helper()
	ctx := t.Context()
	words := map[string]string{"en": "How many stars?"}
	sv, err := k.Store.CreateSurvey(ctx, store.Origin{}, store.Survey{Name: "After", Settings: survey.Settings{
		Mode: survey.ModeLINE, Questions: []survey.Question{{ID: "stars", Kind: survey.KindCSAT, Text: words}},
	}})
	require.NoError(t, err)
	k.arrange(func(w *store.Workstream, b *store.Bot) {
		withEcho(w, b)
		w.Settings.SurveyID = sv.ID
	})
	deeds := &outcome.Deeds{Promptly: 5 * time.Second} // beside other tests
	kenta, mali := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-mali")
	accepts := func(a agent, id string) {
		t.Helper()
		var refused problem
		require.Equal(t, http.StatusOK, a.answers(k.isOffered(a, id), "accept", &refused), refused.Detail)
	}
	says := func(a agent, id, text string) {
		t.Helper()
		status, said := a.says(id, text)
		require.Contains(t, stored, status, said)
	}

	// The bot, and webhooks that come more than once.
	k.fault(linesim.Fault{Kind: linesim.FaultDuplicate, Endpoint: linesim.WebhookEndpoint, Copies: 2, Times: 1})
	k.fault(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: linesim.WebhookEndpoint, Skip: 1, Times: 1})
	bob := k.newCustomer("Bob")
	bob.isHeard("m000", "m001")
	secret := bob.writes("m002")
	bob.isAnswered(3)
	_, err = k.Sim.Unsend(ctx, dev.SimChannelID, bob.id, secret.MessageID)
	require.NoError(t, err)
	k.fault(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 400, Body: json.RawMessage(`{"message":"Invalid reply token"}`)})
	k.fault(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "push", Times: 1})
	bob.isHeard("m003") // by a push whose answer is lost
	bob.writes("bye")
	bob.isClosed(conversation.ReasonBotEnded)
	bob.isQuiet()

	// People: an offer declined, one accepted, a picture, a transfer, a survey.
	kenta.isThere(conversation.PresenceAvailable)
	emma := k.newCustomer("Emma")
	id := emma.asksForAPerson()
	first := k.isOffered(kenta, id)
	mali.isThere(conversation.PresenceAvailable)
	require.Equal(t, http.StatusOK, kenta.answers(first, "decline", nil))
	accepts(mali, id)
	says(mali, id, "สวัสดีค่ะ")
	emma.posts(linesim.Message{Type: "image", Content: photo(t)})
	require.Equal(t, conversation.AttachmentStored, emma.file(1).State)
	mali.does("transfer", id, map[string]any{"agent_id": kenta.id})
	says(kenta, id, "こんにちは")
	kenta.does("end", id, nil)
	kenta.does("wrap-up", id, nil)
	emma.latest("How many stars?")
	emma.presses("4 Satisfied")
	k.surveyIsOver(id, "answered")
	emma.writes("m010") // the bot has her now
	emma.isQuiet()

	// Parked and back to the agent she had; LINE refuses a message; the survey
	// stays open.
	mali.isThere(conversation.PresenceAway)
	ida := k.newCustomer("Ida")
	id = ida.asksForAPerson()
	accepts(kenta, id)
	kenta.does("park", id, nil)
	ida.writes("I am back")
	accepts(kenta, id)
	ida.isQuiet()
	refusal := linesim.Fault{Kind: linesim.FaultStatus, Times: 1, Status: 400, Body: json.RawMessage(`{"message":"The request body has 1 error(s)"}`)}
	for _, endpoint := range []string{"reply", "push"} {
		refusal.Endpoint = endpoint
		k.fault(refusal)
	}
	says(kenta, id, "refused")
	k.eventually(func() bool { return k.count(`SELECT count(*) FROM messages WHERE state = 'failed'`) == 1 }, "LINE refuses it")
	k.Sim.ResetFaults()
	says(kenta, id, "taken")
	kenta.does("end", id, nil)
	kenta.does("wrap-up", id, nil)
	ida.latest("How many stars?")

	// Who blocks the account is closed, and may come back.
	noah := k.newCustomer("Noah")
	id = noah.asksForAPerson()
	accepts(kenta, id)
	_, err = k.Sim.Unfollow(ctx, dev.SimChannelID, noah.id)
	require.NoError(t, err)
	noah.isClosed(conversation.ReasonCustomerBlocked)
	_, err = k.Sim.Follow(ctx, dev.SimChannelID, noah.id)
	require.NoError(t, err)
	noah.isQuiet()

	// An operator.
	lee, max, ren := k.newCustomer("Lee"), k.newCustomer("Max"), k.newCustomer("Ren")
	lee.isHeard("l000", "l001")
	lee.operate(deeds, outcome.Terminated, func(run string) error { return k.Temporal.TerminateWorkflow(ctx, lee.workflowID(), run, "a test") })
	lee.isHeard("l002")
	max.isHeard("x000")
	max.operate(deeds, outcome.Cancelled, func(run string) error { return k.Temporal.CancelWorkflow(ctx, max.workflowID(), run) })
	max.ends()
	ren.isHeard("r000", "r001")
	ren.operate(deeds, outcome.Reset, func(run string) error {
		_, err := k.Temporal.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: embedded.DefaultNamespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: ren.workflowID(), RunId: run},
			Reason: "a test", RequestId: uuid.NewString(), WorkflowTaskFinishEventId: k.firstTask(ren.workflowID(), run),
		})
		return err
	})
	ren.isQuiet()
	ren.isHeard("r002")

	// What stays open: parked, in wrap-up, served, on offer, and waiting.
	for _, last := range []string{"park", "end", ""} {
		c := k.newCustomer("Somebody")
		id = c.asksForAPerson()
		accepts(kenta, id)
		if last != "" {
			kenta.does(last, id, nil)
		}
		c.isQuiet()
	}
	k.isOffered(kenta, k.newCustomer("Kim").asksForAPerson())
	k.newCustomer("Tam").asksForAPerson()
	return deeds
}

// firstTask is the event with which the first task of a run was completed.
func (k *kaiwa) firstTask(workflowID, runID string) int64 {
	k.t.Helper()
	for _, e := range k.run(workflowID, runID) {
		if e.GetWorkflowTaskCompletedEventAttributes() != nil {
			return e.EventId
		}
	}
	require.Fail(k.t, "no task was completed")
	return 0
}

package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

func TestTheCustomerHearsWhoWasFoundAndTheAgentWhatLINERefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		on := true
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			withEcho(w, b)
			w.Settings.AutomatedMessages = []store.AutomatedMessage{{Trigger: "agent_assigned", Text: "{agent_name} is coming", Enabled: &on}}
		})
		kenta := k.as("kaiwa-dev-kenta")
		kenta.isThere(conversation.PresenceAvailable)
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		offer := k.isOffered(kenta, id)
		k.eventually(func() bool { return slices.Contains(emma.reads(), kenta.name+" is coming") }, "the customer hears who was found")
		require.Equal(t, http.StatusOK, kenta.answers(offer, "accept", nil))
		emma.isQuiet()
		told := 0
		for _, text := range emma.reads() {
			if text == kenta.name+" is coming" {
				told++
			}
		}
		require.Equal(t, 1, told, "once")

		_, err := k.Sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Status: 400, Body: json.RawMessage(`{"message":"The property, 'to', in the request body is invalid (line: -, column: -)"}`)})
		require.NoError(t, err)
		status, said := kenta.says(id, "hello?")
		require.Equal(t, http.StatusAccepted, status)
		k.eventually(func() bool {
			m, err := k.Store.Message(t.Context(), said.ID)
			return err == nil && m.State == conversation.MessageFailed
		}, "LINE refuses the message")
		k.Sim.ResetFaults()
		var notes []store.Message
		for _, m := range emma.transcript() {
			if m.Automated == "message_not_sent" {
				notes = append(notes, m)
			}
		}
		require.Len(t, notes, 1, "the agent is told")
		require.Equal(t, conversation.Internal, notes[0].Direction)
		require.NotContains(t, emma.reads(), notes[0].Text, "and nobody else")
	})
}

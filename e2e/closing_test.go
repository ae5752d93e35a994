package e2e

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// instants are statements a conversation passes from the bot's goodbye to the
// end of its run. What arrives at one of them is too late for the bot's turn.
var instants = []string{
	"INSERT INTO bot_turns",        // the bot says goodbye
	"INSERT INTO chats",            // the close takes the chat's lock
	"position > $3 AND handled_by", // looks whether something was not seen
	"UPDATE sessions SET ended_at", // begins to write
	"INSERT INTO transitions",      // has nearly written
	"AND position = $3",            // looks what remains for the next
	"INSERT INTO batches",          // the goodbye goes to LINE
	"UPDATE batches SET state",     // and has arrived: the run ends
}

// What arrives while a conversation closes is answered by the next one: round
// after round the customer writes at an instant of closing.
func TestWhatArrivesWhileAConversationClosesIsAnsweredByTheNext(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		var ambush ambush
		k := start(t, dialect, func(o *dev.Options) { o.Observe = ambush.observe })
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		said := []string{"a0"}
		emma.writes("a0")
		for round := range 3 * len(instants) {
			emma.isQuiet()
			var burst []string
			for i := range 3 {
				burst = append(burst, fmt.Sprintf("b%d.%d", round, i))
			}
			written := make(chan error, 1)
			ambush.at(instants[round%len(instants)], func() {
				var err error
				for _, text := range burst {
					_, failed := k.Sim.SendText(t.Context(), dev.SimChannelID, emma.id, text)
					err = errors.Join(err, failed)
				}
				written <- err
			})
			emma.writes("bye")
			require.NoError(t, <-written)
			said = append(append(said, "bye"), burst...)
		}
		emma.isQuiet()
		emma.allAccepted()
		require.Equal(t, said, emma.inbound(), "every message is in exactly one conversation")
		conversations := emma.conversations()
		for i, c := range conversations {
			inbound, outbound := k.dialogue(c)
			require.Equal(t, echoAnswers(inbound), outbound, "each is answered, in its own conversation")
			require.Equal(t, i < len(conversations)-1, c.Status == conversation.StatusClosed)
		}
		require.Len(t, conversations, 3*len(instants)+1)
		t.Logf("%s: %d messages at %d closes, %d conversations", dialect, len(said), 3*len(instants), len(conversations))
	})
}

// ambush has something done at an instant, beside the statement.
type ambush struct {
	mu    sync.Mutex
	words []string // the statements that are still to pass
	do    func()
}

func (a *ambush) at(words string, do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.words, a.do = []string{"INSERT INTO bot_turns", words}, do
	if words == a.words[0] {
		a.words = a.words[1:]
	}
}

func (a *ambush) observe(statement string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.words) == 0 || !strings.Contains(statement, a.words[0]) {
		return
	}
	if a.words = a.words[1:]; len(a.words) == 0 {
		go a.do()
	}
}

// dialogue is what a conversation's two sides said, each in order.
func (k *kaiwa) dialogue(c store.Conversation) (inbound, outbound []string) {
	k.t.Helper()
	list, err := k.Store.Messages(k.t.Context(), c.ID, store.MessagePosition{}, 1000)
	require.NoError(k.t, err)
	for _, m := range list {
		if m.Direction == conversation.Inbound {
			inbound = append(inbound, m.Text)
		} else {
			outbound = append(outbound, m.Text)
		}
	}
	return inbound, outbound
}

// echoAnswers are the echo's answers to a whole conversation.
func echoAnswers(inbound []string) []string {
	out := make([]string, len(inbound))
	for i, text := range inbound {
		switch {
		case text == "bye":
			out[i] = "goodbye"
		case i == 0:
			out[i] = "welcome"
		default:
			out[i] = "heard " + text
		}
	}
	return out
}

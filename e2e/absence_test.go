package e2e

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// leaves has an agent give no sign of life for some minutes, as the database has
// it: the grace time is too long to wait for.
func leaves(t *testing.T, databaseURL, agentID string) {
	t.Helper()
	driver, dsn := "postgres", databaseURL
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(60000)"
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	const ago = 300_000_000
	_, err = db.ExecContext(t.Context(), `UPDATE sessions SET started_at = started_at - $1 WHERE conversation_id IN (SELECT id FROM conversations WHERE agent_id = $2)`, ago, agentID)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `UPDATE agent_states SET last_seen_at = last_seen_at - $1 WHERE agent_id = $2`, ago, agentID)
	require.NoError(t, err)
}

// went are the events of a conversation's timeline.
func went(t *testing.T, s *store.Store, conversationID string) (out []conversation.Event) {
	t.Helper()
	steps, err := s.Timeline(t.Context(), conversationID)
	require.NoError(t, err)
	for _, step := range steps {
		out = append(out, step.Event)
	}
	return out
}

func TestAnAgentWhoIsGoneIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		on := true
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			withEcho(w, b)
			w.Settings.AutomatedMessages = []store.AutomatedMessage{{Trigger: "agent_left", Text: "{agent_name} had to go", Enabled: &on}}
		})
		kenta, mali := k.as("kaiwa-dev-kenta"), k.as("kaiwa-dev-mali")
		kenta.isThere(conversation.PresenceAvailable)
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		require.Equal(t, http.StatusOK, kenta.answers(k.isOffered(kenta, id), "accept", nil))
		emma.isQuiet()
		leaves(t, k.Settings.DatabaseURL, kenta.id)
		mali.isThere(conversation.PresenceAvailable)
		offer := k.isOffered(mali, id)
		k.eventually(func() bool { return slices.Contains(emma.reads(), kenta.name+" had to go") }, "the customer hears of it")
		require.Equal(t, http.StatusOK, mali.answers(offer, "accept", nil))
		require.Equal(t, mali.id, mali.conversation(id).AgentID)
		status, refused := kenta.says(id, "I am back")
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "not_assigned_to_you", refused.Code)
		require.Equal(t, []conversation.Event{
			conversation.EventStartedWithBot, conversation.EventBotEscalated, conversation.EventRouted, conversation.EventAccepted, conversation.EventAgentLost, conversation.EventAccepted,
		}, went(t, k.Store, id))
		k.offersAddUp(id)
	})
}

// autoAccepted has offers accepted for their agents.
func autoAccepted(w *store.Workstream, b *store.Bot) {
	withEcho(w, b)
	w.Settings.Assignment.AutoAccept = true
}

func TestAnOfferThatIsAcceptedForItsAgentCostsSevenEvents(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(autoAccepted)
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		emma.isQuiet()
		before := emma.historyLength()
		kenta.isThere(conversation.PresenceAvailable)
		k.eventually(func() bool { return kenta.conversation(id).AgentID == kenta.id }, "the agent has it")
		emma.isQuiet()
		events := emma.historyLength() - before
		t.Logf("%s: %d history events", dialect, events)
		require.LessOrEqual(t, events, int64(8))
		require.Equal(t, 1, k.offersAddUp(id)["offer.accepted"])
		require.Equal(t, 1, kenta.load())
	})
}

func TestAnOfferThatIsAcceptedForItsAgentRacesWithTheCustomersBlock(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(autoAccepted)
		kenta := k.as("kaiwa-dev-kenta")
		for range raceRounds {
			kenta.isThere(conversation.PresenceBusy)
			emma := k.newCustomer("Emma")
			id := emma.asksForAPerson()
			together(
				func() { kenta.call(http.MethodPut, "/me/presence", nil, map[string]any{"presence": "available"}, nil) },
				func() { _, _ = k.Sim.Unfollow(t.Context(), dev.SimChannelID, emma.id) },
			)
			emma.isClosed(conversation.ReasonCustomerBlocked)
			t.Log(went(t, k.Store, id))
		}
		require.Zero(t, kenta.load(), "nothing is left with the agent")
	})
}

// The process dies between an offer and its acceptance for the agent, or between
// the look that finds an agent gone and the step that takes the conversation
// from them: it happens all the same, and once.
func TestWhatHappensToAgentsByItselfHappensOnceWhereverTheProcessDies(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		for _, point := range []string{
			"match.before_commit:1", "match.after_commit:1", "ingest.after_commit:2", "transition.before_commit:3", "transition.after_commit:3", // accepted
			"match.before_commit:2", "match.after_commit:2", "ingest.after_commit:3", "transition.before_commit:4", "transition.after_commit:4", // lost
		} {
			t.Run(dialect+"/"+point, func(t *testing.T) {
				t.Parallel()
				crashing <- struct{}{}
				defer func() { <-crashing }()
				m := newMortal(t, dialect, "KAIWA_FAILPOINT="+point)
				_, err := m.store.UpdateWorkstream(t.Context(), store.Origin{}, m.channel.WorkstreamID, store.AnyVersion, func(w *store.Workstream) error {
					w.Settings.Assignment.AutoAccept = true
					return nil
				})
				require.NoError(t, err)
				m.ready()
				user := m.addCustomer()
				available := func(i int) {
					require.NoError(t, m.asks(m.tokens[i], http.MethodPut, "/me/presence", "", map[string]any{"presence": "available"}, nil))
				}
				servedBy := func(i int) {
					require.NoError(t, m.until(func() bool {
						list := m.conversations(user)
						return len(list) == 1 && list[0].Owner == conversation.OwnerAgent && list[0].AgentID == m.agents[i]
					}), "agent %d has the conversation: %+v\n%s", i, m.conversations(user), m.told(user))
				}
				available(0)
				_, err = m.sim.SendText(t.Context(), mortalLINE, user, "talk to a person")
				require.NoError(t, err)
				servedBy(0)
				leaves(t, m.databaseURL(), m.agents[0])
				available(1)
				servedBy(1)

				id := m.conversations(user)[0].ID
				events := went(t, m.store, id)
				require.Contains(t, []conversation.Event{conversation.EventBotEscalated, conversation.EventCustomerAsked}, events[1])
				require.Equal(t, []conversation.Event{conversation.EventRouted, conversation.EventAccepted, conversation.EventAgentLost, conversation.EventAccepted}, events[2:])
				ended := map[string]int{}
				require.NoError(t, m.until(func() bool { // until the events are numbered
					clear(ended)
					list, err := m.store.Events(t.Context(), 0, 1000, id)
					require.NoError(t, err)
					for _, e := range list {
						if strings.HasPrefix(e.Type, "offer.") {
							ended[e.SubjectID+" "+e.Type]++
						}
					}
					return len(ended) >= 4
				}), "%v", ended)
				require.Len(t, ended, 4, "two offers, each made and accepted: %v", ended)
				for what, n := range ended {
					require.Equal(t, 1, n, what)
				}
				name, _, _ := strings.Cut(point, ":")
				require.FileExists(t, filepath.Join(m.dir, name), "the process died there")
				require.Equal(t, 1, m.died(), fmt.Sprint(m.shows(user)))
			})
		}
	}
}

// databaseURL is where the product keeps its data.
func (m *mortal) databaseURL() string {
	for _, v := range m.env {
		if url, ok := strings.CutPrefix(v, "KAIWA_DATABASE_URL="); ok {
			return url
		}
	}
	return ""
}

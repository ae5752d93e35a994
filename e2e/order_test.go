package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/automessage"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// LINE promises neither order nor uniqueness: the transcript has both.

func TestEventsDeliveredOutOfOrderReadInOrder(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withoutBot)
		texts := numbered(40)
		for _, c := range []struct {
			name    string
			release linesim.ReleaseOptions
		}{
			{"reversed", linesim.ReleaseOptions{Order: "reverse"}},
			{"shuffled", linesim.ReleaseOptions{Order: "shuffle", Seed: 7}},
			{"shuffled in bodies of several", linesim.ReleaseOptions{Order: "shuffle", Seed: 11, Batch: 7}},
		} {
			emma := k.newCustomer("Emma")
			k.Sim.Hold(dev.SimChannelID)
			for _, text := range texts {
				emma.writes(text)
			}
			_, err := k.Sim.Release(c.release)
			require.NoError(t, err)
			emma.isQuiet()
			require.Equal(t, texts, emma.inbound(), c.name)
			require.Len(t, emma.conversations(), 1)
		}
	})
}

func TestTheSameBodyEightTimesInParallelHasOneEffect(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		body := k.body(messageEvent(emma, "01KAHQ000000000000000000A1", "m001"), messageEvent(emma, "01KAHQ000000000000000000A2", "m002"))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				d, err := k.Sim.PostRaw(t.Context(), dev.SimChannelID, body)
				require.NoError(t, err)
				require.Equal(t, 200, d.Status)
			})
		}
		wg.Wait()
		emma.isAnswered(2)
		emma.isQuiet()
		require.Equal(t, []string{"m001", "m002"}, emma.inbound())
		require.Equal(t, []string{"welcome", "heard m002"}, emma.reads())
		require.Len(t, emma.conversations(), 1)
	})
}

func TestADuplicateLeavesNoTraceInTheHistory(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		first := emma.writes("m001")
		emma.isAnswered(1)
		emma.isQuiet()
		before := emma.historyLength()
		for range 5 {
			require.NoError(t, k.Sim.Redeliver(t.Context(), dev.SimChannelID, first.WebhookEventID))
		}
		emma.isQuiet()
		require.Len(t, k.Sim.Deliveries(linesim.DeliveryFilter{EventID: first.WebhookEventID}), 6)
		require.Equal(t, before, emma.historyLength())
		// What comes after goes through the same channel, so that nothing of
		// the duplicates can still be under way.
		emma.writes("m002")
		emma.isAnswered(2)
		emma.isQuiet()
		require.LessOrEqual(t, emma.historyLength()-before, int64(11))
		require.Equal(t, []string{"m001", "m002"}, emma.inbound())
		require.Equal(t, []string{"welcome", "heard m002"}, emma.reads())
	})
}

func TestTwoUsersInOneBodyReachTwoConversations(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma, noah := k.newCustomer("Emma"), k.newCustomer("Noah")
		k.Sim.Hold(dev.SimChannelID)
		for i := range 10 {
			emma.writes(fmt.Sprintf("e%d", i))
			noah.writes(fmt.Sprintf("n%d", i))
		}
		_, err := k.Sim.Release(linesim.ReleaseOptions{Batch: -1})
		require.NoError(t, err)
		for _, c := range []customer{emma, noah} {
			c.isAnswered(10)
			c.isQuiet()
			require.Len(t, c.conversations(), 1)
			require.Len(t, c.inbound(), 10)
		}
		require.Len(t, k.Sim.Deliveries(linesim.DeliveryFilter{}), 1, "it was one body")
		require.Equal(t, "e0 e1 e2 e3 e4 e5 e6 e7 e8 e9", strings.Join(emma.inbound(), " "))
		require.Equal(t, "n0 n1 n2 n3 n4 n5 n6 n7 n8 n9", strings.Join(noah.inbound(), " "))
		require.NotEqual(t, emma.conversations()[0].ID, noah.conversations()[0].ID)
	})
}

func TestAMalformedEventHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		source := fmt.Sprintf(`{"type":"user","userId":%q}`, emma.id)
		d, err := k.Sim.PostRaw(t.Context(), dev.SimChannelID, k.body(
			messageEvent(emma, "01KAHQ000000000000000000B1", "m001"),
			`{"type":7,"source":`+source+`}`,
			`"no object at all"`,
			`null`,
			`{"type":"message","webhookEventId":"01KAHQ000000000000000000B2","source":`+source+`,"message":[]}`,
			`{"type":"message","webhookEventId":"01KAHQ000000000000000000B3","source":"nobody","message":{"type":"text","id":"1","text":"x"}}`,
			`{"type":"fromTheFuture","webhookEventId":"01KAHQ000000000000000000B4","timestamp":"soon","source":`+source+`}`,
			messageEvent(emma, "01KAHQ000000000000000000B5", "m002"),
		))
		require.NoError(t, err)
		require.Equal(t, 200, d.Status, "what cannot be read now will not be readable when it is delivered again")
		emma.isAnswered(2)
		emma.isQuiet()
		require.Equal(t, []string{"m001", "m002"}, emma.inbound())
		require.Equal(t, []string{"welcome", "heard m002"}, emma.reads())
	})
}

// A redelivered event's reply token is good again: what is said after it is a
// free reply, where it would have been a paid push.
func TestRedeliveryRenewsTheReplyToken(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			withoutBot(w, b)
			on := true
			w.Settings.AutomatedMessages = []store.AutomatedMessage{{Trigger: string(automessage.Closed), Enabled: &on}}
		})
		again, once := k.newCustomer("Emma"), k.newCustomer("Noah")
		second := map[customer]linesim.Sent{}
		for _, c := range []customer{again, once} {
			c.writes("hello")
			c.isAnswered(1) // the greeting uses the first token
			second[c] = c.writes("are you there?")
			c.isQuiet()
		}
		k.age(2 * time.Minute)
		require.NoError(t, k.Sim.Redeliver(t.Context(), dev.SimChannelID, second[again].WebhookEventID))
		again.isQuiet()
		for _, c := range []customer{again, once} {
			res, problem := k.call("POST", "/conversations/"+c.conversations()[0].ID+"/close", map[string]any{}, nil)
			require.Equal(t, 200, res.StatusCode, problem)
			c.isAnswered(2)
			c.allAccepted()
		}
		last := func(c customer) string {
			said := c.transcript()
			return said[len(said)-1].Via
		}
		require.Equal(t, "reply", last(again))
		require.Equal(t, "push", last(once))
	})
}

// age makes all events look as if they had been received that much earlier.
func (k *kaiwa) age(d time.Duration) {
	k.t.Helper()
	driver, url := "postgres", k.Settings.DatabaseURL
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, url = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, url)
	require.NoError(k.t, err)
	defer func() { require.NoError(k.t, db.Close()) }()
	_, err = db.Exec(fmt.Sprintf(`UPDATE line_events SET received_at = received_at - %d`, d.Microseconds()))
	require.NoError(k.t, err)
}

// body is a webhook body with the given events.
func (k *kaiwa) body(events ...string) []byte {
	k.t.Helper()
	for _, c := range k.Sim.Channels() {
		if c.ID == dev.SimChannelID {
			return []byte(fmt.Sprintf(`{"destination":%q,"events":[%s]}`, c.BotUserID, strings.Join(events, ",")))
		}
	}
	require.Fail(k.t, "the channel is not there")
	return nil
}

// messageEvent is a text message's event, without a reply token: LINE gave none
// for what a test makes up.
func messageEvent(c customer, id, text string) string {
	event, err := json.Marshal(map[string]any{
		"type": "message", "webhookEventId": id, "timestamp": time.Now().UnixMilli(), "mode": "active",
		"deliveryContext": map[string]any{"isRedelivery": false},
		"source":          map[string]any{"type": "user", "userId": c.id},
		"message":         map[string]any{"type": "text", "id": "5612" + id[len(id)-2:], "text": text},
	})
	require.NoError(c.k.t, err)
	return string(event)
}

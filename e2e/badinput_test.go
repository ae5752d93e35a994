package e2e

import (
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/cmd/kaiwa-dev/embedded"
	"kaiwa/cmd/process"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/searchattr"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// count asks the database for a number.
func (k *kaiwa) count(query string) (n int) {
	k.t.Helper()
	driver, dsn := "postgres", k.Settings.DatabaseURL
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", path
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(k.t, err)
	defer func() { _ = db.Close() }()
	require.NoError(k.t, db.QueryRowContext(k.t.Context(), query).Scan(&n))
	return n
}

// post sends bytes to a channel's webhook, as anybody may, and returns the
// status. chunked leaves out the length.
func (k *kaiwa) post(channelID, signature, body string, chunked bool) int {
	k.t.Helper()
	var reader io.Reader = strings.NewReader(body)
	if chunked {
		reader = io.MultiReader(reader)
	}
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, k.APIURL+"/webhooks/line/"+channelID, reader)
	require.NoError(k.t, err)
	if signature != "" {
		req.Header.Set("x-line-signature", signature)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(k.t, err)
	require.NoError(k.t, res.Body.Close())
	return res.StatusCode
}

// secret is what LINE signs the seeded channel's webhooks with.
func (k *kaiwa) secret() string {
	k.t.Helper()
	c, err := k.Store.Channel(k.t.Context(), k.Seeded.ChannelID)
	require.NoError(k.t, err)
	return c.Secrets[0]
}

// deliver posts a body signed with a secret.
func (k *kaiwa) deliver(secret, body string) int {
	k.t.Helper()
	return k.post(k.Seeded.ChannelID, linesim.Signature(secret, []byte(body)), body, false)
}

// event is a webhook's event: a text of the customer's, with more fields.
func (c customer) event(id, text, fields string) string {
	return fmt.Sprintf(`{"type":"message","webhookEventId":%q,"timestamp":%d,"mode":"active","source":{"type":"user","userId":%q},
		"message":{"type":"text","id":%q,"text":%q,"quoteToken":"q"}%s}`, id, time.Now().UnixMilli(), c.id, "9"+id, text, fields)
}

// A message of which LINE tells by events of several ids, or of none, is one.
func TestAMessageToldOfByTwoEventsIsOne(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		emma.writes("good morning") // to which the bot says welcome
		emma.isAnswered(1)
		emma.isQuiet()
		secret := k.secret()
		picture := func(id, fields string) string {
			return fmt.Sprintf(`{"type":"message"%s,"timestamp":1767225600000,"mode":"active","source":{"type":"user","userId":%q},
				"message":{"type":"image","id":%q,"quoteToken":"q","contentProvider":{"type":"line"}}}`, fields, emma.id, id)
		}
		m001 := emma.event("1", "m001", "")
		again := strings.Replace(m001, `"webhookEventId":"1"`, `"webhookEventId":"2"`, 1)
		for _, body := range []string{
			m001 + "," + again,
			strings.Replace(m001, `"webhookEventId":"1"`, `"webhookEventId":"3"`, 1),
			picture("501", `,"webhookEventId":"4"`) + "," + picture("501", `,"webhookEventId":"5"`),
			picture("502", `,"deliveryContext":{"isRedelivery":false}`),
			picture("502", `,"deliveryContext":{"isRedelivery":true}`),
		} {
			require.Equal(t, 200, k.deliver(secret, `{"events":[`+body+`]}`))
			emma.isQuiet()
		}
		emma.isAnswered(2)
		emma.isQuiet()
		require.Len(t, emma.conversations(), 1)
		require.Equal(t, 4, k.count("SELECT count(*) FROM messages WHERE direction = 'inbound'"))
		require.Equal(t, 4, k.count("SELECT count(*) FROM events WHERE type = 'message.received'"))
		require.Equal(t, 2, k.count("SELECT count(*) FROM attachments"))
		require.Zero(t, k.count("SELECT count(*) FROM events WHERE type = 'message.received' AND subject_id NOT IN (SELECT id FROM messages)"))
		require.Equal(t, []string{"heard m001"}, emma.heard())
		require.Equal(t, 7, k.count("SELECT count(*) FROM line_events"), "what was delivered again is there once, what has another id is kept")
	})
}

func TestAWebhookThatIsNotOneLeavesNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		emma := k.newCustomer("Emma")
		good := `{"events":[` + emma.event("1", "hello", "") + `]}`
		id, secret := k.Seeded.ChannelID, k.secret()
		signed := func(body string) string { return linesim.Signature(secret, []byte(body)) }
		require.Equal(t, 401, k.post(id, linesim.Signature("wrong", []byte(good)), good, false))
		require.Equal(t, 401, k.post(id, signed(good+" "), good, false), "a signature of other bytes")
		require.Equal(t, 401, k.post(id, "", good, false))
		require.Equal(t, 404, k.post(conversation.NewID(conversation.PrefixChannel), signed(good), good, false))
		big := `{"events":[` + emma.event("2", strings.Repeat("x", 2<<20), "") + `]}`
		require.Equal(t, 413, k.post(id, signed(big), big, false))
		require.Equal(t, 413, k.post(id, signed(big), big, true))
		for _, broken := range []string{"", "{", "[]", "null", `{"events":{}}`, `{"events":null}`, `{"destination":"x"}`, good[:len(good)-1]} {
			require.Equal(t, 400, k.deliver(secret, broken), broken)
		}
		require.Equal(t, 200, k.deliver(secret, `{"events":[]}`))
		require.Zero(t, k.count("SELECT count(*) FROM line_events"))

		require.Equal(t, 200, k.deliver(secret, good))
		emma.isAnswered(1)

		res, problem := k.call("POST", "/queues", map[string]any{"name": "Sales", "colour": "blue"}, nil)
		require.Equal(t, 400, res.StatusCode)
		require.Equal(t, "/colour", problem["errors"].([]any)[0].(map[string]any)["pointer"])
	})
}

// One event that cannot be read harms itself only, and one that can be read in
// part is handled by that part.
func TestAMalformedEventKeepsItsSiblings(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma, mai := k.newCustomer("Emma"), k.newCustomer("Mai")
		require.Equal(t, 200, k.deliver(k.secret(), `{"events":[17, {"type":["message"]}, `+emma.event("1", "m000", `,"replyToken":{"not":"a token"}`)+
			`, {"type":"message","source":{"type":"user"},"message":{}}, `+mai.event("2", "m000", `,"deliveryContext":{"isRedelivery":"perhaps"}`)+`, null, {}]}`))
		for _, c := range []customer{emma, mai} {
			c.isAnswered(1)
			c.isQuiet()
			require.Equal(t, []string{"m000"}, c.inbound())
			require.Equal(t, []string{"welcome"}, c.reads())
			require.Equal(t, "push", c.transcript()[1].Via, "there was no reply token")
		}
		require.Equal(t, 7, k.count("SELECT count(*) FROM line_events"), "everything is kept to be looked at")
		require.Equal(t, 0, k.count("SELECT count(*) FROM line_events WHERE handled_at IS NULL"))
	})
}

// Source: https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
func TestLINEsOwnSignatureIsAccepted(t *testing.T) {
	t.Parallel()
	k := start(t, "sqlite")
	seeded, err := k.Store.Channel(t.Context(), k.Seeded.ChannelID)
	require.NoError(t, err)
	c, err := k.Store.CreateChannel(t.Context(), store.Origin{}, store.Channel{
		Name: "LINE's example", LINEChannelID: "1234567890", BotUserID: "U8e742f61d673b39c7fff3cecb7536ef0", WorkstreamID: seeded.WorkstreamID,
		Locale: "en", Status: store.ChannelActive, Secrets: []string{"8c570fa6dd201bb328f1c1eac23a96d8"}, Token: "token",
	})
	require.NoError(t, err)
	body := `{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}`
	require.Equal(t, 200, k.post(c.ID, "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=", body, false))
	require.Equal(t, 401, k.post(c.ID, "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=", body+"\n", false))
}

// change patches a resource at its present version.
func (k *kaiwa) change(path string, body any) {
	k.t.Helper()
	res, _ := k.call("GET", path, nil, nil)
	res, answer := k.call("PATCH", path, body, map[string]string{"If-Match": res.Header.Get("Etag")})
	require.Equal(k.t, 200, res.StatusCode, answer)
}

func TestWhatComesWhileAChannelIsDisabledIsNeverAnswered(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		channel := "/channels/" + k.Seeded.ChannelID
		emma := k.newCustomer("Emma")
		k.change(channel, map[string]any{"status": "disabled"})
		sent := emma.writes("m000")
		require.NoError(t, k.Sim.WaitIdle(t.Context()))
		require.True(t, k.Sim.Deliveries(linesim.DeliveryFilter{EventID: sent.WebhookEventID})[0].Delivered)
		require.Equal(t, 1, k.count("SELECT count(*) FROM line_events WHERE disposition = 'channel_disabled'"))
		k.change(channel, map[string]any{"status": "active"})
		emma.writes("m001")
		emma.isAnswered(1)
		emma.isQuiet()
		require.Equal(t, []string{"m001"}, emma.inbound())
		require.Equal(t, []string{"welcome"}, emma.reads())
	})
}

func TestARotatedSecretCostsNoMessage(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		old := k.secret()
		hello := func(secret, id, text string) int {
			return k.deliver(secret, `{"events":[`+emma.event(id, text, "")+`]}`)
		}
		require.Equal(t, 200, hello(old, "1", "m000"))
		k.change("/channels/"+k.Seeded.ChannelID, map[string]any{"channel_secret": "second"})
		require.Equal(t, 200, hello("second", "2", "m001"), "at once")
		require.Equal(t, 200, hello(old, "3", "m002"), "for a while")

		// Changed by another process, of which this one is not told.
		c, err := k.Store.Channel(t.Context(), k.Seeded.ChannelID)
		require.NoError(t, err)
		_, err = k.Store.UpdateChannel(t.Context(), store.Origin{}, c.ID, c.Version, func(c *store.Channel) error {
			c.RotateSecret("third", time.Now().Add(time.Hour))
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 200, hello("third", "4", "m003"))
		require.Equal(t, 401, hello(old, "5", "m004"))
		emma.isAnswered(4)
		emma.isQuiet()
		require.Equal(t, numbered(4), emma.inbound())
	})
}

func TestABotThatHangsHandsOffWithinItsDeadlineAndTheCustomerIsTold(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(serves(t, 1, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server learns that its client has gone once it has read the body
			<-r.Context().Done()
		}))
		emma := k.newCustomer("Emma")
		emma.writes("hello")
		emma.isAnswered(1)
		emma.isQuiet()
		told, on := automessage.Text(automessage.NoAgentAvailable, "en", nil)
		require.True(t, on)
		require.Equal(t, []string{told}, emma.reads())
		c := emma.conversations()[0]
		require.Equal(t, conversation.OwnerQueue, c.Owner)
		steps, err := k.Store.Timeline(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, conversation.EventBotFailed, steps[1].Event)
		require.Less(t, time.Duration(steps[1].CreatedAt-emma.transcript()[0].CreatedAt)*time.Microsecond, 10*time.Second)
	})
}

func TestAnAnswerThatComesAfterOwnershipMovedIsRecordedAndNeverSent(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		asked, moved := make(chan struct{}), make(chan struct{})
		k := start(t, dialect)
		k.arrange(serves(t, 60, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			close(asked)
			<-moved
			says(w, "too late")
		}))
		emma := k.newCustomer("Emma")
		emma.writes("hello")
		<-asked
		id := emma.conversations()[0].ID
		res, answer := k.call("POST", "/conversations/"+id+"/close", map[string]any{}, nil)
		require.Equal(t, 200, res.StatusCode, answer)
		close(moved)
		k.eventually(func() bool {
			return k.count("SELECT count(*) FROM bot_turns WHERE outcome = 'discarded'") == 1
		}, "the answer is recorded as discarded")
		require.Equal(t, 1, k.count("SELECT count(*) FROM events WHERE type = 'bot_turn.discarded'"))
		emma.allAccepted()
		require.NotContains(t, emma.reads(), "too late")
		for _, m := range emma.transcript() {
			require.NotEqual(t, "too late", m.Text)
		}
	})
}

// link is the way to a server, which a test can cut.
type link struct {
	listener         net.Listener
	network, address string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]bool
}

func newLink(t *testing.T, network, address string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{listener: listener, network: network, address: address, open: map[net.Conn]bool{}}
	go l.serve()
	t.Cleanup(func() {
		_ = listener.Close()
		l.set(true)
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

func (l *link) serve() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.carry(near)
	}
}

func (l *link) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial(l.network, l.address)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	l.mu.Lock()
	if l.cut {
		l.mu.Unlock()
		return
	}
	l.open[near], l.open[far] = true, true
	l.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
	l.mu.Lock()
	delete(l.open, near)
	delete(l.open, far)
	l.mu.Unlock()
}

// set cuts the link, or mends it.
func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for c := range l.open {
			_ = c.Close()
		}
	}
}

func TestWhileTheDatabaseIsAwayAWebhookIsRefusedAndComesAgain(t *testing.T) {
	t.Parallel()
	var l *link
	var direct string
	k := start(t, "postgres", func(o *dev.Options) {
		direct = o.Settings.DatabaseURL
		u, err := url.Parse(direct)
		require.NoError(t, err)
		q := u.Query()
		if socket := q.Get("host"); socket != "" {
			l = newLink(t, "unix", filepath.Join(socket, ".s.PGSQL.5432"))
			q.Del("host")
			u.RawQuery = q.Encode()
		} else {
			l = newLink(t, "tcp", u.Host)
		}
		u.Host = l.addr()
		o.Settings.DatabaseURL = u.String()
	})
	k.arrange(withEcho)
	emma := k.newCustomer("Emma")
	emma.writes("m000")
	emma.isAnswered(1)
	emma.isQuiet()

	l.set(true)
	sent := emma.writes("m001")
	attempts := func() []linesim.Delivery {
		return k.Sim.Deliveries(linesim.DeliveryFilter{EventID: sent.WebhookEventID})
	}
	k.eventually(func() bool { return len(attempts()) > 0 }, "LINE has tried")
	require.Equal(t, 503, attempts()[0].Status)
	k.Settings.DatabaseURL = direct
	require.Equal(t, 1, k.count("SELECT count(*) FROM line_events"), "nothing is kept of what was refused")

	l.set(false)
	emma.isAnswered(2)
	emma.isQuiet()
	require.Equal(t, numbered(2), emma.inbound())
	require.Equal(t, []string{"welcome", "heard m001"}, emma.reads())
}

// apart is the product with Temporal behind a link.
func apart(t *testing.T) (*kaiwa, *link) {
	t.Helper()
	ctx, dir, quiet := t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)
	server, err := embedded.Start(ctx, embedded.Options{Path: filepath.Join(dir, "temporal.db"), Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	l := newLink(t, "tcp", server.Addr())
	temporal, err := client.DialContext(ctx, client.Options{HostPort: l.addr(), Namespace: embedded.DefaultNamespace, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	require.NoError(t, searchattr.Register(ctx, temporal, embedded.DefaultNamespace))

	s, databaseURL := storetest.New(t, "sqlite")
	settings := testSettings(dir, databaseURL)
	sim, err := linesim.New(ctx, linesim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	simulator := httptest.NewServer(sim.Handler())
	t.Cleanup(simulator.Close)
	k := &kaiwa{&dev.Dev{Settings: settings, Store: s, Temporal: temporal, Sim: sim}, t}

	q, err := s.CreateQueue(ctx, store.Origin{}, store.Queue{Name: "Support", Priority: 10})
	require.NoError(t, err)
	b, err := s.CreateBot(ctx, store.Origin{}, store.Bot{Name: "Echo", Kind: store.BotScript, Script: []byte(echo)})
	require.NoError(t, err)
	w, err := s.CreateWorkstream(ctx, store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: q.ID, BotID: b.ID})
	require.NoError(t, err)
	c, err := s.CreateChannel(ctx, store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: dev.SimChannelID, BotUserID: "U" + strings.Repeat("b", 32), WorkstreamID: w.ID, Locale: "en",
		Status: store.ChannelActive, Secrets: []string{"secret"}, Token: "token",
	})
	require.NoError(t, err)
	k.Seeded.ChannelID = c.ID

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	k.APIURL = "http://" + listener.Addr().String()
	settings.PublicURL, settings.LINEAPIURL, settings.LINEDataAPIURL = k.APIURL, simulator.URL, simulator.URL
	settings.BlobURL = (&url.URL{Scheme: "file", Path: dir}).String()
	worker, err := process.StartWorker(ctx, process.WorkerOptions{
		Outside: settings.Outside, Store: s, Temporal: temporal, Namespace: embedded.DefaultNamespace, Logger: quiet,
	})
	require.NoError(t, err)
	t.Cleanup(worker.Stop)
	api, err := process.StartAPI(ctx, process.APIOptions{
		HTTP: settings.HTTP, Outside: settings.Outside, Store: s, Temporal: temporal, Logger: quiet, Listener: listener,
	})
	require.NoError(t, err)
	t.Cleanup(api.Stop)
	require.NoError(t, sim.AddChannel(ctx, linesim.Channel{
		ID: dev.SimChannelID, Secret: "secret", AccessToken: "token", BotUserID: c.BotUserID, WebhookURL: k.APIURL + "/webhooks/line/" + c.ID, WebhookActive: true,
	}))
	return k, l
}

func TestWhileTemporalIsAwayAWebhookIsTakenAndAnsweredLater(t *testing.T) {
	t.Parallel()
	k, l := apart(t)
	emma, mai := k.newCustomer("Emma"), k.newCustomer("Mai")
	emma.writes("m000")
	emma.isAnswered(1)
	emma.isQuiet()

	l.set(true)
	sent := []linesim.Sent{emma.writes("m001"), mai.writes("m000")}
	require.NoError(t, k.Sim.WaitIdle(t.Context()))
	for _, s := range sent {
		attempts := k.Sim.Deliveries(linesim.DeliveryFilter{EventID: s.WebhookEventID})
		require.Len(t, attempts, 1)
		require.Equal(t, 200, attempts[0].Status)
	}
	require.Equal(t, 2, k.count("SELECT count(*) FROM line_events WHERE handled_at IS NULL"))

	l.set(false)
	emma.isAnswered(2)
	mai.isAnswered(1)
	emma.isQuiet()
	mai.isQuiet()
	require.Equal(t, []string{"welcome", "heard m001"}, emma.reads())
	require.Equal(t, []string{"welcome"}, mai.reads())
}

package api_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"
	_ "gocloud.dev/blob/fileblob"

	"kaiwa/api"
	"kaiwa/internal/blob"
	"kaiwa/internal/conversation"
	"kaiwa/internal/feed"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// bundle is an API on a database of its own, with LINE's simulator behind it.
type bundle struct {
	t       testing.TB
	store   *store.Store
	dbURL   string
	sim     *linesim.Simulator
	simURL  string
	api     *api.Server
	url     string
	inbox   *inbox
	surveys *inbox
	engine  *engine
	kicks   *kicks
	log     *buffer
	tokens  map[store.Role]string
	agents  map[store.Role]store.Agent

	blobs   *blob.Bucket
	blobDir string
}

const (
	lineSecret = "8c570fa6dd201bb328f1c1eac23a96d8"
	lineToken  = "line-access-token"
	botUserID  = "U8e742f61d673b39c7fff3cecb7536ef0"
)

// each runs f on every database.
func each(t *testing.T, f func(t *testing.T, b *bundle), options ...func(*api.Config)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			f(t, setup(t, dialect, options...))
		})
	}
}

// setup starts an API; options change its Config and its store.
func setup(t testing.TB, dialect string, options ...func(*api.Config)) *bundle {
	t.Helper()
	ctx := context.Background()
	b := &bundle{t: t, inbox: &inbox{}, surveys: &inbox{}, engine: &engine{}, kicks: &kicks{}, log: &buffer{}, tokens: map[store.Role]string{}, agents: map[store.Role]store.Agent{}}
	b.store, b.dbURL = storetest.New(t, dialect)

	var err error
	b.sim, err = linesim.New(ctx, linesim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.sim.Close()) })
	sim := httptest.NewServer(b.sim.Handler())
	t.Cleanup(sim.Close)
	b.simURL = sim.URL
	require.NoError(t, b.sim.AddChannel(ctx, linesim.Channel{
		ID: "1000", Secret: lineSecret, AccessToken: lineToken, BotUserID: botUserID, BasicID: "@shop", DisplayName: "Shop", ChatMode: "bot",
	}))
	b.blobDir = t.TempDir()
	b.blobs, err = blob.Open(ctx, (&url.URL{Scheme: "file", Path: b.blobDir}).String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.blobs.Close()) })
	b.api, b.url = b.serve(b.store, options...)

	for _, role := range []store.Role{store.RoleAgent, store.RoleSupervisor, store.RoleAdmin} {
		a, err := b.store.CreateAgent(ctx, store.Origin{}, store.Agent{Name: string(role), Email: string(role) + "@example.com", Role: role, Locale: "en", Capacity: store.DefaultCapacity})
		require.NoError(t, err)
		b.agents[role], b.tokens[role] = a, store.NewTokenValue()
		_, err = b.store.IssueToken(ctx, store.Origin{}, store.Token{AgentID: a.ID, Name: "test", Role: role}, b.tokens[role])
		require.NoError(t, err)
	}
	return b
}

// serve starts an API process on a store, as there may be several.
func (b *bundle) serve(s *store.Store, options ...func(*api.Config)) (*api.Server, string) {
	b.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	logger := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	events := feed.New(s, logger)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { events.Run(ctx) })
	b.t.Cleanup(func() { stop(); running.Wait() })
	c := api.Config{
		Store: s, LINE: line.New(line.Config{APIURL: b.simURL, DataAPIURL: b.simURL}), Inbox: b.inbox, Engine: b.engine, Dispatcher: b.kicks, Surveys: b.surveys, Feed: events,
		Blobs: b.blobs, PublicURL: "http://" + server.Listener.Addr().String(), Logger: logger,
	}
	for _, option := range options {
		option(&c)
	}
	a, err := api.New(c)
	require.NoError(b.t, err)
	server.Config = a.HTTPServer("")
	server.Start()
	b.t.Cleanup(server.Close)
	return a, server.URL
}

// response is an answer of the API.
type response struct {
	Status int
	Header http.Header
	Raw    []byte
	Body   map[string]any
}

// get reads a member by names and list positions, such as "items", 0, "id".
func (r response) get(t testing.TB, path ...any) any {
	t.Helper()
	var v any = r.Body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := v.(map[string]any)
			require.True(t, ok, "%v of %s", path, r.Raw)
			v, ok = object[step]
			require.True(t, ok, "%v of %s", path, r.Raw)
		case int:
			list, ok := v.([]any)
			require.True(t, ok && len(list) > step, "%v of %s", path, r.Raw)
			v = list[step]
		}
	}
	return v
}

func (r response) text(t testing.TB, path ...any) string {
	t.Helper()
	s, ok := r.get(t, path...).(string)
	require.True(t, ok, "%v of %s", path, r.Raw)
	return s
}

// pointers lists the fields that a problem names.
func (r response) pointers() []string {
	var list []string
	errors, _ := r.Body["errors"].([]any)
	for _, e := range errors {
		list = append(list, e.(map[string]any)["pointer"].(string))
	}
	return list
}

type header struct{ name, value string }

// as sends a request with the token of a role ("" for none), and holds the
// answer against openapi.yaml. A string body is sent as it is.
func (b *bundle) as(role store.Role, method, path string, body any, headers ...header) response {
	b.t.Helper()
	return b.send(b.url, b.tokens[role], method, path, body, headers...)
}

func (b *bundle) send(base, token, method, path string, body any, headers ...header) response {
	b.t.Helper()
	var reader io.Reader
	if body != nil {
		raw, ok := body.(string)
		if !ok {
			doc, err := json.Marshal(body)
			require.NoError(b.t, err)
			raw = string(doc)
		}
		reader = strings.NewReader(raw)
	}
	req, err := http.NewRequest(method, base+path, reader)
	require.NoError(b.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	return b.do(req)
}

func (b *bundle) do(req *http.Request) response {
	b.t.Helper()
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, res.Body.Close()) }()
	r := response{Status: res.StatusCode, Header: res.Header}
	r.Raw, err = io.ReadAll(res.Body)
	require.NoError(b.t, err)
	if strings.Contains(res.Header.Get("Content-Type"), "json") && req.Method != http.MethodHead {
		require.NoError(b.t, json.Unmarshal(r.Raw, &r.Body), "%s", r.Raw)
	}
	require.NotEmpty(b.t, r.Header.Get("X-Request-Id"))
	if req.Method == http.MethodHead {
		return r // it has no body to look at
	}
	require.Equal(b.t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	if r.Status >= 400 && !strings.HasPrefix(req.URL.Path, "/survey/") && !strings.HasPrefix(req.URL.Path, "/link/") && req.URL.Path != "/readyz" { // pages for customers; a report for probes
		require.Equal(b.t, "application/problem+json", r.Header.Get("Content-Type"), "%d %s", r.Status, r.Raw)
		require.NoError(b.t, schema("Problem").VisitJSON(r.Body, openapi3.VisitAsResponse()), "%s", r.Raw)
		require.Equal(b.t, float64(r.Status), r.Body["status"])
		require.Equal(b.t, r.Header.Get("X-Request-Id"), r.Body["request_id"])
	}
	route, params, err := specRoutes().FindRoute(req)
	if err != nil { // not in the specification: the caller has its reasons
		return r
	}
	require.NoError(b.t, openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 r.Status, Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Raw)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}), "%s %s: %s", req.Method, req.URL, r.Raw)
	return r
}

var spec = sync.OnceValue(func() *openapi3.T {
	doc, err := os.ReadFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	s, err := openapi3.NewLoader().LoadFromData(doc)
	if err != nil {
		panic(err)
	}
	return s
})

var specRoutes = sync.OnceValue(func() routers.Router {
	openapi3filter.RegisterBodyDecoder("application/problem+json", openapi3filter.RegisteredBodyDecoder("application/json"))
	r, err := gorillamux.NewRouter(spec())
	if err != nil {
		panic(err)
	}
	return r
})

func schema(name string) *openapi3.Schema { return spec().Components.Schemas[name].Value }

// requireProblem looks at a refusal.
func requireProblem(t testing.TB, r response, status int, code conversation.Code, pointers ...string) {
	t.Helper()
	require.Equal(t, status, r.Status, "%s", r.Raw)
	require.Equal(t, string(code), r.Body["code"], "%s", r.Raw)
	require.Equal(t, pointers, r.pointers(), "%s", r.Raw)
	for _, leak := range []string{"sql", "pq:", "SQLITE", "goroutine", "kaiwa/", "property \"", "Schema:"} {
		require.NotContains(t, string(r.Raw), leak)
	}
}

// database opens the database behind the store's back.
func (b *bundle) database() *sql.DB {
	b.t.Helper()
	driver, source := "postgres", b.dbURL
	if path, ok := strings.CutPrefix(b.dbURL, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	require.NoError(b.t, err)
	return db
}

func (b *bundle) sql(statement string, args ...any) {
	b.t.Helper()
	db := b.database()
	defer func() { require.NoError(b.t, db.Close()) }()
	_, err := db.Exec(statement, args...)
	require.NoError(b.t, err)
}

func (b *bundle) query(each func(*sql.Rows), query string, args ...any) {
	b.t.Helper()
	db := b.database()
	defer func() { require.NoError(b.t, db.Close()) }()
	rows, err := db.Query(query, args...)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, rows.Close()) }()
	for rows.Next() {
		each(rows)
	}
	require.NoError(b.t, rows.Err())
}

// block keeps everybody else from writing to a table until release is called.
func (b *bundle) block(table string) (release func()) {
	b.t.Helper()
	db := b.database()
	tx, err := db.Begin()
	require.NoError(b.t, err)
	if !strings.HasPrefix(b.dbURL, "sqlite:") {
		_, err = tx.Exec("LOCK TABLE " + table)
		require.NoError(b.t, err)
	}
	return func() {
		require.NoError(b.t, tx.Rollback())
		require.NoError(b.t, db.Close())
	}
}

// conversation puts a conversation of the channel into the database.
func (b *bundle) conversation(channelID, status, owner string) string {
	b.t.Helper()
	c, err := b.store.Channel(context.Background(), channelID)
	require.NoError(b.t, err)
	id := conversation.NewID(conversation.PrefixConversation)
	b.sql(`INSERT INTO social_profiles (id, channel_id, chat_key, line_user_id, display_name, created_at, updated_at) VALUES ($1, $2, $1, $3, $4, 1, 1)`,
		id, channelID, someUser, "山田 "+id)
	b.sql(`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, profile_id, status, owner, epoch, created_at, updated_at) VALUES ($1, $2, $1, $3, $1, $4, $5, 1, $6, $6)`,
		id, channelID, c.WorkstreamID, status, owner, time.Now().UnixMicro())
	return id
}

// message puts a message of the customer into the database.
func (b *bundle) message(conversationID string, at int64, text string) {
	b.t.Helper()
	b.sql(`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, text, state, created_at)
		VALUES ($1, $2, 'chn_any', $3, 'inbound', 'customer', 'text', $4, 'accepted', $3)`, conversation.NewID(conversation.PrefixMessage), conversationID, at, text)
}

// workstream creates a workstream.
func (b *bundle) workstream() string {
	b.t.Helper()
	r := b.as(store.RoleAdmin, "POST", "/api/v1/workstreams", map[string]any{"name": "Support"})
	require.Equal(b.t, 201, r.Status, "%s", r.Raw)
	return r.text(b.t, "id")
}

// queue creates a queue.
func (b *bundle) queue() string {
	b.t.Helper()
	r := b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "Queue"})
	require.Equal(b.t, 201, r.Status, "%s", r.Raw)
	return r.text(b.t, "id")
}

func channelBody(workstream string) map[string]any {
	return map[string]any{
		"name": "Shop", "line_channel_id": "1000", "channel_secret": lineSecret, "channel_access_token": lineToken, "workstream_id": workstream, "locale": "ja",
	}
}

// channel creates a channel and returns its id.
func (b *bundle) channel() string {
	b.t.Helper()
	r := b.as(store.RoleAdmin, "POST", "/api/v1/channels", channelBody(b.workstream()))
	require.Equal(b.t, 201, r.Status, "%s", r.Raw)
	return r.text(b.t, "id")
}

// patch changes a resource at its present version.
func (b *bundle) patch(path string, body any) response {
	b.t.Helper()
	now := b.as(store.RoleAdmin, "GET", path, nil)
	require.Equal(b.t, 200, now.Status, "%s", now.Raw)
	return b.as(store.RoleAdmin, "PATCH", path, body, header{"If-Match", now.Header.Get("Etag")})
}

// message is a webhook body with one text message.
func message(eventID, user string, text string) string {
	return fmt.Sprintf(`{"destination":%q,"events":[{"type":"message","webhookEventId":%q,"timestamp":1767225600000,"mode":"active","deliveryContext":{"isRedelivery":false},
		"source":{"type":"user","userId":%q},"replyToken":"r-%s","message":{"type":"text","id":"1","text":%q,"quoteToken":"q"}}]}`, botUserID, eventID, user, eventID, text)
}

const someUser = "U0123456789abcdef0123456789abcdef"

func sign(secret, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// deliver posts a webhook as LINE does, signed with secret.
func (b *bundle) deliver(channelID, secret, body string) response {
	b.t.Helper()
	return b.send(b.url, "", "POST", "/webhooks/line/"+channelID, body, header{"x-line-signature", sign(secret, body)})
}

// inbox remembers which chats were woken.
// kicks counts the kicks of the dispatcher.
type kicks struct{ n atomic.Int64 }

func (k *kicks) Kick(context.Context) { k.n.Add(1) }

type inbox struct {
	mu    sync.Mutex
	chats []string
}

func (i *inbox) Notify(channelID, chatKey string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.chats = append(i.chats, channelID+"/"+chatKey)
}

func (i *inbox) Taking() (stored func()) { return func() {} }

func (i *inbox) woken() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string{}, i.chats...)
}

// engine stands for the workflow engine: what it is asked, and what it answers.
type engine struct {
	mu       sync.Mutex
	closed   []conversation.ActionRequest
	updates  []string
	close    func(conversation.ActionRequest) error
	notReady error
}

func (e *engine) onClose(f func(conversation.ActionRequest) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.close = f
}

func (e *engine) Act(_ context.Context, _, updateID string, req conversation.ActionRequest) (conversation.ActionAnswer, error) {
	e.mu.Lock()
	e.closed, e.updates = append(e.closed, req), append(e.updates, updateID)
	f := e.close
	e.mu.Unlock()
	if f != nil {
		return conversation.ActionAnswer{}, f(req)
	}
	return conversation.ActionAnswer{Status: conversation.StatusClosed}, nil
}

func (e *engine) setNotReady(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.notReady = err
}

func (e *engine) Ready(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.notReady
}

func (e *engine) requests() ([]conversation.ActionRequest, []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]conversation.ActionRequest{}, e.closed...), append([]string{}, e.updates...)
}

// buffer is a log to look at.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

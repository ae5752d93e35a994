package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// inOrder are the indexes that may be read from their beginning: because they
// hold nothing but what is not done yet, or because the reading ends with the
// page.
var inOrder = []string{"events_unnumbered", "line_events_unhandled", "batches_one_frozen", "messages_unsent", "conversations_open", "conversations_one_open", "conversations_by_workstream", "conversations_by_time",
	"conversations_queued", "conversations_queued_singly", "offers_live", "offers_expiry", "offers_one_live", "agent_states_present", "agent_states_absent", "conversations_blocking", "rulesets_services", "chats_to_wake_pkey", "sqlite_autoindex_chats_to_wake_1"}

// small are the tables that may be read whole: those of a few rows, of a few an
// agent, and what a page of events was made of before.
var small = []string{"counters", "capacity_profiles", "agent_capacity_profiles", "workstreams", "channels", "changed_rules", "surveys", "api_tokens", "agent_states", "presences", "channel_quotas", "line_calls", "part", "bounds", "visible"}

// planner captures the statements that the store runs, and has the database
// explain them.
type planner struct {
	*talk
	db *sql.Conn

	mu         sync.Mutex
	capturing  bool
	statements []string
}

// eachPlanner gives f a conversation that is held on a large database.
func eachPlanner(t *testing.T, f func(t *testing.T, p *planner)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			p := &planner{}
			s, url := storetest.New(t, dialect, func(o *store.Options) { o.Observe = p.observe })
			var err error
			p.db, err = writer(t, url).Conn(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, p.db.Close()) })
			if dialect == "postgres" {
				p.fill(t)
			}
			p.talk = newTalk(t, s)
			f(t, p)
		})
	}
}

func (p *planner) observe(q string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.capturing {
		p.statements = append(p.statements, q)
	}
}

// ofStep returns the statements that a step runs.
func (p *planner) ofStep(step func()) []string {
	p.mu.Lock()
	p.capturing, p.statements = true, nil
	p.mu.Unlock()
	step()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.capturing = false
	return p.statements
}

// known is a value of every text column that the planner is asked about: one
// chat, one conversation and so on among many, all of one channel.
const known = "k"

// fill makes tables that are too large to be read whole, which PostgreSQL would
// otherwise do. (SQLite decides without looking.)
func (p *planner) fill(t *testing.T) {
	t.Helper()
	const numbers = ` WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) `
	const one = `CASE WHEN i % 1000 = 0 THEN 'k' ELSE 'k' || i % 1000 END`
	for _, q := range []string{
		`INSERT INTO line_events (channel_id, webhook_event_id, chat_key, kind, source_type, source_id, line_time, received_at, raw, position, handled_at, handled_by)` + numbers +
			`SELECT 'k', 'k' || i, ` + one + `, 'message', 'user', 'k', i, i, '', i / 1000, CASE WHEN i < 19900 THEN i END, ` + one + ` FROM n`,
		`INSERT INTO chats (channel_id, chat_key, tick, created_at)` + numbers + `SELECT 'k', 'k' || i, 1, i FROM n`,
		`INSERT INTO chats_to_wake (channel_id, chat_key)` + numbers + `SELECT 'k', 'k' || i FROM n`,
		`INSERT INTO social_profiles (id, channel_id, chat_key, line_user_id, created_at, updated_at)` + numbers + `SELECT 'k' || i, 'k', 'k' || i, 'k', i, i FROM n`,
		`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, profile_id, status, owner, epoch, created_at, updated_at) VALUES ('k', 'k', 'k', 'k', 'k', 'closed', 'none', 1, 1, 1)`,
		`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, profile_id, status, owner, epoch, created_at, updated_at, queue_id, agent_id, contact_id)` + numbers +
			`SELECT 'k' || i, ` + one + `, 'k' || i, 'k', 'k' || i, CASE WHEN i % 100 = 0 THEN 'active' ELSE 'closed' END, CASE WHEN i % 100 = 0 THEN 'bot' ELSE 'none' END, 1, i, i, ` + one + `, ` + one + `, ` + one + ` FROM n`,
		`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, state, line_message_id, batch_id, created_at)` + numbers +
			`SELECT 'k' || i, ` + one + `, 'k', i, CASE WHEN i % 2 = 0 THEN 'inbound' ELSE 'outbound' END, 'customer', 'text', 'accepted', 'k' || i, 'k' || i, i FROM n`,
		`INSERT INTO attachments (id, conversation_id, direction, kind, state, link, blob_key, created_at, updated_at)` + numbers +
			`SELECT 'k' || i, ` + one + `, 'inbound', 'image', CASE WHEN i % 100 = 0 THEN 'pending' WHEN i % 100 = 1 THEN 'revoked' ELSE 'stored' END, 'k' || i, 'k', i, i FROM n`,
		`INSERT INTO batches (id, conversation_id, channel_id, ordinal, kind, recipient, body, message_ids, state, deadline, created_at, finished_at)` + numbers +
			`SELECT 'k' || i, ` + one + `, ` + one + `, i, 'push', 'k', '', '[]', 'accepted', i, i, i FROM n`,
		`INSERT INTO events (type, conversation_id, seq, created_at)` + numbers + `SELECT 'k', ` + one + `, CASE WHEN i < 19990 THEN i END, i FROM n`,
		`INSERT INTO sessions (id, conversation_id, epoch, kind, participant_id, started_at)` + numbers + `SELECT 'k' || i, ` + one + `, 1, 'bot', 'k', i FROM n`,
		`INSERT INTO transitions (id, conversation_id, event, from_status, from_owner, to_status, to_owner, epoch, created_at)` + numbers +
			`SELECT 'k' || i, ` + one + `, 'k', 'k', 'k', 'k', 'k', 1, i FROM n`,
		`INSERT INTO bot_turns (id, conversation_id, epoch, outcome, created_at)` + numbers + `SELECT 'k' || i, ` + one + `, 1, 'answered', i FROM n`,
		`INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at)` + numbers +
			`SELECT 'k' || i, 'k' || i, ` + one + `, 'k', 1, 1, CASE WHEN i % 100 = 0 THEN 'live' ELSE 'accepted' END, i, i FROM n`,
		`INSERT INTO queues (id, name, priority, version, created_at, updated_at)` + numbers + `SELECT 'k' || i, 'k', 1, 1, i, i FROM n`,
		`INSERT INTO queue_waits (queue_id, samples, mean)` + numbers + `SELECT 'k' || i, 1, 1 FROM n`,
		`INSERT INTO agents (id, name, email, role, locale, version, created_at, updated_at)` + numbers + `SELECT 'k' || i, 'k', 'k' || i, 'agent', 'en', 1, i, i FROM n`,
		`INSERT INTO queue_members (queue_id, agent_id, created_at)` + numbers + `SELECT 'k' || i, 'k' || i, i FROM n`,
		`INSERT INTO survey_invitations (id, conversation_id, survey_id, channel_id, chat_key, agent_id, locale, mode, questions, state, wanted_at, created_at, expires_at)` + numbers +
			`SELECT 'k' || i, 'k' || i, ` + one + `, 'k', ` + one + `, ` + one + `, 'en', 'line', '[]', CASE WHEN i % 100 = 0 THEN 'open' ELSE 'answered' END, CASE WHEN i % 1000 = 7 THEN i ELSE 0 END, i, i FROM n`,
		`INSERT INTO survey_answers (invitation_id, question_id, value, via, line_message_id, created_at)` + numbers + `SELECT 'k' || i, 'k', '5', 'typed', 'k' || i, i FROM n`,
		`INSERT INTO agent_states (agent_id, presence, last_seen_at)` + numbers + `SELECT 'k' || i, CASE WHEN i % 4000 = 0 THEN 'available' ELSE 'offline' END, i FROM n`,
		`INSERT INTO skills (id, name, version, created_at, updated_at)` + numbers + `SELECT 'k' || i, 'k' || i, 1, i, i FROM n`,
		`INSERT INTO agent_skills (agent_id, skill_id, level)` + numbers + `SELECT 'k' || i, 'k' || i, 1 FROM n`,
		`INSERT INTO capacity_profiles (id, name, limit_default, reset, zone, version, created_at, updated_at) VALUES ('k', 'k', 1, 'end_of_day', 'UTC', 1, 1, 1)`,
		`INSERT INTO agent_capacity_profiles (agent_id, profile_id, at_most)` + numbers + `SELECT 'k' || i, 'k', 1 FROM n`,
		`INSERT INTO capacity_used (agent_id, profile_id, conversation_id, ended_at)` + numbers + `SELECT ` + one + `, 'k', 'k' || i, i FROM n`,
		`INSERT INTO contacts (id, name, customer_number, version, created_at, updated_at)` + numbers + `SELECT 'k' || i, 'k', 'k' || i, 1, i, i FROM n`,
		`INSERT INTO account_links (id, channel_id, chat_key, line_user_id, state, nonce_digest, contact_id, expires_at, created_at)` + numbers +
			`SELECT 'k' || i, 'k', 'k' || i, 'k', CASE WHEN i % 1000 = 0 THEN 'confirmed' ELSE 'linked' END, 'k' || i, 'k' || i, 9000000000000000 + i, i FROM n`,
		`INSERT INTO contact_agents (contact_id, agent_id, place)` + numbers + `SELECT 'k' || i, 'k' || i, 0 FROM n`,
		`INSERT INTO routing_log (id, conversation_id, epoch, stage, outcome, entry, created_at)` + numbers + `SELECT 'k' || i, ` + one + `, 1, 'route', 'k', '{}', i FROM n`,
		`INSERT INTO idempotency_keys (caller, route, idem_key, request, lease, lease_until, created_at, expires_at)` + numbers + `SELECT 'k', 'k', 'k' || i, '', '', 0, i, 9000000000000000 FROM n`,
		`INSERT INTO chat_members (id, channel_id, chat_key, source_id, line_user_id, created_at)` + numbers + `SELECT 'k' || i, 'k', 'k' || i, 'k', 'k', i FROM n`,
		`INSERT INTO errands (id, channel_id, chat_key, kind, source_id, webhook_event_id, state, created_at)` + numbers +
			`SELECT 'k' || i, 'k', 'k' || i, 'leave', 'k', 'k' || i, CASE WHEN i % 1000 = 0 THEN 'due' ELSE 'done' END, i FROM n`,
		`INSERT INTO courtesies (conversation_id, mark_message_id, mark_due_at) VALUES ('k', 'k1000', 1)`,
		`INSERT INTO courtesies (conversation_id, mark_due_at)` + numbers + `SELECT 'k' || i, CASE WHEN i % 1000 = 0 THEN 9000000000000000 + i ELSE 0 END FROM n`,
		`INSERT INTO service_findings (id, findings, expires_at)` + numbers + `SELECT 'k' || i, '{}', 9000000000000000 + i FROM n`,
		`INSERT INTO rulesets (id, name, kind, rules, version, created_at, updated_at, deadline_ms)` + numbers +
			`SELECT 'k' || i, 'k', 'classification', '[]', 1, i, i, CASE WHEN i % 10000 = 0 THEN 1000 ELSE 0 END FROM n`,
		`INSERT INTO webhook_stats (channel_id, hour, name, n)` + numbers + `SELECT ` + one + `, 9000000000000000 + i, 'events', 1 FROM n`,
		`UPDATE counters SET value = 19990 WHERE name = 'events'`,
		`ANALYZE`,
	} {
		_, err := p.db.ExecContext(t.Context(), q)
		require.NoError(t, err, q)
	}
}

// readsByIndex asserts that no statement of a step reads a table, or an index,
// whole, and that the step uses certain indexes, each given as a pattern:
// PostgreSQL has a choice at times, and weighs it.
func (p *planner) readsByIndex(t *testing.T, step string, do func(), indexes ...string) {
	t.Helper()
	statements := p.ofStep(do)
	require.NotEmpty(t, statements, step)
	plans := ""
	for _, q := range statements {
		whole, plan := p.whole(t, q)
		plans += plan
		if len(whole) > 0 {
			t.Errorf("%s reads whole: %s\n%s\n%s", step, strings.Join(whole, ", "), strings.Join(strings.Fields(q), " "), plan)
		}
	}
	for _, index := range indexes {
		if !regexp.MustCompile(index).MatchString(plans) {
			t.Errorf("%s does not use %s\n%s", step, index, plans)
		}
	}
}

// whole returns what a statement reads whole, and its plan.
func (p *planner) whole(t *testing.T, q string) (whole []string, plan string) {
	t.Helper()
	if p.isSQLite() {
		return p.wholeSQLite(t, q)
	}
	return p.wholePostgres(t, q)
}

func (p *planner) isSQLite() bool {
	var version string
	return p.db.QueryRowContext(context.Background(), `SELECT sqlite_version()`).Scan(&version) == nil
}

var (
	parameter = regexp.MustCompile(`\$(\d+)`)
	sqliteAll = regexp.MustCompile(`^SCAN ([a-z]\w*)(?: USING (?:COVERING )?INDEX (\w+))?`)
	// derived are not tables: rows that the statement itself has made.
	derived = []string{"newest", "later", "waits", "unnumbered", "batch", "head", "said", "json_each", "page", "of_open", "of_active", "of_waiting", "of_wrap_up", "of_closed", "each_status"}
)

func (p *planner) wholeSQLite(t *testing.T, q string) (whole []string, plan string) {
	t.Helper()
	n := 0
	for _, m := range parameter.FindAllStringSubmatch(q, -1) {
		i, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		n = max(n, i)
	}
	args := make([]any, n)
	for i := range args {
		args[i] = 10
	}
	rows, err := p.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q, args...)
	require.NoError(t, err, q)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var id, parent, unused int64
		var step string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
		plan += step + "\n"
		m := sqliteAll.FindStringSubmatch(step)
		if m != nil && !slices.Contains(derived, m[1]) && !slices.Contains(small, m[1]) && !slices.Contains(inOrder, m[2]) {
			whole = append(whole, step)
		}
	}
	require.NoError(t, rows.Err())
	return whole, plan
}

// node is a step of PostgreSQL's plan.
type node struct {
	Type      string `json:"Node Type"`
	Relation  string `json:"Relation Name"`
	Index     string `json:"Index Name"`
	Condition string `json:"Index Cond"`
	Plans     []node `json:"Plans"`
}

func (n node) whole() (out []string) {
	switch {
	case n.Type == "Seq Scan" && !slices.Contains(small, n.Relation):
		out = append(out, "Seq Scan on "+n.Relation)
	case n.Index != "" && n.Condition == "" && !slices.Contains(inOrder, n.Index):
		out = append(out, n.Type+" on "+n.Index)
	}
	for _, child := range n.Plans {
		out = append(out, child.whole()...)
	}
	return out
}

func (p *planner) wholePostgres(t *testing.T, q string) (whole []string, plan string) {
	t.Helper()
	ctx := t.Context()
	_, err := p.db.ExecContext(ctx, "PREPARE asked AS "+q)
	require.NoError(t, err, q)
	defer func() {
		_, err := p.db.ExecContext(ctx, "DEALLOCATE asked")
		require.NoError(t, err)
	}()
	var types string
	require.NoError(t, p.db.QueryRowContext(ctx, `SELECT array_to_string(parameter_types, ',') FROM pg_prepared_statements WHERE name = 'asked'`).Scan(&types))
	var args []string
	if types != "" {
		for _, kind := range strings.Split(types, ",") {
			switch kind {
			case "text":
				args = append(args, "'"+known+"'")
			case "boolean":
				args = append(args, "TRUE")
			case "text[]":
				args = append(args, "'{k}'")
			case "jsonb":
				args = append(args, "'[]'")
			default:
				args = append(args, "'10'")
			}
		}
	}
	call := "asked"
	if len(args) > 0 {
		call += "(" + strings.Join(args, ", ") + ")"
	}
	// The store's statements stay prepared: after five runs PostgreSQL may choose
	// a plan that does not look at the values, if that seems no dearer to it.
	for range 7 {
		var explained string
		require.NoError(t, p.db.QueryRowContext(ctx, "EXPLAIN (FORMAT JSON) EXECUTE "+call).Scan(&explained), q)
		var tree []struct {
			Plan node `json:"Plan"`
		}
		require.NoError(t, json.Unmarshal([]byte(explained), &tree))
		whole, plan = append(whole, tree[0].Plan.whole()...), explained
	}
	return whole, plan
}

func TestNoHotStatementReadsATableWhole(t *testing.T) {
	t.Parallel()
	eachPlanner(t, func(t *testing.T, p *planner) {
		ctx, s := t.Context(), p.s
		by := func(step string, do func(), indexes ...string) { t.Helper(); p.readsByIndex(t, step, do, indexes...) }
		check := func(err error) { t.Helper(); require.NoError(t, err) }

		by("a webhook of two events", func() {
			p.receive(p.event("e1", "message", "hello"), p.event("e2", "follow", ""))
		})
		var res store.IngestResult
		by("the first ingest", func() { res = p.ingest("", 0) })
		by("an ingest of nothing", func() { p.ingest(res.ConversationID, res.Seen) })
		by("a fresh run's ingest", func() { p.ingest("", 0) })
		p.receive(p.event("e3", "message", "again"), p.event("e4", "message", "oh"))
		by("an ingest of messages", func() { p.ingest(res.ConversationID, res.Seen) }, "line_events_chat")
		p.receive(p.event("e5", "unsend", "line-e4"), p.event("e6", "unfollow", ""))
		by("an ingest of a recall and a block", func() { res = p.ingest(res.ConversationID, res.Seen) }, "messages_by_line_id", "line_events_once")
		id := res.ConversationID
		p.receive(p.event("g1", "edit", "e1 hi"), p.event("g2", "follow", ""), p.event("g3", "spoken", "U1 hi"), p.event("g4", "unwanted", ""))
		by("an ingest of what happens in a group", func() { res = p.takes(res) }, "messages_by_line_id", "errands_due")
		by("what is quoted", func() { _, err := s.Quoted(ctx, id, []string{"line-e1", "1"}, []string{id}); check(err) }, "messages_by_line_id", "messages_sent_by_line_id", "messages_pkey|sqlite_autoindex_messages_1")
		by("an errand", func() {
			e, err := s.NextErrand(ctx, p.plan.Channel.ID, p.chat)
			check(err)
			_, err = s.SayErrand(ctx, store.Chat{ChannelID: p.plan.Channel.ID, ChatKey: p.chat}, *e, nil)
			check(err)
			try, err := s.TryErrand(ctx, p.plan.Channel.ID, *e, &store.Sending{})
			check(err)
			check(s.ErrandNotTaken(ctx, p.plan.Channel.ID, *e, try, true))
			check(s.FinishErrand(ctx, p.plan.Channel.ID, p.chat, *e, store.ErrandDone, ""))
		}, "errands_due", "line_events_once")

		by("linking an account", func() {
			link, nonce := p.confirmed("k7")
			p.receive(p.event("e-linked", "linked", nonce))
			res = p.takes(res)
			require.Equal(t, store.LinkLinked, p.link(link.ID).State)
			_, err := s.LinkPage(ctx, p.profileID())
			check(err)
			_, err = s.AccountLinksOfContact(ctx, "k7")
			check(err)
			_, err = s.UnlinkAccount(ctx, store.Origin{}, link.ID, store.UnlinkedByAgent)
			check(err)
		}, "account_links_nonce", "account_links_one_linked", "account_links_of_chat", "account_links_of_contact", "contacts_by_customer_number")
		by("links whose time is over", func() { check(s.ExpireAccountLinks(ctx)) }, "account_links_to_expire")

		by("typing", func() { _, err := s.ClaimTyping(ctx, id, time.Second); check(err) }, "messages_transcript")
		read, err := s.Messages(ctx, id, store.MessagePosition{}, 1)
		check(err)
		by("reading", func() { _, err := s.Read(ctx, id, "agt_1", read[0].ID, true); check(err) }, "messages_transcript")
		by("what is marked as read", func() { _, err := s.Mark(ctx, id); check(err) })
		by("what is to be marked as read", func() { _, err := s.MarksDue(ctx, 100); check(err) }, "courtesies_to_mark")
		by("what is unread", func() { _, err := s.Unread(ctx, []string{id, known}); check(err) }, "messages_transcript")

		by("the relay's look", func() { _, err := s.UnhandledChats(ctx, time.Now(), 200); check(err) }, "line_events_unhandled|line_events_received")

		by("the backlog for the metrics", func() { _, err := s.Backlog(ctx); check(err) }, "line_events_unhandled|line_events_received", "messages_unsent", "batches_one_frozen", "events_unnumbered", "conversations_queued")

		req := store.TurnRequest{ID: "trn_1", ConversationID: id, Epoch: res.Epoch}
		var asked store.TurnInput
		by("a bot's question", func() { var err error; asked, err = s.LoadTurn(ctx, req); check(err) }, "messages_inbound")
		draft := store.Draft{SenderKind: conversation.SenderBot, Content: conversation.TextContent("hello")}
		by("a bot's answer", func() {
			_, err := s.CommitTurn(ctx, req, store.TurnAnswer{Upto: asked.Upto, Drafts: []store.Draft{draft, draft}})
			check(err)
		})
		by("a turn asked again", func() { _, err := s.LoadTurn(ctx, req); check(err) })

		var batch *store.Batch
		next := func() { var err error; batch, err = s.NextBatch(ctx, id, plain); check(err); require.NotNil(t, batch) }
		finish := func(end store.BatchEnd) func() {
			return func() { _, err := s.FinishBatch(ctx, batch, end); check(err) }
		}
		by("a batch is frozen", next, "messages_unsent", "batches_in_order", "line_events_tokens")
		by("an attempt is noted", func() { _, err := s.NoteAttempt(ctx, batch, store.OutcomeUnclear, ""); check(err) })
		by("a batch is tried again", next)
		by("replies in doubt", func() { _, err := s.DoubtfulReplies(ctx, time.Now(), time.Now().Add(-time.Minute), 10); check(err) }, "batches_one_frozen")
		by("a reply in doubt is tried again", func() { _, err := s.AskAgain(ctx, id, time.Now(), time.Now().Add(-time.Minute)); check(err) }, "batches_one_frozen")
		by("a batch is dissolved", finish(store.BatchEnd{State: store.BatchDissolved}))
		next()
		by("a message of a batch is refused", finish(store.BatchEnd{State: store.BatchFailed, Refused: []int{0}}))
		next()
		by("more messages were bought", func() {
			for i, limit := range []int64{10, 20} {
				_, err := s.SaveQuota(ctx, "chn_plan", limit, 10, time.Now().Add(time.Duration(i)*time.Second))
				check(err)
			}
		}, "messages_unsent")
		by("channels whose messages wait", func() { _, err := s.HeldChannels(ctx, time.Now().Add(time.Hour), 10); check(err) }, "messages_unsent")
		by("a batch is accepted", finish(store.BatchEnd{State: store.BatchAccepted, Sent: []store.SentMessage{{ID: "1"}}}), "messages_(by_batch|pkey)|sqlite_autoindex_messages_1")
		by("what a conversation cost", func() { _, err := s.ConversationUsage(ctx, known); check(err) }, "batches_in_order")
		by("what a channel cost", func() { _, err := s.ChannelUsage(ctx, known, time.Now()); check(err) }, "batches_by_channel")
		by("a quota is kept", func() { _, err := s.SaveQuota(ctx, known, 100, 99, time.Now()); check(err) })
		by("calls are taken", func() { _, err := s.TakeCalls(ctx, known, "push", time.Now(), 1, 10); check(err) })
		by("nothing is to be sent", func() { _, err := s.NextBatch(ctx, id, plain); check(err) })
		by("what waited while a channel was held", func() { _, err := s.WaitingConversations(ctx, known, store.WaitingConversation{}, 200); check(err) }, "messages_unsent", "batches_one_frozen")
		by("whose names are missing", func() { _, err := s.Nameless(ctx, known, store.NamelessAfter{}, 100); check(err) }, "social_profiles_nameless", "chat_members_nameless")
		by("a conversation is wanted", func() { check(s.Want(ctx, store.WaitingConversation{ID: id})) })
		by("a survey is wanted", func() { check(s.Want(ctx, store.WaitingConversation{ID: id, Survey: true})) })
		by("channels whose tokens want something", func() { _, err := s.ChannelsToTend(ctx, 50); check(err) })
		by("webhooks are counted", func() {
			_, err := s.AddWebhookCounts(ctx, []store.WebhookCount{{ChannelID: known, Hour: time.UnixMicro(1), Name: "events", N: 1}})
			check(err)
		})
		by("the statistics of a channel's webhooks", func() {
			_, err := s.WebhookCounts(ctx, known, time.UnixMicro(1), time.UnixMicro(2))
			check(err)
		}, "webhook_stats_pkey|sqlite_autoindex_webhook_stats_1")
		by("an announcement", func() { _, err := s.Announce(ctx, id, "cause", []store.Draft{draft}); check(err) })

		by("a transcript's page", func() {
			_, err := s.Messages(ctx, id, store.MessagePosition{At: 1, ID: "x"}, 50)
			check(err)
		}, "messages_transcript")
		by("a message", func() {
			_, err := s.Message(ctx, conversation.DerivedID(conversation.PrefixMessage, "cause", 0))
			check(err)
		})
		by("a timeline", func() { _, err := s.Timeline(ctx, id); check(err) })
		by("a conversation", func() { _, err := s.Conversation(ctx, id); check(err) })
		by("the newest conversations", func() { _, err := s.Conversations(ctx, store.ConversationFilter{}, store.Position{}, 50); check(err) }, "conversations_by_time")
		by("more conversations", func() {
			_, err := s.Conversations(ctx, store.ConversationFilter{}, store.Position{At: 1, ID: "x"}, 50)
			check(err)
		}, "conversations_by_time")
		for _, f := range filters()[1:] {
			for _, after := range []store.Position{{}, {At: 1, ID: "x"}} {
				step := fmt.Sprintf("a list by %+v after %+v", f, after)
				statements := p.ofStep(func() { _, err := s.Conversations(ctx, f, after, 50); check(err) })
				require.Len(t, statements, 1, step)
				whole, plan := p.whole(t, statements[0])
				require.Empty(t, whole, "%s\n%s", step, plan)
				require.NotContains(t, plan, "conversations_by_time", "%s would read all conversations when few fit", step)
			}
		}

		by("events are numbered", func() { _, err := s.SequenceEvents(ctx); check(err) }, "events_unnumbered")
		by("a page of events", func() { _, err := s.Events(ctx, 10, 50, ""); check(err) }, "events_in_order|events_of_conversation")
		by("a page of a conversation's events", func() { _, err := s.Events(ctx, 10, 50, id); check(err) })
		page := func(q store.EventQuery) func() { return func() { _, err := s.EventPage(ctx, q); check(err) } }
		by("a page of events for an agent", page(store.EventQuery{After: 10, Limit: 50, AgentID: known}), "events_in_order")
		by("a batch of events for all who follow", func() { _, err := s.WatchEvents(ctx, 10, 50); check(err) }, "events_in_order")
		by("a page of a conversation's events for an agent", page(store.EventQuery{After: 10, Limit: 50, ConversationID: id, AgentID: known}))

		step := store.TransitionRequest{ID: "tsn_1", ConversationID: id, ChannelID: p.plan.Channel.ID, ChatKey: p.chat, Event: conversation.EventBotEscalated, Announce: []store.Draft{draft}}
		by("a handoff", func() { _, err := s.Transition(ctx, step); check(err) })
		step.ID, step.Event, step.Seen, step.Announce = "tsn_2", conversation.EventAutoClosed, res.Seen, nil
		by("a close", func() { r, err := s.Transition(ctx, step); check(err); require.False(t, r.Behind) }, "line_events_chat")
		by("a close done again", func() { _, err := s.Transition(ctx, step); check(err) })
		by("an ingest of a closed conversation", func() { p.ingest(id, res.Seen) })
		by("a fresh run that finds nothing", func() { p.ingest("", 0) })

		by("an attachment's fetch", func() { _, _ = s.Fetch(ctx, "k1") })
		by("a link", func() { _, _ = s.AttachmentByLink(ctx, "k") }, "attachments_link")
		by("a page's attachments", func() { _, err := s.Attachments(ctx, []string{"a", "b"}); check(err) })
		by("what is late", func() { check(s.AbandonAttachments(ctx)) }, "attachments_late")
		by("what is to be deleted", func() { _, err := s.AttachmentsToDelete(ctx, store.Position{}, 100); check(err) }, "attachments_to_delete")

		survey := &asking{lane: &lane{talk: p.talk, id: id}}
		survey.define(t, p.db)
		by("an invitation", func() { require.True(t, survey.invite()) })
		by("the first question", func() { survey.advance() })
		by("an answer by link", func() {
			_, err := s.AnswerByLink(ctx, survey.invitation().ID, map[string]string{"satisfied": "5", "words": "", "again": "9"})
			check(err)
		})
		by("thanks", func() { survey.advance() })
		p.receive(survey.tap("t1", "satisfied", "5"))
		by("a tap", func() { p.ingest("", 0) })
		p.receive(p.event("e7", "unsend", "line-e7"))
		by("an answer taken back", func() { p.ingest("", 0) }, "survey_answers_typed")
		by("a survey's answers", func() { survey.invitation() })
		by("the relay's look for surveys", func() { _, err := s.WantedSurveys(ctx, time.Now(), 200); check(err) }, "survey_invitations_wanted")
		for index, f := range map[string]store.InvitationFilter{
			"survey_invitations_in_order": {}, "survey_invitations_by_survey": {SurveyID: known}, "survey_invitations_by_agent": {AgentID: known},
		} {
			by("a page of surveys", func() { _, err := s.Invitations(ctx, f, store.Cursor{At: time.UnixMicro(1), ID: "x"}, 50); check(err) }, index)
		}

		by("the reconciler's look", func() {
			_, err := s.OpenConversations(ctx, "", 1000)
			check(err)
			_, err = s.HasOpenConversation(ctx, p.plan.Channel.ID, p.chat)
			check(err)
			_, err = s.InboxState(ctx, time.Now())
			check(err)
		}, "conversations_open|conversations_by_workstream", "conversations_one_open")
		by("old events are scrubbed", func() { check(s.ScrubEvents(ctx, time.Now().Add(-time.Hour), time.Now().Add(-2*time.Hour))) }, "line_events_received")
		by("old configuration is swept", func() { check(s.SweepConfiguration(ctx)) }, "idempotency_keys_expiry", "service_findings_expiry")
		by("what a service found", func() { _, err := s.Findings(ctx, known); check(err) }, "service_findings_pkey|sqlite_autoindex_service_findings_1")
		by("a channel's plan", func() { _, err := s.Plan(ctx, p.plan.Channel.ID); check(err) }, "rulesets_services")
	})
}

func TestMatchingReadsNoTableWhole(t *testing.T) {
	t.Parallel()
	eachPlanner(t, func(t *testing.T, p *planner) {
		ctx, s := t.Context(), p.s
		by := func(step string, do func(), indexes ...string) { t.Helper(); p.readsByIndex(t, step, do, indexes...) }
		check := func(err error) { t.Helper(); require.NoError(t, err) }
		c := newClock()
		f := &floor{t: t, s: s, c: c, channel: p.plan.Channel, stream: p.plan.Workstream}
		f.queue.ID = p.plan.Workstream.FallbackQueueID
		mei := f.agent("mei", 3)
		_, err := s.Match(ctx, store.MatchRequest{}) // ends what fill left
		check(err)
		for range 3 {
			f.waits()
		}
		passed := f.waits("refused = TRUE", "preferred_agent_id = 'k1'")
		profile := f.profile(store.CapacityProfile{Name: "p", Reset: store.ResetEndOfDay, Zone: "UTC"})
		f.limit(mei, profile, 1)
		counts := f.counts(profile)
		var res store.MatchResult
		by("a match", func() { res, err = s.Match(ctx, store.MatchRequest{}); check(err) },
			"conversations_queued", "conversations_queued_singly", "agent_states_present", "offers_expiry|offers_live|offers_one_live", "conversations_held")
		require.Equal(t, 4, res.Made)
		counted := f.theOfferOf(counts, mei)
		by("an offer of a profile is accepted", func() { check(f.act(ctx, counted, conversation.EventAccepted, mei, "s0")) })
		by("it ends", func() { check(f.act(ctx, counted, conversation.EventForceClosed, mei, "s00")) })
		offers, err := s.LiveOffers(ctx, mei)
		check(err)
		by("what is on offer", func() { _, err := s.OfferViews(ctx, mei); check(err) }, "offers_live")
		by("an offer is accepted", func() { check(f.act(ctx, offers[0], conversation.EventAccepted, mei, "s1")) })
		by("an offer is declined", func() { _, err := s.DeclineOffer(ctx, offers[1].ID, mei, ""); check(err) })
		by("an offer is taken back", func() { _, err := s.RescindOffer(ctx, offers[2].ID, "agt_sofie"); check(err) })
		by("a presence is set", func() { f.presence(mei, conversation.PresenceBusy) })
		f.presence(mei, conversation.PresenceOffline)
		by("a look at what is held by who is gone", func() { _, err := s.Match(ctx, store.MatchRequest{}); check(err) }, "conversations_held", "sessions_of_conversation")
		by("a sign of life", func() { _, err := s.SignOfLife(ctx, mei); check(err) })
		by("who waits in queues", func() { _, err := s.QueueStates(ctx, f.limited(), "k1"); check(err) }, "conversations_queued", "conversations_queued_singly")
		by("a place in a queue", func() { _, err := s.Estimate(ctx, passed); check(err) }, "conversations_queued", "conversations_queued_singly")
		by("a conversation that its queue looks after", func() {
			q, _, err := s.Queued(ctx, passed)
			check(err)
			_, err = s.Tend(ctx, store.TendRequest{ID: "t", ConversationID: passed, Wait: q.Wait, Until: c.Now(), Duty: routing.DutyOverflow})
			check(err)
		})
		f.haveChats()
		f.change(f.queue.ID, func(q *store.QueueSettings) { q.WaitInfo.Position = true })
		_, err = s.UpdateWorkstream(ctx, admin, f.stream.ID, store.AnyVersion, func(w *store.Workstream) error {
			w.Settings.AutoClose.ActiveSeconds = 60
			return nil
		})
		check(err)
		by("what rules were changed", func() { _, err := s.RuleChanges(ctx); check(err) })
		for _, change := range f.changes() {
			by("changed rules of a "+string(change.OwnerKind), func() { check(s.SpreadRuleChange(ctx, change)) }, "conversations_queued|conversations_of_channel|conversations_open|conversations_one_open")
		}
		for _, table := range []string{"chats (channel_id, chat_key, tick, created_at) SELECT $1, 'k' || i, 1, 1", "chats_to_wake (channel_id, chat_key) SELECT $1, 'k' || i"} {
			check(s.ExecForTest(ctx, `INSERT INTO `+table+` FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n) AS many`, f.channel.ID))
		}
		check(s.ExecForTest(ctx, "ANALYZE"))
		by("some are wanted for changed rules", func() { n, err := s.WantForRules(ctx); check(err); require.Positive(t, n) }, "chats_to_wake|chats_pkey|chats_wanted|sqlite_autoindex")
		by("what agents hold of their profiles", func() { _, err := s.ProfileLoads(ctx, []string{mei, "k1"}); check(err) }, "conversations_held")
		by("how agents do", func() { _, err := s.AgentStates(ctx, []string{mei, "k1"}); check(err) })
		by("a routing log", func() { _, err := s.RoutingLog(ctx, passed, store.Position{}, 1000); check(err) }, "routing_log_of_conversation")
		by("what came", func() {
			_, err := s.Arrivals(ctx, time.UnixMicro(1), time.UnixMicro(100), store.Position{}, 10)
			check(err)
		},
			"conversations_by_time|routing_log_of_conversation")
		by("the first look", func() { _, _, err := s.FirstLook(ctx, passed, ""); check(err) }, "routing_log_of_conversation|routing_log_pkey")
		by("the reconciler's look", func() { _, err := s.DispatchState(ctx, time.Now()); check(err) })
	})
}

// filters are all combinations of what conversations may be listed by, the
// first of them none.
func filters() (list []store.ConversationFilter) {
	for n := range 32 {
		var f store.ConversationFilter
		for i, set := range []func(){
			func() { f.Status = conversation.StatusActive }, func() { f.QueueID = known }, func() { f.AgentID = known },
			func() { f.ContactID = known }, func() { f.ChannelID = known },
		} {
			if n&(1<<i) != 0 {
				set()
			}
		}
		list = append(list, f)
	}
	return list
}

// What the test above relies on: that it would notice.
func TestAStatementThatReadsATableWholeIsNoticed(t *testing.T) {
	t.Parallel()
	eachPlanner(t, func(t *testing.T, p *planner) {
		for _, q := range []string{
			`SELECT id FROM messages WHERE text = $1`,
			`SELECT count(*) FROM line_events WHERE kind = $1`,
			`SELECT id FROM conversations WHERE bot_id = $1 ORDER BY id`,
			`UPDATE events SET data = $1 WHERE subject_id = $2`,
			`DELETE FROM batches WHERE created_at < $1`,
		} {
			whole, plan := p.whole(t, q)
			require.NotEmpty(t, whole, fmt.Sprint(q, "\n", plan))
		}
	})
}

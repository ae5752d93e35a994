package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
	"kaiwa/internal/survey"
)

// talk is a channel with a bot and one LINE chat, for tests of conversations.
type talk struct {
	t       *testing.T
	s       *store.Store
	plan    store.Plan
	chat    string
	user    string
	arrived int64
}

func newTalk(t *testing.T, s *store.Store) *talk {
	t.Helper()
	ctx := t.Context()
	queue, err := s.CreateQueue(ctx, store.Origin{}, store.Queue{Name: "Support", Priority: 10})
	require.NoError(t, err)
	bot, err := s.CreateBot(ctx, store.Origin{}, store.Bot{Name: "Guide", Kind: store.BotScript, Script: json.RawMessage(`{}`)})
	require.NoError(t, err)
	workstream, err := s.CreateWorkstream(ctx, store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: queue.ID, BotID: bot.ID})
	require.NoError(t, err)
	channel, err := s.CreateChannel(ctx, store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: "1234567890", BotUserID: "U" + strings.Repeat("a", 32), WorkstreamID: workstream.ID, Locale: "en",
		Status: store.ChannelActive, Secrets: []string{"secret"}, Token: "token",
	})
	require.NoError(t, err)
	plan, err := s.Plan(ctx, channel.ID)
	require.NoError(t, err)
	user := "U" + strings.Repeat("1", 32)
	return &talk{t: t, s: s, plan: plan, user: user, chat: conversation.ChatKey("user", user)}
}

// event is an inbox event; its raw bytes are "kind text", which read
// understands.
func (k *talk) event(id, kind, text string) store.InboxEvent {
	k.arrived++
	return store.InboxEvent{
		WebhookEventID: id, ChatKey: k.chat, Kind: kind, SourceType: "user", SourceID: k.user, ReplyToken: "token-" + id,
		LineTime: time.UnixMilli(1_700_000_000_000 + k.arrived), Raw: []byte(kind + " " + text),
	}
}

func (k *talk) receive(events ...store.InboxEvent) []string {
	k.t.Helper()
	chats, err := k.s.AppendLINEEvents(k.t.Context(), k.plan.Channel.ID, time.Now(), events)
	require.NoError(k.t, err)
	return chats
}

// read is an Interpreter of the events above.
func read(e store.LINEEvent) store.Item {
	kind, text, _ := strings.Cut(string(e.Raw), " ")
	switch kind {
	case "message":
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: text, LINEMessageID: "line-" + e.WebhookEventID}}
	case "unsend":
		return store.Item{Kind: store.ItemUnsend, Unsent: text}
	case "follow":
		return store.Item{Kind: store.ItemFollow}
	case "unfollow":
		return store.Item{Kind: store.ItemUnfollow}
	}
	return store.Item{Kind: store.ItemFact}
}

func (k *talk) request(conversationID string, seen int64) store.IngestRequest {
	return store.IngestRequest{
		ChannelID: k.plan.Channel.ID, ChatKey: k.chat, ConversationID: conversationID, Seen: seen, RunID: "run", Plan: &k.plan,
		Deadline: time.Now().Add(3 * time.Second), Left: k.lastOf(conversationID),
	}
}

// lastOf is the conversation whose run came before a fresh run: it has said
// goodbye, as far as a test does not want otherwise.
func (k *talk) lastOf(conversationID string) string {
	if conversationID != "" {
		return ""
	}
	id, err := k.s.QueryForTest(k.t.Context(), `SELECT coalesce((SELECT id FROM conversations WHERE status = 'closed' ORDER BY created_at DESC LIMIT 1), '')`)
	require.NoError(k.t, err)
	return id
}

// The run that closed a conversation is gone before it has said all.
func TestAFreshRunSaysWhatAClosedConversationLeftUnsaid(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		sv, err := s.CreateSurvey(ctx, store.Origin{}, store.Survey{Name: "After", Settings: survey.Settings{
			Questions: []survey.Question{{ID: "stars", Kind: survey.KindCSAT, Text: map[string]string{"en": "?"}}},
		}})
		require.NoError(t, err)
		fresh := func(left string) store.IngestResult {
			t.Helper()
			req := k.request("", 0)
			req.Left = left
			res, err := s.Ingest(ctx, req, read)
			require.NoError(t, err)
			return res
		}
		unsaid := func(before time.Time) (ids []string) {
			t.Helper()
			list, err := s.UnsaidConversations(ctx, before, 10)
			require.NoError(t, err)
			for _, c := range list {
				ids = append(ids, c.ID)
			}
			return ids
		}
		later := time.Now().Add(time.Hour)
		for i, after := range []survey.Policy{{}, {BotSurveyID: sv.ID}} {
			k.receive(k.event(fmt.Sprint("e", i), "message", "hello"))
			id := fresh(k.lastOf("")).ConversationID
			require.NotEmpty(t, id)
			_, err := s.Announce(ctx, id, "cause"+id, []store.Draft{{SenderKind: conversation.SenderSystem, Content: conversation.TextContent("welcome")}})
			require.NoError(t, err)
			require.Empty(t, unsaid(later), "it is open")
			k.receive(k.event(fmt.Sprint("next", i), "follow", ""))
			_, err = s.Transition(ctx, store.TransitionRequest{
				ID: "close" + id, ConversationID: id, ChannelID: k.plan.Channel.ID, ChatKey: k.chat, Event: conversation.EventBotIdle, Seen: 1 << 40, Surveys: after,
			})
			require.NoError(t, err)
			require.Equal(t, []string{id}, unsaid(later))
			require.Empty(t, unsaid(time.Now().Add(-time.Hour)), "it was closed just now")

			res := fresh("")
			require.Equal(t, id, res.ConversationID)
			require.Equal(t, conversation.StatusClosed, res.Status)
			require.Equal(t, conversation.ReasonBotIdle, res.ClosureReason)
			require.True(t, res.Pending)
			require.Equal(t, after.On(), res.SurveyDue)
			require.Empty(t, fresh(id).ConversationID, "the run before was that of the goodbye: it takes in what waits")

			require.NoError(t, s.ExecForTest(ctx, `UPDATE messages SET state = 'accepted' WHERE direction = 'outbound'`))
			require.Equal(t, after.On(), len(unsaid(later)) == 1, "its survey has not begun")
			invited, err := s.Invite(ctx, store.InviteRequest{ConversationID: id})
			require.NoError(t, err)
			require.Equal(t, after.On(), invited)
			require.Empty(t, unsaid(later))
			require.Empty(t, fresh("").ConversationID)
		}
	})
}

func (k *talk) ingest(conversationID string, seen int64) store.IngestResult {
	k.t.Helper()
	req := k.request(conversationID, seen)
	req.Epoch = 1
	res, err := k.s.Ingest(k.t.Context(), req, read)
	require.NoError(k.t, err)
	return res
}

func (k *talk) texts(conversationID string) []string {
	k.t.Helper()
	list, err := k.s.Messages(k.t.Context(), conversationID, store.MessagePosition{}, 1000)
	require.NoError(k.t, err)
	var out []string
	for _, m := range list {
		out = append(out, m.Text)
	}
	return out
}

func (k *talk) closeIt(conversationID string, seen int64, step string) (store.TransitionResult, error) {
	return k.s.Transition(k.t.Context(), store.TransitionRequest{
		ID: step, ConversationID: conversationID, ChannelID: k.plan.Channel.ID, ChatKey: k.chat,
		Event: conversation.EventBotIdle, Seen: seen, Deadline: time.Now().Add(3 * time.Second),
	})
}

func TestTheFirstMessageOpensAConversationAndLaterOnesJoinIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		require.Equal(t, []string{k.chat}, k.receive(k.event("e1", "message", "hello")))
		first := k.ingest("", 0)
		require.True(t, first.Created)
		require.Equal(t, conversation.StatusActive, first.Status)
		require.Equal(t, conversation.OwnerBot, first.Owner)
		require.Equal(t, 1, first.Messages)
		require.True(t, first.ProfileDue)

		k.receive(k.event("e2", "message", "again"))
		next := k.ingest(first.ConversationID, first.Seen)
		require.Equal(t, 1, next.Messages)
		require.Greater(t, next.Seen, first.Seen)
		require.Equal(t, []string{"hello", "again"}, k.texts(first.ConversationID))
	})
}

func TestAnIngestRunAgainAnswersTheSame(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingest("", 0)
		again := k.ingest("", 0)
		require.Equal(t, first.ConversationID, again.ConversationID)
		require.Equal(t, 1, again.Messages, "the message is still unanswered")

		k.receive(k.event("e2", "message", "two"), k.event("e3", "message", "three"))
		one := k.ingest(first.ConversationID, first.Seen)
		two := k.ingest(first.ConversationID, first.Seen)
		require.Equal(t, 2, one.Messages)
		require.Equal(t, 2, two.Messages)
		require.Equal(t, 0, k.ingest(first.ConversationID, two.Seen).Messages)
		require.Equal(t, []string{"hello", "two", "three"}, k.texts(first.ConversationID))
	})
}

func TestADuplicateLeavesNoTraceAndRenewsTheToken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		e := k.event("e1", "message", "hello")
		require.Equal(t, []string{k.chat}, k.receive(e, e), "twice in one body")
		first := k.ingest("", 0)
		require.Empty(t, k.receive(e), "a handled event wakes nobody")
		require.Equal(t, 0, k.ingest(first.ConversationID, first.Seen).Messages)
		require.Equal(t, []string{"hello"}, k.texts(first.ConversationID))
	})
}

func TestTheSameBodyEightTimesInParallelHasOneEffect(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		e := k.event("e1", "message", "hello")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := s.AppendLINEEvents(t.Context(), k.plan.Channel.ID, time.Now(), []store.InboxEvent{e})
				require.NoError(t, err)
			})
		}
		wg.Wait()
		first := k.ingest("", 0)
		require.Equal(t, 1, first.Messages)
		require.Equal(t, []string{"hello"}, k.texts(first.ConversationID))
	})
}

func TestMessagesDeliveredOutOfOrderReadInOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		one, two, three := k.event("e1", "message", "one"), k.event("e2", "message", "two"), k.event("e3", "message", "three")
		k.receive(three)
		first := k.ingest("", 0)
		k.receive(two, one)
		k.ingest(first.ConversationID, first.Seen)
		require.Equal(t, []string{"one", "two", "three"}, k.texts(first.ConversationID))
	})
}

func TestFactsOpenNoConversation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "follow", ""), k.event("e2", "unsend", "line-old"), k.event("e3", "beacon", ""))
		require.Equal(t, store.IngestResult{}, k.ingest("", 0))
		chats, err := s.UnhandledChats(t.Context(), time.Now().Add(time.Hour), 10)
		require.NoError(t, err)
		require.Empty(t, chats)
		p, err := s.Profile(t.Context(), k.plan.Channel.ID, k.chat)
		require.NoError(t, err)
		require.Equal(t, "friend", p.Friendship)
	})
}

func TestABlockIsToldAndAnUnblockTakesItBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingest("", 0)
		k.receive(k.event("e2", "unfollow", ""), k.event("e3", "follow", ""))
		res := k.ingest(first.ConversationID, first.Seen)
		require.False(t, res.Blocked)
		k.receive(k.event("e4", "unfollow", ""))
		require.True(t, k.ingest(first.ConversationID, res.Seen).Blocked)
	})
}

func TestAnUnsentMessageIsGoneEverywhereEvenBeforeItArrives(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "secret"))
		first := k.ingest("", 0)
		k.receive(k.event("e2", "unsend", "line-e1"), k.event("e3", "unsend", "line-e9"))
		res := k.ingest(first.ConversationID, first.Seen)
		require.Equal(t, []string{""}, k.texts(first.ConversationID))

		k.receive(k.event("e9", "message", "never seen"))
		res = k.ingest(first.ConversationID, res.Seen)
		k.receive(k.event("e10", "message", "in one go"), k.event("e11", "unsend", "line-e10"))
		k.ingest(first.ConversationID, res.Seen)
		list, err := s.Messages(t.Context(), first.ConversationID, store.MessagePosition{}, 10)
		require.NoError(t, err)
		require.Len(t, list, 3)
		for _, m := range list {
			require.Equal(t, conversation.MessageRecalled, m.State)
			require.Empty(t, m.Text)
		}
		// Not in the inbox either: ingesting everything anew finds no content.
		var raws []string
		_, err = s.Ingest(t.Context(), k.request(first.ConversationID, 0), func(e store.LINEEvent) store.Item {
			raws = append(raws, string(e.Raw))
			return read(e)
		})
		require.NoError(t, err)
		for _, raw := range raws {
			require.NotContains(t, raw, "secret")
			require.NotContains(t, raw, "never seen")
			require.NotContains(t, raw, "in one go")
		}
	})
}

func TestCloseRefusesWhileSomethingTakenInIsUnseen(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingest("", 0)
		k.receive(k.event("e2", "message", "wait"))
		k.ingest(first.ConversationID, first.Seen) // an attempt whose answer was lost
		res, err := k.closeIt(first.ConversationID, first.Seen, "step")
		require.NoError(t, err)
		require.True(t, res.Behind)
		conv, err := s.Conversation(t.Context(), first.ConversationID)
		require.NoError(t, err)
		require.Equal(t, conversation.StatusActive, conv.Status)
	})
}

func TestCloseTellsWhatWaitsForTheNextConversation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingest("", 0)
		k.receive(k.event("e2", "message", "one more thing"))
		res, err := k.closeIt(first.ConversationID, first.Seen, "step")
		require.NoError(t, err)
		require.Equal(t, conversation.StatusClosed, res.Status)
		require.True(t, res.Unhandled)

		again, err := k.closeIt(first.ConversationID, first.Seen, "step")
		require.NoError(t, err)
		require.Equal(t, res, again, "the same step answers the same")
		_, err = k.closeIt(first.ConversationID, first.Seen, "another step")
		require.Equal(t, conversation.CodeConversationClosed, conversation.CodeOf(err))

		taken := k.ingest(first.ConversationID, first.Seen)
		require.Equal(t, conversation.StatusClosed, taken.Status)
		require.Zero(t, taken.Messages, "a closed conversation takes nothing")
		next := k.ingest("", 0)
		require.NotEqual(t, first.ConversationID, next.ConversationID)
		require.Equal(t, []string{"one more thing"}, k.texts(next.ConversationID))
	})
}

func TestALateAttemptChangesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		late := k.request("", 0)
		late.Deadline = time.Now().Add(-time.Millisecond)
		_, err := s.Ingest(t.Context(), late, read)
		require.Equal(t, conversation.CodeLate, conversation.CodeOf(err))
		first := k.ingest("", 0)

		k.receive(k.event("e2", "message", "two"))
		late = k.request(first.ConversationID, first.Seen)
		late.Deadline = time.Now().Add(-time.Millisecond)
		_, err = s.Ingest(t.Context(), late, read)
		require.Equal(t, conversation.CodeLate, conversation.CodeOf(err))
		chats, err := s.UnhandledChats(t.Context(), time.Now().Add(time.Hour), 10)
		require.NoError(t, err)
		require.Len(t, chats, 1, "the event is still there to be taken")

		_, err = s.Transition(t.Context(), store.TransitionRequest{
			ID: "late", ConversationID: first.ConversationID, ChannelID: k.plan.Channel.ID, ChatKey: k.chat,
			Event: conversation.EventBotIdle, Seen: first.Seen, Deadline: time.Now().Add(-time.Millisecond),
		})
		require.Equal(t, conversation.CodeLate, conversation.CodeOf(err))
	})
}

// Ingests, late ingests and closes of two generations hammer one chat while
// events arrive. Whoever wins, every message ends up in exactly one
// conversation, and none is in a conversation that was closed before it was
// seen there.
func TestZombiesHammeringIngestAndCloseLoseNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		const total = 120
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var current atomic.Pointer[store.IngestResult]
		current.Store(&store.IngestResult{})
		var zombies sync.WaitGroup
		for range 3 {
			zombies.Go(func() {
				for ctx.Err() == nil {
					at := *current.Load()
					req := k.request(at.ConversationID, at.Seen)
					req.Deadline = time.Now() // over by the time the lock is held
					_, _ = s.Ingest(ctx, req, read)
					if at.ConversationID != "" {
						_, _ = s.Transition(ctx, store.TransitionRequest{
							ID: "zombie", ConversationID: at.ConversationID, ChannelID: req.ChannelID, ChatKey: req.ChatKey,
							Event: conversation.EventBotIdle, Seen: at.Seen, Deadline: time.Now(),
						})
					}
				}
			})
		}
		seen := map[string]int{} // messages the living workflow has seen, by conversation
		sent := 0
		for step := 0; sent < total || current.Load().ConversationID != ""; step++ {
			for range 3 {
				if sent < total {
					k.receive(k.event(fmt.Sprintf("e%03d", sent), "message", fmt.Sprintf("m%03d", sent)))
					sent++
				}
			}
			at := *current.Load()
			res := k.ingest(at.ConversationID, at.Seen)
			if res.ConversationID == "" {
				break
			}
			seen[res.ConversationID] += res.Messages
			current.Store(&res)
			if step%4 == 3 {
				closed, err := k.closeIt(res.ConversationID, res.Seen, fmt.Sprint("close", step))
				require.NoError(t, err)
				if !closed.Behind {
					current.Store(&store.IngestResult{})
				}
			}
		}
		stop()
		zombies.Wait()
		var all []string
		for id, n := range seen {
			texts := k.texts(id)
			require.Len(t, texts, n, "everything in the transcript was seen by the workflow")
			all = append(all, texts...)
		}
		require.Len(t, all, total)
	})
}

func TestAnInboundMessageCostsSixStatements(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var statements []string
			s, _ := storetest.New(t, dialect, func(o *store.Options) {
				o.Observe = func(q string) {
					mu.Lock()
					defer mu.Unlock()
					if !strings.Contains(q, "pg_notify") { // the sequencer is told beside the messages
						statements = append(statements, strings.Join(strings.Fields(q), " "))
					}
				}
			})
			k := newTalk(t, s)
			k.receive(k.event("e1", "message", "hello"))
			first := k.ingest("", 0)
			statements = nil
			k.receive(k.event("e2", "message", "again"))
			require.Len(t, statements, 1, "a webhook is one round trip")
			k.ingest(first.ConversationID, first.Seen)
			require.LessOrEqual(t, len(statements), 6, strings.Join(statements, "\n"))
		})
	}
}

func TestAReopenWindowBringsTheSameConversationBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.plan.Workstream.Settings.ReopenSeconds = 3600
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingest("", 0)
		_, err := k.closeIt(first.ConversationID, first.Seen, "close")
		require.NoError(t, err)

		k.receive(k.event("e2", "message", "one more"))
		again := k.ingest("", 0)
		require.Equal(t, first.ConversationID, again.ConversationID)
		require.Equal(t, conversation.StatusActive, again.Status)
		require.Equal(t, 1, again.Messages, "what was said before is not answered again")
		require.Equal(t, []string{"hello", "one more"}, k.texts(first.ConversationID))
		conv, err := s.Conversation(t.Context(), first.ConversationID)
		require.NoError(t, err)
		require.Zero(t, conv.ClosedAt)
		require.Empty(t, conv.ClosureReason)

		_, err = k.closeIt(first.ConversationID, again.Seen, "close again")
		require.NoError(t, err)
		k.plan.Workstream.Settings.ReopenSeconds = 0
		k.receive(k.event("e3", "message", "later"))
		require.NotEqual(t, first.ConversationID, k.ingest("", 0).ConversationID)
	})
}

// An ingest stops in its middle, having taken a message and not committed. A
// close that comes then has to wait for it, and finds that it is behind; were
// the chat not locked, it would close over a message nobody will answer.
func TestACloseWaitsForAnIngestUnderWay(t *testing.T) {
	t.Parallel()
	s, url := storetest.New(t, "postgres") // SQLite's one writer is lock enough
	k := newTalk(t, s)
	k.receive(k.event("e1", "message", "hello"))
	first := k.ingest("", 0)
	k.receive(k.event("e2", "message", "wait"))

	reached, goOn := make(chan struct{}), make(chan struct{})
	slow := storetest.Open(t, url, func(o *store.Options) {
		o.Observe = func(q string) {
			if strings.Contains(q, "INSERT INTO messages") {
				close(reached)
				<-goOn
			}
		}
	})
	ingested := make(chan error, 1)
	go func() {
		req := k.request(first.ConversationID, first.Seen)
		req.Deadline = time.Now().Add(time.Minute)
		_, err := slow.Ingest(t.Context(), req, read)
		ingested <- err
	}()
	<-reached
	closed := make(chan store.TransitionResult, 1)
	var refused error
	go func() {
		res, err := s.Transition(t.Context(), store.TransitionRequest{
			ID: "close", ConversationID: first.ConversationID, ChannelID: k.plan.Channel.ID, ChatKey: k.chat,
			Event: conversation.EventBotIdle, Seen: first.Seen, Deadline: time.Now().Add(time.Minute),
		})
		refused = err
		closed <- res
	}()
	watch, err := sqlx.Open("postgres", url)
	require.NoError(t, err)
	defer func() { require.NoError(t, watch.Close()) }()
	var early *store.TransitionResult
	require.Eventually(t, func() bool {
		select {
		case res := <-closed:
			early = &res
			return true
		default:
		}
		var waiting int
		err := watch.Get(&waiting, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		return err == nil && waiting == 1
	}, time.Minute, time.Millisecond)
	require.Nil(t, early, "the close did not wait")
	close(goOn)
	require.NoError(t, <-ingested)
	res := <-closed
	require.NoError(t, refused)
	require.True(t, res.Behind)
}

// A workflow task that began and closed a conversation may not complete: its
// run then asks again as if it had nothing.
func TestAFreshRunFetchesTheFilesThatAClosedConversationLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		withFile := func(e store.LINEEvent) store.Item {
			item := read(e)
			if item.Message.Text == "picture" {
				item.Message.Type, item.Message.File = "image", &store.InboundFile{Kind: store.FileImage}
			}
			return item
		}
		k.receive(k.event("e1", "message", "picture"), k.event("e2", "unfollow", ""))
		fresh := k.request("", 0)
		first, err := s.Ingest(t.Context(), fresh, withFile)
		require.NoError(t, err)
		require.True(t, first.Blocked)
		require.Len(t, first.Media, 1)
		_, err = s.Transition(t.Context(), store.TransitionRequest{
			ID: "blocked", ConversationID: first.ConversationID, ChannelID: k.plan.Channel.ID, ChatKey: k.chat,
			Event: conversation.EventCustomerBlocked, Seen: first.Seen, Deadline: time.Now().Add(time.Minute),
		})
		require.NoError(t, err)
		k.receive(k.event("e3", "message", "again"))

		for range 2 {
			again, err := s.Ingest(t.Context(), fresh, withFile)
			require.NoError(t, err)
			require.Equal(t, first.ConversationID, again.ConversationID)
			require.Equal(t, conversation.StatusClosed, again.Status)
			require.Equal(t, first.Media, again.Media)
		}
		fresh.Left = first.ConversationID // the next run, which takes the files along
		next, err := s.Ingest(t.Context(), fresh, withFile)
		require.NoError(t, err)
		require.NotEqual(t, first.ConversationID, next.ConversationID)
		require.Equal(t, []string{"again"}, k.texts(next.ConversationID))
	})
}

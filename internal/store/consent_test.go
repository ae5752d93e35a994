package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/automessage"
	"kaiwa/internal/consent"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// shy is a talk whose customer is asked for consent, and its clock.
type shy struct {
	*talk
	id   string
	seen int64
	now  *atomic.Int64 // Unix milliseconds
}

// eachShy runs f on every database, in a conversation whose first message was
// taken in.
func eachShy(t *testing.T, f func(t *testing.T, k *shy)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			var now atomic.Int64
			now.Store(time.Now().UnixMilli())
			s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Now = func() time.Time { return time.UnixMilli(now.Load()) } })
			k := &shy{talk: newTalk(t, s), now: &now}
			k.plan.Workstream.Settings.Privacy = store.Privacy{Consent: true, Version: "v1"}
			k.receive(k.event("e1", "message", "private"))
			res := k.take()
			require.Equal(t, conversation.PhaseConsent, conversation.Phase{Status: res.Status, Owner: res.Owner})
			require.True(t, res.Ask)
			require.Equal(t, 1, res.Messages)
			f(t, k)
		})
	}
}

// event is one of now, by this talk's clock.
func (k *shy) event(id, kind, text string) store.InboxEvent {
	e := k.talk.event(id, kind, text)
	e.LineTime = time.UnixMilli(k.now.Add(1))
	return e
}

func (k *shy) receive(events ...store.InboxEvent) {
	k.t.Helper()
	_, err := k.s.AppendLINEEvents(k.t.Context(), k.plan.Channel.ID, time.UnixMilli(k.now.Load()), events)
	require.NoError(k.t, err)
}

// hears reads a tap beside what read knows.
func hears(e store.LINEEvent) store.Item {
	if tap, ok := consent.ReadTap(strings.TrimPrefix(string(e.Raw), "postback ")); ok {
		return store.Item{Kind: store.ItemConsent, Tap: tap}
	}
	return read(e)
}

// try takes in what there is, as the workflow would, and changes nothing of
// what the workflow knows.
func (k *shy) try() store.IngestResult {
	k.t.Helper()
	req := k.request(k.id, k.seen)
	req.Epoch, req.Asking, req.Deadline = 1, k.id != "", time.Time{}
	res, err := k.s.Ingest(k.t.Context(), req, hears)
	require.NoError(k.t, err)
	return res
}

// take takes in what there is, twice: whoever died after the first time gets
// the same answer the second time.
func (k *shy) take() store.IngestResult {
	k.t.Helper()
	res, again := k.try(), k.try()
	if k.id == "" {
		again.Seen = res.Seen // a fresh run has seen what it has looked at
	}
	require.Equal(k.t, res, again)
	k.id, k.seen = res.ConversationID, again.Seen
	return res
}

// ask puts the question, with the plan's version.
func (k *shy) ask(cause string) int {
	k.t.Helper()
	version := k.plan.Workstream.Settings.Privacy.Asked(k.row().ConsentVersion)
	n, err := k.s.AskConsent(k.t.Context(), store.AskRequest{
		Cause: cause, ConversationID: k.id, Version: version,
		Notice: []store.Draft{{SenderKind: conversation.SenderSystem, Automated: string(automessage.PrivacyNotice), Content: conversation.TextContent("notice " + version)}},
		Question: store.Draft{SenderKind: conversation.SenderSystem, Automated: string(automessage.ConsentQuestion), Content: conversation.Content{
			Type: conversation.ContentQuickReplies, Text: "agree " + version, QuickReplies: consent.Buttons(k.id, version, "en"),
		}},
	})
	require.NoError(k.t, err)
	return n
}

func (k *shy) row() store.Conversation {
	k.t.Helper()
	c, err := k.s.Conversation(k.t.Context(), k.id)
	require.NoError(k.t, err)
	return c
}

// tap is a tap on a button of the present version.
func (k *shy) tap(id string, answer consent.Answer) store.InboxEvent {
	k.t.Helper()
	for _, b := range consent.Buttons(k.id, k.plan.Workstream.Settings.Privacy.Version, "en") {
		if tap, _ := consent.ReadTap(b.Data); tap.Answer == answer {
			return k.event(id, "postback", b.Data)
		}
	}
	panic("no such button")
}

func (k *shy) text(q string, args ...any) string {
	k.t.Helper()
	text, err := k.s.QueryForTest(k.t.Context(), q, args...)
	require.NoError(k.t, err)
	return text
}

// told are the events about messages, in order: of which message.
func (k *shy) told() (out []string) {
	k.t.Helper()
	for {
		n, err := k.s.SequenceEvents(k.t.Context())
		require.NoError(k.t, err)
		if n == 0 {
			break
		}
	}
	events, err := k.s.Events(k.t.Context(), 0, 1000, "")
	require.NoError(k.t, err)
	for _, e := range events {
		switch e.Type {
		case "message.received", "message.recalled":
			m, err := k.s.Message(k.t.Context(), e.SubjectID)
			require.NoError(k.t, err)
			out = append(out, e.Type[len("message."):]+" "+m.Text)
		case "message.created":
		default:
			require.NotContains(k.t, e.Type, "attachment")
		}
	}
	return out
}

func (k *shy) inbound() (out []string) {
	k.t.Helper()
	list, err := k.s.Messages(k.t.Context(), k.id, store.MessagePosition{}, 1000)
	require.NoError(k.t, err)
	for _, m := range list {
		if m.Direction == conversation.Inbound {
			out = append(out, m.Text)
		}
	}
	return out
}

// hidden requires that nothing shows of what the customer wrote.
func (k *shy) hidden() {
	k.t.Helper()
	require.Empty(k.t, k.inbound())
	require.Empty(k.t, k.told())
	for _, id := range []string{"e1", "e2", "e3"} {
		_, err := k.s.Message(k.t.Context(), conversation.DerivedID(conversation.PrefixMessage, k.plan.Channel.ID, id))
		require.Equal(k.t, conversation.CodeNotFound, conversation.CodeOf(err))
	}
	found, err := k.s.Conversations(k.t.Context(), store.ConversationFilter{Search: "private"}, store.Position{}, 10)
	require.NoError(k.t, err)
	require.Empty(k.t, found)
}

func (k *shy) has(phase conversation.Phase) {
	k.t.Helper()
	c := k.row()
	require.Equal(k.t, phase, conversation.Phase{Status: c.Status, Owner: c.Owner})
}

func TestUntilTheYesNobodySeesWhatTheCustomerWrites(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		require.Equal(t, 2, k.ask("ask1"), "the notice and the question")
		k.hidden()
		k.receive(k.event("e2", "message", "more private"))
		require.True(t, k.take().Ask)
		k.hidden()
		_, _, err := k.s.Say(t.Context(), say("s", k.id, conversation.Actor{AgentID: "agt_1", Supervisor: true}, "hello"))
		require.Equal(t, conversation.CodeConsentPending, conversation.CodeOf(err))

		k.receive(k.tap("e3", consent.Yes), k.event("e4", "message", "and this"))
		res := k.take()
		require.Equal(t, 1, res.Messages, "the answer is none")
		require.False(t, res.Ask)
		require.Equal(t, int64(2), res.Epoch)
		k.has(conversation.PhaseBot)
		require.Equal(t, []string{"private", "more private", "and this"}, k.inbound())
		require.Equal(t, []string{"received private", "received more private", "received and this"}, k.told())

		turn, err := k.s.LoadTurn(t.Context(), store.TurnRequest{ID: "trn_1", ConversationID: k.id, Epoch: 2})
		require.NoError(t, err)
		require.Len(t, turn.Messages, 3, "the bot answers them all")
		require.Equal(t, "yes button v1 "+k.id, k.text(`SELECT answer || ' ' || via || ' ' || version || ' ' || conversation_id FROM consents`))
		require.Equal(t, "v1 v1", k.text(`SELECT consent_version || ' ' || notice_version FROM social_profiles`))
		require.NotEqual(t, "0", k.text(`SELECT CAST(consent_at AS TEXT) FROM social_profiles`))
		_, _, err = k.s.Say(t.Context(), say("s", k.id, conversation.Actor{AgentID: "agt_1", Supervisor: true}, "hello"))
		require.Equal(t, conversation.CodeNotAllowedNow, conversation.CodeOf(err))

		// A tap after that is a fact.
		k.receive(k.tap("e5", consent.Yes), k.tap("e6", consent.No))
		res = k.take()
		require.Zero(t, res.Messages)
		k.has(conversation.PhaseBot)
		require.Equal(t, "1", k.text(`SELECT CAST(count(*) AS TEXT) FROM consents`))
		require.Len(t, k.inbound(), 3)
	})
}

func TestWithoutABotTheYesLeadsToAQueue(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		k.ask("ask")
		k.plan.Bot = nil
		k.receive(k.tap("e2", consent.Yes))
		k.take()
		k.has(conversation.PhaseQueued)
		require.NotZero(t, k.row().WaitingSince)
		require.Equal(t, []string{"private"}, k.inbound())
	})
}

func TestATypedAnswerCountsOnceTheQuestionWasAsked(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		early := k.event("e2", "message", "yes")
		k.receive(early)
		require.True(t, k.take().Ask, "nobody has asked")
		late := k.event("e3", "message", "はい")
		k.now.Add(10)
		k.ask("ask")
		k.receive(late)
		require.True(t, k.take().Ask, "it was written before the question was asked")
		k.receive(k.event("e4", "message", "yes, but who are you?"))
		require.True(t, k.take().Ask)
		k.receive(k.event("e5", "message", "YES"), k.event("e6", "unsend", "line-e5"))
		k.take()
		k.has(conversation.PhaseConsent)
		k.hidden()

		k.receive(k.event("e7", "message", " はい。"))
		require.Zero(t, k.take().Messages)
		k.has(conversation.PhaseBot)
		require.Equal(t, []string{"private", "yes", "はい", "yes, but who are you?", ""}, k.inbound())
		require.Equal(t, "yes typed", k.text(`SELECT answer || ' ' || via FROM consents`))
	})
}

func TestAQuestionThatWasNeverSentIsNotAnswered(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		k.ask("ask")
		require.NoError(t, k.s.ExecForTest(t.Context(), `UPDATE messages SET state = 'failed' WHERE direction = 'outbound'`))
		k.receive(k.event("e2", "message", "yes"))
		require.True(t, k.take().Ask)
		require.Equal(t, 2, k.ask("again"), "the notice was not seen either")
	})
}

func TestANoDeletesWhatWasWritten(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		k.ask("ask")
		k.receive(k.event("e2", "message", "more private"))
		k.take()
		first := k.id
		k.receive(k.event("e3", "message", "and private"), k.event("e4", "follow", ""), k.tap("e5", consent.No), k.event("e6", "message", "wait"), k.event("e7", "unsend", "x"))
		res := k.take()
		require.Equal(t, conversation.StatusClosed, res.Status)
		require.Equal(t, conversation.ReasonConsentRefused, res.ClosureReason)
		require.Zero(t, res.Messages)
		k.hidden()
		require.Equal(t, "0", k.text(`SELECT CAST(count(*) AS TEXT) FROM messages WHERE direction = 'inbound'`))
		require.Equal(t, "0", k.text(`SELECT CAST(count(*) AS TEXT) FROM line_events WHERE webhook_event_id IN ('e1', 'e2', 'e3') AND length(raw) > 0`))
		require.Equal(t, "no button", k.text(`SELECT answer || ' ' || via FROM consents`))
		require.Empty(t, k.text(`SELECT consent_version FROM social_profiles`))
		require.Equal(t, "friend", k.text(`SELECT friendship FROM social_profiles`), "what came before the no and is no message was heard")

		// What came after it is the next conversation's, which asks again.
		k.id, k.seen = "", 0
		res = k.take()
		require.NotEqual(t, first, k.id)
		require.True(t, res.Ask)
		require.Equal(t, 1, res.Messages)
		k.has(conversation.PhaseConsent)
		k.receive(k.tap("e8", consent.No))
		k.id, k.seen = "", 0 // the run that had it is gone
		for res = k.try(); res.More; res = k.try() {
			k.id, k.seen = res.ConversationID, res.Seen
		}
		require.Equal(t, conversation.ReasonConsentRefused, res.ClosureReason, "a fresh run leaves the answer to the ingest that knows the conversation")
		require.Equal(t, res, k.try())
	})
}

func TestAnAnswerToSomethingElseIsNoYes(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		k.ask("ask")
		old := k.tap("e2", consent.Yes)
		k.plan.Workstream.Settings.Privacy.Version = "v2"
		k.receive(old)
		require.True(t, k.take().Ask, "it was another notice")
		k.receive(k.event("e3", "message", "yes"))
		require.True(t, k.take().Ask, "the new one was not asked about")
		k.has(conversation.PhaseConsent)
		require.Equal(t, 2, k.ask("ask v2"), "the new notice is shown")
		require.Equal(t, "v2", k.row().ConsentVersion)

		k.receive(k.event("e4", "postback", "kaiwa:consent:cnv_other:v2:yes"))
		require.True(t, k.take().Ask, "it was another conversation")
		k.has(conversation.PhaseConsent)
		k.hidden()
		k.receive(k.event("e5", "message", "yes"))
		k.take()
		k.has(conversation.PhaseBot)
		require.Equal(t, "v2", k.text(`SELECT consent_version FROM social_profiles`))
	})
}

func TestATapWithoutAConversationIsAFact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "postback", "kaiwa:consent:cnv_1:v1:yes"))
		res, err := s.Ingest(t.Context(), k.request("", 0), hears)
		require.NoError(t, err)
		require.Empty(t, res.ConversationID)
	})
}

func TestWhoAgreedIsAskedAgainWhenTheNoticeChanges(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		k.ask("ask")
		k.receive(k.tap("e2", consent.Yes))
		k.take()
		next := func(i int) store.IngestResult {
			require.NoError(t, k.s.ExecForTest(t.Context(), `UPDATE conversations SET status = 'closed', owner = 'none', closed_at = $1, closure_reason = 'bot_idle', bot_position = $2 WHERE status <> 'closed'`,
				k.now.Load()*1000, k.seen))
			k.id, k.seen = "", 0
			k.receive(k.event("next"+strconv.Itoa(i), "message", "hello"))
			return k.take()
		}
		require.Equal(t, conversation.OwnerBot, next(1).Owner, "who agreed is not asked again")
		k.plan.Workstream.Settings.Privacy.Version = "v2"
		require.Equal(t, conversation.OwnerNone, next(2).Owner)
		k.plan.Workstream.Settings.ReopenSeconds = 3600
		last := k.id
		require.Equal(t, conversation.OwnerNone, next(3).Owner)
		require.NotEqual(t, last, k.id, "what would be reopened comes after a yes that was not said")

		// Whoever was asked is still asked when consent is not required any more.
		k.plan.Workstream.Settings.Privacy.Consent = false
		k.receive(k.event("e8", "message", "hello?"))
		require.True(t, k.take().Ask)
		k.ask("ask again")
		require.Equal(t, "v2", k.row().ConsentVersion)
		k.receive(k.event("e9", "message", "ja"))
		k.take()
		k.has(conversation.PhaseBot)
		require.Equal(t, conversation.OwnerBot, next(4).Owner)
	})
}

func TestHoweverItEndsWithoutAYesWhatWasHeldGoes(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		k.ask("ask")
		res, err := k.s.Transition(t.Context(), store.TransitionRequest{
			ID: "step", ConversationID: k.id, ChannelID: k.plan.Channel.ID, ChatKey: k.chat, Event: conversation.EventAutoClosed, Seen: k.seen,
		})
		require.NoError(t, err)
		require.Equal(t, conversation.ReasonAutoClosed, res.Reason)
		require.Equal(t, "0", k.text(`SELECT CAST(count(*) AS TEXT) FROM messages WHERE direction = 'inbound'`))
		require.Equal(t, "0", k.text(`SELECT CAST(count(*) AS TEXT) FROM line_events WHERE length(raw) > 0`))
	})
}

func TestWhatIsHeldCanBeUnsent(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		k.ask("ask")
		k.receive(k.event("e2", "unsend", "line-e1"), k.event("e3", "message", "more private"))
		k.take()
		k.hidden()
		require.Equal(t, "0", k.text(`SELECT CAST(count(*) AS TEXT) FROM line_events WHERE webhook_event_id = 'e1' AND length(raw) > 0`))
		k.receive(k.tap("e4", consent.Yes))
		k.take()
		require.Equal(t, []string{"", "more private"}, k.inbound())
		turn, err := k.s.LoadTurn(t.Context(), store.TurnRequest{ID: "trn_1", ConversationID: k.id, Epoch: 2})
		require.NoError(t, err)
		require.Len(t, turn.Messages, 1)
	})
}

func TestARunThatTakesOverCountsWhatIsHeld(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		id := k.id
		k.id, k.seen = "", 0
		k.receive(k.event("e2", "message", "more private"))
		res := k.take()
		require.Equal(t, id, k.id)
		require.True(t, res.Ask)
		require.Equal(t, 2, res.Messages)
		k.hidden()
	})
}

func TestAskingAgainIsFreeOrSeldom(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		sent := func() {
			require.NoError(t, k.s.ExecForTest(t.Context(), `UPDATE messages SET state = 'accepted' WHERE direction = 'outbound'`))
			require.NoError(t, k.s.ExecForTest(t.Context(), `UPDATE line_events SET token_batch = 'b'`)) // the tokens are used
		}
		require.Equal(t, 2, k.ask("1"))
		require.Equal(t, 1, k.ask("1"), "the same cause asks once")
		require.Equal(t, 1, k.ask("2"), "the question is about to be sent")
		require.Len(t, k.texts(k.id), 2)
		sent()
		require.Zero(t, k.ask("3"), "it would be a push, less than a minute after")
		k.receive(k.event("e2", "message", "hello?"))
		require.Equal(t, 1, k.ask("4"), "a reply is free")
		sent()
		k.now.Add(time.Minute.Milliseconds())
		require.Equal(t, 1, k.ask("5"), "a push after a minute")
		sent()
		k.receive(k.event("e3", "message", "hello?"))
		k.now.Add((store.ReplyWindow - 3*time.Second).Milliseconds())
		require.Zero(t, k.ask("6"), "the token would hardly live until the call")
		require.Equal(t, []string{"notice v1", "agree v1", "agree v1", "agree v1"}, k.texts(k.id))
		k.receive(k.tap("e4", consent.Yes))
		k.take()
		require.Zero(t, k.ask("7"), "there is nothing to ask any more")
	})
}

func TestTheNoticeComesOncePerVersionBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		draft := func(text string) []store.Draft {
			return []store.Draft{{SenderKind: conversation.SenderSystem, Content: conversation.TextContent(text)}}
		}
		for i, version := range []string{"v1", "v1", "v2"} {
			k.receive(k.event(fmt.Sprint("e", i), "message", "hello"))
			res := k.ingest("", 0)
			for range 2 { // the attempt after the commit too
				n, err := s.Greet(t.Context(), res.ConversationID, fmt.Sprint("greet", i), store.Greeting{Drafts: draft("hi"), Notice: draft("notice " + version), Version: version})
				require.NoError(t, err)
				require.NotZero(t, n)
			}
			want := []string{"hello", "notice " + version, "hi"}
			if i == 1 {
				want = []string{"hello", "hi"}
			}
			require.Equal(t, want, k.texts(res.ConversationID))
			_, err := k.closeIt(res.ConversationID, res.Seen, fmt.Sprint("close", i))
			require.NoError(t, err)
		}
	})
}

func TestAFileOfWhatIsHeldIsHeldWithIt(t *testing.T) {
	t.Parallel()
	eachShy(t, func(t *testing.T, k *shy) {
		withFile := func(e store.LINEEvent) store.Item {
			item := hears(e)
			if item.Kind == store.ItemMessage && item.Message.Text == "picture" {
				item.Message.Type, item.Message.File = "image", &store.InboundFile{Kind: store.FileImage}
			}
			return item
		}
		k.ask("ask")
		k.receive(k.event("e2", "message", "picture"))
		req := k.request(k.id, k.seen)
		req.Epoch, req.Asking, req.Deadline = 1, true, time.Time{}
		res, err := k.s.Ingest(t.Context(), req, withFile)
		require.NoError(t, err)
		require.Len(t, res.Media, 1, "it is fetched at once: LINE does not keep it")
		k.seen = res.Seen
		a, done, said, err := k.s.FinishAttachment(t.Context(), res.Media[0], store.AttachmentEnd{
			State: conversation.AttachmentRefused, Reason: store.ReasonKind,
			Say: []store.Draft{{SenderKind: conversation.SenderSystem, Automated: "attachment_kind", Content: conversation.TextContent("not this")}},
		})
		require.NoError(t, err)
		require.True(t, done)
		require.Zero(t, said, "the question stays the last message")
		_, err = k.s.Attachment(t.Context(), a.ID)
		require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err))
		k.hidden() // no event tells of it

		k.receive(k.tap("e3", consent.No))
		k.take()
		a, err = k.s.Attachment(t.Context(), a.ID)
		require.NoError(t, err)
		require.Equal(t, conversation.AttachmentRevoked, a.State)
		require.Equal(t, store.ReasonNoConsent, a.Reason)
	})
}

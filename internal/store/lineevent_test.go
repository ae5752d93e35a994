package store_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// readMore is read for more kinds of event.
func readMore(e store.LINEEvent) store.Item {
	kind, text, _ := strings.Cut(string(e.Raw), " ")
	switch kind {
	case "edit":
		id, words, _ := strings.Cut(text, " ")
		return store.Item{Kind: store.ItemEdit, Edit: store.Edit{LINEMessageID: "line-" + id, Text: words}}
	case "beacon":
		return store.Item{Kind: store.ItemFact, Line: store.EventLine{Type: store.MessageEvent, Event: "beacon", Detail: `{"type":"enter"}`}}
	case "joined":
		return store.Item{Kind: store.ItemFact, Line: store.EventLine{Type: store.MessageEvent, Event: "memberJoined", Members: strings.Fields(text)}}
	case "left":
		return store.Item{Kind: store.ItemFact, Left: true, Line: store.EventLine{Type: store.MessageEvent, Event: "memberLeft", Members: strings.Fields(text)}}
	case "spoken":
		speaker, words, _ := strings.Cut(text, " ")
		return store.Item{Kind: store.ItemMessage, Speaker: speaker, Message: store.InboundMessage{Type: "text", Text: words, LINEMessageID: "line-" + e.WebhookEventID}}
	case "linked":
		return store.Item{Kind: store.ItemAccountLinked, Nonce: text, Forget: true, Line: store.EventLine{Type: store.MessageEvent, Event: "accountLink", Detail: `{"result":"ok"}`}}
	case "tap":
		return store.Item{Kind: store.ItemAccountLinkTap, Link: accountlink.Tap(text)}
	case "new-friend":
		return store.Item{Kind: store.ItemFollow, Welcome: true}
	case "unwanted":
		return store.Item{Kind: store.ItemUnwanted, Forget: true}
	}
	return read(e)
}

// takes ingests what has arrived into a conversation.
func (k *talk) takes(in store.IngestResult) store.IngestResult {
	k.t.Helper()
	req := k.request(in.ConversationID, in.Seen)
	req.Epoch = in.Epoch
	res, err := k.s.Ingest(k.t.Context(), req, readMore)
	require.NoError(k.t, err)
	again, err := k.s.Ingest(k.t.Context(), req, readMore)
	require.NoError(k.t, err)
	if in.ConversationID != "" {
		require.Equal(k.t, []any{res.Messages, res.Blocked, res.Members, res.Errands}, []any{again.Messages, again.Blocked, again.Members, again.Errands}, "run again, it answers the same")
	}
	return res
}

func (k *talk) value(query string) string {
	k.t.Helper()
	v, err := k.s.QueryForTest(k.t.Context(), query)
	require.NoError(k.t, err)
	return v
}

func TestAnEditGivesAMessageItsNewWordsInWhateverOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		for i, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}} {
			id := "m" + string(rune('a'+i))
			events := []store.InboxEvent{k.event(id, "message", "at three"), k.event(id+"1", "edit", id+" at four"), k.event(id+"2", "edit", id+" at five")}
			for _, n := range order {
				k.receive(events[n])
				res = k.takes(res)
			}
			m, err := s.Message(t.Context(), conversation.DerivedID(conversation.PrefixMessage, k.plan.Channel.ID, id))
			require.NoError(t, err)
			require.Equal(t, "at five", m.Text, "order %v", order)
			earlier, err := m.EarlierWords()
			require.NoError(t, err)
			require.Equal(t, []string{"at three", "at four"}, []string{earlier[0].Text, earlier[1].Text}, "order %v", order)
			require.Equal(t, events[2].LineTime.UnixMicro(), m.EditedAt)
		}
		require.Equal(t, "12", k.value(`SELECT count(*) FROM events WHERE type = 'message.edited'`))
		require.Equal(t, "0", k.value(`SELECT count(*) FROM line_events WHERE kind = 'edit' AND length(raw) > 0`), "the words are the message's")
		require.Equal(t, "[]", k.value(`SELECT edits FROM chats`))
		require.Equal(t, 0, res.Messages, "nobody owes an edit an answer")
	})
}

func TestAMessageThatIsTakenBackIsGoneEverywhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		// Edited and taken back, in every order in which LINE may tell of it.
		for i, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}} {
			id := "m" + string(rune('a'+i))
			events := []store.InboxEvent{k.event(id, "message", "secret"), k.event(id+"1", "edit", id+" secret too"), k.event(id+"2", "unsend", "line-"+id)}
			for _, n := range order {
				k.receive(events[n])
				res = k.takes(res)
			}
			m, err := s.Message(t.Context(), conversation.DerivedID(conversation.PrefixMessage, k.plan.Channel.ID, id))
			require.NoError(t, err)
			require.Equal(t, conversation.MessageRecalled, m.State, "order %v", order)
			require.Empty(t, m.Text+m.Payload+m.Edits, "order %v", order)
		}
		require.Equal(t, "0", k.value(`SELECT count(*) FROM messages WHERE text LIKE '%secret%' OR edits LIKE '%secret%'`))
		require.Equal(t, "0", k.value(`SELECT count(*) FROM chats WHERE edits LIKE '%secret%'`))
		require.Equal(t, "0", k.value(`SELECT count(*) FROM line_events WHERE kind IN ('message', 'edit') AND webhook_event_id <> 'first' AND length(raw) > 0`))
	})
}

func TestWhatHappensIsShownInTheTranscriptOfAnOpenConversation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("early", "beacon", ""))
		require.Empty(t, k.takes(store.IngestResult{}).ConversationID, "it begins none")
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		k.receive(k.event("near", "beacon", ""))
		res = k.takes(res)
		require.Zero(t, res.Messages)
		list, err := s.Messages(t.Context(), res.ConversationID, store.MessagePosition{}, 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, store.MessageEvent, list[1].Type)
		require.Equal(t, conversation.Internal, list[1].Direction)
		require.JSONEq(t, `{"event":"beacon","detail":{"type":"enter"}}`, list[1].Payload)
		require.Equal(t, "1", k.value(`SELECT count(*) FROM events WHERE type = 'message.created' AND subject_id = '`+list[1].ID+`'`))
		turn, err := s.LoadTurn(t.Context(), store.TurnRequest{ID: "trn_1", ConversationID: res.ConversationID, Epoch: res.Epoch})
		require.NoError(t, err)
		require.Len(t, turn.Messages, 1, "bots are not told")
	})
}

func TestInAGroupMembersHaveNames(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("first", "spoken", "U1 hello"))
		res := k.takes(store.IngestResult{})
		require.Len(t, res.Members, 1, "a name is missing")
		members, err := s.ChatMembers(ctx, res.Members, false)
		require.NoError(t, err)
		require.Equal(t, []store.ChatMember{{ID: res.Members[0], SourceID: k.user, LINEUserID: "U1"}}, members)
		require.NoError(t, s.SaveChatMember(ctx, res.Members[0], "Hanako", "https://example.test/h.jpg", false))
		require.NoError(t, s.SaveChatMember(ctx, res.Members[0], "", "", true), "LINE tells nothing of who has left")
		k.receive(k.event("second", "spoken", "U1 again"), k.event("come", "joined", "U2 U3"), k.event("gone", "left", "U2"))
		res = k.takes(res)
		require.Len(t, res.Members, 2, "those who came")
		list, err := s.Messages(ctx, res.ConversationID, store.MessagePosition{}, 10)
		require.NoError(t, err)
		var said []string
		for _, m := range list {
			said = append(said, m.SenderName+": "+m.Type)
		}
		require.Equal(t, []string{"Hanako: text", "Hanako: text", ": event", ": event", ": event"}, said)
		require.Equal(t, list[2].SenderID == list[4].SenderID, list[3].SenderID != list[4].SenderID, "who left is one of those who came")
		require.Equal(t, "1", k.value(`SELECT count(*) FROM chat_members WHERE left_at > 0`))
	})
}

func TestNothingPaidIsSentToABlockedCustomer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		now := func(e store.InboxEvent) store.InboxEvent { // reply tokens are of events of the last minutes
			e.LineTime = time.Now().Truncate(time.Millisecond)
			return e
		}
		k.receive(now(k.event("first", "message", "hello")))
		res := k.takes(store.IngestResult{})
		k.receive(now(k.event("block", "unfollow", "")))
		res = k.takes(res)
		require.True(t, res.Blocked)
		say := func(cause string) *store.Batch {
			t.Helper()
			_, err := s.Announce(ctx, res.ConversationID, cause, []store.Draft{{SenderKind: conversation.SenderAgent, Content: conversation.TextContent("are you there?")}})
			require.NoError(t, err)
			b, err := s.NextBatch(ctx, res.ConversationID, renderText)
			require.NoError(t, err)
			return b
		}
		free := say("free")
		require.Equal(t, string(conversation.ViaReply), free.Kind, "a fresh token costs nothing")
		_, err := s.FinishBatch(ctx, free, store.BatchEnd{State: store.BatchAccepted})
		require.NoError(t, err)
		require.NoError(t, s.ExecForTest(ctx, `UPDATE line_events SET reply_token = ''`))
		require.Nil(t, say("paid"))
		require.Equal(t, "customer_blocked", k.value(`SELECT failure FROM messages WHERE state = 'failed'`))

		// Who writes again has lifted the block, whatever LINE told.
		_, err = s.Transition(ctx, store.TransitionRequest{
			ID: "close", ConversationID: res.ConversationID, ChannelID: k.plan.Channel.ID, ChatKey: k.chat, Event: conversation.EventCustomerBlocked, Seen: 1 << 40,
		})
		require.NoError(t, err)
		k.receive(store.InboxEvent{
			WebhookEventID: "again", ChatKey: k.chat, Kind: "message", SourceType: "user", SourceID: k.user,
			LineTime: time.Now().Add(time.Second), Raw: []byte("message I am back"),
		})
		res = k.takes(store.IngestResult{})
		require.False(t, res.Blocked)
		require.NoError(t, s.ExecForTest(ctx, `UPDATE line_events SET reply_token = ''`))
		paid := say("pushed")
		require.Equal(t, string(conversation.ViaPush), paid.Kind)
	})
}

// LINE's order is by its timestamps, whatever comes first.
func TestAFollowThatIsOlderThanABlockLiftsNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		follow, block := k.event("follow", "follow", ""), k.event("block", "unfollow", "")
		k.receive(block)
		res = k.takes(res)
		require.True(t, res.Blocked)
		k.receive(follow)
		require.True(t, k.takes(res).Blocked)
		require.Equal(t, "blocked", k.value(`SELECT friendship FROM social_profiles`))
		require.Equal(t, "2", k.value(`SELECT count(*) FROM events WHERE type IN ('customer.followed', 'customer.blocked')`), "both are noted")
	})
}

// Ids tell nothing of an order within a millisecond: those of LINE have chance in
// them there.
func TestWhatHappenedAtOneTimeHappenedInTheOrderItCame(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		for _, ids := range [][]string{{"a", "b", "c", "d"}, {"h", "g", "f", "e"}} {
			k.user = "U" + strings.Repeat(ids[0], 32)
			k.chat = conversation.ChatKey("user", k.user)
			k.receive(k.event("first"+ids[0], "message", "hello"))
			res := k.takes(store.IngestResult{})
			events := []store.InboxEvent{
				k.event(ids[0], "message", "one"), k.event(ids[1], "edit", ids[0]+" two"), k.event(ids[2], "edit", ids[0]+" three"), k.event(ids[3], "unfollow", ""),
			}
			follow := k.event(ids[0]+"z", "follow", "")
			for i := range events {
				events[i].LineTime = follow.LineTime
			}
			k.receive(append(events, follow)...)
			require.False(t, k.takes(res).Blocked, "blocked, then unblocked")
			list, err := s.Messages(t.Context(), res.ConversationID, store.MessagePosition{}, 10)
			require.NoError(t, err)
			require.Equal(t, "three", list[1].Text)
		}
	})
}

func TestAChatInStandbyIsSilent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		say := func(res store.IngestResult, cause string) *store.Batch {
			t.Helper()
			_, err := s.Announce(ctx, res.ConversationID, cause, []store.Draft{{SenderKind: conversation.SenderAgent, Content: conversation.TextContent(cause)}})
			require.NoError(t, err)
			b, err := s.NextBatch(ctx, res.ConversationID, renderText)
			require.NoError(t, err)
			if b != nil {
				_, err = s.FinishBatch(ctx, b, store.BatchEnd{State: store.BatchAccepted})
				require.NoError(t, err)
			}
			return b
		}
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		require.NotNil(t, say(res, "one"))
		old := k.event("old", "fact", "")
		elsewhere := k.event("elsewhere", "fact", "")
		old.Standby, elsewhere.Standby = false, true
		k.receive(elsewhere)
		res = k.takes(res)
		require.Nil(t, say(res, "two"))
		require.Equal(t, "standby", k.value(`SELECT failure FROM messages WHERE state = 'failed'`))
		k.receive(old)
		res = k.takes(res)
		require.Nil(t, say(res, "three"), "what is older says nothing of now")
		k.receive(k.event("back", "fact", ""))
		res = k.takes(res)
		require.NotNil(t, say(res, "four"))
	})
}

func TestAnErrandIsDueUntilItIsDone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		channel := k.plan.Channel.ID
		k.receive(k.event("invited", "unwanted", "secret"), k.event("spoken", "unwanted", "secret"))
		res := k.takes(store.IngestResult{})
		require.Empty(t, res.ConversationID)
		require.True(t, res.Errands)
		require.True(t, k.takes(store.IngestResult{}).Errands, "also to a run that knows nothing of it")
		require.Equal(t, "0", k.value(`SELECT count(*) FROM line_events WHERE length(raw) > 0`))

		e, err := s.NextErrand(ctx, channel, k.chat)
		require.NoError(t, err)
		require.Equal(t, []string{store.ErrandLeave, k.user}, []string{e.Kind, e.SourceID})
		again, err := s.NextErrand(ctx, channel, k.chat)
		require.NoError(t, err)
		require.Equal(t, e, again)
		for range 2 {
			require.NoError(t, s.FinishErrand(ctx, channel, k.chat, *e, store.ErrandDone, ""))
		}
		none, err := s.NextErrand(ctx, channel, k.chat)
		require.NoError(t, err)
		require.Nil(t, none, "one of a kind at a time")
		require.False(t, k.takes(store.IngestResult{}).Errands)
		require.Equal(t, "1", k.value(`SELECT count(*) FROM events WHERE type = 'group.left'`))

		// A friend who writes at once needs no welcome.
		k.receive(k.event("friend", "new-friend", ""))
		require.True(t, k.takes(store.IngestResult{}).Errands)
		e, err = s.NextErrand(ctx, channel, k.chat)
		require.NoError(t, err)
		require.NoError(t, s.FinishErrand(ctx, channel, k.chat, *e, store.ErrandDropped, "no"))
		k.receive(k.event("friend2", "new-friend", ""), k.event("writes", "message", "hello"))
		res = k.takes(store.IngestResult{})
		require.NotEmpty(t, res.ConversationID)
		require.False(t, res.Errands)
	})
}

func renderText(contents []conversation.Content) ([]json.RawMessage, error) {
	var out []json.RawMessage
	for _, c := range contents {
		b, err := json.Marshal(map[string]string{"type": "text", "text": c.Text})
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return slices.Clip(out), nil
}

// What cannot be said for free is not said.
func TestALateReplyTokenIsNotAnErrands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		_, err := s.AppendLINEEvents(t.Context(), k.plan.Channel.ID, time.Now().Add(-time.Minute), []store.InboxEvent{k.event("invited", "unwanted", "")})
		require.NoError(t, err)
		require.True(t, k.takes(store.IngestResult{}).Errands)
		e, err := s.NextErrand(t.Context(), k.plan.Channel.ID, k.chat)
		require.NoError(t, err)
		try, err := s.TryErrand(t.Context(), k.plan.Channel.ID, *e, nil)
		require.NoError(t, err)
		require.Equal(t, store.ErrandTry{Number: 1, Unsaid: store.UnsaidLate}, try)
	})
}

func TestAGroupThatWasNeverServedIsNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		ofGroup := func(id, kind string) store.InboxEvent {
			e := k.event(id, kind, "")
			e.SourceType = "group"
			return e
		}
		k.receive(ofGroup("invited", "follow"), ofGroup("removed", "unfollow"))
		require.Empty(t, k.takes(store.IngestResult{}).ConversationID)
		require.Equal(t, "0", k.value(`SELECT count(*) FROM social_profiles`))
		require.Equal(t, "0", k.value(`SELECT count(*) FROM events WHERE type LIKE 'customer.%'`))
		k.receive(ofGroup("said", "message"))
		res := k.takes(store.IngestResult{})
		require.NotEmpty(t, res.ConversationID)
		k.receive(ofGroup("removed again", "unfollow"))
		require.True(t, k.takes(res).Blocked)
		require.Equal(t, "1", k.value(`SELECT count(*) FROM events WHERE type = 'customer.blocked'`))
	})
}

// Emoji and mentions are marked by their places in the words, which an edit moves.
func TestAnEditMarksWhatItsWordsHave(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		takes := func(marks string, events ...store.InboxEvent) store.Message {
			k.receive(events...)
			req := k.request(res.ConversationID, res.Seen)
			_, err := s.Ingest(t.Context(), req, func(e store.LINEEvent) store.Item {
				item := readMore(e)
				if item.Kind == store.ItemMessage {
					item.Message.Payload = `{"emojis":[{"index":0}],"quotedMessageId":"1"}`
				}
				item.Edit.Marks = marks
				return item
			})
			require.NoError(t, err)
			m, err := s.Message(t.Context(), conversation.DerivedID(conversation.PrefixMessage, k.plan.Channel.ID, "m"))
			require.NoError(t, err)
			return m
		}
		said, first, second := k.event("m", "message", "$ at three"), k.event("m1", "edit", "m at four"), k.event("m2", "edit", "m @Hana at five")
		takes("", said)
		m := takes(`{"mention":{"mentionees":[]}}`, second)
		require.JSONEq(t, `{"mention":{"mentionees":[]},"quotedMessageId":"1"}`, m.Payload)
		m = takes("", first)
		require.JSONEq(t, `{"mention":{"mentionees":[]},"quotedMessageId":"1"}`, m.Payload, "an earlier edit that comes later changes nothing")
		m = takes("", k.event("m3", "edit", "m at six"))
		require.JSONEq(t, `{"quotedMessageId":"1"}`, m.Payload)
	})
}

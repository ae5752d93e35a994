package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func (k *talk) profileID() string {
	k.t.Helper()
	p, err := k.s.Profile(k.t.Context(), k.plan.Channel.ID, k.chat)
	require.NoError(k.t, err)
	return p.ID
}

// confirmed begins a link and has the company confirm it.
func (k *talk) confirmed(customerID string) (store.AccountLink, string) {
	k.t.Helper()
	link, err := k.s.StartAccountLink(k.t.Context(), k.profileID())
	require.NoError(k.t, err)
	nonce := accountlink.Nonce(k.s.Keys(), link.ID)
	link, err = k.s.ConfirmAccountLink(k.t.Context(), store.Origin{}, link.ID, customerID, accountlink.Digest(nonce))
	require.NoError(k.t, err)
	return link, nonce
}

func (k *talk) link(id string) store.AccountLink {
	k.t.Helper()
	l, err := k.s.AccountLink(k.t.Context(), id)
	require.NoError(k.t, err)
	return l
}

// linkedTo is the conversation as agents see it.
func (k *talk) linkedTo(conversationID string) (customerID, contactID string) {
	k.t.Helper()
	c, err := k.s.Conversation(k.t.Context(), conversationID)
	require.NoError(k.t, err)
	return c.CustomerID, c.ContactID
}

func TestLINEsWordLinksAnAccountOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		link, nonce := k.confirmed("C-1001")
		linked, again := k.event("e-linked", "linked", nonce), k.event("e-again", "linked", nonce)
		linked.LineTime = time.Now()
		again.LineTime = linked.LineTime.Add(time.Millisecond)
		k.receive(linked, again)
		res = k.takes(res)
		require.True(t, res.Errands)

		got := k.link(link.ID)
		require.Equal(t, []string{store.LinkLinked, "C-1001", store.LinkContactCreated}, []string{got.State, got.CustomerID, got.Contact})
		customerID, contactID := k.linkedTo(res.ConversationID)
		require.Equal(t, "C-1001", customerID)
		require.Equal(t, got.ContactID, contactID)
		contact, err := s.Contact(ctx, contactID)
		require.NoError(t, err)
		require.Equal(t, "C-1001", contact.CustomerNumber)
		require.Equal(t, "1", k.value("SELECT count(*) FROM errands"), "they are told once")
		require.Equal(t, "1", k.value("SELECT count(*) FROM events WHERE type = 'account_link.linked'"))

		for _, where := range []string{"SELECT coalesce(max(payload), '') FROM messages", "SELECT coalesce(max(data), '') FROM events", "SELECT coalesce(max(changes), '') FROM audit_log", "SELECT nonce_digest FROM account_links"} {
			require.NotContains(t, k.value(where), nonce, where)
		}
		require.Equal(t, "0", k.value("SELECT count(*) FROM line_events WHERE kind = 'linked' AND length(raw) > 0"), "the nonce is kept nowhere")
		e, err := s.NextErrand(ctx, k.plan.Channel.ID, k.chat)
		require.NoError(t, err)
		require.Equal(t, store.ErrandLinked, e.Kind)
		try, err := s.TryErrand(ctx, k.plan.Channel.ID, *e, nil)
		require.NoError(t, err)
		require.Equal(t, "token-e-linked", try.ReplyToken, "for free")
		require.NoError(t, s.FinishErrand(ctx, k.plan.Channel.ID, k.chat, *e, store.ErrandDone, ""))

		// Unlinked, the customer is nobody again.
		chat, err := s.UnlinkAccount(ctx, store.Origin{AgentID: "agt_a"}, link.ID, store.UnlinkedByAgent)
		require.NoError(t, err)
		require.Equal(t, store.Chat{ChannelID: k.plan.Channel.ID, ChatKey: k.chat}, chat)
		customerID, contactID = k.linkedTo(res.ConversationID)
		require.Empty(t, customerID+contactID)
		_, err = s.UnlinkAccount(ctx, store.Origin{}, link.ID, store.UnlinkedByAgent)
		require.Equal(t, conversation.CodeNotAllowedNow, conversation.CodeOf(err))
		require.Equal(t, "1", k.value("SELECT count(*) FROM audit_log WHERE subject_kind = 'account_link' AND action = 'deleted' AND agent_id = 'agt_a'"))
		require.NotContains(t, k.value("SELECT max(changes) FROM audit_log WHERE subject_kind = 'account_link'"), "C-1001", "the audit log holds nothing of a person")
		res = k.takes(res)
		require.True(t, res.Errands, "who is unlinked is told")

		// A nonce that is spent links nobody.
		k.receive(k.event("e-late", "linked", nonce))
		k.takes(res)
		require.Equal(t, store.LinkUnlinked, k.link(link.ID).State)
	})
}

func TestANonceOfSomebodyElseLinksNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		link, nonce := k.confirmed("C-1001")
		other := *k
		other.user = "U" + strings.Repeat("2", 32)
		other.chat = conversation.ChatKey("user", other.user)
		other.receive(other.event("o-first", "message", "hello"), other.event("o-linked", "linked", nonce))
		other.takes(store.IngestResult{})
		require.Equal(t, store.LinkConfirmed, k.link(link.ID).State)
		k.receive(k.event("unknown", "linked", "a nonce of the company's own"))
		k.takes(res)
		require.Equal(t, "0", k.value("SELECT count(*) FROM events WHERE type = 'account_link.linked'"))
		require.Equal(t, "2", k.value(`SELECT count(*) FROM messages WHERE type = 'event' AND payload LIKE '%"result":"ok"%'`), "shown as LINE says it")
	})
}

func TestLinkingChoosesAContactOnlyWhenThereIsOne(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		have []string // customer numbers of contacts
		own  string   // of the customer's own contact, which there is when it is not "none"
		want string
	}{
		"one has the number":           {[]string{"C-1"}, "none", store.LinkContactFound},
		"one has it, and another hers": {[]string{"C-1"}, "C-9", store.LinkContactFound},
		"several have it":              {[]string{"C-1", "C-1"}, "none", store.LinkContactAmbiguous},
		"her own has none":             {nil, "", store.LinkContactNamed},
		"her own has another":          {nil, "C-9", store.LinkContactCreated},
		"nobody has it":                {nil, "none", store.LinkContactCreated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				ctx := t.Context()
				k := newTalk(t, s)
				k.receive(k.event("first", "message", "hello"))
				res := k.takes(store.IngestResult{})
				var known []string
				for _, number := range tc.have {
					c, err := s.CreateContact(ctx, store.Origin{}, store.Contact{Name: "Emma", CustomerNumber: number})
					require.NoError(t, err)
					known = append(known, c.ID)
				}
				own := ""
				if tc.own != "none" {
					c, err := s.CreateContact(ctx, store.Origin{}, store.Contact{Name: "Own", CustomerNumber: tc.own})
					require.NoError(t, err)
					own = c.ID
					require.NoError(t, s.LinkContact(ctx, res.ConversationID, own))
				}
				link, nonce := k.confirmed("C-1")
				k.receive(k.event("e-linked", "linked", nonce))
				k.takes(res)
				got := k.link(link.ID)
				require.Equal(t, []string{store.LinkLinked, tc.want}, []string{got.State, got.Contact})
				customerID, contactID := k.linkedTo(res.ConversationID)
				require.Equal(t, "C-1", customerID)
				switch tc.want {
				case store.LinkContactFound:
					require.Equal(t, known[0], contactID)
				case store.LinkContactAmbiguous:
					require.Equal(t, own, contactID, "nobody is chosen")
				case store.LinkContactNamed:
					require.Equal(t, own, contactID)
				case store.LinkContactCreated:
					require.NotEqual(t, own, contactID)
					require.NotEmpty(t, contactID)
				}
			})
		})
	}
}

func TestAConfirmationIsRepeatedAndNotChanged(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		k.takes(store.IngestResult{})
		link, nonce := k.confirmed("C-1001")
		again, err := s.ConfirmAccountLink(ctx, store.Origin{}, link.ID, "C-1001", accountlink.Digest(nonce))
		require.NoError(t, err)
		require.GreaterOrEqual(t, again.ExpiresAt, link.ExpiresAt)
		_, err = s.ConfirmAccountLink(ctx, store.Origin{}, link.ID, "C-2002", accountlink.Digest(nonce))
		require.Equal(t, conversation.CodeConflict, conversation.CodeOf(err))
		require.Equal(t, "1", k.value("SELECT count(*) FROM events WHERE type = 'account_link.confirmed'"))
		_, err = s.ConfirmAccountLink(ctx, store.Origin{}, "lnk_none", "C-1", "x")
		require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err))

		for range 4 {
			_, err = s.StartAccountLink(ctx, k.profileID())
			require.NoError(t, err)
		}
		_, err = s.StartAccountLink(ctx, k.profileID())
		require.ErrorIs(t, err, store.ErrTooManyLinks)
	})
}

func TestWhatIsNotFinishedExpiresAndLINEsWordCountsAllTheSame(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		link, nonce := k.confirmed("C-1001")
		require.NoError(t, s.ExpireAccountLinks(ctx))
		require.Equal(t, store.LinkConfirmed, k.link(link.ID).State)
		require.NoError(t, s.ExecForTest(ctx, `UPDATE account_links SET expires_at = 1`))
		_, err := s.ConfirmAccountLink(ctx, store.Origin{}, link.ID, "C-1001", accountlink.Digest(nonce))
		require.Equal(t, conversation.CodeNotAllowedNow, conversation.CodeOf(err))
		require.NoError(t, s.ExpireAccountLinks(ctx))
		require.NoError(t, s.ExpireAccountLinks(ctx))
		require.Equal(t, store.LinkExpired, k.link(link.ID).State)
		require.Equal(t, "1", k.value("SELECT count(*) FROM events WHERE type = 'account_link.expired'"))
		require.Equal(t, "1", k.value(`SELECT count(*) FROM messages WHERE type = 'event' AND payload LIKE '%"result":"expired"%'`))

		k.receive(k.event("e-linked", "linked", nonce)) // delivered an hour late
		k.takes(res)
		require.Equal(t, store.LinkLinked, k.link(link.ID).State)
	})
}

func TestAFailedLinkEndsVisiblyOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("first", "message", "hello"))
		res := k.takes(store.IngestResult{})
		link, nonce := k.confirmed("C-1001")
		_, found, err := s.FailAccountLink(ctx, k.plan.Channel.ID, "e-failed", accountlink.Digest("another"))
		require.NoError(t, err)
		require.False(t, found)
		chat, found, err := s.FailAccountLink(ctx, k.plan.Channel.ID, "e-failed", accountlink.Digest(nonce))
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, k.chat, chat.ChatKey)
		_, found, err = s.FailAccountLink(ctx, k.plan.Channel.ID, "e-failed", accountlink.Digest(nonce))
		require.NoError(t, err)
		require.False(t, found, "told again, it does nothing")
		require.Equal(t, store.LinkFailed, k.link(link.ID).State)
		waiting, err := s.UnhandledChats(ctx, time.Now().Add(time.Minute), 10)
		require.NoError(t, err)
		require.Equal(t, []store.Chat{chat}, waiting, "its workflow is wanted, whoever dies")
		require.True(t, k.takes(res).Errands)
		require.Equal(t, "1", k.value(`SELECT count(*) FROM messages WHERE type = 'event' AND payload LIKE '%"result":"failed"%'`))
		k.receive(k.event("e-linked", "linked", nonce))
		k.takes(res)
		require.Equal(t, store.LinkFailed, k.link(link.ID).State)
	})
}

// What a button asks for is done beside a conversation, too; the next link takes
// the place of the one before.
func TestACustomerAsksByAButtonAndLinksAnew(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		k.receive(k.event("e-ask", "tap", string(accountlink.TapLink)))
		res := k.takes(store.IngestResult{})
		require.Empty(t, res.ConversationID, "it begins no conversation")
		require.True(t, res.Errands)
		e, err := s.NextErrand(ctx, k.plan.Channel.ID, k.chat)
		require.NoError(t, err)
		require.Equal(t, store.ErrandLinkCard, e.Kind)
		said, err := s.SayErrand(ctx, store.Chat{ChannelID: k.plan.Channel.ID, ChatKey: k.chat}, *e, nil)
		require.NoError(t, err)
		require.False(t, said)

		first, nonce := k.confirmed("C-1")
		k.receive(k.event("e-one", "linked", nonce))
		k.takes(res)
		second, nonce := k.confirmed("C-2")
		k.receive(k.event("e-two", "linked", nonce))
		k.takes(res)
		require.Equal(t, []string{store.LinkUnlinked, store.UnlinkedByNext}, []string{k.link(first.ID).State, k.link(first.ID).EndedBy})
		require.Equal(t, store.LinkLinked, k.link(second.ID).State)
		page, err := s.LinkPage(ctx, k.profileID())
		require.NoError(t, err)
		require.Equal(t, second.ID, page.LinkID)
		k.receive(k.event("e-undo", "tap", string(accountlink.TapUnlink)), k.event("e-undo-2", "tap", string(accountlink.TapUnlink)))
		k.takes(res)
		require.Equal(t, []string{store.LinkUnlinked, store.UnlinkedByCustomer}, []string{k.link(second.ID).State, k.link(second.ID).EndedBy})
		require.Equal(t, "1", k.value("SELECT count(*) FROM errands WHERE kind = 'account_unlinked'"))
		list, err := s.AccountLinksOfChat(ctx, k.plan.Channel.ID, k.chat)
		require.NoError(t, err)
		require.Equal(t, []string{second.ID, first.ID}, []string{list[0].ID, list[1].ID})
		list, err = s.AccountLinksOfContact(ctx, list[0].ContactID)
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
}

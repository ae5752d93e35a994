package activities_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// bell is told which chats are to be looked at.
type bell struct {
	mu   sync.Mutex
	rung []string
}

func (b *bell) Notify(_, chatKey string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = append(b.rung, chatKey)
}

// looks has channels looked after until nothing remains to be resumed, and
// returns the chats that were woken.
func (w *world) looks() []string {
	w.t.Helper()
	b := &bell{}
	a := activities.New(w.options(b))
	for range 20 {
		require.NoError(w.t, a.TendChannelsOnce(w.t.Context()))
		if c := w.read(); c.HeldAt.IsZero() && c.ResumedAt.IsZero() {
			return b.rung
		}
		w.pass(2 * time.Second)
	}
	require.Fail(w.t, "the channel is never done with")
	return nil
}

// recovers gives the channel the token that LINE takes.
func (w *world) recovers() {
	w.isGiven(func(c *store.Channel) { c.Replace("good", time.Time{}, w.Now()) })
}

// refusedIn looks that the channel is held, and that LINE is left alone from then
// on, however often a step is run.
func (w *world) refusedIn(step func()) {
	w.t.Helper()
	w.lineTakes("good")
	step()
	require.False(w.t, w.read().HeldAt.IsZero())
	calls := len(w.sim.Calls(linesim.CallFilter{}))
	for range 3 {
		w.pass(3 * time.Hour)
		step()
	}
	require.Len(w.t, w.sim.Calls(linesim.CallFilter{}), calls, "LINE is left alone")
	require.Equal(w.t, []string{"channel.token_refused"}, w.told())
}

// given counts what LINE gave of an endpoint.
func (w *world) given(endpoint string) (n int) {
	for _, c := range w.sim.Calls(linesim.CallFilter{Endpoint: endpoint}) {
		if c.Status == http.StatusOK {
			n++
		}
	}
	return n
}

func TestAGroupIsLeftOnceTheTokenIsGood(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.does(func(c *store.Channel) { c.GroupChats = store.GroupsLeft })
		chat := w.invited()
		w.takes(w.activities(), chat)
		in := activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat}
		run := func() { require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), in))) }
		w.refusedIn(run)
		require.True(t, w.takes(w.activities(), chat).Errands, "it is due still")
		w.recovers()
		require.Equal(t, []string{chat}, w.looks())
		wanted, err := w.store.UnhandledChats(t.Context(), w.Now().Add(time.Second), 10)
		require.NoError(t, err)
		require.Equal(t, []store.Chat{{ChannelID: w.channel.ID, ChatKey: chat}}, wanted, "the relay wakes it, if nobody else does")
		run()
		run()
		require.Equal(t, 1, w.calls("leave_group"))
		require.Empty(t, w.said(aGroup), "the reply token is over, and a push would be paid")
		require.False(t, w.takes(w.activities(), chat).Errands)
	})
}

func TestAGroupIsLeftByAStatelessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.does(func(c *store.Channel) {
		c.GroupChats, c.TokenKind = store.GroupsLeft, store.TokenStateless
		c.Replace("", time.Time{}, w.Now())
	})
	w.lineTakes("")
	chat := w.invited()
	w.takes(w.activities(), chat)
	require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat})))
	require.Equal(t, 1, w.calls("leave_group"))
	require.Equal(t, []string{automessage.Default(automessage.GroupLeft, "en")}, w.said(aGroup))
}

func TestATokenReplacedMeanwhileRaisesNoAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.does(func(c *store.Channel) { c.GroupChats = store.GroupsLeft })
	chat := w.invited()
	a := w.activities()
	w.takes(a, chat) // the plan is known from here on, with the token of then
	w.lineTakes("good")
	w.recovers()
	require.NoError(t, errandsOf(a.RunErrands(t.Context(), activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat})))
	require.Equal(t, 1, w.calls("leave_group"))
	require.Len(t, w.said(aGroup), 1)
	require.Empty(t, w.told())
}

func TestOneEndpointsRefusalIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.does(func(c *store.Channel) { c.GroupChats = store.GroupsLeft })
	chat := w.invited()
	w.takes(w.activities(), chat)
	w.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "leave_group", Times: 1, Status: 401})
	in := activities.ErrandsInput{ChannelID: w.channel.ID, ChatKey: chat}
	require.Error(t, errandsOf(w.activities().RunErrands(t.Context(), in)))
	require.True(t, w.read().HeldAt.IsZero())
	require.NoError(t, errandsOf(w.activities().RunErrands(t.Context(), in)))
	require.Equal(t, 1, w.calls("leave_group"))
}

func TestWhoIsNamelessIsAskedAboutOnceTheTokenIsGood(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		c := w.newChat()
		name := func() string {
			p, err := w.store.Profile(t.Context(), w.channel.ID, c.key())
			require.NoError(t, err)
			return p.DisplayName
		}
		w.refusedIn(func() {
			out, err := w.activities().FetchProfile(t.Context(), activities.ProfileInput{ChannelID: w.channel.ID, ChatKey: c.key()})
			require.NoError(t, err)
			require.False(t, out.Known)
		})
		require.Empty(t, name())
		w.recovers()
		w.looks()
		require.Equal(t, "Aoi", name())
		require.Equal(t, 1, w.given("profile"))
	})
}

func TestWhomLINETellsNothingOfIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	w.lineTakes("good")
	_, err := w.activities().FetchProfile(t.Context(), activities.ProfileInput{ChannelID: w.channel.ID, ChatKey: c.key()})
	require.NoError(t, err)
	w.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "profile", Status: http.StatusForbidden, Body: json.RawMessage(`{"message":"Not available."}`)})
	w.recovers()
	w.looks()
	require.True(t, w.read().ResumedAt.IsZero())
	require.Len(t, w.sim.Calls(linesim.CallFilter{Endpoint: "profile"}), 2)
}

func TestNamesInAGroupAreAskedForOnceTheTokenIsGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.does(func(c *store.Channel) { c.GroupChats = store.GroupsServed })
	chat := w.invited()
	u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Yuki"}
	require.NoError(t, w.sim.AddUser(t.Context(), u))
	_, err := w.sim.Send(t.Context(), lineChannel, u.ID, linesim.Message{Type: "text", Text: "hello", GroupID: aGroup})
	require.NoError(t, err)
	out := w.takes(w.activities(), chat)
	require.NotEmpty(t, out.Members)
	w.refusedIn(func() {
		require.NoError(t, w.activities().FetchMembers(t.Context(), activities.MembersInput{ChannelID: w.channel.ID, IDs: out.Members}))
	})
	w.recovers()
	w.looks()
	require.Equal(t, len(out.Members), w.given("group_member"))
	left, err := w.store.Nameless(t.Context(), w.channel.ID, store.NamelessAfter{}, 10)
	require.NoError(t, err)
	require.Empty(t, left.Members)
}

// namelessChats are customers who wrote while LINE took no token, in the order in
// which they are asked about.
func (w *world) namelessChats(n int) (chats []*chat) {
	w.t.Helper()
	for range n {
		chats = append(chats, w.newChat())
	}
	slices.SortFunc(chats, func(a, b *chat) int { return strings.Compare(a.key(), b.key()) })
	w.lineTakes("good")
	_, err := w.activities().FetchProfile(w.t.Context(), activities.ProfileInput{ChannelID: w.channel.ID, ChatKey: chats[0].key()})
	require.NoError(w.t, err)
	require.False(w.t, w.read().HeldAt.IsZero())
	w.recovers()
	return chats
}

func (w *world) names(chats []*chat) (named []bool) {
	w.t.Helper()
	for _, c := range chats {
		p, err := w.store.Profile(w.t.Context(), w.channel.ID, c.key())
		require.NoError(w.t, err)
		named = append(named, p.DisplayName != "")
	}
	return named
}

// One of whom LINE does not answer is asked about again in a minute, and an hour
// later by their next message; the others have their names at once.
func TestOneOfWhomLINEDoesNotAnswerHoldsBackNobody(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"LINE answers later": true, "LINE never does": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			chats := w.namelessChats(3)
			answers := false
			w.line.stand(func(req *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/profile/"+chats[0].user) && !answers {
					return &http.Response{StatusCode: http.StatusInternalServerError, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
				}
				return carry()
			})
			a := w.activities()
			look := func(after time.Duration) {
				t.Helper()
				w.pass(after)
				require.NoError(t, a.TendChannelsOnce(t.Context()))
			}
			look(0)
			require.Equal(t, []bool{false, true, true}, w.names(chats))
			require.False(t, w.read().ResumedAt.IsZero())
			look(30 * time.Second)
			require.Equal(t, 2, w.given("profile"), "nobody is asked about twice")
			if answers = back; answers {
				look(30 * time.Second)
				require.Equal(t, []bool{true, true, true}, w.names(chats))
			} else {
				look(time.Hour)
				require.Equal(t, []bool{false, true, true}, w.names(chats))
			}
			require.True(t, w.read().ResumedAt.IsZero())
		})
	}
}

// While LINE takes its time about one, it is asked about the others.
func TestASlowAnswerAboutOneHoldsBackNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chats := w.namelessChats(4)
	others := make(chan struct{}, len(chats))
	w.line.stand(func(req *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		if !strings.Contains(req.URL.Path, "/profile/") {
			return carry()
		}
		if strings.HasSuffix(req.URL.Path, "/profile/"+chats[0].user) {
			for range chats[1:] {
				select {
				case <-others:
				case <-req.Context().Done():
					return nil, req.Context().Err()
				}
			}
			return carry()
		}
		defer func() { others <- struct{}{} }()
		return carry()
	})
	require.NoError(t, w.activities().TendChannelsOnce(t.Context()))
	require.Equal(t, []bool{true, true, true, true}, w.names(chats))
	require.True(t, w.read().ResumedAt.IsZero())
}

// One member of whom LINE does not answer does not cost the others their names, and
// who has one is not asked about again.
func TestOneMemberOfWhomLINEDoesNotAnswerHoldsBackNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.does(func(c *store.Channel) { c.GroupChats = store.GroupsServed })
	chat := w.invited()
	for _, name := range []string{"Yuki", "Aoi", "Ken"} {
		u := linesim.User{ID: linesim.NewUserID(), DisplayName: name}
		require.NoError(t, w.sim.AddUser(t.Context(), u))
		_, err := w.sim.Send(t.Context(), lineChannel, u.ID, linesim.Message{Type: "text", Text: "hello", GroupID: aGroup})
		require.NoError(t, err)
	}
	in := activities.MembersInput{ChannelID: w.channel.ID, IDs: w.takes(w.activities(), chat).Members}
	require.GreaterOrEqual(t, len(in.IDs), 3)
	members, err := w.store.ChatMembers(t.Context(), in.IDs, false)
	require.NoError(t, err)
	first := members[0].LINEUserID
	answers := false
	w.line.stand(func(req *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		if strings.HasSuffix(req.URL.Path, "/member/"+first) && !answers {
			return &http.Response{StatusCode: http.StatusInternalServerError, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}
		return carry()
	})
	require.Error(t, w.activities().FetchMembers(t.Context(), in))
	require.Equal(t, len(in.IDs)-1, w.given("group_member"))
	answers = true
	require.NoError(t, w.activities().FetchMembers(t.Context(), in))
	require.Equal(t, len(in.IDs), w.given("group_member"))
}

// waits fetches a file that LINE does not give for want of a token.
func (s *sender) waits(id string) {
	s.t.Helper()
	out, err := s.fetch(id)
	require.NoError(s.t, err)
	require.Equal(s.t, conversation.AttachmentPending, out.State)
}

// resumed are the files that the workflow of the customer's chat is told of.
func (s *sender) resumed() []string {
	s.t.Helper()
	s.restart(s.guard)
	out, err := s.acts.RunErrands(s.t.Context(), activities.ErrandsInput{ChannelID: s.channel.ID, ChatKey: conversation.ChatKey("user", s.user)})
	require.NoError(s.t, err)
	return out.Media
}

func (s *sender) due() bool {
	s.t.Helper()
	out, err := s.acts.Ingest(s.t.Context(), activities.IngestInput{
		ChannelID: s.channel.ID, ChatKey: conversation.ChatKey("user", s.user), ConversationID: s.id, Seen: s.seen, Epoch: 1,
	})
	require.NoError(s.t, err)
	return out.Errands
}

func TestAFileIsFetchedOnceTheTokenIsGood(t *testing.T) {
	t.Parallel()
	eachSender(t, func(t *testing.T, s *sender) {
		id, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 30, 20)})
		s.refusedIn(func() {
			s.waits(id)
			require.NoError(t, s.store.AbandonAttachments(t.Context()))
		})
		require.True(t, s.due())
		require.Empty(t, s.resumed(), "while it is held nothing is due")
		s.recovers()
		require.Equal(t, []string{conversation.ChatKey("user", s.user)}, s.looks())
		require.NoError(t, s.store.AbandonAttachments(t.Context()))
		require.Equal(t, []string{id}, s.resumed())
		// Its time runs from here on.
		s.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "content", Times: 1})
		s.comesAgain(id, "line_server")
		require.Equal(t, []string{id}, s.resumed(), "until it is there, whoever asks")
		s.becomes(id, conversation.AttachmentStored, "")
		s.becomes(id, conversation.AttachmentStored, "")
		require.Empty(t, s.resumed())
		require.False(t, s.due())
		require.Equal(t, 1, s.given("content"))
	})
}

func TestAFileThatWaitedAndIsNeverReadyIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	id, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 30, 20)})
	s.lineTakes("good")
	s.waits(id)
	s.pass(time.Hour)
	s.recovers()
	s.looks()
	s.restart(s.guard)
	s.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "content"})
	s.comesAgain(id, "line_server")
	s.pass(30 * time.Minute)
	s.becomes(id, conversation.AttachmentFailed, store.ReasonLate)
	require.False(t, s.due())
}

func TestAFileThatIsUnsentWhileItWaitsIsGone(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	id, message := s.sends(linesim.Message{Type: "image", Content: picture(t, 30, 20)})
	s.lineTakes("good")
	s.waits(id)
	_, err := s.sim.Unsend(t.Context(), lineChannel, s.user, message)
	require.NoError(t, err)
	require.Equal(t, []string{id}, s.ingest())
	s.becomes(id, conversation.AttachmentRevoked, store.ReasonUnsent)
	require.False(t, s.due())
}

// Whoever dies, at whichever statement, while a file is refused and when it is
// resumed: it is fetched, and is due no longer.
func TestWhoeverDiesWhileAFileWaitsLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	id, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 30, 20)})
	chat := conversation.ChatKey("user", s.user)
	fetch := func(a *activities.Activities) error {
		_, err := a.FetchMedia(context.WithoutCancel(t.Context()), activities.MediaInput{AttachmentID: id})
		return err
	}
	s.lineTakes("good")
	s.dies(fetch)
	s.recovers()
	s.dies(func(a *activities.Activities) error { return a.TendChannelsOnce(t.Context()) })
	s.pass(time.Minute)
	s.looks()
	require.Equal(t, []string{id}, s.resumed())
	s.dies(func(a *activities.Activities) error {
		return errandsOf(a.RunErrands(t.Context(), activities.ErrandsInput{ChannelID: s.channel.ID, ChatKey: chat}))
	})
	s.dies(fetch)
	s.becomes(id, conversation.AttachmentStored, "")
	require.Empty(t, s.resumed())
	require.False(t, s.due())
}

package activities_test

import (
	"context"
	"encoding/json"
	"net/http"
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
	left, err := w.store.Nameless(t.Context(), w.channel.ID, 10)
	require.NoError(t, err)
	require.Empty(t, left.Members)
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

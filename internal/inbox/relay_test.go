package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// post is an inbox with a relay whose clock the test moves.
type post struct {
	t         *testing.T
	store     *store.Store
	signaller *Signaller
	surveys   *Signaller
	relay     *Relay
	term      *term
	now       time.Time

	mu    sync.Mutex
	woken []string
	fails error
	hold  chan struct{} // when set, wake-ups wait for it to be closed
}

func newPost(t *testing.T, s *store.Store) *post {
	t.Helper()
	p := &post{t: t, store: s, term: newTerm(), now: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}
	logger := slog.New(slog.DiscardHandler)
	p.signaller = NewSignaller(p.wake, logger)
	t.Cleanup(p.signaller.Close)
	p.surveys = NewSignaller(p.wake, logger)
	t.Cleanup(p.surveys.Close)
	p.relay = NewRelay(s, p.signaller, p.surveys, logger)
	return p
}

func (p *post) wake(ctx context.Context, _, chat string) error {
	p.mu.Lock()
	p.woken = append(p.woken, chat)
	hold, err := p.hold, p.fails
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	return err
}

func (p *post) holding(hold chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = hold
}

func (p *post) failing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = err
}

// taken are the chats woken since it was last asked.
func (p *post) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	woken := p.woken
	p.woken = nil
	return woken
}

const shop = "chn_shop"

// receive stores an event for each of the chats.
func (p *post) receive(received time.Time, chats ...string) {
	p.t.Helper()
	for batch := range slices.Chunk(chats, 100) {
		_, err := p.store.AppendLINEEvents(p.t.Context(), shop, received, events(batch, received))
		require.NoError(p.t, err)
	}
}

func events(chats []string, received time.Time) []store.InboxEvent {
	out := make([]store.InboxEvent, len(chats))
	for i, chat := range chats {
		out[i] = store.InboxEvent{WebhookEventID: fmt.Sprint(chat, received.UnixMicro()), ChatKey: chat, Kind: "message", SourceType: "user", LineTime: received, Raw: []byte("{}")}
	}
	return out
}

// take handles all events of a chat, as its workflow would.
func (p *post) take(chat string) {
	p.t.Helper()
	fact := func(store.LINEEvent) store.Item { return store.Item{Kind: store.ItemFact} }
	_, err := p.store.Ingest(p.t.Context(), store.IngestRequest{ChannelID: shop, ChatKey: chat}, fact)
	require.NoError(p.t, err)
}

// looks lets the clock go on, has the relay look, and tells whom it woke.
func (p *post) looks(after time.Duration) []string {
	p.t.Helper()
	p.now = p.now.Add(after)
	require.NoError(p.t, p.relay.look(p.t.Context(), p.now, p.term))
	isIdle(p.t, p.signaller)
	isIdle(p.t, p.surveys)
	return p.taken()
}

func chats(name string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%05d", name, i)
	}
	return out
}

func eachPost(t *testing.T, f func(t *testing.T, p *post)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) { f(t, newPost(t, s)) })
}

func TestTheRelayAsksForWhatIsUnhandledForTwoSeconds(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		p.receive(p.now, "emma")
		require.Empty(t, p.looks(0))
		require.Empty(t, p.looks(relayAge), "not older than that")
		require.Equal(t, []string{"emma"}, p.looks(time.Millisecond))
		p.take("emma")
		require.Empty(t, p.looks(time.Hour))
	})
}

// queued has a conversation of a chat wait in a queue, and returns the queue.
func (p *post) queued(chat string) store.Queue {
	p.t.Helper()
	ctx := p.t.Context()
	queue, err := p.store.CreateQueue(ctx, store.Origin{}, store.Queue{Name: "Support"})
	require.NoError(p.t, err)
	w, err := p.store.CreateWorkstream(ctx, store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: queue.ID})
	require.NoError(p.t, err)
	channel, err := p.store.CreateChannel(ctx, store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: "1", BotUserID: "U1", WorkstreamID: w.ID, Locale: "en", Status: store.ChannelActive, Secrets: []string{"s"}, Token: "t",
	})
	require.NoError(p.t, err)
	_, err = p.store.AppendLINEEvents(ctx, channel.ID, p.now, events([]string{chat}, p.now))
	require.NoError(p.t, err)
	plan, err := p.store.Plan(ctx, channel.ID)
	require.NoError(p.t, err)
	res, err := p.store.Ingest(ctx, store.IngestRequest{ChannelID: channel.ID, ChatKey: chat, Plan: &plan}, func(store.LINEEvent) store.Item {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello", LINEMessageID: "m1"}}
	})
	require.NoError(p.t, err)
	_, err = p.store.Transition(ctx, store.TransitionRequest{
		ID: "tsn_1", ConversationID: res.ConversationID, ChannelID: channel.ID, ChatKey: chat, Event: conversation.EventRouted,
		Routing: &store.Routing{QueueID: queue.ID, Matching: conversation.MatchingExact, Units: 1},
	})
	require.NoError(p.t, err)
	return queue
}

// Whoever waits in a queue whose rules are changed is woken once nobody goes by
// the rules before any more; the relay may be another by then.
func TestTheRelayWakesWhoWaitsByRulesThatWereChanged(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		queue := p.queued("emma")
		require.Empty(t, p.looks(time.Hour))
		_, err := p.store.UpdateQueue(t.Context(), store.Origin{}, queue.ID, store.AnyVersion, func(q *store.Queue) error {
			q.Settings.Overflow = store.Overflow{MaxWaitSeconds: 60, Deflection: routing.Deflection{Action: routing.DeflectEnd}}
			return nil
		})
		require.NoError(t, err)
		require.Empty(t, p.looks(relayEvery))
		require.Empty(t, p.looks(rulesSettle-relayEvery))
		p.term = newTerm() // the leader has died
		require.Empty(t, p.looks(relayEvery))
		require.Empty(t, p.looks(rulesSettle-time.Millisecond))
		p.now = time.Now() // since when it will be wanted
		require.Equal(t, []string{"emma"}, p.looks(time.Hour))
	})
}

func TestTheRelayLeavesAloneWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		hold := make(chan struct{})
		p.holding(hold)
		p.receive(p.now, "emma")
		p.signaller.Notify(shop, "emma")
		p.now = p.now.Add(time.Minute)
		require.NoError(t, p.relay.look(t.Context(), p.now, p.term))
		p.holding(nil)
		close(hold)
		isIdle(t, p.signaller)
		require.Equal(t, []string{"emma"}, p.taken(), "the signaller's own wake-up, and no other")
		require.Equal(t, []string{"emma"}, p.looks(0), "it is over, and nobody came")
	})
}

func TestAChatThatDoesNotComeIsAskedForLessAndLess(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		p.receive(p.now, "emma")
		require.Len(t, p.looks(relayAge+time.Millisecond), 1)
		for _, wait := range []time.Duration{2, 4, 8, 16, 30, 30, 30} {
			require.Empty(t, p.looks(wait*time.Second-time.Millisecond))
			require.Len(t, p.looks(time.Millisecond), 1, "after %d s", wait)
		}
		p.take("emma")
		require.Empty(t, p.looks(relayEvery))
		p.receive(p.now, "emma")
		require.Len(t, p.looks(relayAge+time.Millisecond), 1, "a chat that came is asked for promptly again")
	})
}

// Temporal is away: every wake-up fails. Once it is back, every chat is woken
// within the time a chat is left alone at most.
func TestWhatAFailingWakerLosesTheRelayRepeats(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		waiting := chats("c", 20)
		p.failing(errors.New("Temporal is away"))
		p.receive(p.now, waiting...)
		for _, chat := range waiting {
			p.signaller.Notify(shop, chat)
		}
		isIdle(t, p.signaller)
		for range 200 {
			p.looks(relayEvery)
		}
		p.failing(nil)
		found := map[string]bool{}
		for range int(relayMaxWait / relayEvery) {
			for _, chat := range p.looks(relayEvery) {
				p.take(chat)
				require.False(t, found[chat], "a chat that came is left alone")
				found[chat] = true
			}
		}
		require.Len(t, found, len(waiting))
	})
}

// More chats than the relay can ask for never come. One that is merely late is
// asked for at the next look nevertheless.
func TestChatsThatNeverComeTakeNobodysPlace(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		poison := chats("poison", 2*relayBatch)
		p.receive(p.now, poison...)
		p.looks(relayAge)
		asked := map[string]bool{}
		for range 20 {
			for _, chat := range p.looks(relayEvery) {
				asked[chat] = true
			}
		}
		require.Len(t, asked, len(poison), "each of them has had its turn")
		// All are due at once now.
		p.now = p.now.Add(time.Hour)
		p.receive(p.now.Add(-relayAge-time.Millisecond), "emma")
		woken := p.looks(0)
		require.Contains(t, woken, "emma")
		require.Len(t, woken, relayBurst, "a backlog is no flood")
	})
}

func TestABacklogIsWokenAtABoundedRateAndCompletely(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		const backlog = 500
		p.receive(p.now, chats("c", backlog)...)
		p.now = p.now.Add(relayAge)
		asked := map[string]bool{}
		looks := 0
		for ; len(asked) < backlog; looks++ {
			require.Less(t, looks, 3*backlog/relayBurst, "everyone's turn comes")
			woken := p.looks(relayEvery)
			require.LessOrEqual(t, len(woken), relayBurst)
			for _, chat := range woken {
				require.False(t, asked[chat], "nobody twice before everyone once")
				asked[chat] = true
				p.take(chat)
			}
		}
		require.Equal(t, backlog/relayBurst, looks)
	})
}

func TestADatabaseThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		p.receive(p.now, "emma")
		p.now = p.now.Add(time.Minute)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, p.relay.look(gone, p.now, p.term))
		require.Equal(t, []string{"emma"}, p.looks(0))
	})
}

// relays are two processes that share a database.
type relays struct {
	*post
	other *post
}

// runTwo runs a relay in each of two stores on one database. Whichever leads
// is the post.
func runTwo(t *testing.T, dialect string) (r relays, stopLeader context.CancelFunc, url string) {
	t.Helper()
	s, url := storetest.New(t, dialect)
	posts := []*post{newPost(t, s), newPost(t, storetest.Open(t, url))}
	var stops []context.CancelFunc
	for _, p := range posts {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); p.relay.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
		stops = append(stops, stop)
	}
	posts[0].receive(time.Now().Add(-time.Minute), "first")
	leader := -1
	require.Eventually(t, func() bool {
		for i, p := range posts {
			if slices.Contains(p.all(), "first") {
				leader = i
			}
		}
		return leader >= 0
	}, time.Minute, 5*time.Millisecond)
	return relays{posts[leader], posts[1-leader]}, stops[leader], url
}

func (p *post) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.woken)
}

func (p *post) wakes(chat string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return slices.Contains(p.all(), chat) }, time.Minute, 5*time.Millisecond)
}

func TestOneRelayAtATimeWorksAndTheNextTakesOver(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			r, stop, _ := runTwo(t, dialect)
			for _, chat := range chats("c", 3) {
				r.receive(time.Now().Add(-time.Minute), chat)
				r.wakes(chat)
			}
			require.Empty(t, r.other.all())
			stop()
			r.other.wakes("first")
			had := len(r.all())
			r.receive(time.Now().Add(-time.Minute), "last")
			r.other.wakes("last")
			require.Len(t, r.all(), had, "who has stopped wakes nobody")
		})
	}
}

// The leader's connection dies, and the leader lives: another takes over at
// once, and nobody is forgotten.
func TestARelayWhoseConnectionDiesIsReplaced(t *testing.T) {
	t.Parallel()
	r, _, url := runTwo(t, "postgres")
	killer, err := sql.Open("postgres", url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, killer.Close()) })
	require.Empty(t, r.other.all())
	// The lock is anybody's then: should the old leader be quicker once, it
	// loses it again.
	require.Eventually(t, func() bool {
		if slices.Contains(r.other.all(), "first") {
			return true
		}
		_, err := killer.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database
			WHERE locktype = 'advisory' AND granted AND datname = current_database()`)
		if err != nil {
			t.Error(err)
		}
		return err != nil
	}, time.Minute, 1500*time.Millisecond)
	r.receive(time.Now().Add(-time.Minute), "last")
	r.other.wakes("last")
}

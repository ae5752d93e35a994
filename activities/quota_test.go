package activities_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// watching runs f while the chat's worker watches quotas.
func (c *chat) watching(f func()) {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { activities.WatchQuotas(ctx, c.acts) })
	f()
	stop()
	watch.Wait()
}

// looks is how often LINE was asked for the quota.
func (c *chat) looks() int { return len(c.calls("consumption")) }

// pushes sends n pushes, one after the other.
func (c *chat) pushes(n int) {
	c.t.Helper()
	for range n {
		c.pass(time.Minute)
		c.says(1)
		require.Empty(c.t, c.empty())
	}
}

// toldOf are the thresholds recorded so far.
func (c *chat) toldOf() (out []int64) {
	c.t.Helper()
	_, err := c.store.SequenceEvents(c.t.Context())
	require.NoError(c.t, err)
	events, err := c.store.Events(c.t.Context(), 0, 10_000, "")
	require.NoError(c.t, err)
	for _, e := range events {
		if e.Type == store.EventQuotaWarning {
			var said struct{ Threshold int64 }
			require.NoError(c.t, json.Unmarshal([]byte(e.Data), &said))
			require.Equal(c.t, c.channel.ID, e.SubjectID)
			out = append(out, said.Threshold)
		}
	}
	return out
}

func TestSupervisorsAreToldAsTheQuotaIsUsedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.quota(20)
	c := w.newChat()
	c.watching(func() {
		for pushed, told := range [][]int64{1: nil, 15: nil, 16: {80}, 18: {80}, 19: {80, 95}, 20: {80, 95, 100}} {
			if told == nil && pushed != 1 && pushed != 15 {
				continue
			}
			c.pushes(pushed - len(c.calls("push")))
			require.Eventually(t, func() bool {
				q, err := c.store.ChannelQuota(t.Context(), c.channel.ID)
				require.NoError(t, err)
				return q != nil && q.Used >= int64(pushed)
			}, 10*time.Second, time.Millisecond)
			require.Equal(t, told, c.toldOf(), "after %d pushes", pushed)
		}
	})
}

func TestTheQuotaIsAskedForRarely(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.quota(100_000)
	c := w.newChat()
	c.watching(func() {
		c.pushes(1)
		require.Eventually(t, func() bool { return c.looks() == 1 }, 10*time.Second, time.Millisecond)
		c.pushes(30)
		require.Equal(t, 1, c.looks(), "the next warning is far")
		c.pass(time.Hour)
		c.pushes(1)
		require.Eventually(t, func() bool { return c.looks() == 2 }, 10*time.Second, time.Millisecond, "others may have sent meanwhile")
	})
}

func TestARepliesLimitIsNeverTheQuotas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.quota(1)
	c := w.newChat()
	c.pushes(1)
	c.writes()
	c.faults(linesim.Fault{Kind: linesim.FaultRateLimit, Endpoint: "reply", Times: 1})
	c.says(1)
	require.Len(t, c.empty(), 1)
	c.acceptedOnce(2)
	require.Zero(t, c.looks())
}

func TestAutomatedMessagesOutliveASpentQuotaWhereTheWorkstreamSaysSo(t *testing.T) {
	t.Parallel()
	for _, mode := range []store.SpentMode{store.SpentDrop, store.SpentHold} {
		w := newWorld(t)
		w.quota(1)
		w.sending(store.Sending{WhenSpent: mode})
		c := w.newChat()
		c.pushes(1)
		c.pass(time.Minute)
		c.saysAs(conversation.SenderSystem, 1)
		out, err := c.send()
		require.NoError(t, err)
		if mode == store.SpentDrop {
			require.Equal(t, "line_quota", c.messages()[1].Failure)
			continue
		}
		require.Equal(t, time.Date(2026, 1, 31, 15, 0, 0, 0, time.UTC).UnixMilli(), out.HeldUntil, "the month's end in Japan")
		calls := len(c.calls("push"))
		out, err = c.send()
		require.NoError(t, err)
		require.NotZero(t, out.HeldUntil)
		require.Len(t, c.calls("push"), calls, "LINE is not asked in vain")

		c.saysAs(conversation.SenderAgent, 1)
		_, err = c.send()
		require.NoError(t, err)
		require.Equal(t, conversation.MessageFailed, c.messages()[2].State, "an agent learns at once")
		require.Equal(t, "line_quota", c.messages()[2].Failure)
		c.writes()
		c.empty()
		require.Equal(t, conversation.MessageAccepted, c.messages()[1].State)
		require.Equal(t, "reply", c.messages()[1].Via)
	}
}

// All workers of a channel together keep to LINE's limit of calls a second.
func TestCallsStayWithinLINEsRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	c.pass(time.Minute)
	for {
		ok, err := w.store.TakeCalls(t.Context(), w.channel.ID, "push", w.Now(), 50, 750)
		require.NoError(t, err)
		if !ok {
			break // other workers have all there is in this second
		}
	}
	var chats []*chat
	for range 26 { // the worker's own 25, and one more
		one := w.newChat()
		one.acts = c.acts
		one.pass(0)
		chats = append(chats, one)
	}
	w.pass(time.Minute)
	for {
		ok, err := w.store.TakeCalls(t.Context(), w.channel.ID, "push", w.Now(), 50, 750)
		require.NoError(t, err)
		if !ok {
			break
		}
	}
	for i, one := range chats {
		one.says(1)
		_, err := one.send()
		require.Equal(t, i < 25, err == nil, i)
	}
	last := chats[25]
	require.Empty(t, last.reads())
	require.Empty(t, last.calls("consumption"), "it is our own limit")
	w.pass(time.Second)
	require.Empty(t, last.empty())
	last.acceptedOnce(1)
}

func TestAPushToAGroupCostsAsManyMessagesAsItHasMembers(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			c := newWorldOn(t, dialect).newGroup(3)
			c.says(1)
			require.Empty(t, c.empty())
			require.Empty(t, c.calls("group_count"), "replies are free")
			charged := func() (last int64, counts int) {
				c.pass(time.Minute)
				c.says(2)
				require.Empty(t, c.empty())
				list := c.messages()
				require.Equal(t, accepted, c.states())
				require.Zero(t, list[len(list)-1].Charged, "the first of a push stands for all of it")
				return list[len(list)-2].Charged, len(c.calls("group_count"))
			}
			for _, want := range []struct {
				charged int64
				counts  int
			}{{3, 1}, {3, 1}} {
				n, counts := charged()
				require.Equal(t, want.charged, n)
				require.Equal(t, want.counts, counts, "it is counted once a day")
			}
			c.joins(2)
			c.ingests()
			c.pass(time.Minute)
			n, counts := charged()
			require.Equal(t, []int64{5, 2}, []int64{n, int64(counts)}, "who joins is counted before the next push")

			// LINE does not say: what is known counts, and LINE is asked again later.
			c.pass(24 * time.Hour)
			c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "group_count", Times: 1})
			n, counts = charged()
			require.Equal(t, []int64{5, 3}, []int64{n, int64(counts)})
			c.pass(11 * time.Minute)
			_, counts = charged()
			require.Equal(t, 4, counts)

			used, err := c.store.ConversationUsage(t.Context(), c.id)
			require.NoError(t, err)
			require.Equal(t, store.LINEUsage{Replies: 1, Pushes: 5, Charged: 3 + 3 + 5 + 5 + 5}, used)
			counted, err := c.sim.Consumption(t.Context(), lineChannel)
			require.NoError(t, err)
			require.EqualValues(t, used.Charged, counted.Pushes)
		})
	}
}

func TestAQuotaThatLacksAGroupsMembersIsSpentForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.quota(4)
	w.sending(store.Sending{WhenSpent: store.SpentHold})
	c := w.newGroup(3)
	c.pass(time.Minute)
	c.says(1)
	require.Empty(t, c.empty())
	c.pass(time.Minute)
	c.says(1)
	require.Empty(t, c.empty(), "it is not tried again as if LINE were busy")
	require.Equal(t, "line_quota", c.messages()[1].Failure)
	pushes := len(c.calls("push"))
	c.pass(time.Minute)
	c.saysAs(conversation.SenderSystem, 1)
	out, err := c.send()
	require.NoError(t, err)
	require.NotZero(t, out.HeldUntil)
	require.Len(t, c.calls("push"), pushes, "one is left, and it has three members")

	alone := w.newChat()
	alone.pass(time.Minute)
	alone.saysAs(conversation.SenderSystem, 1)
	require.Empty(t, alone.empty(), "which is enough for one")
	alone.acceptedOnce(1)
}

// told are the lines that tell agents of a spent quota.
func (c *chat) told() (out []store.Message) {
	c.t.Helper()
	list, err := c.store.Messages(c.t.Context(), c.id, store.MessagePosition{}, 10_000)
	require.NoError(c.t, err)
	for _, m := range list {
		if m.Automated == string(automessage.QuotaSpent) {
			require.Equal(c.t, conversation.Internal, m.Direction)
			out = append(out, m)
		}
	}
	return out
}

func TestAgentsAreToldOnceAMonthThatAutomatedMessagesDoNotGo(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]store.Sending{
		"held": {WhenSpent: store.SpentHold}, "dropped": {ReserveForAgents: 1}, "refused by LINE": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.quota(2)
			w.sending(how)
			c := w.newChat()
			spend := func() {
				c.watching(func() { // so that the quota is known, as it is in a worker
					c.pushes(1)
					if name == "dropped" {
						require.Eventually(t, func() bool {
							known, err := c.store.ChannelQuota(t.Context(), c.channel.ID)
							require.NoError(t, err)
							return known != nil
						}, 10*time.Second, time.Millisecond)
						return
					}
					c.pushes(1)
				})
			}
			spend()
			require.Empty(t, c.told())
			for range 3 {
				c.pass(time.Minute)
				c.saysAs(conversation.SenderSystem, 1)
				_, err := c.send()
				require.NoError(t, err)
				require.Len(t, c.told(), 1, "once, however many messages it is")
			}
			require.NotEqual(t, accepted, c.states())
			c.pass(31 * 24 * time.Hour)
			c.empty()
			require.Len(t, c.told(), 1)
		})
	}
}

// What waits for another month's quota goes when more is bought before.
func TestWhatWaitsGoesWhenMoreIsBought(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, dialect)
			w.quota(1)
			w.sending(store.Sending{WhenSpent: store.SpentHold})
			c := w.newChat()
			c.pushes(1)
			for range 2 {
				c.pass(time.Minute)
				c.saysAs(conversation.SenderSystem, 1)
				out, err := c.send()
				require.NoError(t, err)
				require.NotZero(t, out.HeldUntil)
			}
			woken := func() int {
				n, err := c.store.WantForRules(t.Context())
				require.NoError(t, err)
				return n
			}
			looksAgain := func() {
				looks := c.looks()
				c.watching(func() { // a worker that begins to watch looks what waits
					require.Eventually(t, func() bool {
						q, err := c.store.ChannelQuota(t.Context(), c.channel.ID)
						require.NoError(t, err)
						return c.looks() > looks && q.ReadAt == w.Now().UnixMicro()
					}, 10*time.Second, time.Millisecond)
				})
			}
			c.pass(61 * time.Minute)
			looksAgain()
			require.Zero(t, woken(), "nothing has changed")
			w.quota(10)
			c.pass(61 * time.Minute)
			looksAgain()
			require.Equal(t, 1, woken(), "the chat is woken, once")
			require.Zero(t, woken())
			require.Empty(t, c.empty())
			c.acceptedOnce(3)
		})
	}
}

package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/keyring"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// withClock runs f on every database, on a clock of its own.
func withClock(t *testing.T, f func(t *testing.T, s *store.Store, c *clock)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Now = c.Now })
			f(t, s, c)
		})
	}
}

var admin = store.Origin{AgentID: "agt_admin", AgentName: "Ada", TokenID: "tok_1", Address: "192.0.2.1", RequestID: "req_1"}

func requireCode(t *testing.T, want conversation.Code, err error) {
	t.Helper()
	require.Equal(t, want, conversation.CodeOf(err), "%v", err)
}

func aWorkstream(t *testing.T, s *store.Store) store.Workstream {
	t.Helper()
	w, err := s.CreateWorkstream(t.Context(), admin, store.Workstream{Name: "Support", Mode: store.ModePush})
	require.NoError(t, err)
	return w
}

func aChannel(t *testing.T, s *store.Store, lineChannelID string) store.Channel {
	t.Helper()
	c, err := s.CreateChannel(t.Context(), admin, store.Channel{
		Name: "Shop", LINEChannelID: lineChannelID, BotUserID: "U" + lineChannelID, BasicID: "@shop", ChatMode: "bot", WorkstreamID: aWorkstream(t, s).ID,
		Locale: "ja", Status: store.ChannelActive, Secrets: []string{"first-secret"}, Token: "the-token",
	})
	require.NoError(t, err)
	return c
}

// live puts a conversation into the database, at status and owner.
func live(t *testing.T, s *store.Store, channel store.Channel) string {
	t.Helper()
	id := conversation.NewID(conversation.PrefixConversation)
	require.NoError(t, s.ExecForTest(t.Context(), `INSERT INTO conversations (id, channel_id, chat_key, workstream_id, status, owner, epoch, created_at, updated_at)
		VALUES ($1, $2, $3, $4, 'open', 'queue', 1, 1, 1)`, id, channel.ID, id, channel.WorkstreamID))
	return id
}

func TestAChannelComesBackAsItWasStored(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		made := aChannel(t, s, "1000")
		require.Equal(t, int64(1), made.Version)
		require.True(t, conversation.ValidID(conversation.PrefixChannel, made.ID))
		read, err := s.Channel(t.Context(), made.ID)
		require.NoError(t, err)
		require.Equal(t, made, read)
		require.Equal(t, []string{"first-secret"}, read.Secrets)
		require.Equal(t, "the-token", read.Token)
		_, err = s.Channel(t.Context(), "chn_none")
		requireCode(t, conversation.CodeNotFound, err)
	})
}

func TestSecretsAreEncryptedAtRest(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			c := aChannel(t, s, "1000")
			_, err := s.CreateBot(t.Context(), admin, store.Bot{Name: "b", Kind: store.BotWebhook, URL: "https://bot.example", Secret: "whsec_abc"})
			require.NoError(t, err)
			for _, q := range []string{"SELECT secret || token FROM channels", "SELECT secret FROM bots"} {
				stored, err := s.QueryForTest(t.Context(), q)
				require.NoError(t, err)
				require.NotContains(t, stored, "secret")
				require.NotContains(t, stored, "the-token")
				require.NotContains(t, stored, "whsec_")
			}
			setting, err := keyring.Generate("other")
			require.NoError(t, err)
			ring, err := keyring.Parse(setting)
			require.NoError(t, err)
			_, err = storetest.Open(t, url, func(o *store.Options) { o.Keys = ring }).Channel(t.Context(), c.ID)
			require.ErrorContains(t, err, `"test"`, "the error names the missing key")
		})
	}
}

func TestARotatedSecretIsAcceptedForItsGraceTimeAndThenForgotten(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		c := aChannel(t, s, "1000")
		c, err := s.UpdateChannel(t.Context(), admin, c.ID, 1, func(c *store.Channel) error {
			c.RotateSecret("second-secret", clock.Now().Add(time.Hour))
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"second-secret", "first-secret"}, c.Secrets)

		clock.Advance(59 * time.Minute)
		c, err = s.Channel(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, []string{"second-secret", "first-secret"}, c.Secrets)

		clock.Advance(2 * time.Minute)
		c, err = s.Channel(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, []string{"second-secret"}, c.Secrets)
		require.Zero(t, c.PreviousUntil)

		require.NoError(t, s.SweepConfiguration(t.Context()))
		kept, err := s.QueryForTest(t.Context(), "SELECT previous_secret FROM channels")
		require.NoError(t, err)
		require.Empty(t, kept)
	})
}

func TestTwoChannelsCannotBeTheSameLINEChannel(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		first := aChannel(t, s, "1000")
		second := first
		second.ID, second.BotUserID = "", "Uother"
		_, err := s.CreateChannel(t.Context(), admin, second)
		requireCode(t, conversation.CodeConflict, err)
		require.ErrorContains(t, err, "/line_channel_id")

		second.LINEChannelID, second.BotUserID = "2000", first.BotUserID
		_, err = s.CreateChannel(t.Context(), admin, second)
		requireCode(t, conversation.CodeConflict, err)
		require.ErrorContains(t, err, "/channel_access_token")

		require.NoError(t, s.DeleteChannel(t.Context(), admin, first.ID, 1, false))
		second.LINEChannelID = first.LINEChannelID
		_, err = s.CreateChannel(t.Context(), admin, second)
		require.NoError(t, err, "a deleted channel is in nobody's way")
	})
}

func TestAChannelWithLiveConversationsIsDeletedOnlyWhenTheyMayBeClosed(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		c := aChannel(t, s, "1000")
		id := live(t, s, c)
		requireCode(t, conversation.CodeLiveConversations, s.DeleteChannel(ctx, admin, c.ID, 1, false))
		orphans, err := s.ConversationsOfDeletedChannels(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, orphans)

		require.NoError(t, s.DeleteChannel(ctx, admin, c.ID, 1, true))
		orphans, err = s.ConversationsOfDeletedChannels(ctx, 10)
		require.NoError(t, err)
		require.Equal(t, []string{id}, orphans)

		gone, err := s.Channel(ctx, c.ID)
		require.NoError(t, err, "what is on its way still finds it")
		require.Equal(t, store.ChannelDeleted, gone.Status)
		require.Empty(t, gone.Secrets)
		require.Equal(t, "the-token", gone.Token)
		plan, err := s.Plan(ctx, c.ID)
		require.NoError(t, err)
		require.Equal(t, "the-token", plan.Channel.Token)
		list, err := s.Channels(ctx, store.Cursor{}, 10)
		require.NoError(t, err)
		require.Empty(t, list)
		requireCode(t, conversation.CodeNotFound, s.DeleteChannel(ctx, admin, c.ID, store.AnyVersion, true))
		_, err = s.UpdateChannel(ctx, admin, c.ID, store.AnyVersion, func(*store.Channel) error { return nil })
		requireCode(t, conversation.CodeNotFound, err)

		clock.Advance(25 * time.Hour)
		require.NoError(t, s.SweepConfiguration(ctx))
		gone, err = s.Channel(ctx, c.ID)
		require.NoError(t, err)
		require.Empty(t, gone.Token)
	})
}

func TestAPlanIsReadInOneStatement(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		c := aChannel(t, s, "1000")
		before := s.Statements()
		plan, err := s.Plan(ctx, c.ID)
		require.NoError(t, err)
		require.Equal(t, int64(1), s.Statements()-before)
		require.Equal(t, c, plan.Channel)
		require.Equal(t, c.WorkstreamID, plan.Workstream.ID)
		require.Nil(t, plan.Bot)
		require.Equal(t, int64(10), plan.Workstream.Settings.Bot.DeadlineSeconds)

		bot, err := s.CreateBot(ctx, admin, store.Bot{Name: "b", Kind: store.BotScript, Script: json.RawMessage(`{"start":"x"}`)})
		require.NoError(t, err)
		w, err := s.UpdateWorkstream(ctx, admin, c.WorkstreamID, 1, func(w *store.Workstream) error {
			w.BotID, w.Settings.Bot.DeadlineSeconds = bot.ID, 5
			return nil
		})
		require.NoError(t, err)
		plan, err = s.Plan(ctx, c.ID)
		require.NoError(t, err)
		require.Equal(t, &bot, plan.Bot)
		require.Equal(t, w, plan.Workstream)
		require.Equal(t, int64(5), plan.Workstream.Settings.Bot.DeadlineSeconds)
		require.Equal(t, int64(30*24*3600), plan.Workstream.Settings.AutoClose.OpenSeconds)
		_, err = s.Plan(ctx, "chn_none")
		requireCode(t, conversation.CodeNotFound, err)
	})
}

func TestWhatIsInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		queue, err := s.CreateQueue(ctx, admin, store.Queue{Name: "q"})
		require.NoError(t, err)
		bot, err := s.CreateBot(ctx, admin, store.Bot{Name: "b", Kind: store.BotWebhook, URL: "https://bot.example"})
		require.NoError(t, err)
		c := aChannel(t, s, "1000")
		_, err = s.UpdateWorkstream(ctx, admin, c.WorkstreamID, 1, func(w *store.Workstream) error {
			w.BotID, w.FallbackQueueID = bot.ID, queue.ID
			return nil
		})
		require.NoError(t, err)

		requireCode(t, conversation.CodeInUse, s.DeleteQueue(ctx, admin, queue.ID, 1))
		requireCode(t, conversation.CodeInUse, s.DeleteBot(ctx, admin, bot.ID, 1))
		requireCode(t, conversation.CodeInUse, s.DeleteWorkstream(ctx, admin, c.WorkstreamID, 2))
		require.NoError(t, s.DeleteChannel(ctx, admin, c.ID, 1, false))
		require.NoError(t, s.DeleteWorkstream(ctx, admin, c.WorkstreamID, 2))
		require.NoError(t, s.DeleteBot(ctx, admin, bot.ID, 1))
		require.NoError(t, s.DeleteQueue(ctx, admin, queue.ID, 1))
		requireCode(t, conversation.CodeNotFound, s.DeleteQueue(ctx, admin, queue.ID, 1))
	})
}

func TestAReferenceToNothingIsRefusedByField(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for field, w := range map[string]store.Workstream{
			"/bot_id":            {Name: "w", Mode: store.ModePush, BotID: "bot_none"},
			"/fallback_queue_id": {Name: "w", Mode: store.ModePush, FallbackQueueID: "que_none"},
		} {
			_, err := s.CreateWorkstream(t.Context(), admin, w)
			requireCode(t, conversation.CodeInvalid, err)
			require.ErrorContains(t, err, field)
		}
		_, err := s.CreateChannel(t.Context(), admin, store.Channel{Name: "c", WorkstreamID: "wst_none", Status: store.ChannelActive})
		requireCode(t, conversation.CodeInvalid, err)
	})
}

func TestOfTwoChangesToOneVersionTheSecondIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		q, err := s.CreateQueue(t.Context(), admin, store.Queue{Name: "q"})
		require.NoError(t, err)
		const racers = 8
		errs := make(chan error, racers)
		for i := range racers {
			go func() {
				_, err := s.UpdateQueue(context.Background(), admin, q.ID, 1, func(q *store.Queue) error {
					q.Name = fmt.Sprint("renamed ", i)
					return nil
				})
				errs <- err
			}()
		}
		won := 0
		for range racers {
			if err := <-errs; err == nil {
				won++
			} else {
				requireCode(t, conversation.CodeVersionStale, err)
			}
		}
		require.Equal(t, 1, won)
		q, err = s.Queue(t.Context(), q.ID)
		require.NoError(t, err)
		require.Equal(t, int64(2), q.Version)
	})
}

func TestAChangeThatChangesNothingLeavesNoTrace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := aWorkstream(t, s)
		same, err := s.UpdateWorkstream(t.Context(), admin, w.ID, w.Version, func(w *store.Workstream) error {
			w.Name = "Support"
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, w, same)
		log, err := s.AuditLog(t.Context(), store.AuditFilter{SubjectID: w.ID}, 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 1)
	})
}

func TestCreatingTheSameIDAgainAnswersWhatIsThere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := store.Agent{ID: "agt_fixed", Name: "Mai", Email: "mai@example.com", Role: store.RoleAgent, Locale: "th"}
		first, err := s.CreateAgent(t.Context(), admin, a)
		require.NoError(t, err)
		again, err := s.CreateAgent(t.Context(), admin, a)
		require.NoError(t, err)
		require.Equal(t, first, again)
		log, err := s.AuditLog(t.Context(), store.AuditFilter{}, 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 1)
	})
}

func TestAListIsStableWhileItIsWrittenTo(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		var want []string
		for i := range 5 { // all but the last within one microsecond
			q, err := s.CreateQueue(ctx, admin, store.Queue{ID: fmt.Sprintf("que_%d", 9-i), Name: "q"})
			require.NoError(t, err)
			want = append(want, q.ID)
			if i == 3 {
				clock.Advance(time.Second)
			}
		}
		want = []string{want[3], want[2], want[1], want[0], want[4]} // by id within an instant
		var got []string
		var at store.Cursor
		for {
			page, err := s.Queues(ctx, at, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for _, q := range page {
				got = append(got, q.ID)
			}
			at = store.Cursor{At: page[len(page)-1].CreatedAt, ID: page[len(page)-1].ID}
			if len(got) == 2 { // what was read goes, something new comes
				require.NoError(t, s.DeleteQueue(ctx, admin, got[0], 1))
				clock.Advance(time.Second)
				q, err := s.CreateQueue(ctx, admin, store.Queue{Name: "late"})
				require.NoError(t, err)
				want = append(want, q.ID)
			}
		}
		require.Equal(t, want, got)
	})
}

func TestTheOnlyAdministratorStays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		only, err := s.CreateAgent(ctx, admin, store.Agent{Name: "Ada", Email: "ada@example.com", Role: store.RoleAdmin, Locale: "en"})
		require.NoError(t, err)
		demote := func(a *store.Agent) error { a.Role = store.RoleAgent; return nil }
		requireCode(t, conversation.CodeInUse, s.DeleteAgent(ctx, admin, only.ID, 1))
		_, err = s.UpdateAgent(ctx, admin, only.ID, 1, demote)
		requireCode(t, conversation.CodeInUse, err)

		_, err = s.CreateAgent(ctx, admin, store.Agent{Name: "Bo", Email: "bo@example.com", Role: store.RoleAdmin, Locale: "da"})
		require.NoError(t, err)
		_, err = s.UpdateAgent(ctx, admin, only.ID, 1, demote)
		require.NoError(t, err)
		require.NoError(t, s.DeleteAgent(ctx, admin, only.ID, 2))
		_, err = s.CreateAgent(ctx, admin, store.Agent{Name: "Bo too", Email: "bo@example.com", Role: store.RoleAgent, Locale: "da"})
		requireCode(t, conversation.CodeConflict, err)
		require.ErrorContains(t, err, "/email")
	})
}

func TestATokenSpeaksForItsAgentUntilItExpiresOrIsRevoked(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		a, err := s.CreateAgent(ctx, admin, store.Agent{Name: "Mai", Email: "mai@example.com", Role: store.RoleSupervisor, Locale: "th"})
		require.NoError(t, err)
		value := store.NewTokenValue()
		require.Regexp(t, `^kwa_[A-Za-z0-9_-]{43}$`, value)
		tok, err := s.IssueToken(ctx, admin, store.Token{AgentID: a.ID, Name: "laptop", Role: store.RoleAdmin, ExpiresAt: clock.Now().Add(time.Hour)}, value)
		require.NoError(t, err)

		before := s.Statements()
		i, err := s.Authenticate(ctx, value)
		require.NoError(t, err)
		require.Equal(t, int64(1), s.Statements()-before)
		require.Equal(t, store.Identity{Token: tok, Agent: a}, i)
		require.Equal(t, store.RoleSupervisor, i.Role(), "never more than the agent's role")
		_, err = s.Authenticate(ctx, value+"x")
		requireCode(t, conversation.CodeUnauthenticated, err)

		stored, err := s.QueryForTest(ctx, "SELECT hash FROM api_tokens")
		require.NoError(t, err)
		require.NotContains(t, stored, value[4:])

		clock.Advance(time.Hour)
		_, err = s.Authenticate(ctx, value)
		requireCode(t, conversation.CodeUnauthenticated, err)

		second := store.NewTokenValue()
		tok, err = s.IssueToken(ctx, admin, store.Token{AgentID: a.ID, Name: "phone", Role: store.RoleAgent}, second)
		require.NoError(t, err)
		require.NoError(t, s.RevokeToken(ctx, admin, tok.ID))
		require.NoError(t, s.RevokeToken(ctx, admin, tok.ID))
		requireCode(t, conversation.CodeNotFound, s.RevokeToken(ctx, admin, "tok_none"))
		_, err = s.Authenticate(ctx, second)
		requireCode(t, conversation.CodeUnauthenticated, err)

		clock.Advance(31 * 24 * time.Hour)
		require.NoError(t, s.SweepConfiguration(ctx))
		tokens, err := s.Tokens(ctx, "", store.Cursor{}, 10)
		require.NoError(t, err)
		require.Empty(t, tokens)
		_, err = s.IssueToken(ctx, admin, store.Token{AgentID: "agt_none", Role: store.RoleAgent}, "x")
		requireCode(t, conversation.CodeNotFound, err)
	})
}

func TestTheUseOfATokenIsWrittenAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, clock *clock) {
		ctx := t.Context()
		a, err := s.CreateAgent(ctx, admin, store.Agent{Name: "Mai", Email: "mai@example.com", Role: store.RoleAgent, Locale: "th"})
		require.NoError(t, err)
		_, err = s.IssueToken(ctx, admin, store.Token{AgentID: a.ID, Role: store.RoleAgent}, "value")
		require.NoError(t, err)
		use := func() (writes int64, at time.Time) {
			i, err := s.Authenticate(ctx, "value")
			require.NoError(t, err)
			before := s.Statements()
			require.NoError(t, s.TokenUsed(ctx, i.Token))
			writes = s.Statements() - before
			i, err = s.Authenticate(ctx, "value")
			require.NoError(t, err)
			return writes, i.Token.LastUsedAt
		}
		first := clock.Now()
		writes, at := use()
		require.Equal(t, int64(1), writes)
		require.Equal(t, first, at)
		clock.Advance(59 * time.Second)
		writes, at = use()
		require.Zero(t, writes)
		require.Equal(t, first, at)
		clock.Advance(time.Second)
		_, at = use()
		require.Equal(t, clock.Now(), at)
	})
}

func TestAnAgentsTokensGoWithTheAgent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		a, err := s.CreateAgent(ctx, admin, store.Agent{Name: "Mai", Email: "mai@example.com", Role: store.RoleAgent, Locale: "th"})
		require.NoError(t, err)
		_, err = s.IssueToken(ctx, admin, store.Token{AgentID: a.ID, Role: store.RoleAgent}, "value")
		require.NoError(t, err)
		require.NoError(t, s.DeleteAgent(ctx, admin, a.ID, 1))
		_, err = s.Authenticate(ctx, "value")
		requireCode(t, conversation.CodeUnauthenticated, err)
	})
}

func TestTheAuditLogTellsWhoChangedWhatFromWhereAndNoSecret(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		c := aChannel(t, s, "1000")
		_, err := s.UpdateChannel(ctx, admin, c.ID, 1, func(c *store.Channel) error {
			c.Name, c.Token = "New shop", "new-token"
			c.RotateSecret("second-secret", time.Now().Add(time.Hour))
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, s.DeleteChannel(ctx, admin, c.ID, 2, false))
		log, err := s.AuditLog(ctx, store.AuditFilter{SubjectID: c.ID}, 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 3)
		require.Equal(t, []string{store.AuditDeleted, store.AuditChanged, store.AuditCreated}, []string{log[0].Action, log[1].Action, log[2].Action})
		change := log[1]
		require.Equal(t, admin, change.By)
		require.Equal(t, "channel", change.SubjectKind)
		require.Equal(t, "New shop", change.SubjectName)
		hidden := json.RawMessage(`"(hidden)"`)
		require.Equal(t, map[string]store.Change{
			"name":                 {From: json.RawMessage(`"Shop"`), To: json.RawMessage(`"New shop"`)},
			"channel_secret":       {From: hidden, To: hidden},
			"channel_access_token": {From: hidden, To: hidden},
		}, change.Changes)
		all, err := json.Marshal(log)
		require.NoError(t, err)
		for _, secret := range []string{"first-secret", "second-secret", "the-token", "new-token"} {
			require.NotContains(t, string(all), secret)
		}
		older, err := s.AuditLog(ctx, store.AuditFilter{SubjectID: c.ID}, log[0].ID, 1)
		require.NoError(t, err)
		require.Equal(t, log[1:2], older)
		none, err := s.AuditLog(ctx, store.AuditFilter{AgentID: "agt_other"}, 0, 10)
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

func TestEventsOfADisabledChannelAreCounted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		c := aChannel(t, s, "1000")
		_, err := s.AppendLINEEvents(ctx, c.ID, time.Now(), []store.InboxEvent{
			{WebhookEventID: "e1", ChatKey: "k", Kind: "message", Raw: []byte("{}"), Disposition: store.DispositionChannelDisabled},
			{WebhookEventID: "e2", ChatKey: "k", Kind: "message", Raw: []byte("{}"), Disposition: store.DispositionChannelDisabled},
			{WebhookEventID: "e3", ChatKey: "k", Kind: "message", Raw: []byte("{}")},
		})
		require.NoError(t, err)
		counts, err := s.EventsWhileDisabled(ctx, c.ID, "chn_other")
		require.NoError(t, err)
		require.Equal(t, map[string]int64{c.ID: 2}, counts)
	})
}

func TestTwoAdministratorsCannotRemoveEachOther(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var ids []string
		for _, name := range []string{"ada", "bo"} {
			a, err := s.CreateAgent(t.Context(), admin, store.Agent{Name: name, Email: name + "@example.com", Role: store.RoleAdmin, Locale: "en"})
			require.NoError(t, err)
			ids = append(ids, a.ID)
		}
		errs := make(chan error, len(ids))
		for _, id := range ids {
			go func() { errs <- s.DeleteAgent(context.Background(), admin, id, 1) }()
		}
		one, other := <-errs, <-errs
		if one != nil {
			one, other = other, one
		}
		require.NoError(t, one)
		requireCode(t, conversation.CodeInUse, other)
	})
}

// The statements that run for every request and every step find their rows by
// an index.
func TestHotStatementsUseAnIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for name, q := range map[string]string{"authenticate": store.AuthenticateQueryForTest, "plan": store.PlanQueryForTest, "routing": store.RoutingFactsQueryForTest} {
			plan, err := s.ExplainForTest(t.Context(), q, "x")
			require.NoError(t, err)
			require.NotContains(t, plan, "SCAN", name)     // SQLite
			require.NotContains(t, plan, "Seq Scan", name) // PostgreSQL
		}
	})
}

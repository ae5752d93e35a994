package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestATableIsReadWholeWhateverItsLength(t *testing.T) {
	t.Parallel()
	type row struct {
		ID             int64  `db:"id"`
		WebhookEventID string `db:"webhook_event_id"`
		HandledAt      *int64 `db:"handled_at"`
	}
	type named struct {
		EventID string `db:"webhook_event_id"`
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		none, err := store.Walk[row](ctx, s, "line_events", "id")
		require.NoError(t, err)
		require.Empty(t, none)
		const each, times = 1000, 5 // more than two pages, and one of them full
		for i := range times {
			var events []store.InboxEvent
			for j := range each {
				events = append(events, store.InboxEvent{WebhookEventID: fmt.Sprintf("e%04d", i*each+j), ChatKey: "c", Kind: "message", SourceType: "user", SourceID: "U", LineTime: time.Now(), Raw: []byte("{}")})
			}
			_, err := s.AppendLINEEvents(ctx, "chn_1", time.Now(), events)
			require.NoError(t, err)
		}
		all, err := store.Walk[row](ctx, s, "line_events", "id")
		require.NoError(t, err)
		require.Len(t, all, each*times)
		for i, r := range all {
			require.Equal(t, fmt.Sprintf("e%04d", i), r.WebhookEventID)
			require.Nil(t, r.HandledAt)
		}
		texts, err := store.Walk[named](ctx, s, "line_events", "webhook_event_id")
		require.NoError(t, err)
		require.Len(t, texts, each*times)

		type keyed struct {
			ChatKey string `db:"chat_key"`
			ID      int64  `db:"id"`
		}
		together, err := store.Walk[keyed](ctx, s, "line_events", "chat_key", "id")
		require.NoError(t, err)
		require.Len(t, together, each*times, "a key of two columns")

		_, err = store.Walk[row](ctx, s, "line_events", "chat_key")
		require.ErrorContains(t, err, "has no column chat_key")
	})
}

// What waits for a person or a deadline is not under way.
func TestWhatIsUnderWayIsCounted(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			driver, dsn := "postgres", url
			if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
				driver, dsn = "sqlite", path
			}
			db, err := sql.Open(driver, dsn)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			run := func(statements ...string) {
				t.Helper()
				for _, q := range statements {
					_, err := db.ExecContext(t.Context(), q)
					require.NoError(t, err, q)
				}
			}
			underway := func() store.Underway {
				t.Helper()
				u, err := s.Underway(t.Context())
				require.NoError(t, err)
				return u
			}
			require.Zero(t, underway())
			run(`INSERT INTO chats (channel_id, chat_key, tick, created_at) VALUES ('chn', 'chat', 5, 1)`,
				`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, status, owner, epoch, bot_position, created_at, updated_at) VALUES ('cnv_1', 'chn', 'chat', 'wst', 'active', 'bot', 1, 3, 1, 1)`,
				`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, position, direction, sender_kind, type, state, created_at) VALUES ('msg_1', 'cnv_1', 'chn', 1, 3, 'inbound', 'customer', 'text', 'accepted', 1)`)
			require.Zero(t, underway(), "the customer has the word")
			for _, c := range []struct {
				do, undo string
				want     store.Underway
			}{
				{`UPDATE messages SET position = 4`, `UPDATE messages SET position = 3`, store.Underway{Unanswered: 1}},
				{`UPDATE messages SET position = 4, state = 'recalled'`, `UPDATE messages SET position = 3, state = 'accepted'`, store.Underway{}},
				{`UPDATE chats SET wanted_at = 1`, `UPDATE chats SET wanted_at = 0`, store.Underway{Wanted: 1}},
				{`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, state, created_at) VALUES ('msg_2', 'cnv_1', 'chn', 2, 'outbound', 'bot', 'text', 'pending', 1)`,
					`UPDATE messages SET batch_id = 'bat_1' WHERE id = 'msg_2'`, store.Underway{Pending: 1}},
				{`INSERT INTO batches (id, conversation_id, ordinal, kind, recipient, body, message_ids, state, deadline, created_at) VALUES ('bat_1', 'cnv_1', 1, 'push', 'U', '[]', '[]', 'frozen', 1, 1)`,
					`UPDATE batches SET state = 'accepted'`, store.Underway{Frozen: 1}},
				{`UPDATE conversations SET status = 'open', owner = 'queue'`, `UPDATE conversations SET routed_at = 1`, store.Underway{Unrouted: 1}},
				{`INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at) VALUES ('ofr_1', 'cnv_1', 'agt', 'que', 1, 1, 'live', 1, 2)`,
					`UPDATE offers SET expires_at = 9000000000000000`, store.Underway{Expired: 1}},
				{`INSERT INTO survey_invitations (id, conversation_id, survey_id, channel_id, chat_key, locale, mode, questions, state, wanted_at, created_at, expires_at) VALUES ('inv_1', 'cnv_1', 'svy', 'chn', 'chat', 'en', 'line', '[]', 'open', 1, 1, 2)`,
					`UPDATE survey_invitations SET wanted_at = 0, asked = 1`, store.Underway{Surveys: 1}},
				{`UPDATE survey_invitations SET asked = 0`, `UPDATE survey_invitations SET asked = 1`, store.Underway{Surveys: 1}},
				{`INSERT INTO attachments (id, conversation_id, direction, kind, state, created_at, updated_at) VALUES ('att_1', 'cnv_1', 'inbound', 'image', 'pending', 1, 1)`,
					`UPDATE attachments SET state = 'stored'`, store.Underway{Files: 1}},
				{`UPDATE attachments SET state = 'pending', direction = 'outbound'`, `UPDATE attachments SET state = 'stored'`, store.Underway{}},
			} {
				run(c.do)
				require.Equal(t, c.want, underway(), c.do)
				run(c.undo)
				require.Zero(t, underway(), c.undo)
			}
			run(`INSERT INTO events (type, created_at) VALUES ('message.received', 1)`)
			require.Equal(t, store.Underway{Unnumbered: 1, LastEvent: 1}, underway())
			run(`INSERT INTO line_events (channel_id, webhook_event_id, chat_key, kind, source_type, source_id, line_time, received_at, raw) VALUES ('chn', 'e', 'chat', 'message', 'user', 'U', 1, 1, '{}')`)
			require.Equal(t, store.Underway{Unnumbered: 1, LastEvent: 1, Unhandled: 1, LastReceived: 1}, underway())
		})
	}
}

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// Populated is an open conversation that a database is filled with, for
// benchmarks: with its chat, its customer's profile, its timeline and its
// transcript. No workflow runs it, and nothing is recorded in the events.
type Populated struct {
	ChannelID    string
	WorkstreamID string
	Number       int // one of the channel's
	Phase        conversation.Phase
	QueueID      string
	AgentID      string // who has it, where somebody does
	Skills       []conversation.SkillNeed
	Messages     int // from the customer and to them in turn, half a minute apart, the last one now
	// UpdatedAt is when it changed last; zero is now. The reconciler looks for the
	// run of a conversation only when it has not changed for a while.
	UpdatedAt time.Time
}

// PopulatedID is the id of a conversation that a channel is populated with.
func PopulatedID(channelID string, number int) string {
	return conversation.DerivedID(conversation.PrefixConversation, channelID, conversation.ChatKey("user", populatedUser(number)), "populated")
}

func populatedUser(number int) string { return fmt.Sprintf("U%032x", number) }

// rowsAtOnce bounds the rows of one INSERT.
const rowsAtOnce = 500

// parametersAtOnce bounds the parameters of a statement on SQLite, whose driver
// looks for each among all of them: many rows at once cost their square.
const parametersAtOnce = 300

// Populate adds conversations, all in one transaction. It is much faster than
// having them happen, and gives what that would have left behind.
func (s *Store) Populate(ctx context.Context, list []Populated) error {
	now := micros(s.now())
	err := s.tx(ctx, func(c conn) error {
		chats := c.bulk(`INSERT INTO chats (channel_id, chat_key, tick, source_type, source_id, created_at) VALUES `, 6)
		profiles := c.bulk(`INSERT INTO social_profiles (id, channel_id, chat_key, line_user_id, display_name, language, fetched_at, created_at, updated_at) VALUES `, 9)
		conversations := c.bulk(`INSERT INTO conversations (id, channel_id, chat_key, workstream_id, profile_id, status, owner, epoch, queue_id, agent_id, skills, matching, requirement,
			locale, greeted, routed_at, waiting_since, first_waited_at, phase_since, last_customer_at, last_message_at, created_at, updated_at) VALUES `, 23)
		transitions := c.bulk(`INSERT INTO transitions (id, conversation_id, event, from_status, from_owner, to_status, to_owner, epoch, created_at) VALUES `, 9)
		messages := c.bulk(`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, position, direction, sender_kind, sender_id, type, text, state, via,
			line_message_id, created_at, sent_at) VALUES `, 15)
		for _, p := range list {
			user := populatedUser(p.Number)
			key := conversation.ChatKey("user", user)
			id := PopulatedID(p.ChannelID, p.Number)
			profile := profileID(p.ChannelID, key)
			begun := now - int64(p.Messages)*30_000_000 + int64(p.Number)%30_000_000
			updated := now
			if !p.UpdatedAt.IsZero() {
				updated = micros(p.UpdatedAt)
			}
			need := routing.Requirement{Skills: p.Skills}
			matching := conversation.MatchingExact
			skills, err := json.Marshal(append([]conversation.SkillNeed{}, p.Skills...))
			if err != nil {
				return err
			}
			var waits, routed int64
			if p.Phase == conversation.PhaseQueued {
				waits = begun
			}
			if p.QueueID != "" {
				routed = begun
			}
			chats.add(p.ChannelID, key, int64(p.Messages)+1, "user", user, begun)
			profiles.add(profile, p.ChannelID, key, user, fmt.Sprintf("Customer %d", p.Number), "ja", begun, begun, begun)
			conversations.add(id, p.ChannelID, key, p.WorkstreamID, profile, string(p.Phase.Status), string(p.Phase.Owner), int64(1), p.QueueID, p.AgentID,
				string(skills), string(matching), need.Signature(), "ja", true, routed, waits, begun, begun, now, now, begun, updated)
			transitions.add(conversation.DerivedID(conversation.PrefixStep, id, "start"), id, string(conversation.EventStartedInQueue), "", "",
				string(conversation.PhaseQueued.Status), string(conversation.PhaseQueued.Owner), int64(1), begun)
			for n := range p.Messages {
				at := begun + int64(n+1)*30_000_000
				line := fmt.Sprintf("%d%07d%06d", 9, p.Number, n)
				if n%2 == 0 {
					messages.add(conversation.DerivedID(conversation.PrefixMessage, id, n), id, p.ChannelID, at, int64(n+1), string(conversation.Inbound), string(conversation.SenderCustomer),
						profile, "text", "注文した商品がまだ届きません。いつ届きますか？", string(conversation.MessageAccepted), "", line, at, int64(0))
					continue
				}
				messages.add(conversation.DerivedID(conversation.PrefixMessage, id, n), id, p.ChannelID, at, int64(0), string(conversation.Outbound), string(conversation.SenderAgent),
					p.AgentID, "text", "お調べします。少々お待ちください。", string(conversation.MessageAccepted), string(conversation.ViaPush), line, at, at)
			}
			if messages.rows() >= rowsAtOnce || chats.rows() >= rowsAtOnce {
				if err := flush(ctx, chats, profiles, conversations, transitions, messages); err != nil {
					return err
				}
			}
		}
		return flush(ctx, chats, profiles, conversations, transitions, messages)
	})
	if err != nil {
		return fmt.Errorf("populate: %w", err)
	}
	return nil
}

// bulk collects the rows of an INSERT.
type bulk struct {
	c       conn
	into    string
	columns int
	args    []any
}

func (c conn) bulk(into string, columns int) *bulk { return &bulk{c: c, into: into, columns: columns} }

func (b *bulk) add(values ...any) { b.args = append(b.args, values...) }

func (b *bulk) rows() int { return len(b.args) / b.columns }

// flush inserts what there is, of one table after the other.
func flush(ctx context.Context, tables ...*bulk) error {
	for _, b := range tables {
		for b.rows() > 0 {
			n := min(b.rows(), rowsAtOnce)
			if b.c.s.d == dialectSQLite {
				n = min(n, parametersAtOnce/b.columns)
			}
			if _, err := b.c.exec(ctx, b.into+values(n, b.columns, 1), b.args[:n*b.columns]...); err != nil {
				return err
			}
			b.args = b.args[n*b.columns:]
		}
		b.args = nil
	}
	return nil
}

// Analyze has the database look at what it holds and tidy it, which it does by
// itself in time: what was populated a moment ago is to be found as what grew
// over months, and PostgreSQL's autovacuum is to have nothing to do with it.
func (s *Store) Analyze(ctx context.Context) error {
	statement := `ANALYZE`
	if s.d == dialectPostgres {
		statement = `VACUUM (ANALYZE)`
	}
	_, err := s.write().exec(ctx, statement)
	return err
}

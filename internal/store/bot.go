package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
)

// The kinds of Bot.
const (
	BotScript  = "script"
	BotWebhook = "webhook"
)

// Bot answers customers before people do.
type Bot struct {
	ID        string
	Name      string
	Kind      string
	URL       string // webhook: where it is asked
	Secret    string // webhook: decrypted, whsec_…, signs the requests
	Script    json.RawMessage
	Sender    conversation.MessageSender // how customers see what it says
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

type botRow struct {
	ID            string `db:"id"`
	Name          string `db:"name"`
	Kind          string `db:"kind"`
	URL           string `db:"url"`
	Secret        string `db:"secret"`
	Script        string `db:"script"`
	SenderName    string `db:"sender_name"`
	SenderIconURL string `db:"sender_icon_url"`
	Version       int64  `db:"version"`
	CreatedAt     int64  `db:"created_at"`
	UpdatedAt     int64  `db:"updated_at"`
}

var bots = &family[Bot, botRow]{
	kind: "bot", table: "bots", prefix: conversation.PrefixBot,
	meta: func(b *Bot) meta { return meta{&b.ID, &b.Name, &b.Version, &b.CreatedAt, &b.UpdatedAt} },
	seal: func(s *Store, b Bot) (botRow, error) {
		secret, err := s.sealed(b.Secret, "bot/"+b.ID+"/secret")
		return botRow{b.ID, b.Name, b.Kind, b.URL, secret, string(b.Script), b.Sender.Name, b.Sender.IconURL, b.Version, micros(b.CreatedAt), micros(b.UpdatedAt)}, err
	},
	open: func(s *Store, r botRow) (Bot, error) {
		secret, err := s.unsealed(r.Secret, "bot/"+r.ID+"/secret")
		if err != nil {
			return Bot{}, fmt.Errorf("secret of bot %s: %w", r.ID, err)
		}
		b := Bot{ID: r.ID, Name: r.Name, Kind: r.Kind, URL: r.URL, Secret: secret, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt)}
		b.Sender = conversation.MessageSender{Name: r.SenderName, IconURL: r.SenderIconURL}
		if r.Script != "" {
			b.Script = json.RawMessage(r.Script)
		}
		return b, nil
	},
	facts: func(b Bot) map[string]any {
		f := map[string]any{"name": b.Name, "kind": b.Kind, "url": b.URL, "secret": hidden(b.Secret)}
		if b.Script != nil {
			f["script"] = b.Script
		}
		senderFacts(f, b.Sender)
		return f
	},
	uses: none[Bot],
	unused: func(ctx context.Context, c conn, b Bot) error {
		return c.inUse(ctx, "The workstream %q uses this bot. Give it another bot, or none, first.",
			"SELECT name FROM workstreams WHERE bot_id = $1", b.ID)
	},
}

// senderFacts adds what the audit log may know of a sender.
func senderFacts(to map[string]any, s conversation.MessageSender) {
	if s != (conversation.MessageSender{}) {
		to["sender"] = s
	}
}

// Bot reads one bot; CodeNotFound when there is none.
func (s *Store) Bot(ctx context.Context, id string) (Bot, error) {
	return bots.get(ctx, s, s.read(), id, "")
}

// Bots lists bots, oldest first.
func (s *Store) Bots(ctx context.Context, after Cursor, limit int) ([]Bot, error) {
	return bots.list(ctx, s, after, limit)
}

// CreateBot stores a bot.
func (s *Store) CreateBot(ctx context.Context, by Origin, b Bot) (Bot, error) {
	return bots.create(ctx, s, by, b)
}

// UpdateBot changes a bot: CodeNotFound, CodeVersionStale.
func (s *Store) UpdateBot(ctx context.Context, by Origin, id string, version int64, change func(*Bot) error) (Bot, error) {
	return bots.update(ctx, s, by, id, version, change)
}

// DeleteBot deletes a bot: CodeNotFound, CodeVersionStale, CodeInUse while a
// workstream has it. A conversation it holds goes to a queue at its next turn.
func (s *Store) DeleteBot(ctx context.Context, by Origin, id string, version int64) error {
	return bots.delete(ctx, s, by, id, version)
}

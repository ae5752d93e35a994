package activities

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"kaiwa/internal/bot"
	"kaiwa/internal/store"
)

// bots builds bots from their rows, and keeps those it has built: a script is
// parsed once a version, not once a turn.
type bots struct {
	http  *http.Client
	mu    sync.Mutex
	built map[string]builtBot
}

type builtBot struct {
	version int64
	bot     bot.Bot
}

func newBots(c *http.Client) *bots { return &bots{http: c, built: map[string]builtBot{}} }

func (b *bots) get(row store.Bot) (bot.Bot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if have, ok := b.built[row.ID]; ok && have.version == row.Version {
		return have.bot, nil
	}
	var made bot.Bot
	var err error
	switch row.Kind {
	case store.BotScript:
		made, err = bot.ParseScript(row.Script)
	case store.BotWebhook:
		made, err = bot.NewWebhook(bot.WebhookConfig{URL: row.URL, Secret: row.Secret, HTTPClient: b.http})
	default:
		err = fmt.Errorf("bot %s has the unknown kind %q", row.ID, row.Kind)
	}
	if err != nil {
		return nil, err
	}
	b.built[row.ID] = builtBot{row.Version, made}
	return made, nil
}

// botOf returns the bot that has a conversation, or is to have it: the named
// one, or the workstream's when none is named. It is nil when there is none.
func (a *Activities) botOf(ctx context.Context, plan store.Plan, id string) (*store.Bot, error) {
	if id == "" || plan.Bot != nil && plan.Bot.ID == id {
		return plan.Bot, nil
	}
	b, err := a.store.Bot(ctx, id)
	if err != nil {
		return nil, err
	}
	return &b, nil
}

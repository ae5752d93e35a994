package dev

import (
	"context"
	"strings"

	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// Seeded is what a first start finds.
type Seeded struct {
	ChannelID string
	SignIns   []SignIn
}

// SignIn is a seeded agent with a token.
type SignIn struct {
	Name, Role, Token string
}

// LINE's side of the seeded channel.
const (
	SimChannelID = "1650000001"
	simSecret    = "kaiwa-dev-channel-secret-0000001"
	simToken     = "kaiwa-dev-channel-access-token"
)

// Customers are the people on the phone page.
func Customers() []linesim.User {
	return []linesim.User{
		{ID: "U" + strings.Repeat("0", 31) + "1", DisplayName: "佐藤 葵", Language: "ja"},
		{ID: "U" + strings.Repeat("0", 31) + "2", DisplayName: "Emma Jensen", Language: "en"},
		{ID: "U" + strings.Repeat("0", 31) + "3", DisplayName: "สมชาย ใจดี", Language: "th"},
		{ID: "U" + strings.Repeat("0", 31) + "4", DisplayName: "林怡君", Language: "zh-TW"},
	}
}

var people = []store.Agent{
	{Name: "Admin", Email: "admin@kaiwa.example", Role: store.RoleAdmin, Locale: "en"},
	{Name: "Sofie (supervisor)", Email: "sofie@kaiwa.example", Role: store.RoleSupervisor, Locale: "da"},
	{Name: "健太", Email: "kenta@kaiwa.example", Role: store.RoleAgent, Locale: "ja"},
	{Name: "Mali", Email: "mali@kaiwa.example", Role: store.RoleAgent, Locale: "th"},
	{Name: "James", Email: "james@kaiwa.example", Role: store.RoleAgent, Locale: "en"},
}

// tokenOf is a seeded agent's token: the administrator's is a setting.
func tokenOf(a store.Agent, admin string) string {
	if a.Role == store.RoleAdmin {
		return admin
	}
	name, _, _ := strings.Cut(a.Email, "@")
	return "kaiwa-dev-" + name
}

// seed makes sure the data of a first start is there. Every id is derived from
// a name, so that it happens once, also when it was interrupted.
func seed(ctx context.Context, d *Dev) (Seeded, error) {
	by := store.Origin{AgentName: "kaiwa-dev"}
	out := Seeded{ChannelID: seedID(conversation.PrefixChannel, "channel")}
	for _, a := range people {
		a.ID, a.Capacity = seedID(conversation.PrefixAgent, a.Email), store.DefaultCapacity
		if err := once(func() error { _, err := d.Store.Agent(ctx, a.ID); return err }, func() error { _, err := d.Store.CreateAgent(ctx, by, a); return err }); err != nil {
			return out, err
		}
		value := tokenOf(a, d.Settings.AdminToken)
		if _, err := d.Store.Authenticate(ctx, value); conversation.CodeOf(err) == conversation.CodeUnauthenticated {
			t := store.Token{ID: seedID(conversation.PrefixToken, a.Email), AgentID: a.ID, Name: "seeded", Role: a.Role}
			if _, err := d.Store.IssueToken(ctx, by, t, value); err != nil {
				return out, err
			}
		} else if err != nil {
			return out, err
		}
		out.SignIns = append(out.SignIns, SignIn{a.Name, string(a.Role), value})
	}
	queues := []store.Queue{
		{ID: seedID(conversation.PrefixQueue, "support"), Name: "Support", Priority: 10},
		{ID: seedID(conversation.PrefixQueue, "orders"), Name: "Orders", Priority: 20},
	}
	for _, q := range queues {
		if err := once(func() error { _, err := d.Store.Queue(ctx, q.ID); return err }, func() error { _, err := d.Store.CreateQueue(ctx, by, q); return err }); err != nil {
			return out, err
		}
	}
	b := store.Bot{ID: seedID(conversation.PrefixBot, "demo"), Name: "Kaiwa Shop", Kind: store.BotScript, Script: bot.DemoDocument()}
	if err := once(func() error { _, err := d.Store.Bot(ctx, b.ID); return err }, func() error { _, err := d.Store.CreateBot(ctx, by, b); return err }); err != nil {
		return out, err
	}
	w := store.Workstream{ID: seedID(conversation.PrefixWorkstream, "demo"), Name: "Shop", Mode: store.ModePush, FallbackQueueID: queues[0].ID, BotID: b.ID}
	if err := once(func() error { _, err := d.Store.Workstream(ctx, w.ID); return err }, func() error { _, err := d.Store.CreateWorkstream(ctx, by, w); return err }); err != nil {
		return out, err
	}
	if d.Sim == nil {
		return out, nil // the channel is LINE's own: an administrator adds it
	}
	return out, seedChannel(ctx, d, by, out.ChannelID, w.ID)
}

// seedChannel connects a channel of the simulator.
func seedChannel(ctx context.Context, d *Dev, by store.Origin, id, workstreamID string) error {
	sim := linesim.Channel{
		ID: SimChannelID, Secret: simSecret, AccessToken: simToken, DisplayName: "Kaiwa Shop",
		WebhookURL: d.Settings.PublicURL + "/webhooks/line/" + id, WebhookActive: true,
	}
	if err := d.Sim.AddChannel(ctx, sim); err != nil {
		return err
	}
	for _, u := range Customers() {
		if err := d.Sim.AddUser(ctx, u); err != nil {
			return err
		}
	}
	botUser := ""
	for _, c := range d.Sim.Channels() {
		if c.ID == SimChannelID {
			botUser = c.BotUserID
		}
	}
	return once(func() error { _, err := d.Store.Channel(ctx, id); return err }, func() error {
		_, err := d.Store.CreateChannel(ctx, by, store.Channel{
			ID: id, Name: "Kaiwa Shop", LINEChannelID: SimChannelID, BotUserID: botUser, WorkstreamID: workstreamID, Locale: "en",
			Status: store.ChannelActive, ChatMode: "bot", Secrets: []string{simSecret}, Token: simToken,
		})
		return err
	})
}

func seedID(p conversation.Prefix, name string) string {
	return conversation.DerivedID(p, "kaiwa-dev", name)
}

// once creates what get does not find.
func once(get, create func() error) error {
	err := get()
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return create()
	}
	return err
}

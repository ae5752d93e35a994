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

// tokenOf is a seeded agent's token: the administrator's is a setting.
func tokenOf(a store.Agent, admin string) string {
	if a.Role == store.RoleAdmin {
		return admin
	}
	name, _, _ := strings.Cut(a.Email, "@")
	return "kaiwa-dev-" + name
}

// supervisorToken is a second token of the supervisor, by role.
const supervisorToken = "kaiwa-dev-supervisor"

// seed makes sure the data of a first start is there. Every id is derived from
// a name, so that it happens once, also when it was interrupted.
func seed(ctx context.Context, d *Dev) (Seeded, error) {
	by := store.Origin{AgentName: "kaiwa-dev"}
	out := Seeded{ChannelID: seedID(conversation.PrefixChannel, "channel")}
	s := d.Store
	for _, k := range seededSkills {
		if err := once(ctx, by, k.ID, k, s.Skill, s.CreateSkill); err != nil {
			return out, err
		}
	}
	for _, a := range people {
		a.ID, a.Capacity = seedID(conversation.PrefixAgent, a.Email), store.DefaultCapacity
		if err := once(ctx, by, a.ID, a, s.Agent, s.CreateAgent); err != nil {
			return out, err
		}
		values := []string{tokenOf(a, d.Settings.AdminToken)}
		if a.Role == store.RoleSupervisor {
			values = append(values, supervisorToken)
		}
		for i, value := range values {
			name := a.Email
			if i > 0 {
				name = value
			}
			if err := seedToken(ctx, s, by, a, name, value); err != nil {
				return out, err
			}
			out.SignIns = append(out.SignIns, SignIn{a.Name, string(a.Role), value})
		}
	}
	w := shop()
	if err := seedShop(ctx, s, by, w); err != nil {
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
	return once(ctx, by, id, store.Channel{
		ID: id, Name: "Kaiwa Shop", LINEChannelID: SimChannelID, BotUserID: botUser, WorkstreamID: workstreamID, Locale: "en",
		Status: store.ChannelActive, ChatMode: "bot", Secrets: []string{simSecret}, Token: simToken,
	}, d.Store.Channel, d.Store.CreateChannel)
}

func seedID(p conversation.Prefix, name string) string {
	return conversation.DerivedID(p, "kaiwa-dev", name)
}

// seedToken issues a token with a value everybody knows, unless it is known.
func seedToken(ctx context.Context, s *store.Store, by store.Origin, a store.Agent, name, value string) error {
	_, err := s.Authenticate(ctx, value)
	if conversation.CodeOf(err) != conversation.CodeUnauthenticated {
		return err
	}
	_, err = s.IssueToken(ctx, by, store.Token{ID: seedID(conversation.PrefixToken, name), AgentID: a.ID, Name: "seeded", Role: a.Role}, value)
	return err
}

// seedShop makes the workstream with all it refers to, unless it is there: it
// comes last, so what was interrupted goes on, and what people changed since
// stays as they left it.
func seedShop(ctx context.Context, s *store.Store, by store.Origin, w store.Workstream) error {
	if _, err := s.Workstream(ctx, w.ID); conversation.CodeOf(err) != conversation.CodeNotFound {
		return err
	}
	if err := once(ctx, by, shopHours.ID, shopHours, s.Calendar, s.CreateCalendar); err != nil {
		return err
	}
	for _, q := range []store.Queue{support, orders} {
		if err := once(ctx, by, q.ID, q, s.Queue, s.CreateQueue); err != nil {
			return err
		}
		for _, email := range members[q.ID] {
			if err := s.AddMember(ctx, by, q.ID, seedID(conversation.PrefixAgent, email)); err != nil {
				return err
			}
		}
	}
	for _, r := range []store.Ruleset{byLanguage, bySubject, bySubjectToQueue} {
		if err := once(ctx, by, r.ID, r, s.Ruleset, s.CreateRuleset); err != nil {
			return err
		}
	}
	for _, v := range dispositions {
		if err := once(ctx, by, v.ID, v, s.Disposition, s.CreateDisposition); err != nil {
			return err
		}
	}
	if err := once(ctx, by, afterwards.ID, afterwards, s.Survey, s.CreateSurvey); err != nil {
		return err
	}
	b := store.Bot{ID: seedID(conversation.PrefixBot, "demo"), Name: "Kaiwa Shop", Kind: store.BotScript, Script: bot.DemoDocument()}
	if err := once(ctx, by, b.ID, b, s.Bot, s.CreateBot); err != nil {
		return err
	}
	w.BotID = b.ID
	return once(ctx, by, w.ID, w, s.Workstream, s.CreateWorkstream)
}

// once creates what is not there.
func once[T any](ctx context.Context, by store.Origin, id string, t T, get func(context.Context, string) (T, error), create func(context.Context, store.Origin, T) (T, error)) error {
	_, err := get(ctx, id)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		_, err = create(ctx, by, t)
	}
	return err
}

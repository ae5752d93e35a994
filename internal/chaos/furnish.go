package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

type object = map[string]any

// lineChannels are the two accounts as LINE knows them: one with a script bot,
// one with a webhook bot, a privacy notice to agree to, and so few paid messages
// a month that LINE comes to refuse them.
var lineChannels = []linesim.Channel{
	{ID: "1700000001", Secret: "chaos-secret-1", AccessToken: "chaos-token-1", DisplayName: "Shop"},
	{ID: "1700000002", Secret: "chaos-secret-2", AccessToken: "chaos-token-2", DisplayName: "Care", Quota: 4},
}

// capacity is how many conversations an agent can hold: few enough to be full
// at times.
const capacity = 4

// furnisher sets the installation up over the REST API. It keeps the first
// error.
type furnisher struct {
	ctx   context.Context
	admin *desk
	err   error
}

// make creates something, and returns its id; of a token, the token.
func (f *furnisher) make(path string, body any) string {
	var out struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}
	if f.err == nil {
		f.err = f.admin.posts(f.ctx, path, f.admin.key(), body, &out)
	}
	return cmp.Or(out.Token, out.ID)
}

// furnish makes two accounts with all that belongs to them, and the people who
// work there.
func furnish(ctx context.Context, o *office, sim *linesim.Simulator, st *store.Store, botURL string, agents int) (*supervisor, error) {
	by := store.Origin{AgentName: "chaos"}
	boss, err := st.CreateAgent(ctx, by, store.Agent{Name: "Boss", Email: "boss@example.com", Role: store.RoleAdmin, Locale: "en", Capacity: store.DefaultCapacity})
	if err != nil {
		return nil, err
	}
	token := store.NewTokenValue()
	if _, err := st.IssueToken(ctx, by, store.Token{AgentID: boss.ID, Name: "chaos", Role: store.RoleAdmin}, token); err != nil {
		return nil, err
	}
	f := &furnisher{ctx: ctx, admin: &desk{front: o.front, token: token, name: "admin", client: o.client, tally: o.tally}}
	skills := map[string]string{}
	for _, t := range tongues {
		skills[t.locale] = f.make("/skills", object{"name": t.locale})
	}
	o.queues = []string{
		f.make("/queues", object{"name": "Support", "priority": 10, "assignment": "highest_capacity"}),
		f.make("/queues", object{"name": "Returns", "priority": 5, "assignment": "round_robin"}),
		f.make("/queues", object{"name": "Orders", "priority": 10, "assignment": "longest_idle"}),
	}
	for n := range agents {
		o.agents = append(o.agents, f.hires(o, n, skills))
	}
	o.dispositions = []string{f.make("/dispositions", object{"name": "Solved 解決"}), f.make("/dispositions", object{"name": "Not solved 未解決"})}
	if err := f.opens(o, sim, skills, botURL); err != nil {
		return nil, err
	}
	mei := f.make("/agents", object{"name": "Mei", "email": "mei@example.com", "role": "supervisor", "locale": "en", "capacity": 1, "skills": []object{}})
	s := o.supervise(f.make("/agents/"+mei+"/tokens", object{"name": "desk"}))
	return s, f.err
}

// hires hires an agent who speaks two or three languages and works two or three
// queues.
func (f *furnisher) hires(o *office, n int, skills map[string]string) *agent {
	d := newDice(o.seed, roleAgent, n, 1)
	var speaks []object
	for i := range 2 + d.IntN(2) {
		speaks = append(speaks, object{"skill_id": skills[tongues[(n+i)%len(tongues)].locale], "level": 5 + d.IntN(6)})
	}
	id := f.make("/agents", object{"name": fmt.Sprintf("Agent %d", n), "email": fmt.Sprintf("agent%d@example.com", n), "role": "agent", "locale": "en", "capacity": capacity, "skills": speaks})
	token := f.make("/agents/"+id+"/tokens", object{"name": "desk"})
	for i, q := range o.queues {
		if i != n%(2*len(o.queues)) && f.err == nil {
			f.err = f.admin.ask(f.ctx, http.MethodPut, "/queues/"+q+"/members/"+id, "", "", nil, nil)
		}
	}
	return o.hire(n, id, token)
}

// opens opens the two accounts.
func (f *furnisher) opens(o *office, sim *linesim.Simulator, skills map[string]string, botURL string) error {
	question := func(en, ja, th, zh string) object { return object{"en": en, "ja": ja, "th": th, "zh-TW": zh} }
	surveyID := f.make("/surveys", object{"name": "After", "mode": "line", "questions": []object{
		{"id": "csat", "kind": "csat", "text": question("How was it?", "対応はいかがでしたか？", "บริการเป็นอย่างไรบ้าง", "服務如何？")},
		{"id": "words", "kind": "text", "optional": true, "text": question("Why?", "理由をお聞かせください。", "เพราะอะไร", "為什麼？")},
	}})
	botSurvey := f.make("/surveys", object{"name": "After the bot", "mode": "line", "questions": []object{
		{"id": "effort", "kind": "effort", "text": question("How easy was it?", "どのくらい簡単でしたか？", "ง่ายเพียงใด", "有多容易？")},
	}})
	byLanguage := []object{}
	for _, t := range tongues {
		byLanguage = append(byLanguage, object{"id": t.locale[:2], "name": t.locale, "condition": fmt.Sprintf("customer.language == %q", t.locale),
			"outputs": object{"language": t.locale, "skills": []object{{"skill_id": skills[t.locale], "level": 3}}}})
	}
	classify := f.make("/rulesets", object{"name": "Language", "kind": "classification", "rules": byLanguage})
	route := f.make("/rulesets", object{"name": "Where it goes", "kind": "route", "rules": []object{
		{"id": "returns", "name": "Returns", "condition": `message.texts.exists(t, t.matches("return|返品|คืน|退"))`, "queue_id": o.queues[1]},
		{"id": "orders", "name": "Orders", "condition": `message.texts.exists(t, t.matches("order|注文|คำสั่งซื้อ|訂單"))`, "queue_id": o.queues[2]},
	}})
	document, err := script()
	if err != nil {
		return err
	}
	o.bots = []string{
		f.make("/bots", object{"name": "Script", "kind": "script", "script": json.RawMessage(document)}),
		f.make("/bots", object{"name": "Service", "kind": "webhook", "url": botURL}),
	}
	common := object{
		"classification_ruleset_ids": []string{classify}, "route_ruleset_id": route, "survey_id": surveyID, "disposition_ids": o.dispositions,
		"assignment": object{"offer_timeout_seconds": 10, "max_offers": 3},
	}
	with := func(more object) object {
		out := object{}
		for _, m := range []object{common, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	settings := []object{
		with(object{"bot": object{"idle_seconds": 60}, "bot_survey_id": botSurvey, "disposition_required": true, "automated_messages": []object{{"trigger": "agent_joined", "enabled": true}, {"trigger": "closed", "enabled": true}}}),
		with(object{"bot": object{"deadline_seconds": 3}, "privacy": object{"notice": true, "consent": true, "version": "1"}}),
	}
	for i, c := range lineChannels {
		if err := sim.AddChannel(f.ctx, c); err != nil {
			return err
		}
		w := f.make("/workstreams", object{"name": c.DisplayName, "mode": "push", "fallback_queue_id": o.queues[0], "bot_id": o.bots[i], "settings": settings[i]})
		var made struct {
			CallbackURL string `json:"callback_url"`
		}
		if f.err == nil {
			f.err = f.admin.posts(f.ctx, "/channels", f.admin.key(), object{
				"name": c.DisplayName, "line_channel_id": c.ID, "channel_secret": c.Secret, "channel_access_token": c.AccessToken, "workstream_id": w, "locale": "en",
			}, &made)
		}
		if f.err != nil {
			return f.err
		}
		if err := sim.ChangeChannel(f.ctx, c.ID, func(c *linesim.Channel) { c.WebhookURL, c.WebhookActive = made.CallbackURL, true }); err != nil {
			return err
		}
	}
	return nil
}

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
)

// office is an installation as those who work with it see it: an address, an
// administrator, and LINE beside it. All of it is set up over the REST API.
type office struct {
	t       testing.TB
	url     string
	admin   agent
	sim     *linesim.Simulator
	line    string // the channel's id at LINE
	channel string // and in Kaiwa

	support, refunds string // queues
	resolved         string // a disposition
	surveyID         string
	mei, som         agent
}

// guide is a bot in two languages that knows when it is out of its depth.
const guide = `{
	"version": 1, "default_locale": "en", "start": "menu",
	"nodes": {
		"menu": {"menu": {"text": {"en": "Welcome. What is it about?", "ja": "ようこそ。ご用件をお選びください。"},
			"options": [{"label": {"en": "Opening hours", "ja": "営業時間"}, "goto": "hours"}]}},
		"hours": {"say": [{"en": "We open at nine.", "ja": "9時に開きます。"}], "goto": "menu"},
		"person": {"handoff": {"summary": "asked for a person"}}
	},
	"handoff": {"node": "person", "words": ["担当者と話したい", "talk to a person"]}
}`

// post creates something and returns its id.
func (o *office) post(path string, body any) string {
	o.t.Helper()
	var out struct {
		problem
		ID string `json:"id"`
	}
	status := o.admin.call(http.MethodPost, path, nil, body, &out)
	require.Contains(o.t, []int{http.StatusOK, http.StatusCreated}, status, "%s: %+v", path, out.problem)
	return out.ID
}

func (o *office) hire(name string, skills ...map[string]any) agent {
	o.t.Helper()
	if skills == nil {
		skills = []map[string]any{}
	}
	id := o.post("/agents", map[string]any{"name": name, "email": name + "@example.com", "role": "agent", "locale": "ja", "capacity": 2, "skills": skills})
	var token struct {
		problem
		Token string `json:"token"`
	}
	status := o.admin.call(http.MethodPost, "/agents/"+id+"/tokens", nil, map[string]any{"name": "desk"}, &token)
	require.Equal(o.t, http.StatusCreated, status, token.problem)
	for _, queue := range []string{o.support, o.refunds} {
		require.Contains(o.t, []int{http.StatusOK, http.StatusCreated, http.StatusNoContent},
			o.admin.call(http.MethodPut, "/queues/"+queue+"/members/"+id, nil, nil, nil))
	}
	return as(o.t, o.url, token.Token)
}

// furnish makes everything a conversation with people needs.
func (o *office) furnish() {
	o.t.Helper()
	japanese := o.post("/skills", map[string]any{"name": "Japanese"})
	o.support = o.post("/queues", map[string]any{"name": "Support", "priority": 10})
	o.refunds = o.post("/queues", map[string]any{"name": "Refunds", "priority": 5})
	o.mei = o.hire("mei", map[string]any{"skill_id": japanese, "level": 8})
	o.som = o.hire("som")
	o.resolved = o.post("/dispositions", map[string]any{"name": "Resolved"})
	o.surveyID = o.post("/surveys", map[string]any{"name": "After", "mode": "line", "questions": []any{
		map[string]any{"id": "csat", "kind": "csat", "text": map[string]any{"en": "How was it?", "ja": "対応はいかがでしたか？"}},
		map[string]any{"id": "why", "kind": "text", "text": map[string]any{"en": "Why?", "ja": "理由をお聞かせください。"}},
	}})
	classify := o.post("/rulesets", map[string]any{"name": "What it is about", "kind": "classification", "rules": []any{
		map[string]any{"id": "refund", "name": "Refund", "condition": `message.texts.exists(t, t.contains("返金"))`, "outputs": map[string]any{
			"attributes": map[string]any{"topic": "refund"}, "priority": 5, "language": "ja", "skills": []any{map[string]any{"skill_id": japanese, "level": 5}},
		}},
	}})
	route := o.post("/rulesets", map[string]any{"name": "Where it goes", "kind": "route", "rules": []any{
		map[string]any{"id": "refunds", "name": "Refunds", "condition": `conversation.attributes["topic"] == "refund"`, "queue_id": o.refunds},
	}})
	bot := o.post("/bots", map[string]any{"name": "Guide", "kind": "script", "script": json.RawMessage(guide)})
	workstream := o.post("/workstreams", map[string]any{"name": "People", "mode": "push", "fallback_queue_id": o.support, "bot_id": bot, "settings": map[string]any{
		"privacy":                    map[string]any{"notice": true, "consent": true, "version": "2026-11"},
		"classification_ruleset_ids": []string{classify}, "route_ruleset_id": route,
		"disposition_ids": []string{o.resolved}, "disposition_required": true, "survey_id": o.surveyID,
	}})
	var channel struct {
		problem
		Version int64 `json:"version"`
	}
	status := o.admin.call(http.MethodPatch, "/channels/"+o.channel, map[string]string{"If-Match": "*", "Content-Type": "application/merge-patch+json"},
		map[string]any{"workstream_id": workstream, "locale": "ja"}, &channel)
	require.Equal(o.t, http.StatusOK, status, channel.problem)
}

func (o *office) until(ok func() bool, format string, args ...any) {
	o.t.Helper()
	require.Eventuallyf(o.t, ok, patience, 50*time.Millisecond, format, args...)
}

// phone is what a customer's phone shows of the account's messages.
func (o *office) phone(user string) (out []linesim.ChatMessage) {
	chat, err := o.sim.Chat(o.t.Context(), o.line, user)
	require.NoError(o.t, err)
	for _, m := range chat {
		if m.Direction == "account" {
			out = append(out, m)
		}
	}
	return out
}

// shows waits until the last message on the phone says something, and returns it.
func (o *office) shows(user, text string) linesim.ChatMessage {
	o.t.Helper()
	var found linesim.ChatMessage
	o.until(func() bool {
		list := o.phone(user)
		i := slices.IndexFunc(list, func(m linesim.ChatMessage) bool { return strings.Contains(m.Text()+string(m.Body), text) })
		if i >= 0 {
			found = list[i]
		}
		return i >= 0
	}, "the phone shows %q", text)
	return found
}

// tap taps the first button under a message whose label contains a word.
func (o *office) tap(user string, m linesim.ChatMessage, label string) {
	o.t.Helper()
	var body struct {
		QuickReply struct {
			Items []struct {
				Action struct{ Type, Label, Data, DisplayText, Text string } `json:"action"`
			} `json:"items"`
		} `json:"quickReply"`
	}
	require.NoError(o.t, json.Unmarshal(m.Body, &body))
	for _, b := range body.QuickReply.Items {
		if a := b.Action; a.Type == "postback" && strings.Contains(a.Label, label) {
			_, err := o.sim.Postback(o.t.Context(), o.line, user, a.Data, a.DisplayText, nil)
			require.NoError(o.t, err)
			return
		}
	}
	o.t.Fatalf("no button %q under %s", label, m.Body)
}

func (o *office) writes(user, text string) {
	o.t.Helper()
	_, err := o.sim.SendText(o.t.Context(), o.line, user, text)
	require.NoError(o.t, err)
}

// offer waits for an offer to an agent and returns its id and conversation.
func (o *office) offer(a agent) (id, conversationID string) {
	o.t.Helper()
	o.until(func() bool {
		var list struct {
			Items []struct {
				ID             string `json:"id"`
				ConversationID string `json:"conversation_id"`
			} `json:"items"`
		}
		if a.call(http.MethodGet, "/me/offers", nil, nil, &list) != http.StatusOK || len(list.Items) == 0 {
			return false
		}
		id, conversationID = list.Items[0].ID, list.Items[0].ConversationID
		return true
	}, "%s is offered a conversation", a.name)
	return id, conversationID
}

func (o *office) present(a agent, presence string) {
	o.t.Helper()
	require.Equal(o.t, http.StatusOK, a.call(http.MethodPut, "/me/presence", nil, map[string]any{"presence": presence}, nil))
}

// list reads a list of things.
func (o *office) list(a agent, path string) (out []map[string]any) {
	o.t.Helper()
	var page struct {
		Items []map[string]any `json:"items"`
	}
	require.Equal(o.t, http.StatusOK, a.call(http.MethodGet, path, nil, nil, &page))
	return page.Items
}

func aPicture(t testing.TB) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for i := range 64 * 48 {
		img.Set(i%64, i/64, color.RGBA{uint8(i), 120, 200, 255})
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

// upload puts a file into a conversation and returns the attachment's id.
func (o *office) upload(a agent, conversationID, name string, content []byte) string {
	o.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	require.NoError(o.t, err)
	_, err = part.Write(content)
	require.NoError(o.t, err)
	require.NoError(o.t, form.Close())
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, a.url+"/api/v1/conversations/"+conversationID+"/attachments", &body)
	require.NoError(o.t, err)
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", form.FormDataContentType())
	res, err := http.DefaultClient.Do(req)
	require.NoError(o.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(o.t, err)
	require.Equal(o.t, http.StatusCreated, res.StatusCode, string(raw))
	var out struct {
		ID string `json:"id"`
	}
	require.NoError(o.t, json.Unmarshal(raw, &out))
	return out.ID
}

// aConversationWithPeople is the whole of it: notice and consent, the bot, a
// person asked for, classified, routed, offered, served with files, passed on,
// ended, wrapped up, surveyed.
func (o *office) aConversationWithPeople() {
	t := o.t
	t.Helper()
	o.furnish()
	aoi := linesim.NewUserID()
	require.NoError(t, o.sim.AddUser(t.Context(), linesim.User{ID: aoi, DisplayName: "葵", Language: "ja"}))

	// Until the yes nobody sees what she wrote.
	o.writes(aoi, "注文の返金について聞きたいです")
	var question linesim.ChatMessage
	o.until(func() bool {
		list := o.phone(aoi)
		if len(list) == 0 {
			return false
		}
		question = list[len(list)-1]
		return strings.Contains(string(question.Body), "quickReply")
	}, "she is asked for her consent")
	var id string
	o.until(func() bool {
		list := o.list(o.mei, "/conversations?channel_id="+o.channel)
		if len(list) == 1 {
			id = list[0]["id"].(string)
		}
		return id != ""
	}, "the conversation is there")
	for _, m := range o.list(o.mei, "/conversations/"+id+"/messages") {
		require.NotContains(t, fmt.Sprint(m["text"]), "返金", "what she wrote is held")
	}
	o.tap(aoi, question, "同意")
	o.shows(aoi, "ようこそ")
	held := false
	for _, m := range o.list(o.mei, "/conversations/"+id+"/messages") {
		held = held || m["text"] == "注文の返金について聞きたいです"
	}
	require.True(t, held, "what she wrote goes on after the yes")

	// A person is asked for, and found.
	o.writes(aoi, "担当者と話したい")
	o.until(func() bool { return o.mei.conversation(id).QueueID == o.refunds }, "it is routed to the refunds")
	o.present(o.som, "busy")
	o.present(o.mei, "available")
	offer, of := o.offer(o.mei)
	require.Equal(t, id, of)
	status, refused := 0, item{}
	status = o.som.call(http.MethodPost, "/offers/"+offer+"/accept", nil, map[string]any{}, &refused)
	require.Equal(t, http.StatusNotFound, status, refused.problem)
	var accepted item
	require.Equal(t, http.StatusOK, o.mei.call(http.MethodPost, "/offers/"+offer+"/accept", nil, map[string]any{}, &accepted), accepted.problem)
	require.Equal(t, o.mei.id, o.mei.conversation(id).AgentID)

	// Files both ways.
	picture := aPicture(t)
	_, err := o.sim.Send(t.Context(), o.line, aoi, linesim.Message{Type: "image", Content: picture, ContentType: "image/png"})
	require.NoError(t, err)
	var link string
	o.until(func() bool {
		for _, m := range o.list(o.mei, "/conversations/"+id+"/messages") {
			if a, ok := m["attachment"].(map[string]any); ok && a["state"] == "stored" {
				link = a["url"].(string)
			}
		}
		return link != ""
	}, "her picture is kept")
	res, err := http.Get(link)
	require.NoError(t, err)
	got, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, picture, got)
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))

	status, said := o.mei.says(id, "返金の件、承りました。")
	require.Contains(t, []int{http.StatusCreated, http.StatusAccepted}, status, said.problem)
	o.shows(aoi, "返金の件、承りました。")
	attachment := o.upload(o.mei, id, "領収書.png", picture)
	var sent written
	status = o.mei.call(http.MethodPost, "/conversations/"+id+"/messages", nil, map[string]any{"type": "attachment", "attachment_id": attachment}, &sent)
	require.Contains(t, []int{http.StatusCreated, http.StatusAccepted}, status, sent.problem)
	o.until(func() bool {
		list := o.phone(aoi)
		return list[len(list)-1].Type == "image"
	}, "the agent's picture is on the phone")

	// Passed on, ended, wrapped up.
	o.mei.does("transfer", id, map[string]any{"agent_id": o.som.id})
	o.writes(aoi, "ありがとうございます")
	status, said = o.som.says(id, "どういたしまして。")
	require.Contains(t, []int{http.StatusCreated, http.StatusAccepted}, status, said.problem)
	o.shows(aoi, "どういたしまして。")
	require.Equal(t, conversation.StatusWrapUp, o.som.does("end", id, nil).Status)
	status, refused = o.som.tries("wrap-up", id, nil)
	require.Equal(t, http.StatusBadRequest, status, "a disposition is required")
	require.Equal(t, []fieldError{{"/disposition_id", refused.Detail}}, refused.Errors)
	closed := o.som.does("wrap-up", id, map[string]any{"disposition_id": o.resolved, "note": "返金済み"})
	require.Equal(t, conversation.ReasonAgentEnded, closed.ClosureReason)

	// Surveyed: a button, and words.
	o.tap(aoi, o.shows(aoi, "対応はいかがでしたか？"), "5")
	o.shows(aoi, "理由をお聞かせください。")
	o.writes(aoi, "早かったです")
	var result map[string]any
	o.until(func() bool {
		return o.admin.call(http.MethodGet, "/conversations/"+id+"/survey", nil, nil, &result) == http.StatusOK && result["state"] == "answered"
	}, "the survey is answered: %v", result)
	require.Contains(t, fmt.Sprint(result), "早かったです")
	require.Len(t, o.list(o.mei, "/conversations?channel_id="+o.channel), 1, "the answers opened no conversation")

	// It explains itself.
	var stages []string
	for _, e := range o.list(o.mei, "/conversations/"+id+"/routing-log") {
		stages = append(stages, fmt.Sprint(e["stage"]))
	}
	require.Subset(t, stages, []string{"classification", "route", "assignment"})
	var steps []string
	for _, e := range o.list(o.mei, "/conversations/"+id+"/timeline") {
		steps = append(steps, fmt.Sprint(e["event"]))
	}
	require.Equal(t, []string{
		"started_asking", "consented_bot", "bot_escalated", "routed", "accepted", "transferred_to_agent", "ended", "wrap_up_done",
	}, steps)
	var kinds []string
	o.until(func() bool {
		kinds = nil
		for _, e := range o.list(o.admin, "/events?after=0&limit=200&conversation_id="+id) {
			kinds = append(kinds, e["type"].(string))
		}
		return slices.Contains(kinds, "survey.completed")
	}, "the record of events has all of it: %v", kinds)
	for _, kind := range []string{"conversation.created", "message.received", "offer.created", "offer.accepted", "conversation.closed", "survey.invited", "survey.answered"} {
		require.Contains(t, kinds, kind)
	}
	o.until(func() bool {
		return !slices.ContainsFunc(o.list(o.mei, "/conversations/"+id+"/messages?limit=200"), func(m map[string]any) bool { return m["state"] == "pending" })
	}, "everything is sent")
	for _, m := range o.list(o.mei, "/conversations/"+id+"/messages?limit=200") {
		require.NotContains(t, []any{"failed", "uncertain"}, m["state"], m)
	}
}

func TestAConversationWithPeopleFromConsentToSurvey(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		o := &office{t: t, url: k.APIURL, admin: k.as("kaiwa-dev-admin"), sim: k.Sim, line: dev.SimChannelID, channel: k.Seeded.ChannelID}
		o.aConversationWithPeople()
	})
}

// The same, through two APIs and two workers.
func TestAConversationWithPeopleInProduction(t *testing.T) {
	t.Parallel()
	p := startProduction(t)
	code, _, stderr := p.run("migrate")
	require.Equal(t, 0, code, stderr)
	code, token, stderr := p.run("admin", "create", "--name", "Mai", "--email", "mai@example.com")
	require.Equal(t, 0, code, stderr)
	apis := []*member{p.launch("api"), p.launch("api")}
	p.launch("worker")
	p.launch("worker")
	p.balancer.change(apis[0].url, apis[1].url)
	o := &office{t: t, url: p.front, admin: as(t, p.front, strings.TrimSpace(token)), sim: p.sim, line: productionLINE, channel: p.channel.ID}
	o.aConversationWithPeople()
	for _, api := range apis {
		require.Positive(t, p.balancer.share(api.url))
	}
}

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// crashServed is what people make of a conversation after crashPlay, as the
// phone shows it.
var crashServed = []string{"How can I help?", "You are welcome", "Please rate us", crashQuestion, "Thank you"}

const crashQuestion = "How was it?\n5 = very satisfied, 1 = very dissatisfied\nTap a button or type the number."

// staff hires two agents for a queue and gives its workstream a survey. It
// returns their tokens.
func (m *mortal) staff(s *store.Store, queueID string) (tokens [2]string, surveyID string) {
	m.t.Helper()
	ctx, by := m.t.Context(), store.Origin{}
	for i, name := range []string{"mei", "som"} {
		a, err := s.CreateAgent(ctx, by, store.Agent{Name: name, Email: name + "@example.com", Role: store.RoleAgent, Locale: "en", Capacity: 100})
		require.NoError(m.t, err)
		tokens[i] = "crash-token-of-" + name
		_, err = s.IssueToken(ctx, by, store.Token{AgentID: a.ID, Name: "desk", Role: store.RoleAgent}, tokens[i])
		require.NoError(m.t, err)
		require.NoError(m.t, s.AddMember(ctx, by, queueID, a.ID))
		m.agents = append(m.agents, a.ID)
	}
	asked, err := s.CreateSurvey(ctx, by, store.Survey{Name: "After", Settings: survey.Settings{
		Mode: survey.ModeLINE, Questions: []survey.Question{{ID: "csat", Kind: survey.KindCSAT, Text: map[string]string{"en": "How was it?"}}},
	}})
	require.NoError(m.t, err)
	return tokens, asked.ID
}

// asks calls the API as an agent, again and again until it is answered: by
// somebody who gives up, and by nobody else, may a request be lost.
func (m *mortal) asks(token, method, path, key string, body, into any) error {
	status := 0
	answered := func() bool {
		m.mu.Lock()
		a := agent{t: m.t, url: m.api, token: token}
		m.mu.Unlock()
		status = a.call(method, path, map[string]string{"Idempotency-Key": key}, body, into)
		return status != 0 && status < http.StatusInternalServerError && status != http.StatusTooManyRequests && !inFlight(status, into)
	}
	if err := m.until(answered); err != nil {
		return fmt.Errorf("%s %s is not answered: %d", method, path, status)
	}
	if status >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %d %+v", method, path, status, into)
	}
	return nil
}

// inFlight tells whether the first attempt of a request still holds its key.
func inFlight(status int, into any) bool {
	r, ok := into.(interface{ refusal() *problem })
	return ok && status == http.StatusConflict && r.refusal().Code == string(conversation.CodeInFlight)
}

// serve has two agents serve the customer's conversation: offered, accepted,
// answered, passed on, answered, ended, wrapped up; then the customer answers
// the survey. It returns what the phone shows of it.
func (m *mortal) serve(user string) error {
	list := m.conversations(user)
	id := list[len(list)-1].ID
	mei, som := m.tokens[0], m.tokens[1]
	post := func(token, path string, body any) error {
		return m.asks(token, http.MethodPost, path, "key", body, &item{})
	}
	say := func(token, text string) error {
		return m.asks(token, http.MethodPost, "/conversations/"+id+"/messages", text, map[string]any{"type": "text", "text": text}, &written{})
	}
	if err := m.asks(mei, http.MethodPut, "/me/presence", "", map[string]any{"presence": "available"}, nil); err != nil {
		return err
	}
	offer := ""
	if err := m.until(func() bool {
		var offers struct {
			Items []struct {
				ID             string `json:"id"`
				ConversationID string `json:"conversation_id"`
			} `json:"items"`
		}
		if m.asks(mei, http.MethodGet, "/me/offers", "", nil, &offers) != nil {
			return false
		}
		for _, o := range offers.Items {
			if o.ConversationID == id {
				offer = o.ID
			}
		}
		return offer != ""
	}); err != nil {
		return fmt.Errorf("conversation %s is not offered: %s", id, m.told(user))
	}
	before := len(m.shows(user))
	for _, step := range []func() error{
		func() error { return post(mei, "/offers/"+offer+"/accept", map[string]any{}) },
		func() error { return say(mei, "How can I help?") },
		func() error { return m.reached(user, before+1) },
		func() error {
			return post(mei, "/conversations/"+id+"/transfer", map[string]any{"agent_id": m.agents[1]})
		},
		func() error {
			if _, err := m.sim.SendText(context.Background(), mortalLINE, user, "thanks"); err != nil {
				return err
			}
			// LINE delivers it again when nobody was there; ended meanwhile, it
			// would begin the next conversation.
			return m.until(func() bool {
				return slices.ContainsFunc(m.transcript(user), func(said store.Message) bool { return said.Text == "thanks" })
			})
		},
		func() error { return say(som, "You are welcome") },
		func() error { return post(som, "/conversations/"+id+"/end", map[string]any{}) },
		func() error { return m.reached(user, before+2) },
		func() error { return post(som, "/conversations/"+id+"/wrap-up", map[string]any{}) },
		func() error { return m.reached(user, before+4) },
		func() error { return m.rate(user) },
		func() error { return m.reached(user, before+5) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// reached waits until the phone shows so many messages.
func (m *mortal) reached(user string, n int) error {
	if err := m.until(func() bool { return len(m.shows(user)) >= n }); err != nil {
		return fmt.Errorf("the phone shows %q, not %d messages\n%s", m.shows(user), n, m.told(user))
	}
	return nil
}

// rate taps the best of the buttons.
func (m *mortal) rate(user string) error {
	chat, err := m.sim.Chat(context.Background(), mortalLINE, user)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(chat, func(c linesim.ChatMessage) bool { return c.Text() == crashQuestion })
	if i < 0 {
		return fmt.Errorf("no question among %q", m.shows(user))
	}
	var body struct {
		QuickReply struct {
			Items []struct {
				Action struct{ Data, DisplayText string } `json:"action"`
			} `json:"items"`
		} `json:"quickReply"`
	}
	if err := json.Unmarshal(chat[i].Body, &body); err != nil || len(body.QuickReply.Items) == 0 {
		return fmt.Errorf("no buttons under %s", chat[i].Body)
	}
	tap := body.QuickReply.Items[0].Action
	_, err = m.sim.Postback(context.Background(), mortalLINE, user, tap.Data, tap.DisplayText, nil)
	return err
}

// books tells what does not add up in what people did with a customer's
// conversation: offers, sessions, the survey.
func (m *mortal) books(user string) error {
	ctx := context.Background()
	list := m.conversations(user)
	id := list[len(list)-1].ID
	made, ended := map[string]bool{}, map[string][]string{}
	events, err := m.store.Events(ctx, 0, 1000, id)
	if err != nil {
		return err
	}
	for _, e := range events {
		switch e.Type {
		case "offer.created":
			made[e.SubjectID] = true
		case "offer.accepted", "offer.declined", "offer.timed_out", "offer.rescinded":
			ended[e.SubjectID] = append(ended[e.SubjectID], e.Type)
		}
	}
	accepted := 0
	for offer := range made {
		if len(ended[offer]) != 1 {
			return fmt.Errorf("offer %s ended %q", offer, ended[offer])
		}
		if ended[offer][0] == "offer.accepted" {
			accepted++
		}
	}
	if accepted != 1 {
		return fmt.Errorf("%d offers were accepted", accepted)
	}
	steps, err := m.store.Timeline(ctx, id)
	if err != nil {
		return err
	}
	var went []conversation.Event
	for _, s := range steps {
		went = append(went, s.Event)
	}
	want := []conversation.Event{
		conversation.EventStartedWithBot, conversation.EventBotEscalated, conversation.EventRouted, conversation.EventAccepted,
		conversation.EventTransferredAgent, conversation.EventEnded, conversation.EventWrapUpDone,
	}
	if len(went) > 1 && went[1] == conversation.EventCustomerAsked {
		want[1] = conversation.EventCustomerAsked
	}
	if !slices.Equal(went, want) {
		return fmt.Errorf("the timeline is %q, not %q", went, want)
	}
	var result struct {
		State   string           `json:"state"`
		Answers []map[string]any `json:"answers"`
	}
	for deadline := time.Now().Add(patience); result.State != string(survey.Answered); {
		if time.Now().After(deadline) {
			return fmt.Errorf("the survey is %q", result.State)
		}
		if err := m.asks(m.tokens[0], http.MethodGet, "/conversations/"+id+"/survey", "", nil, &result); err != nil {
			return err
		}
	}
	return nil
}

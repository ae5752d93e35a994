package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

// agent is somebody who works over the REST API.
type agent struct {
	t          testing.TB
	url, token string
	id, name   string
}

// as signs somebody in at an API.
func as(t testing.TB, url, token string) agent {
	t.Helper()
	a := agent{t: t, url: url, token: token}
	var me struct {
		Agent struct{ ID, Name string } `json:"agent"`
		ID    string                    `json:"id"`
		Name  string                    `json:"name"`
	}
	status := a.call(http.MethodGet, "/me", nil, nil, &me)
	require.Equal(t, http.StatusOK, status)
	a.id, a.name = me.Agent.ID, me.Agent.Name
	if a.id == "" {
		a.id, a.name = me.ID, me.Name
	}
	require.NotEmpty(t, a.id)
	return a
}

// as signs a seeded agent in.
func (k *kaiwa) as(token string) agent { return as(k.t, k.APIURL, token) }

// call asks the API, and returns the status, 0 when nobody answered. It may be
// used from several goroutines.
func (a agent) call(method, path string, header map[string]string, body, into any) int {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, a.url+"/api/v1"+path, reader)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0
	}
	if r, ok := into.(interface{ refusal() *problem }); ok && res.StatusCode >= http.StatusBadRequest {
		into = r.refusal()
	}
	if into != nil && len(raw) > 0 && json.Unmarshal(raw, into) != nil {
		return 0
	}
	return res.StatusCode
}

// problem is what the API answers when it refuses.
type problem struct {
	Code   string       `json:"code"`
	Detail string       `json:"detail"`
	Errors []fieldError `json:"errors"`
}

type fieldError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (p *problem) refusal() *problem { return p }

// item is a conversation as the API shows it.
type item struct {
	problem
	ID            string                     `json:"id"`
	Status        conversation.Status        `json:"status"`
	Owner         conversation.Owner         `json:"owner"`
	QueueID       string                     `json:"queue_id"`
	AgentID       string                     `json:"agent_id"`
	ClosureReason conversation.ClosureReason `json:"closure_reason"`
}

// does an action on a conversation, which must be possible.
func (a agent) does(action, conversationID string, body any) item {
	a.t.Helper()
	status, out := a.tries(action, conversationID, body)
	require.Equal(a.t, http.StatusOK, status, "%s: %s %s", action, out.Code, out.Detail)
	return out
}

func (a agent) tries(action, conversationID string, body any) (status int, out item) {
	if body == nil {
		body = map[string]any{}
	}
	status = a.call(http.MethodPost, "/conversations/"+conversationID+"/"+action, nil, body, &out)
	return status, out
}

// line is a message as the API shows it.
type written struct {
	problem
	ID        string                    `json:"id"`
	Direction conversation.Direction    `json:"direction"`
	Type      string                    `json:"type"`
	Text      string                    `json:"text"`
	State     conversation.MessageState `json:"state"`
	Via       string                    `json:"via"`
}

// says writes to the customer.
func (a agent) says(conversationID, text string) (status int, out written) {
	status = a.call(http.MethodPost, "/conversations/"+conversationID+"/messages", nil, map[string]any{"type": "text", "text": text}, &out)
	return status, out
}

func (a agent) conversation(id string) item {
	a.t.Helper()
	var out item
	require.Equal(a.t, http.StatusOK, a.call(http.MethodGet, "/conversations/"+id, nil, nil, &out))
	return out
}

package chaos

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"kaiwa/internal/consent"
	"kaiwa/internal/linesim"
	"kaiwa/internal/survey"
)

// phone is what a customer sees of an account.
type phone struct {
	mu    sync.Mutex
	shown []linesim.ChatMessage // the account's, oldest first
	more  chan struct{}         // closed with the next one
}

func newPhone() *phone { return &phone{more: make(chan struct{})} }

// shows shows what LINE has accepted for it.
func (p *phone) shows(c linesim.Call) {
	var sent struct {
		Messages []json.RawMessage `json:"messages"`
	}
	if json.Unmarshal(c.Body, &sent) != nil {
		return // LINE does not accept what is no JSON
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range sent.Messages {
		p.shown = append(p.shown, linesim.ChatMessage{ChannelID: c.ChannelID, ChatID: c.To, Body: m})
	}
	close(p.more)
	p.more = make(chan struct{})
}

// count is how many messages there are.
func (p *phone) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.shown)
}

// last is the newest message, if there is one.
func (p *phone) last() (linesim.ChatMessage, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.shown) == 0 {
		return linesim.ChatMessage{}, false
	}
	return p.shown[len(p.shown)-1], true
}

// await waits for a message after the first n that is wanted, no longer than
// patience.
func (p *phone) await(ctx context.Context, n int, patience time.Duration, wanted func(linesim.ChatMessage) bool) (linesim.ChatMessage, bool) {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		p.mu.Lock()
		news, more := p.shown[min(n, len(p.shown)):], p.more
		p.mu.Unlock()
		for _, m := range news {
			if wanted(m) {
				return m, true
			}
		}
		n += len(news)
		select {
		case <-more:
		case <-over.C:
			return linesim.ChatMessage{}, false
		case <-ctx.Done():
			return linesim.ChatMessage{}, false
		}
	}
}

// button is one below a message.
type button struct{ Type, Label, Text, Data, DisplayText string }

// buttons are those below a message that a customer can tap.
func buttons(m linesim.ChatMessage) (out []button) {
	var body struct {
		QuickReply struct {
			Items []struct {
				Action button `json:"action"`
			} `json:"items"`
		} `json:"quickReply"`
	}
	if json.Unmarshal(m.Body, &body) != nil {
		return nil // a kind without buttons
	}
	for _, i := range body.QuickReply.Items {
		if i.Action.Type == "postback" || i.Action.Type == "message" {
			out = append(out, i.Action)
		}
	}
	return out
}

// asksConsent tells whether a message is the question whether the customer
// agrees to the privacy notice.
func asksConsent(m linesim.ChatMessage) bool {
	for _, b := range buttons(m) {
		if _, ok := consent.ReadTap(b.Data); ok {
			return true
		}
	}
	return false
}

// asksSurvey tells whether a message is a survey's question.
func asksSurvey(m linesim.ChatMessage) bool {
	for _, b := range buttons(m) {
		if _, _, _, ok := survey.ParseData(b.Data); ok {
			return true
		}
	}
	return false
}

// Package examples holds the examples of docs/bots.md, so that they are
// compiled and tested.
package examples

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// WebhookBot answers Kaiwa's turns. secret is the one that was shown once when
// the bot was created.
func WebhookBot(secret string) (http.Handler, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || verifier.Verify(body, r.Header) != nil {
			http.Error(w, "not signed by Kaiwa", http.StatusUnauthorized)
			return
		}
		var turn struct {
			Messages []struct {
				Type, Text string
			}
			Context map[string]string
		}
		if err := json.Unmarshal(body, &turn); err != nil {
			http.Error(w, "not a turn", http.StatusBadRequest)
			return
		}
		said := ""
		for _, m := range turn.Messages {
			said += m.Text + " "
		}
		answer := map[string]any{"messages": []any{map[string]any{
			"type": "quick_replies", "text": "We have it in red and in blue.",
			"quick_replies": []any{map[string]string{"label": "Red", "text": "red"}, map[string]string{"label": "Blue", "text": "blue"}},
		}}}
		switch {
		case strings.Contains(said, "red"), strings.Contains(said, "blue"):
			answer = map[string]any{
				"messages": []any{map[string]string{"type": "text", "text": "A colleague will take your order."}},
				"context":  map[string]string{"colour": strings.TrimSpace(said)},
				"action":   "handoff",
				"handoff":  map[string]string{"summary": "Wants to order: " + strings.TrimSpace(said)},
			}
		case strings.Contains(said, "bye"):
			answer = map[string]any{"messages": []any{map[string]string{"type": "text", "text": "Goodbye!"}}, "action": "end"}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // Kaiwa has gone when this fails
	}), nil
}

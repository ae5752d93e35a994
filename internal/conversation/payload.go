package conversation

import (
	"encoding/json"
	"strings"
)

// tokens are the members of a message's payload by which LINE lets whoever has
// them act on it: nobody outside is given one.
var tokens = []string{"markAsReadToken", "quoteToken", "quote_token"}

// WithoutTokens is the payload of a message, a JSON object or "", as others may
// see it. It is nil when nothing is in it.
func WithoutTokens(payload string) json.RawMessage {
	if payload == "" {
		return nil
	}
	out := json.RawMessage(payload)
	if !strings.Contains(payload, "oken\"") {
		return out
	}
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(out, &fields) != nil {
		return out // it is no object
	}
	all := len(fields)
	for _, name := range tokens {
		delete(fields, name)
	}
	switch {
	case len(fields) == all:
		return out
	case len(fields) == 0:
		return nil
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return nil // what was parsed can be written
	}
	return b
}

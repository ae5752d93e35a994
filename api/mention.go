package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"kaiwa/internal/line"
)

// mentions gives those whom a text mentions their ids at LINE: agents know people
// in a group by sender.id. Ids of LINE's and what is wrong are left to the check
// that follows, but a mention where nobody else is.
func (s *Server) mentions(ctx context.Context, conversationID string, raw json.RawMessage) (json.RawMessage, error) {
	substitution := lineFields(raw)
	named := map[string]string{} // whom a placeholder mentions, "" for all
	var ids []string
	for _, placeholder := range slices.Sorted(maps.Keys(substitution)) {
		o := lineFields(substitution[placeholder])
		if lineValue[string](o, "type") != "mention" {
			continue
		}
		id := lineValue[string](lineFields(o["mentionee"]), "userId")
		named[placeholder], ids = id, append(ids, id)
	}
	if len(named) == 0 {
		return raw, nil
	}
	many, users, err := s.store.Mentionable(ctx, conversationID, ids)
	if err != nil {
		return nil, err
	}
	var wrong invalid
	for _, placeholder := range slices.Sorted(maps.Keys(named)) {
		at, id := "/substitution/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(placeholder), named[placeholder]
		switch user := users[id]; {
		case !many:
			wrong.add(at+"/type", "must not be mention: the customer is alone in this chat")
		case user != "":
			o := lineFields(substitution[placeholder])
			who := lineFields(o["mentionee"])
			for _, set := range []struct {
				of    map[string]json.RawMessage
				name  string
				value any
			}{{who, "userId", user}, {o, "mentionee", who}, {substitution, placeholder, o}} {
				if set.of[set.name], err = json.Marshal(set.value); err != nil {
					return nil, err
				}
			}
		case id != "" && !line.ValidUserID(id):
			wrong.add(at+"/mentionee/userId", "is nobody in this chat: give sender.id of one of its messages, or LINE's id of a user")
		}
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return json.Marshal(substitution)
}

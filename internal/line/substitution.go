package line

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxEmojis and maxMentions are how many a message may show.
	//
	// Source: https://developers.line.biz/en/reference/messaging-api/#text-message-v2
	maxEmojis   = 20
	maxMentions = 20
	maxEmojiID  = 60 // LINE names no limit; its own have some thirty characters
	// substituteUnits is how much of a text's length is allowed for what stands
	// in the place of a placeholder, in UTF-16 units. LINE counts an emoji by its
	// alternative text, which it does not disclose, and a mention by a name.
	//
	// Source: https://developers.line.biz/en/docs/messaging-api/text-character-count/
	substituteUnits = 32
)

var placeholder = regexp.MustCompile(`^\{[0-9A-Za-z_]{1,20}\}`)

// atom is a part of a text that is not to be cut: the bytes from begin to end,
// which LINE may count as extra units more than they have.
type atom struct {
	begin, end, extra int
	key               string // of a placeholder; "" for a brace that stands for itself
}

// atomsOf finds the placeholders of a text of version 2, and the doubled braces
// that stand for themselves. ok is false for a brace that is neither.
func atomsOf(text string) (atoms []atom, ok bool) {
	for i := 0; i < len(text); {
		rest := text[i:]
		a := atom{begin: i}
		switch {
		case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"):
			a.end = i + 2
		case rest[0] == '{':
			found := placeholder.FindString(rest)
			if found == "" {
				return nil, false
			}
			a.end, a.key = i+len(found), found[1:len(found)-1]
			a.extra = max(0, substituteUnits-len(found))
		case rest[0] == '}':
			return nil, false
		default:
			i++
			continue
		}
		atoms = append(atoms, a)
		i = a.end
	}
	return atoms, true
}

// substitution checks the text of a message of version 2 and what stands in the
// place of its placeholders: LINE emoji and mentions.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#text-message-v2
func (c *check) substitution(at, text string, raw json.RawMessage) {
	atoms, ok := atomsOf(text)
	if !ok {
		c.add(at+"/text", "must have each brace doubled that does not enclose a placeholder (letters, digits and _, at most 20)")
	}
	given := map[string]any{}
	if len(raw) > 0 {
		if given, ok = c.document(at+"/substitution", raw); !ok {
			return
		}
	}
	kinds := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(given)) { // so that complaints come in the same order every time
		kinds[name] = c.substitute(at+"/substitution/"+pointerToken(name), given[name])
	}
	shown := map[string]int{}
	missing := map[string]bool{}
	for _, a := range atoms {
		if a.key == "" {
			continue
		}
		kind, there := kinds[a.key]
		if !there && !missing[a.key] {
			missing[a.key] = true
			c.add(at+"/substitution/"+a.key, "is missing: the text has {%s}", a.key)
		}
		shown[kind]++
	}
	if n := shown["emoji"]; n > maxEmojis {
		c.add(at+"/text", "must show at most %d emoji, not %d", maxEmojis, n)
	}
	if n := shown["mention"]; n > maxMentions {
		c.add(at+"/text", "must have at most %d mentions, not %d", maxMentions, n)
	}
}

// substitute checks what stands in the place of one placeholder, and returns
// its type.
func (c *check) substitute(at string, v any) string {
	o, ok := v.(map[string]any)
	if !ok {
		c.add(at, "must be an object")
		return ""
	}
	kind, _ := o["type"].(string)
	switch kind {
	case "emoji":
		c.required(at, o, "productId", maxEmojiID)
		c.required(at, o, "emojiId", maxEmojiID)
	case "mention":
		who, ok := o["mentionee"].(map[string]any)
		if !ok {
			c.add(at+"/mentionee", "must be an object")
			break
		}
		switch who["type"] {
		case "all":
		case "user":
			if id, _ := who["userId"].(string); !ValidUserID(id) {
				c.add(at+"/mentionee/userId", "must be the id of a LINE user")
			}
		default:
			c.add(at+"/mentionee/type", "must be user or all")
		}
	default:
		c.add(at+"/type", "must be emoji or mention")
	}
	return kind
}

// substitutionOf is what of a substitution the placeholders of a text name; nil
// for none.
func substitutionOf(raw json.RawMessage, atoms []atom) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("substitution: %w", err)
	}
	named := map[string]json.RawMessage{}
	for _, a := range atoms {
		if o, there := all[a.key]; there {
			named[a.key] = o
		}
	}
	if len(named) == 0 {
		return nil, nil
	}
	return marshal(named)
}

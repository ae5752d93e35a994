package api

import (
	"encoding/json"
	"time"
)

// Time is a time as the API shows it: RFC 3339, UTC, milliseconds. The zero
// Time is null.
type Time time.Time

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(t).UTC().Format(timeLayout))
}

// UnmarshalJSON reads what MarshalJSON writes, and any other RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error { return (*time.Time)(t).UnmarshalJSON(b) }

// fromMicros is a time out of the transcript; 0 is none.
func fromMicros(us int64) Time {
	if us == 0 {
		return Time{}
	}
	return Time(time.UnixMicro(us))
}

// Nullable is text that is null when there is none.
type Nullable string

// MarshalJSON writes the text, or null.
func (n Nullable) MarshalJSON() ([]byte, error) {
	if n == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(n))
}

// mergePatch applies a JSON merge patch (RFC 7396) to the JSON form of current
// and decodes the result into out.
func mergePatch(current any, patch json.RawMessage, out any) error {
	doc, err := json.Marshal(current)
	if err != nil {
		return err
	}
	var target, change any
	if err := decodeNumbers(doc, &target); err != nil {
		return err
	}
	if err := decodeNumbers(patch, &change); err != nil {
		return err
	}
	if doc, err = json.Marshal(merge(target, change)); err != nil {
		return err
	}
	return json.Unmarshal(doc, out)
}

func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}

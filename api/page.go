package api

import (
	"encoding/base64"
	"encoding/json"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

const defaultLimit = 50

// pageSize is how many items were asked for; validation bounds it.
func pageSize(limit int) int {
	if limit == 0 {
		return defaultLimit
	}
	return limit
}

// cursorOf makes the opaque cursor of a place in a list. kind keeps a cursor
// from being used on another list.
func cursorOf(kind string, place any) (Nullable, error) {
	doc, err := json.Marshal([]any{kind, place})
	return Nullable(base64.RawURLEncoding.EncodeToString(doc)), err
}

// readCursor is the inverse of cursorOf; "" leaves place alone.
func readCursor(kind, cursor string, place any) error {
	if cursor == "" {
		return nil
	}
	wrong := conversation.Invalid("/cursor", "This is not a cursor of this list. Begin again without one.")
	doc, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return wrong
	}
	var parts []json.RawMessage
	var of string
	if json.Unmarshal(doc, &parts) != nil || len(parts) != 2 || json.Unmarshal(parts[0], &of) != nil || of != kind || json.Unmarshal(parts[1], place) != nil {
		return wrong
	}
	return nil
}

// page cuts the item too many that a list was asked for, and says where the
// next page begins: after the last item that is kept.
func page[T any](kind string, items []T, limit int, place func(T) any) ([]T, Nullable, error) {
	if len(items) <= limit {
		return items, "", nil
	}
	items = items[:limit]
	next, err := cursorOf(kind, place(items[limit-1]))
	return items, next, err
}

// listed reads one page of a configuration list and shows its items.
func listed[T, V any](kind, cursor string, limit int, read func(after store.Cursor, limit int) ([]T, error), place func(T) store.Cursor, show func(T) V) ([]V, Nullable, error) {
	var after store.Cursor
	if err := readCursor(kind, cursor, &after); err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	items, err := read(after, limit+1)
	if err != nil {
		return nil, "", err
	}
	items, next, err := page(kind, items, limit, func(t T) any { return place(t) })
	if err != nil {
		return nil, "", err
	}
	return shown(items, show), next, nil
}

// shown maps items to what the API shows of them; never null.
func shown[T, V any](items []T, show func(T) V) []V {
	out := make([]V, len(items))
	for i, item := range items {
		out[i] = show(item)
	}
	return out
}

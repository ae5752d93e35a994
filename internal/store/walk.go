package store

import (
	"context"
	"fmt"
	"reflect"
	"strings"
)

// walkPage is how many rows Walk reads at once.
const walkPage = 2000

// Walk reads the rows of a table, a page after the other in the order of key, a
// column whose values are there once. The columns are those T's fields name with
// their db tag. It is for who looks at a database as a whole, from outside the
// traffic; what is written meanwhile may be in it or not.
func Walk[T any](ctx context.Context, s *Store, table, key string) ([]T, error) {
	var columns []string
	at := -1
	row := reflect.TypeFor[T]()
	for i := range row.NumField() {
		name := row.Field(i).Tag.Get("db")
		if name == key {
			at = i
		}
		columns = append(columns, name)
	}
	if at < 0 {
		return nil, fmt.Errorf("%s has no column %s", row, key)
	}
	q := `SELECT ` + strings.Join(columns, ", ") + ` FROM ` + table
	where, args := "", []any{walkPage}
	var all []T
	for {
		var page []T
		if err := s.read().list(ctx, &page, q+where+` ORDER BY `+key+` LIMIT $1`, args...); err != nil {
			return nil, fmt.Errorf("read %s: %w", table, err)
		}
		all = append(all, page...)
		if len(page) < walkPage {
			return all, nil
		}
		where, args = ` WHERE `+key+` > $2`, []any{walkPage, reflect.ValueOf(page[len(page)-1]).Field(at).Interface()}
	}
}

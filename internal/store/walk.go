package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// walkPage is how many rows Walk reads at once.
const walkPage = 2000

// Walk reads the rows of a table, a page after the other in the order of key:
// columns whose values are there once, together. The columns are those T's fields
// name with their db tag. It is for who looks at a database as a whole, from outside the
// traffic; what is written meanwhile may be in it or not.
func Walk[T any](ctx context.Context, s *Store, table string, key ...string) ([]T, error) {
	var columns []string
	row := reflect.TypeFor[T]()
	for i := range row.NumField() {
		columns = append(columns, row.Field(i).Tag.Get("db"))
	}
	at, after := make([]int, len(key)), make([]string, len(key)) // which fields, and their placeholders
	for i, name := range key {
		if at[i] = slices.Index(columns, name); at[i] < 0 {
			return nil, fmt.Errorf("%s has no column %s", row, name)
		}
		after[i] = fmt.Sprintf("$%d", 2+i)
	}
	order := strings.Join(key, ", ")
	q := `SELECT ` + strings.Join(columns, ", ") + ` FROM ` + table
	where, args := "", []any{walkPage}
	var all []T
	for {
		var page []T
		if err := s.read().list(ctx, &page, q+where+` ORDER BY `+order+` LIMIT $1`, args...); err != nil {
			return nil, fmt.Errorf("read %s: %w", table, err)
		}
		all = append(all, page...)
		if len(page) < walkPage {
			return all, nil
		}
		where, args = ` WHERE (`+order+`) > (`+strings.Join(after, ", ")+`)`, args[:1]
		for _, i := range at {
			args = append(args, reflect.ValueOf(page[len(page)-1]).Field(i).Interface())
		}
	}
}

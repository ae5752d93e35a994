package store

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/conversation"
)

// AnyVersion stands for whatever version a resource has, where a change is
// asked for without looking at it first.
const AnyVersion int64 = 0

// Cursor is a place in a list ordered by time of creation, oldest first. The
// zero Cursor is the beginning. What is created while somebody reads the list
// comes after the cursor; what was read is never read again.
type Cursor struct {
	At time.Time
	ID string
}

// family is one table of configuration: what its reading, creating, changing
// and deleting have in common. T is what callers see, R the row as stored.
type family[T, R any] struct {
	kind   string // the word in errors and in the audit log
	table  string
	prefix conversation.Prefix
	hide   string // condition on rows that are gone for callers, "" when there are none

	meta  func(*T) meta
	seal  func(*Store, T) (R, error)
	open  func(*Store, R) (T, error)
	facts func(T) map[string]any // what the audit log may know

	// first, when set, takes the locks that come before the row's own, so that
	// two changes never wait for each other.
	first func(ctx context.Context, c conn) error
	// uses checks, and locks, what t refers to. It runs in the transaction of
	// the change.
	uses func(ctx context.Context, c conn, t T) error
	// unused refuses, with CodeInUse or another code, while something needs t,
	// whose row is locked.
	unused func(ctx context.Context, c conn, t T) error
	// load reads what items have in other tables, for all of them at once; save
	// writes it. Both are nil when there is nothing.
	load func(ctx context.Context, c conn, items []T) error
	save func(ctx context.Context, c conn, t T) error
	// changed, when set, notes what follows from a change; before and after are as
	// callers see them.
	changed func(ctx context.Context, c conn, before, after T) error
	// taken names the field at fault when a unique index is violated; the key
	// is how either database names it.
	taken map[string]conversation.FieldError
}

// meta is what every configuration resource has.
type meta struct {
	ID, Name             *string
	Version              *int64
	CreatedAt, UpdatedAt *time.Time
}

// columns lists the db tags of R in order.
func columns[R any]() []string {
	t := reflect.TypeFor[R]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("db")
	}
	return names
}

// fields lists the values of row in the order of columns.
func fields[R any](row R) []any {
	v := reflect.ValueOf(row)
	out := make([]any, v.NumField())
	for i := range out {
		out[i] = v.Field(i).Interface()
	}
	return out
}

func (f *family[T, R]) visible(prefix string) string {
	if f.hide == "" {
		return ""
	}
	return prefix + "NOT (" + f.hide + ")"
}

func (f *family[T, R]) notFound(id string) error {
	return conversation.Errorf(conversation.CodeNotFound, "There is no %s %q.", f.kind, id)
}

// get reads one, hidden ones too; the caller tells them apart.
func (f *family[T, R]) get(ctx context.Context, s *Store, c conn, id, suffix string) (T, error) {
	var row R
	var none T
	found, err := c.get(ctx, &row, "SELECT "+strings.Join(columns[R](), ", ")+" FROM "+f.table+" WHERE id = $1"+suffix, id)
	if err != nil {
		return none, err
	}
	if !found {
		return none, f.notFound(id)
	}
	items, err := f.opened(ctx, s, c, row)
	if err != nil {
		return none, err
	}
	return items[0], nil
}

// opened makes of rows what callers see.
func (f *family[T, R]) opened(ctx context.Context, s *Store, c conn, rows ...R) ([]T, error) {
	items := make([]T, len(rows))
	for i, row := range rows {
		var err error
		if items[i], err = f.open(s, row); err != nil {
			return nil, err
		}
	}
	if f.load != nil && len(items) > 0 {
		return items, f.load(ctx, c, items)
	}
	return items, nil
}

// list reads up to limit after cursor, by creation, then id.
func (f *family[T, R]) list(ctx context.Context, s *Store, after Cursor, limit int) ([]T, error) {
	var rows []R
	err := s.read().list(ctx, &rows, "SELECT "+strings.Join(columns[R](), ", ")+" FROM "+f.table+
		" WHERE (created_at, id) > ($1, $2)"+f.visible(" AND ")+" ORDER BY created_at, id LIMIT $3", micros(after.At), after.ID, limit)
	if err != nil {
		return nil, err
	}
	return f.opened(ctx, s, s.read(), rows...)
}

// create stores t. An id that t brings along makes it repeatable: what is
// there already is answered again.
func (f *family[T, R]) create(ctx context.Context, s *Store, by Origin, t T) (T, error) {
	var out T
	err := s.tx(ctx, func(c conn) (err error) {
		out, err = f.insert(ctx, s, c, by, t)
		return err
	})
	return out, err
}

// insert is create within a transaction.
func (f *family[T, R]) insert(ctx context.Context, s *Store, c conn, by Origin, t T) (T, error) {
	var none T
	m := f.meta(&t)
	if *m.ID == "" {
		*m.ID = conversation.NewID(f.prefix)
	} else if out, err := f.get(ctx, s, c, *m.ID, ""); conversation.CodeOf(err) != conversation.CodeNotFound {
		return out, err
	}
	*m.Version, *m.CreatedAt = 1, s.now().UTC().Truncate(time.Microsecond)
	*m.UpdatedAt = *m.CreatedAt
	row, err := f.seal(s, t)
	if err != nil {
		return none, err
	}
	if err := f.uses(ctx, c, t); err != nil {
		return none, err
	}
	names := columns[R]()
	if _, err := c.exec(ctx, "INSERT INTO "+f.table+" ("+strings.Join(names, ", ")+") VALUES "+values(1, len(names), 1), fields(row)...); err != nil {
		return none, f.violation(err)
	}
	if err := f.saved(ctx, c, t); err != nil {
		return none, err
	}
	out, err := f.get(ctx, s, c, *m.ID, "")
	if err != nil {
		return none, err
	}
	return out, s.audit(ctx, c, by, AuditCreated, f.kind, *m.ID, *m.Name, nil, f.facts(out))
}

// update changes one under its row's lock. version is what the caller saw;
// CodeVersionStale says that somebody was faster. A change that changes
// nothing leaves version and audit log alone.
func (f *family[T, R]) update(ctx context.Context, s *Store, by Origin, id string, version int64, change func(*T) error) (T, error) {
	var out T
	err := s.tx(ctx, func(c conn) error {
		before, err := f.lock(ctx, s, c, id, version)
		if err != nil {
			return err
		}
		after, err := f.get(ctx, s, c, id, "") // a copy that shares nothing
		if err != nil {
			return err
		}
		if err := change(&after); err != nil {
			return err
		}
		if reflect.DeepEqual(before, after) {
			out = before
			return nil
		}
		if err := f.uses(ctx, c, after); err != nil {
			return err
		}
		out = after
		return f.replace(ctx, s, c, by, AuditChanged, before, &out)
	})
	return out, err
}

// replace writes after in the place of before, as its next version.
func (f *family[T, R]) replace(ctx context.Context, s *Store, c conn, by Origin, action string, before T, after *T) error {
	m := f.meta(after)
	*m.Version++
	*m.UpdatedAt = s.now().UTC().Truncate(time.Microsecond)
	row, err := f.seal(s, *after)
	if err != nil {
		return err
	}
	names := columns[R]()
	sets := make([]string, len(names))
	for i, name := range names {
		sets[i] = fmt.Sprintf("%s = $%d", name, i+2)
	}
	if _, err := c.exec(ctx, "UPDATE "+f.table+" SET "+strings.Join(sets, ", ")+" WHERE id = $1", append([]any{*m.ID}, fields(row)...)...); err != nil {
		return f.violation(err)
	}
	if err := f.saved(ctx, c, *after); err != nil {
		return err
	}
	if f.changed != nil {
		if err := f.changed(ctx, c, before, *after); err != nil {
			return err
		}
	}
	return s.audit(ctx, c, by, action, f.kind, *m.ID, *m.Name, f.facts(before), f.facts(*after))
}

func (f *family[T, R]) saved(ctx context.Context, c conn, t T) error {
	if f.save == nil {
		return nil
	}
	return f.save(ctx, c, t)
}

// delete removes one that nothing needs any more.
func (f *family[T, R]) delete(ctx context.Context, s *Store, by Origin, id string, version int64) error {
	return s.tx(ctx, func(c conn) error {
		t, err := f.lock(ctx, s, c, id, version)
		if err != nil {
			return err
		}
		if err := f.unused(ctx, c, t); err != nil {
			return err
		}
		if _, err := c.exec(ctx, "DELETE FROM "+f.table+" WHERE id = $1", id); err != nil {
			return err
		}
		return s.audit(ctx, c, by, AuditDeleted, f.kind, id, *f.meta(&t).Name, f.facts(t), nil)
	})
}

// lock reads one that is not hidden, locks its row and compares its version.
func (f *family[T, R]) lock(ctx context.Context, s *Store, c conn, id string, version int64) (T, error) {
	var none T
	if f.first != nil {
		if err := f.first(ctx, c); err != nil {
			return none, err
		}
	}
	t, err := f.get(ctx, s, c, id, f.visible(" AND ")+s.d.forUpdate())
	if err != nil {
		return none, err
	}
	if has := *f.meta(&t).Version; version != AnyVersion && version != has {
		return none, conversation.Errorf(conversation.CodeVersionStale, "The %s has changed: it is at version %d, not %d. Read it again and repeat your change.", f.kind, has, version)
	}
	return t, nil
}

// violation turns a broken unique index into the field at fault.
func (f *family[T, R]) violation(err error) error {
	for index, field := range f.taken {
		if violates(err, index) {
			return &conversation.Error{Code: conversation.CodeConflict, Detail: field.Detail, Fields: []conversation.FieldError{field}, Err: err}
		}
	}
	return err
}

// violates tells whether err is the violation of a unique index table_column:
// PostgreSQL names the index, SQLite table.column.
func violates(err error, index string) bool {
	text := err.Error()
	_, failed, _ := strings.Cut(text, "UNIQUE constraint failed: ")
	return strings.Contains(text, `unique constraint "`+index+`"`) || strings.HasPrefix(strings.Replace(failed, ".", "_", 1), index)
}

// exists locks the row of something that is referred to, and says which field
// of the request is wrong when there is none.
func (c conn) exists(ctx context.Context, table, id, pointer, kind string) error {
	var found string
	ok, err := c.get(ctx, &found, "SELECT id FROM "+table+" WHERE id = $1"+c.s.d.forUpdate(), id)
	if err == nil && !ok {
		err = conversation.Invalid(pointer, "There is no %s %q.", kind, id)
	}
	return err
}

// references collects ids that something refers to, each with the fields that
// name it.
type references map[string][]string

func (r references) add(id, pointer string) { r[id] = append(r[id], pointer) }

// exist locks the rows of everything referred to, in the order of their ids,
// and says which fields of the request are wrong. from is a table, or a table
// with a condition.
func (c conn) exist(ctx context.Context, from, kind string, refs references) error {
	if len(refs) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(refs))
	and := " WHERE "
	if strings.Contains(from, and) {
		and = " AND "
	}
	var found []string
	if err := c.list(ctx, &found, "SELECT id FROM "+from+and+"id IN "+values(1, len(ids), 1)+" ORDER BY id"+c.s.d.forUpdate(), anys(ids)...); err != nil {
		return err
	}
	var wrong []conversation.FieldError
	for _, id := range ids {
		if _, there := slices.BinarySearch(found, id); there {
			continue
		}
		for _, pointer := range refs[id] {
			wrong = append(wrong, conversation.FieldError{Pointer: pointer, Detail: fmt.Sprintf("There is no %s %q.", kind, id)})
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.SortFunc(wrong, func(a, b conversation.FieldError) int { return strings.Compare(a.Pointer, b.Pointer) })
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: "The request is not valid.", Fields: wrong}
}

// named is a pattern for LIKE that finds id as a value in a JSON column.
func named(id string) string { return `%"` + escapeLike(id) + `"%` }

// inUse refuses with CodeInUse when query, which selects a name, finds one.
func (c conn) inUse(ctx context.Context, sentence, query string, args ...any) error {
	var name string
	found, err := c.get(ctx, &name, query+" LIMIT 1", args...)
	if err == nil && found {
		err = conversation.Errorf(conversation.CodeInUse, sentence, name)
	}
	return err
}

// none is for families that refer to nothing, or that nothing refers to.
func none[T any](context.Context, conn, T) error { return nil }

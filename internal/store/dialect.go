package store

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// dialect is where PostgreSQL and SQLite differ.
type dialect int

const (
	dialectPostgres dialect = iota
	dialectSQLite
)

// forUpdate locks the rows a SELECT reads. SQLite has one writer, so the
// transaction itself is the lock.
func (d dialect) forUpdate() string {
	if d == dialectPostgres {
		return " FOR UPDATE"
	}
	return ""
}

// forUpdateOf does the same by the rows of one of several tables.
func (d dialect) forUpdateOf(table string) string {
	if d == dialectPostgres {
		return " FOR UPDATE OF " + table
	}
	return ""
}

// skipLocked locks the rows a SELECT reads and leaves out those that somebody
// else has locked.
func (d dialect) skipLocked() string {
	if d == dialectPostgres {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// forKeyShare keeps the rows a SELECT reads from being deleted.
func (d dialect) forKeyShare() string {
	if d == dialectPostgres {
		return " FOR KEY SHARE"
	}
	return ""
}

// name is the dialect's word in migrations and logs.
func (d dialect) name() string {
	if d == dialectPostgres {
		return "postgres"
	}
	return "sqlite"
}

// jsonText is the text of a member of a JSON object that a column holds, NULL
// when it has none.
func (d dialect) jsonText(column, member string) string {
	if d == dialectPostgres {
		return fmt.Sprintf("(%s::json ->> '%s')", column, member)
	}
	return fmt.Sprintf("(%s ->> '%s')", column, member)
}

// jsonNumber is a number within a JSON document that a column holds, NULL when
// it has none there.
func (d dialect) jsonNumber(column string, path ...string) string {
	if d == dialectPostgres {
		return fmt.Sprintf("CAST(%s::json #>> '{%s}' AS BIGINT)", column, strings.Join(path, ","))
	}
	return fmt.Sprintf("CAST(%s ->> '$.%s' AS BIGINT)", column, strings.Join(path, "."))
}

// indexedBy names the index of a table that is to be read in its order. SQLite
// would rather read the whole table when it is asked for the first of many.
func (d dialect) indexedBy(index string) string {
	if d == dialectPostgres {
		return ""
	}
	return " INDEXED BY " + index
}

// among is the condition that a value is one of the ids that parameter n
// carries, however many; see ids.
func (d dialect) among(n int) string {
	if d == dialectPostgres {
		return fmt.Sprintf("= ANY(CAST($%d AS text[]))", n)
	}
	return fmt.Sprintf("IN (SELECT value FROM json_each($%d))", n)
}

// ids is the argument of a parameter of among.
func (d dialect) ids(list []string) any {
	if d == dialectPostgres {
		return pq.Array(list)
	}
	b, err := json.Marshal(append([]string{}, list...))
	if err != nil {
		panic(err) // texts can be encoded
	}
	return string(b)
}

// rows is a table of the rows that parameter n carries as a JSON array of
// arrays, for what is written or read of many at once: a parameter for each
// value would cost more than the statement does. Columns are given as
// "name TYPE".
func (d dialect) rows(n int, columns ...string) string {
	var b strings.Builder
	b.WriteString("(SELECT ")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		name, kind, _ := strings.Cut(c, " ")
		fmt.Fprintf(&b, "CAST(value ->> %d AS %s) AS %s", i, kind, name)
	}
	if d == dialectPostgres {
		fmt.Fprintf(&b, " FROM jsonb_array_elements(CAST($%d AS jsonb)))", n)
	} else {
		fmt.Fprintf(&b, " FROM json_each($%d))", n)
	}
	return b.String()
}

// unhex is the bytes that a text in hexadecimal stands for.
func (d dialect) unhex(text string) string {
	if d == dialectPostgres {
		return "decode(" + text + ", 'hex')"
	}
	return "unhex(" + text + ")"
}

// limitTo bounds a statement's rows. The number stands in the text: PostgreSQL
// keeps a plan made before a parameter is known and expects a tenth of the table
// then, and SQLite, which looks at it, prepares the statement again each time.
func limitTo(n int) string { return fmt.Sprintf(" LIMIT %d", n) }

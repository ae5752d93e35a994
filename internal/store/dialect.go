package store

import "fmt"

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

// skipLocked locks the rows a SELECT reads and leaves out those that somebody
// else has locked.
func (d dialect) skipLocked() string {
	if d == dialectPostgres {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// skipLockedOf does the same by the rows of one of several tables.
func (d dialect) skipLockedOf(table string) string {
	if d == dialectPostgres {
		return " FOR UPDATE OF " + table + " SKIP LOCKED"
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

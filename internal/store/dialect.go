package store

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

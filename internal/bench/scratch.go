package bench

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	_ "github.com/lib/pq"  // driver "postgres"
	_ "modernc.org/sqlite" // driver "sqlite"

	"kaiwa/internal/settings"
)

// scratch is the database itself, as the baselines use it.
type scratch struct {
	db   *sql.DB
	url  string
	name string // sqlite or postgres
}

// openScratch opens it with the same durability as Kaiwa's own store.
func openScratch(ctx context.Context, databaseURL string) (*scratch, error) {
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		q := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"}}
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		return &scratch{db, databaseURL, "sqlite"}, db.PingContext(ctx)
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, settings.Wrong("KAIWA_DATABASE_URL", "it is not a URL") // the error of Parse would show the password
	}
	q := u.Query()
	q.Set("binary_parameters", "yes")
	u.RawQuery = q.Encode()
	db, err := sql.Open("postgres", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	return &scratch{db, databaseURL, "postgres"}, db.PingContext(ctx)
}

func (s *scratch) close() error { return s.db.Close() }

// used tells whether there are conversations, of whatever version of Kaiwa.
func (s *scratch) used(ctx context.Context) (bool, error) {
	tables := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'conversations'`
	if s.name == "postgres" {
		tables = `SELECT count(*) FROM information_schema.tables WHERE table_name = 'conversations' AND table_schema = ANY (current_schemas(false))`
	}
	var n int
	if err := s.db.QueryRowContext(ctx, tables).Scan(&n); err != nil || n == 0 {
		return false, err
	}
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM conversations LIMIT 1) AS one`).Scan(&n)
	return n > 0, err
}

func (s *scratch) version(ctx context.Context) (version string, err error) {
	if s.name == "sqlite" {
		err = s.db.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&version)
		return "SQLite " + version, err
	}
	err = s.db.QueryRowContext(ctx, `SHOW server_version`).Scan(&version)
	return "PostgreSQL " + version, err
}

// another makes an empty database beside it: a file in dir, or one of the same
// server, which its user must be allowed to create.
func (s *scratch) another(ctx context.Context, dir string) (databaseURL string, drop func() error, err error) {
	if s.name == "sqlite" {
		return "sqlite:" + filepath.Join(dir, "aside.db"), func() error { return nil }, nil // it goes with dir
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return "", nil, err
	}
	const name = "kaiwa_bench_aside"
	for _, statement := range []string{`DROP DATABASE IF EXISTS ` + name, `CREATE DATABASE ` + name} {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return "", nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	u.Path = "/" + name
	return u.String(), func() error {
		_, err := s.db.ExecContext(context.WithoutCancel(ctx), `DROP DATABASE `+name)
		return err
	}, nil
}

// copyInbox makes bench_line_events, a table like line_events with all its
// indexes.
func (s *scratch) copyInbox(ctx context.Context) error {
	if s.name == "postgres" {
		_, err := s.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS bench_line_events (LIKE line_events INCLUDING ALL)`)
		return err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT sql FROM sqlite_master WHERE tbl_name = 'line_events' AND sql IS NOT NULL ORDER BY type DESC`)
	if err != nil {
		return err
	}
	var made []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		made = append(made, strings.ReplaceAll(text, "line_events", "bench_line_events"))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, text := range made {
		if _, err := s.db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// insertInbox is the one INSERT that acknowledges a webhook, and nothing else.
func (s *scratch) insertInbox(ctx context.Context, channelID, eventID, chatKey, source, token string, at int64, raw []byte) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO bench_line_events (channel_id, webhook_event_id, chat_key, kind, source_type, source_id, line_time, received_at, reply_token, standby, raw)
		VALUES ($1, $2, $3, 'message', 'user', $4, $5, $5, $6, FALSE, $7)`, channelID, eventID, chatKey, source, at, token, raw)
	return err
}

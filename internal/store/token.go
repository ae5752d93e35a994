package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
)

// Token is a bearer token of an agent. Its value is shown once, when it is
// issued; the database keeps its SHA-256, which is enough for 256 random bits.
type Token struct {
	ID         string
	AgentID    string
	Name       string
	Role       Role     // at most this, and never more than the agent's role
	Scope      []string // permissions; empty means all of the role's
	CreatedBy  string   // agent id
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero: it is not
	LastUsedAt time.Time // to the minute; zero: never used
}

// Identity is who a token speaks for.
type Identity struct {
	Token Token
	Agent Agent
}

// Role is what the bearer may do: the lesser of the agent's and the token's.
func (i Identity) Role() Role {
	if i.Agent.Role.Includes(i.Token.Role) {
		return i.Token.Role
	}
	return i.Agent.Role
}

// NewTokenValue makes the value of a token: "kwa_" and 256 random bits.
func NewTokenValue() string {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(fmt.Sprintf("no randomness: %v", err)) // documented never to happen
	}
	return "kwa_" + base64.RawURLEncoding.EncodeToString(b[:])
}

func tokenHash(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

type tokenRow struct {
	ID         string `db:"id"`
	AgentID    string `db:"agent_id"`
	Name       string `db:"name"`
	Hash       string `db:"hash"`
	Role       string `db:"role"`
	Scope      string `db:"scope"`
	CreatedBy  string `db:"created_by"`
	CreatedAt  int64  `db:"created_at"`
	ExpiresAt  int64  `db:"expires_at"`
	RevokedAt  int64  `db:"revoked_at"`
	LastUsedAt int64  `db:"last_used_at"`
}

func (r tokenRow) token() (Token, error) {
	t := Token{
		ID: r.ID, AgentID: r.AgentID, Name: r.Name, Role: Role(r.Role), CreatedBy: r.CreatedBy, CreatedAt: fromMicros(r.CreatedAt),
		ExpiresAt: fromMicros(r.ExpiresAt), RevokedAt: fromMicros(r.RevokedAt), LastUsedAt: fromMicros(r.LastUsedAt),
	}
	if err := json.Unmarshal([]byte(r.Scope), &t.Scope); err != nil {
		return t, fmt.Errorf("scope of token %s: %w", r.ID, err)
	}
	return t, nil
}

const tokenColumns = "id, agent_id, name, hash, role, scope, created_by, created_at, expires_at, revoked_at, last_used_at"

// IssueToken stores a token of the given value for its agent. CodeNotFound when
// there is no such agent. A token whose id is there already gets the new value:
// nobody can have seen the old one when an issue is repeated after a crash.
func (s *Store) IssueToken(ctx context.Context, by Origin, t Token, value string) (Token, error) {
	if t.ID == "" {
		t.ID = conversation.NewID(conversation.PrefixToken)
	}
	t.CreatedBy, t.CreatedAt = by.AgentID, s.now().UTC().Truncate(time.Microsecond)
	t.ExpiresAt = t.ExpiresAt.UTC().Truncate(time.Microsecond)
	if t.Scope == nil {
		t.Scope = []string{}
	}
	scope, err := json.Marshal(t.Scope)
	if err != nil {
		return Token{}, err
	}
	err = s.tx(ctx, func(c conn) error {
		agent, err := agents.get(ctx, s, c, t.AgentID, s.d.forUpdate())
		if err != nil {
			return err
		}
		if _, err := c.exec(ctx, `INSERT INTO api_tokens (`+tokenColumns+`) VALUES `+values(1, 11, 1)+`
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at`,
			t.ID, t.AgentID, t.Name, tokenHash(value), string(t.Role), string(scope), t.CreatedBy, micros(t.CreatedAt), micros(t.ExpiresAt), 0, 0); err != nil {
			return err
		}
		return s.audit(ctx, c, by, AuditCreated, "token", t.ID, t.Name, nil, t.facts(agent))
	})
	return t, err
}

func (t Token) facts(a Agent) map[string]any {
	f := map[string]any{"agent_id": a.ID, "agent": a.Name, "role": t.Role, "scope": t.Scope}
	if !t.ExpiresAt.IsZero() {
		f["expires_at"] = t.ExpiresAt
	}
	return f
}

// Authenticate finds who a token speaks for, in one statement.
// CodeUnauthenticated when it is unknown, expired or revoked.
func (s *Store) Authenticate(ctx context.Context, value string) (Identity, error) {
	refused := conversation.Errorf(conversation.CodeUnauthenticated, "The token is not known, has expired or was revoked.")
	hash := tokenHash(value)
	var row struct {
		Token tokenRow `db:"token"`
		Agent agentRow `db:"agent"`
	}
	found, err := s.read().get(ctx, &row, authenticateQuery, hash)
	if err != nil {
		return Identity{}, err
	}
	if !found || subtle.ConstantTimeCompare([]byte(row.Token.Hash), []byte(hash)) != 1 {
		return Identity{}, refused
	}
	t, err := row.Token.token()
	if err != nil {
		return Identity{}, err
	}
	if !t.RevokedAt.IsZero() || (!t.ExpiresAt.IsZero() && !s.now().Before(t.ExpiresAt)) {
		return Identity{}, refused
	}
	return Identity{t, row.Agent.agent()}, nil
}

var authenticateQuery = "SELECT " + prefixed[tokenRow]("t.%s", "token") + ", " + prefixed[agentRow]("a.%s", "agent") +
	" FROM api_tokens t JOIN agents a ON a.id = t.agent_id WHERE t.hash = $1"

// TokenUsed records that a token was used, unless that was recorded less than a
// minute ago.
func (s *Store) TokenUsed(ctx context.Context, t Token) error {
	now := s.now()
	if now.Sub(t.LastUsedAt) < time.Minute {
		return nil
	}
	_, err := s.write().exec(ctx, "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1 AND last_used_at <= $3", t.ID, micros(now), micros(now.Add(-time.Minute)))
	return err
}

// Tokens lists tokens, of one agent or (agentID "") of all, oldest first.
func (s *Store) Tokens(ctx context.Context, agentID string, after Cursor, limit int) ([]Token, error) {
	q := "SELECT " + tokenColumns + " FROM api_tokens WHERE (created_at, id) > ($1, $2)"
	args := []any{micros(after.At), after.ID, limit}
	if agentID != "" {
		q += " AND agent_id = $4"
		args = append(args, agentID)
	}
	var rows []tokenRow
	if err := s.read().list(ctx, &rows, q+" ORDER BY created_at, id LIMIT $3", args...); err != nil {
		return nil, err
	}
	tokens := make([]Token, len(rows))
	for i, r := range rows {
		var err error
		if tokens[i], err = r.token(); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// RevokeToken makes a token worthless from the next request on. Revoking it
// again changes nothing. CodeNotFound when there is none.
func (s *Store) RevokeToken(ctx context.Context, by Origin, id string) error {
	return s.tx(ctx, func(c conn) error {
		var row tokenRow
		found, err := c.get(ctx, &row, "SELECT "+tokenColumns+" FROM api_tokens WHERE id = $1"+s.d.forUpdate(), id)
		if err != nil {
			return err
		}
		if !found {
			return conversation.Errorf(conversation.CodeNotFound, "There is no token %q.", id)
		}
		if row.RevokedAt != 0 {
			return nil
		}
		if _, err := c.exec(ctx, "UPDATE api_tokens SET revoked_at = $2 WHERE id = $1", id, micros(s.now())); err != nil {
			return err
		}
		return s.audit(ctx, c, by, AuditRevoked, "token", id, row.Name, map[string]any{"agent_id": row.AgentID}, nil)
	})
}

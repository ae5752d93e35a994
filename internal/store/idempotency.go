package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
)

const (
	// IdempotencyLife is how long a key answers what its first request did.
	IdempotencyLife = 24 * time.Hour
	// IdempotencyLease is how long a request may be worked on before another
	// one of the same key takes its place: longer than any request lives.
	IdempotencyLease = time.Minute
)

// IdempotencyKey names a request: keys belong to the caller and the route.
type IdempotencyKey struct {
	Caller string // token id
	Route  string // method and path, with the ids in it
	Key    string
}

func (k IdempotencyKey) place() string {
	return conversation.DerivedID("", k.Caller, k.Route, k.Key) // what the answer is sealed for
}

// Answer is a response as the first request of a key got it.
type Answer struct {
	Status int               `json:"-"`
	Header map[string]string `json:"header,omitempty"`
	Body   []byte            `json:"body,omitempty"`
}

// BeginIdempotent takes a key for a request, whose digest is given. It returns
// either the answer of an earlier request, or a lease to work on this one and
// then to call FinishIdempotent or AbandonIdempotent. CodeInFlight while
// another request of the key is worked on, CodeIdempotencyMismatch when the key
// was used for a different request. A lease that outlives IdempotencyLease is
// given to the next request: a crash does not block a key forever.
func (s *Store) BeginIdempotent(ctx context.Context, k IdempotencyKey, request string) (answer *Answer, lease string, err error) {
	now := s.now()
	lease = conversation.NewID("lse_")
	n, err := s.write().exec(ctx, `
		INSERT INTO idempotency_keys (caller, route, idem_key, request, lease, lease_until, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (caller, route, idem_key) DO UPDATE SET
			request = excluded.request, lease = excluded.lease, lease_until = excluded.lease_until,
			status = 0, answer = '', created_at = excluded.created_at, expires_at = excluded.expires_at
		WHERE idempotency_keys.expires_at <= $7
			OR (idempotency_keys.status = 0 AND idempotency_keys.lease_until <= $7 AND idempotency_keys.request = excluded.request)`,
		k.Caller, k.Route, k.Key, request, lease, micros(now.Add(IdempotencyLease)), micros(now), micros(now.Add(IdempotencyLife)))
	if err != nil {
		return nil, "", err
	}
	if n == 1 {
		return nil, lease, nil
	}
	var row struct {
		Request string `db:"request"`
		Status  int    `db:"status"`
		Answer  string `db:"answer"`
	}
	found, err := s.write().get(ctx, &row, "SELECT request, status, answer FROM idempotency_keys WHERE caller = $1 AND route = $2 AND idem_key = $3", k.Caller, k.Route, k.Key)
	if err != nil {
		return nil, "", err
	}
	inFlight := conversation.Errorf(conversation.CodeInFlight, "The first request with this Idempotency-Key is still being worked on. Try again in a moment.")
	switch {
	case !found: // given up between the two statements
		return nil, "", inFlight
	case row.Request != request:
		return nil, "", conversation.Errorf(conversation.CodeIdempotencyMismatch, "This Idempotency-Key was used for a different request. Use a new key.")
	case row.Status == 0:
		return nil, "", inFlight
	}
	plain, err := s.keys.Open(row.Answer, "idempotency/"+k.place())
	if err != nil {
		return nil, "", fmt.Errorf("answer of an idempotency key: %w", err)
	}
	answer = &Answer{Status: row.Status}
	if err := json.Unmarshal([]byte(plain), answer); err != nil {
		return nil, "", fmt.Errorf("answer of an idempotency key: %w", err)
	}
	return answer, "", nil
}

// FinishIdempotent keeps the answer, encrypted: it may hold a secret that is
// shown once. It does nothing when the lease was lost meanwhile.
func (s *Store) FinishIdempotent(ctx context.Context, k IdempotencyKey, lease string, a Answer) error {
	doc, err := json.Marshal(a)
	if err != nil {
		return err
	}
	sealed, err := s.keys.Seal(string(doc), "idempotency/"+k.place())
	if err != nil {
		return err
	}
	_, err = s.write().exec(ctx, "UPDATE idempotency_keys SET status = $5, answer = $6 WHERE caller = $1 AND route = $2 AND idem_key = $3 AND lease = $4 AND status = 0",
		k.Caller, k.Route, k.Key, lease, a.Status, sealed)
	return err
}

// AbandonIdempotent frees a key whose request did nothing that should be
// answered again, such as one that met a failing database.
func (s *Store) AbandonIdempotent(ctx context.Context, k IdempotencyKey, lease string) error {
	_, err := s.write().exec(ctx, "DELETE FROM idempotency_keys WHERE caller = $1 AND route = $2 AND idem_key = $3 AND lease = $4 AND status = 0", k.Caller, k.Route, k.Key, lease)
	return err
}

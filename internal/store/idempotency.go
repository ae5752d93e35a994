package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"kaiwa/internal/conversation"
)

const (
	// IdempotencyLife is how long a key answers what its first request did.
	IdempotencyLife = 24 * time.Hour
	// IdempotencyLease is how soon another request of the same key takes the
	// place of one whose process has died. One that lives renews its lease.
	IdempotencyLease = 5 * time.Second
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

// Lease is the right to work on a request.
type Lease struct {
	ID string
	// Seed is the same for every attempt at one request, and another once the
	// key may be used anew. Together with the key it makes the ids of what the
	// request creates, so that an attempt after a crash finds what the one
	// before it created.
	Seed string
}

// BeginIdempotent takes a key for a request, whose digest is given. It returns
// either the answer of an earlier request, or a lease to work on this one and
// then to call FinishIdempotent or AbandonIdempotent. CodeInFlight while
// another request of the key is worked on, CodeIdempotencyMismatch when the key
// was used for a different request. A lease that is not renewed within
// IdempotencyLease is given to the next request: a crash blocks a key for
// seconds.
func (s *Store) BeginIdempotent(ctx context.Context, k IdempotencyKey, request string) (*Answer, Lease, error) {
	now := s.now()
	lease := Lease{ID: conversation.NewID("lse_")}
	var began int64
	mine, err := s.write().get(ctx, &began, `
		INSERT INTO idempotency_keys (caller, route, idem_key, request, lease, lease_until, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (caller, route, idem_key) DO UPDATE SET
			request = excluded.request, lease = excluded.lease, lease_until = excluded.lease_until, status = 0, answer = '',
			created_at = CASE WHEN idempotency_keys.expires_at <= excluded.created_at THEN excluded.created_at ELSE idempotency_keys.created_at END,
			expires_at = excluded.expires_at
		WHERE idempotency_keys.expires_at <= excluded.created_at
			OR (idempotency_keys.status = 0 AND idempotency_keys.lease_until <= excluded.created_at AND idempotency_keys.request = excluded.request)
		RETURNING created_at`,
		k.Caller, k.Route, k.Key, request, lease.ID, micros(now.Add(IdempotencyLease)), micros(now), micros(now.Add(IdempotencyLife)))
	if err != nil {
		return nil, Lease{}, err
	}
	if mine {
		lease.Seed = strconv.FormatInt(began, 36)
		return nil, lease, nil
	}
	var row struct {
		Request string `db:"request"`
		Status  int    `db:"status"`
		Answer  string `db:"answer"`
	}
	found, err := s.write().get(ctx, &row, "SELECT request, status, answer FROM idempotency_keys WHERE caller = $1 AND route = $2 AND idem_key = $3", k.Caller, k.Route, k.Key)
	if err != nil {
		return nil, Lease{}, err
	}
	switch {
	case found && row.Request != request:
		return nil, Lease{}, conversation.Errorf(conversation.CodeIdempotencyMismatch, "This Idempotency-Key was used for a different request. Use a new key.")
	case !found || row.Status == 0: // not found: it expired between the two statements
		return nil, Lease{}, conversation.Errorf(conversation.CodeInFlight, "The first request with this Idempotency-Key is still being worked on. Try again in a moment.")
	}
	plain, err := s.keys.Open(row.Answer, "idempotency/"+k.place())
	if err != nil {
		return nil, Lease{}, fmt.Errorf("answer of an idempotency key: %w", err)
	}
	answer := &Answer{Status: row.Status}
	if err := json.Unmarshal([]byte(plain), answer); err != nil {
		return nil, Lease{}, fmt.Errorf("answer of an idempotency key: %w", err)
	}
	return answer, Lease{}, nil
}

// RenewIdempotent keeps a lease for another IdempotencyLease. Whoever lost it
// keeps nothing; what they and their successor do has the same ids.
func (s *Store) RenewIdempotent(ctx context.Context, k IdempotencyKey, lease Lease) error {
	_, err := s.write().exec(ctx, "UPDATE idempotency_keys SET lease_until = $5 WHERE caller = $1 AND route = $2 AND idem_key = $3 AND lease = $4 AND status = 0",
		k.Caller, k.Route, k.Key, lease.ID, micros(s.now().Add(IdempotencyLease)))
	return err
}

// FinishIdempotent keeps the answer, encrypted: it may hold a secret that is
// shown once. It does nothing when the lease was lost meanwhile.
func (s *Store) FinishIdempotent(ctx context.Context, k IdempotencyKey, lease Lease, a Answer) error {
	doc, err := json.Marshal(a)
	if err != nil {
		return err
	}
	sealed, err := s.keys.Seal(string(doc), "idempotency/"+k.place())
	if err != nil {
		return err
	}
	_, err = s.write().exec(ctx, "UPDATE idempotency_keys SET status = $5, answer = $6 WHERE caller = $1 AND route = $2 AND idem_key = $3 AND lease = $4 AND status = 0",
		k.Caller, k.Route, k.Key, lease.ID, a.Status, sealed)
	return err
}

// AbandonIdempotent gives the lease back without an answer, so that the same
// request may be tried again at once: after a failure on this side, when nobody
// knows what was done.
func (s *Store) AbandonIdempotent(ctx context.Context, k IdempotencyKey, lease Lease) error {
	_, err := s.write().exec(ctx, "UPDATE idempotency_keys SET lease_until = 0 WHERE caller = $1 AND route = $2 AND idem_key = $3 AND lease = $4 AND status = 0",
		k.Caller, k.Route, k.Key, lease.ID)
	return err
}

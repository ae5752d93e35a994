package api

import (
	"context"
	"regexp"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

type contextKey int

const (
	keyRequestID contextKey = iota
	keyCaller
	keyAttempt
	keyAddress
	keyBearer
	keyConnection
)

// A client's own request id is taken over when it cannot do harm in a log.
var requestIDShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func withRequestID(ctx context.Context, sent string) (context.Context, string) {
	if !requestIDShape.MatchString(sent) {
		sent = conversation.NewID("req_")
	}
	return context.WithValue(ctx, keyRequestID, sent), sent
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(keyRequestID).(string)
	return id
}

// caller is who the request's token speaks for; every route but the public
// ones has one.
func caller(ctx context.Context) store.Identity {
	i, _ := ctx.Value(keyCaller).(store.Identity)
	return i
}

// origin is the caller as the audit log records it.
func origin(ctx context.Context) store.Origin {
	i := caller(ctx)
	address, _ := ctx.Value(keyAddress).(string)
	return store.Origin{AgentID: i.Agent.ID, AgentName: i.Agent.Name, TokenID: i.Token.ID, Address: address, RequestID: requestID(ctx)}
}

// attempt names one request that carried an Idempotency-Key, the same for every
// attempt at it.
type attempt struct {
	key  store.IdempotencyKey
	seed string
}

// idFor is the id of what this request creates: with an Idempotency-Key the
// same in every attempt, otherwise "", and the store makes one.
func idFor(ctx context.Context, p conversation.Prefix) string {
	a, ok := ctx.Value(keyAttempt).(attempt)
	if !ok {
		return ""
	}
	return conversation.DerivedID(p, a.key.Caller, a.key.Route, a.key.Key, a.seed)
}

// updateID is the id of the workflow update this request causes.
func updateID(ctx context.Context) string {
	const prefix = "upd_"
	if id := idFor(ctx, prefix); id != "" {
		return id
	}
	return conversation.NewID(prefix)
}

// bearer is the value of the caller's token.
func bearer(ctx context.Context) string {
	value, _ := ctx.Value(keyBearer).(string)
	return value
}

// connection is a request's context without the request's time limit: it ends
// with the connection.
func connection(ctx context.Context) (context.Context, context.CancelFunc) {
	of, _ := ctx.Value(keyConnection).(context.Context)
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(of, cancel)
	return out, func() { stop(); cancel() }
}

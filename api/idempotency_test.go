package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func key(k string) header { return header{"Idempotency-Key", k} }

func TestTheSameRequestTwiceIsDoneOnceAndAnsweredTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		_, second := b.serve(storetest.Open(t, b.dbURL))
		body := map[string]any{"name": "Complaints"}
		first := b.as(store.RoleAdmin, "POST", "/api/v1/queues", body, key("k1"))
		require.Equal(t, 201, first.Status)
		require.Empty(t, first.Header.Get("Idempotency-Replayed"))
		again := b.send(second, b.tokens[store.RoleAdmin], "POST", "/api/v1/queues", body, key("k1"))
		require.Equal(t, 201, again.Status, "in another process")
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		require.Equal(t, first.Raw, again.Raw)
		require.Equal(t, first.Header.Get("Etag"), again.Header.Get("Etag"))
		require.Len(t, b.as(store.RoleAdmin, "GET", "/api/v1/queues", nil).get(t, "items"), 1)

		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "Other"}, key("k1")), 422, conversation.CodeIdempotencyMismatch)
		require.Equal(t, 201, b.as(store.RoleAdmin, "POST", "/api/v1/agents", map[string]any{"name": "Mai", "email": "m@example.com", "role": "agent"}, key("k1")).Status,
			"keys belong to the route")
		for _, bad := range []string{strings.Repeat("k", 256), "schlüssel"} {
			requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", body, key(bad)), 400, conversation.CodeInvalid)
		}
	})
}

func TestARefusalIsAnsweredAgainAndAnInvalidRequestMayBeCorrected(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		body := map[string]any{"name": "Mai", "email": "agent@example.com", "role": "agent"}
		first := b.as(store.RoleAdmin, "POST", "/api/v1/agents", body, key("k"))
		requireProblem(t, first, 409, conversation.CodeConflict, "/email")
		again := b.as(store.RoleAdmin, "POST", "/api/v1/agents", body, key("k"), header{"X-Request-Id", first.text(t, "request_id")})
		require.Equal(t, first.Body, again.Body)
		require.Equal(t, "application/problem+json", again.Header.Get("Content-Type"))

		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": ""}, key("k")), 400, conversation.CodeInvalid, "/name")
		require.Equal(t, 201, b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "q"}, key("k")).Status)
	})
}

func TestATokenShownOnceIsShownAgainToTheSameRequestOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		path := "/api/v1/agents/" + b.agents[store.RoleAgent].ID + "/tokens"
		first := b.as(store.RoleAdmin, "POST", path, map[string]any{"name": "x"}, key("k"))
		require.Equal(t, 201, first.Status, "%s", first.Raw)
		again := b.as(store.RoleAdmin, "POST", path, map[string]any{"name": "x"}, key("k"))
		require.Equal(t, first.text(t, "token"), again.text(t, "token"))
		require.Equal(t, 200, b.send(b.url, first.text(t, "token"), "GET", "/api/v1/me", nil).Status)
	})
}

func TestAFailureOnTheWayIsNotKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "bot_info", Status: 500, Times: 1})
		require.NoError(t, err)
		body := channelBody(b.workstream())
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/channels", body, key("k")), 502, conversation.CodeLINEUnreachable)
		r := b.as(store.RoleAdmin, "POST", "/api/v1/channels", body, key("k"))
		require.Equal(t, 201, r.Status, "the key is free again: %s", r.Raw)
	})
}

func TestWhatACrashedAttemptCreatedIsFoundByTheNext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		body := map[string]any{"name": "Mai", "email": "mai@example.com", "role": "agent"}
		first := b.as(store.RoleAdmin, "POST", "/api/v1/agents", body, key("k"))
		require.Equal(t, 201, first.Status)
		// As if the process had died before it could keep the answer.
		b.sql("UPDATE idempotency_keys SET status = 0, answer = '', lease_until = 0")
		again := b.as(store.RoleAdmin, "POST", "/api/v1/agents", body, key("k"))
		require.Equal(t, 201, again.Status, "not a conflict with itself: %s", again.Raw)
		require.Empty(t, again.Header.Get("Idempotency-Replayed"))
		require.Equal(t, first.text(t, "id"), again.text(t, "id"))
	})
}

func TestWhileTheFirstRequestIsWorkedOnTheSecondIsToldSo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.conversation(b.channel(), "open", "queue")
		begun, finish := make(chan struct{}), make(chan struct{})
		b.engine.onClose(func(conversation.ActionRequest) error {
			close(begun)
			<-finish
			return nil
		})
		first := make(chan response)
		go func() {
			first <- b.as(store.RoleSupervisor, "POST", "/api/v1/conversations/"+id+"/close", nil, key("k"))
		}()
		<-begun
		requireProblem(t, b.as(store.RoleSupervisor, "POST", "/api/v1/conversations/"+id+"/close", nil, key("k")), 409, conversation.CodeInFlight)
		close(finish)
		require.Equal(t, 200, (<-first).Status)
		again := b.as(store.RoleSupervisor, "POST", "/api/v1/conversations/"+id+"/close", nil, key("k"))
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		requests, _ := b.engine.requests()
		require.Len(t, requests, 1)
	})
}

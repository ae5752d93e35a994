package api_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// happen puts events into the record, of the conversations "cnv_0" and "cnv_1"
// in turn, and numbers them.
func (b *bundle) happen(n int) {
	b.t.Helper()
	for i := range n {
		b.sql("INSERT INTO events (type, conversation_id, created_at) VALUES ('conversation.changed', $1, 1)", fmt.Sprint("cnv_", i%2))
	}
	b.number()
}

func (b *bundle) number() {
	b.t.Helper()
	_, err := b.store.SequenceEvents(b.t.Context())
	require.NoError(b.t, err)
}

func TestEventsAreFollowedByTheirNumber(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.sql("INSERT INTO events (type, conversation_id, created_at) VALUES ('conversation.changed', 'cnv_1', 1)")
		none := b.as(store.RoleSupervisor, "GET", "/api/v1/events", nil)
		require.Empty(t, none.get(t, "items"), "what has no number yet is not shown")
		b.happen(2)
		first := b.as(store.RoleSupervisor, "GET", "/api/v1/events?limit=2", nil)
		require.Len(t, first.get(t, "items"), 2)
		require.Equal(t, float64(2), first.get(t, "next_after"))
		require.Equal(t, "2", first.text(t, "next_cursor"))
		second := b.as(store.RoleSupervisor, "GET", "/api/v1/events?after=2", nil)
		require.Equal(t, "cnv_1", second.text(t, "items", 0, "conversation_id"))
		require.Nil(t, second.get(t, "next_cursor"))
		third := b.as(store.RoleSupervisor, "GET", "/api/v1/events?after=3", nil)
		require.Equal(t, float64(3), third.get(t, "next_after"))
		require.Len(t, b.as(store.RoleSupervisor, "GET", "/api/v1/events?conversation_id=cnv_1", nil).get(t, "items"), 2)
	})
}

func TestLatestIsThePositionAfterWhatThereIs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		for _, role := range []store.Role{store.RoleAgent, store.RoleSupervisor} {
			before := b.as(role, "GET", "/api/v1/events?after=latest", nil)
			require.Empty(t, before.get(t, "items"))
			require.Nil(t, before.get(t, "next_cursor"))
			b.happen(3)
			require.Equal(t, before.get(t, "next_after").(float64)+3, b.as(role, "GET", "/api/v1/events?after=latest", nil).get(t, "next_after"))
		}
	})
}

func TestAPositionThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	for _, after := range []string{"x", "-1", "1.5", "LATEST", "latest1", "9223372036854775808", "0x1"} {
		for _, path := range []string{"/api/v1/events", "/api/v1/events/stream"} {
			requireProblem(t, b.as(store.RoleSupervisor, "GET", path+"?after="+after, nil), 400, conversation.CodeInvalid, "/after")
		}
		if after != "latest" {
			requireProblem(t, b.as(store.RoleSupervisor, "GET", "/api/v1/events/stream", nil, header{"Last-Event-ID", after}), 400, conversation.CodeInvalid, "/Last-Event-ID")
		}
	}
	// Of another database, or of one that was restored: waiting for it would
	// pass over what happens until then.
	b.happen(2)
	r := b.as(store.RoleSupervisor, "GET", "/api/v1/events/stream?after=1", nil, header{"Last-Event-ID", "3"})
	requireProblem(t, r, 400, conversation.CodeInvalid, "/Last-Event-ID")
	require.Contains(t, string(r.Raw), "after=latest")
	requireProblem(t, b.as(store.RoleSupervisor, "GET", "/api/v1/events/stream?after=3", nil), 400, conversation.CodeInvalid, "/after")
}

// What an agent may see, and when; everything else is left out, and the
// position goes past it.
func TestAnAgentSeesTheEventsOfTheirOwnWork(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		agent, other := b.agents[store.RoleAgent].ID, b.agents[store.RoleSupervisor].ID
		channel := b.channel()
		mine, theirs := b.queue(), b.queue()
		b.sql("INSERT INTO queue_members (queue_id, agent_id, created_at) VALUES ($1, $2, 1), ($3, $4, 1)", mine, agent, theirs, other)

		conv := func(status, owner, queue, holder string) string {
			id := b.conversation(channel, status, owner)
			b.sql("UPDATE conversations SET queue_id = $1, agent_id = $2 WHERE id = $3", queue, holder, id)
			return id
		}
		held := func(id, who, kind string) {
			b.sql("INSERT INTO sessions (id, conversation_id, epoch, kind, participant_id, started_at, ended_at) VALUES ($1, $2, 1, $3, $4, 1, 2)", "ses_"+id+who, id, kind, who)
		}
		offer := func(id, who, state string) string {
			b.sql("INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at) VALUES ($1, $2, $3, $4, 1, 1, $5, 1, 2)", "ofr_"+id+who, id, who, theirs, state)
			return "ofr_" + id + who
		}
		waitsHere, waitsThere := conv("open", "queue", mine, ""), conv("open", "queue", theirs, "")
		withMe, withOther := conv("active", "agent", theirs, agent), conv("active", "agent", mine, other)
		wrapUp := conv("wrap_up", "agent", theirs, agent)
		wasMine, parked, withBot := conv("closed", "none", theirs, ""), conv("waiting", "none", theirs, ""), conv("active", "bot", "", "")
		held(wasMine, agent, "agent")
		held(parked, agent, "agent")
		held(withBot, agent, "bot") // a bot that is called like me is not me
		offeredMe, offeredOnce := conv("open", "queue", theirs, ""), conv("open", "queue", theirs, "")
		toMe, toOther := offer(offeredMe, agent, "live"), offer(waitsHere, other, "live")
		declined := offer(offeredOnce, agent, "declined")

		sees := []bool{}
		wanted := map[int64]bool{}
		event := func(see bool, kind, id, subject, data string) {
			b.sql("INSERT INTO events (type, conversation_id, subject_id, data, created_at) VALUES ($1, $2, $3, $4, 1)", kind, id, subject, data)
			sees = append(sees, see)
			wanted[int64(len(sees))] = see
		}
		for id, see := range map[string]bool{
			waitsHere: true, waitsThere: false, withMe: true, withOther: false, wrapUp: true, wasMine: true, parked: true, withBot: false,
			offeredMe: true, offeredOnce: false, "cnv_unknown": false,
		} {
			event(see, "conversation.changed", id, id, "{}")
			event(see, "message.received", id, "msg_1", "{}")
		}
		event(true, "offer.created", offeredMe, toMe, "{}")
		event(false, "offer.created", waitsHere, toOther, "{}")
		event(true, "offer.declined", offeredOnce, declined, "{}")
		event(true, "agent.presence_changed", "", agent, "{}")
		event(false, "agent.presence_changed", "", other, "{}")
		event(true, "conversation.changed", withOther, withOther, `{"left_queue_id":"`+mine+`"}`)
		event(false, "conversation.changed", waitsThere, waitsThere, `{"left_queue_id":"`+theirs+`"}`)
		b.number()

		read := func(role store.Role, path string) (seqs []int64, last response) {
			for after := "0"; ; {
				r := b.as(role, "GET", path+"&after="+after, nil)
				require.Equal(t, 200, r.Status, "%s", r.Raw)
				for _, item := range r.get(t, "items").([]any) {
					seqs = append(seqs, int64(item.(map[string]any)["seq"].(float64)))
				}
				if r.get(t, "next_cursor") == nil {
					return seqs, r
				}
				require.Greater(t, r.get(t, "next_after"), any(float64(0)))
				after = r.text(t, "next_cursor")
			}
		}
		all, want := []int64{}, []int64{}
		for i, see := range sees {
			all = append(all, int64(i+1))
			if see {
				want = append(want, int64(i+1))
			}
		}
		for _, limit := range []string{"1", "3", "200"} {
			got, last := read(store.RoleAgent, "/api/v1/events?limit="+limit)
			require.Equal(t, want, got, limit)
			require.Equal(t, float64(len(sees)), last.get(t, "next_after"), "past what may not be seen")
			for _, role := range []store.Role{store.RoleSupervisor, store.RoleAdmin} {
				got, _ = read(role, "/api/v1/events?limit="+limit)
				require.Equal(t, all, got, role)
			}
		}
		got, _ := read(store.RoleAgent, "/api/v1/events?conversation_id="+waitsThere)
		require.Empty(t, got)
		got, _ = read(store.RoleAgent, "/api/v1/events?conversation_id="+withMe)
		require.Len(t, got, 2)

		// The stream shows the same, and its position too goes past the rest.
		for role, want := range map[store.Role][]int64{store.RoleAgent: want, store.RoleSupervisor: all, store.RoleAdmin: all} {
			s := b.stream(b.url, b.tokens[role], "/api/v1/events/stream")
			var got []int64
			for len(got) < len(want) {
				got = append(got, s.event().seq)
			}
			require.Equal(t, want, got, role)
		}
		// A supervisor's token that is issued as an agent's shows an agent's part.
		issued := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+other+"/tokens", map[string]any{"name": "x", "role": "agent"})
		require.Equal(t, 201, issued.Status, "%s", issued.Raw)
		r := b.send(b.url, issued.text(t, "token"), "GET", "/api/v1/events?limit=200", nil)
		require.NotContains(t, string(r.Raw), withMe)
		require.Contains(t, string(r.Raw), waitsThere)
	})
}

// An agent to whom nothing of a long record belongs gets to its end, page by
// page, and the stream remembers how far it has looked.
func TestWhatMayNotBeSeenIsPassedOver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.api.Hasten(time30, soon, time30)
		b.sql(`INSERT INTO events (type, conversation_id, created_at) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT 'x', 'cnv_x', i FROM n`)
		for range 3 {
			b.number()
		}
		b.sql("INSERT INTO events (type, subject_id, created_at) VALUES ('agent.presence_changed', $1, 1)", b.agents[store.RoleAgent].ID)
		b.number()
		s := b.stream(b.url, b.tokens[store.RoleAgent], "/api/v1/events/stream?after=0")
		require.Equal(t, int64(2501), s.event().seq)

		after, pages, seen := "0", 0, 0
		for after != "" {
			r := b.as(store.RoleAgent, "GET", "/api/v1/events?after="+after, nil)
			seen, pages = seen+len(r.get(t, "items").([]any)), pages+1
			after, _ = r.get(t, "next_cursor").(string)
		}
		require.Equal(t, 1, seen)
		require.Equal(t, 3, pages)

		b.sql("INSERT INTO events (type, conversation_id, created_at) VALUES ('x', 'cnv_x', 1)")
		b.number()
		for s.block().id != "2502" { // a sign of life brings the position
		}
	})
}

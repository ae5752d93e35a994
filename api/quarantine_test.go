package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/attachment"
	"kaiwa/internal/clamd"
	"kaiwa/internal/clamd/clamdtest"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestAnUploadIsLookedAtBeforeAnybodyCanSendIt(t *testing.T) {
	t.Parallel()
	d := clamdtest.Start(t)
	daemon, err := clamd.New(d.Address)
	require.NoError(t, err)
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		require.Equal(t, 201, b.upload(id, "a.txt", []byte("hello")).Status)
		kept := b.bytesKept()
		refused := b.upload(id, "a.txt", clamdtest.EICAR())
		requireProblem(t, refused, 400, conversation.CodeInvalid, "/file")
		require.Contains(t, string(refused.Raw), clamdtest.Signature)
		requireProblem(t, b.upload(id, "a.bin", make([]byte, clamdtest.StreamMax+1)), 400, conversation.CodeInvalid, "/file")
		require.NoError(t, b.api.SweepAttachments(t.Context()))
		require.Equal(t, kept, b.bytesKept(), "nothing of it is kept")
	}, func(c *api.Config) { c.Scanner = attachment.NewScanner(daemon, nil) })
}

func TestAnUploadThatNobodyCanLookAtIsTriedAgain(t *testing.T) {
	t.Parallel()
	d := clamdtest.Start(t)
	daemon, err := clamd.New(d.Address)
	require.NoError(t, err)
	b := setup(t, storetest.Dialects()[0], func(c *api.Config) { c.Scanner = attachment.NewScanner(daemon, nil) })
	id, key := b.live(), header{"Idempotency-Key", "k1"}
	d.Stop()
	requireProblem(t, b.upload(id, "a.txt", []byte("hello"), key), 503, conversation.CodeUnavailable)
	d.Resume()
	require.Equal(t, 201, b.upload(id, "a.txt", []byte("hello"), key).Status)
}

func TestAFileInQuarantineCanBeLetOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.upload(b.live(), "a.txt", []byte("hello")).text(t, "id")
		before := b.as(store.RoleAgent, "GET", "/api/v1/attachments/"+id, "")
		link := before.text(t, "url")
		b.sql(`UPDATE attachments SET state = 'quarantined', reason = 'malware', signature = 'Worm' WHERE id = $1`, id)
		shut := b.as(store.RoleAgent, "GET", "/api/v1/attachments/"+id, "")
		require.Equal(t, [4]any{"quarantined", "malware", "Worm", nil}, [4]any{shut.Body["state"], shut.Body["reason"], shut.Body["signature"], shut.Body["url"]})
		res, _ := b.raw("GET", link)
		require.Equal(t, 410, res.StatusCode)
		list := b.as(store.RoleAdmin, "GET", "/api/v1/quarantine", "")
		require.Len(t, list.Body["items"], 1)
		requireProblem(t, b.as(store.RoleSupervisor, "POST", "/api/v1/attachments/"+id+"/release", ""), 403, conversation.CodeForbidden)

		out := b.as(store.RoleAdmin, "POST", "/api/v1/attachments/"+id+"/release", "")
		require.Equal(t, 200, out.Status)
		require.Equal(t, "stored", out.Body["state"])
		res, body := b.raw("GET", out.text(t, "url"))
		require.Equal(t, [2]any{200, "hello"}, [2]any{res.StatusCode, string(body)})
		require.Empty(t, b.as(store.RoleAdmin, "GET", "/api/v1/quarantine", "").Body["items"])
		require.Equal(t, 200, b.as(store.RoleAdmin, "POST", "/api/v1/attachments/"+id+"/release", "").Status)

		require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", "/api/v1/attachments/"+id, "").Status)
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/attachments/"+id+"/release", ""), 409, conversation.CodeConflict)
	})
}

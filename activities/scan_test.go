package activities_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/clamd"
	"kaiwa/internal/clamd/clamdtest"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/netguard"
	"kaiwa/internal/store"
)

// scanned is a sender whose files a daemon looks at.
func scanned(t *testing.T) (*sender, *clamdtest.Daemon) {
	t.Helper()
	s, d := newSender(t), clamdtest.Start(t)
	daemon, err := clamd.New(d.Address)
	require.NoError(t, err)
	s.scanner = attachment.NewScanner(daemon, nil)
	s.restart(netguard.Options{AllowPrivate: true, MaxResponseBytes: store.MaxAttachmentSize})
	return s, d
}

func TestAFileWithMalwareGoesIntoQuarantine(t *testing.T) {
	t.Parallel()
	s, _ := scanned(t)
	clean, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	require.Empty(t, s.becomes(clean, conversation.AttachmentStored, "").Signature)

	id, lineID := s.sends(linesim.Message{Type: "file", FileName: "eicar.com", Content: clamdtest.EICAR()})
	a := s.becomes(id, conversation.AttachmentQuarantined, store.ReasonMalware)
	require.Equal(t, [2]string{clamdtest.Signature, "text/plain"}, [2]string{a.Signature, a.ContentType})
	require.Equal(t, clamdtest.EICAR(), s.read(a.BlobKey), "it is kept")
	require.Equal(t, a, s.becomes(id, conversation.AttachmentQuarantined, store.ReasonMalware), "the same row")
	again, _ := s.sends(linesim.Message{Type: "file", FileName: "eicar.com", Content: clamdtest.EICAR()})
	s.becomes(again, conversation.AttachmentQuarantined, store.ReasonMalware)
	require.Equal(t, []string{"attachment_malware"}, s.told(), "once for all that was sent together")

	_, err := s.sim.Unsend(t.Context(), lineChannel, s.user, lineID)
	require.NoError(t, err)
	require.Equal(t, []string{id}, s.ingest())
	s.becomes(id, conversation.AttachmentRevoked, store.ReasonUnsent)
	_, err = s.blobs.Open(t.Context(), a.BlobKey)
	require.ErrorIs(t, err, blob.ErrNotFound)
}

func TestAFileWaitsForItsScanner(t *testing.T) {
	t.Parallel()
	s, d := scanned(t)
	fetched := 0
	s.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/content") {
			fetched++
		}
		return carry()
	})
	id, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	d.Stop()
	for range 3 {
		s.comesAgain(id, "scanner_no_answer")
	}
	require.Equal(t, 1, fetched, "LINE need not keep it")
	a, err := s.store.Attachment(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, a.Link)
	d.Resume()
	after := s.becomes(id, conversation.AttachmentStored, "")
	require.Equal(t, [4]any{a.BlobKey, a.SHA256, int64(8), true}, [4]any{after.BlobKey, after.SHA256, after.Width, after.PreviewKey != ""})
	require.Equal(t, 1, fetched)

	late, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	d.Stop()
	s.pass(29 * time.Minute)
	s.comesAgain(late, "scanner_no_answer")
	s.pass(time.Minute)
	kept := s.becomes(late, conversation.AttachmentQuarantined, store.ReasonNotScanned)
	require.Equal(t, picture(t, 8, 8), s.read(kept.BlobKey))
	require.Empty(t, s.told(), "it is not the customer's fault")
}

func TestAFileThatTheScannerDoesNotTakeGoesIntoQuarantine(t *testing.T) {
	t.Parallel()
	s, _ := scanned(t)
	id, _ := s.sends(linesim.Message{Type: "file", FileName: "a.bin", Content: make([]byte, clamdtest.StreamMax+1)})
	s.becomes(id, conversation.AttachmentQuarantined, store.ReasonNotScanned)
	require.Empty(t, s.told())
}

package e2e

import (
	"bytes"
	"image"
	"image/jpeg"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// photo is a JPEG.
func photo(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, 320, 240)), nil))
	return out.Bytes()
}

func (c customer) posts(m linesim.Message) linesim.Sent {
	c.k.t.Helper()
	sent, err := c.k.Sim.Send(c.k.t.Context(), dev.SimChannelID, c.id, m)
	require.NoError(c.k.t, err)
	return sent
}

// file is the attachment of the customer's nth message that has one, as soon as
// it is there and no longer pending.
func (c customer) file(n int) store.Attachment {
	c.k.t.Helper()
	var a store.Attachment
	c.k.eventually(func() bool {
		i := 0
		for _, m := range c.transcript() {
			if m.AttachmentID == "" {
				continue
			}
			if i++; i == n {
				var err error
				a, err = c.k.Store.Attachment(c.k.t.Context(), m.AttachmentID)
				require.NoError(c.k.t, err)
				return a.State != conversation.AttachmentPending
			}
		}
		return false
	}, "file %d is fetched", n)
	return a
}

func TestASlowFileHoldsUpNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		never := 1_000_000
		emma.writes("hi")
		emma.isAnswered(1)
		emma.posts(linesim.Message{Type: "video", Content: []byte("film"), DurationMS: 1000, NotReady: &never})
		emma.posts(linesim.Message{Type: "image", Content: photo(t)})
		require.Equal(t, conversation.AttachmentStored, emma.file(2).State, "another file")
		emma.writes("a1")
		k.eventually(func() bool { return slices.Equal(emma.heard(), []string{"heard a1"}) }, "the bot answers")

		// It is closed, and the next conversation takes the fetching along.
		emma.writes("bye")
		k.eventually(func() bool { return emma.conversations()[0].Status == conversation.StatusClosed }, "it is closed")
		emma.writes("hi again")
		k.eventually(func() bool { return len(emma.conversations()) == 2 }, "the next conversation")
		emma.writes("bye")
		k.eventually(func() bool { return emma.conversations()[1].Status == conversation.StatusClosed }, "it is closed, too")
		k.eventually(func() bool {
			d, err := k.Temporal.DescribeWorkflowExecution(t.Context(), emma.workflowID(), "")
			return err == nil && len(d.PendingActivities) == 1 && d.PendingActivities[0].ActivityType.Name == "FetchMedia"
		}, "a closed conversation waits for its file, and for nothing else")

		sent := ""
		for _, m := range emma.transcript() {
			if m.Type == "video" {
				sent = m.LINEMessageID
			}
		}
		_, err := k.Sim.Unsend(t.Context(), dev.SimChannelID, emma.id, sent)
		require.NoError(t, err)
		k.eventually(func() bool {
			a, err := k.Store.Attachment(t.Context(), emma.file(1).ID)
			return err == nil && a.State == conversation.AttachmentRevoked
		}, "the video is taken back")
		k.eventually(func() bool {
			d, err := k.Temporal.DescribeWorkflowExecution(t.Context(), emma.workflowID(), "")
			return err == nil && d.WorkflowExecutionInfo.CloseTime != nil
		}, "the run ends")
	})
}

func TestARefusalReachesTheCustomerAlsoAfterTheClose(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			withEcho(w, b)
			w.Settings.Attachments.AllowedTypes = []string{"image/*"}
		})
		emma := k.newCustomer("Emma")
		thrice := 3
		emma.writes("hi")
		emma.isAnswered(1)
		emma.posts(linesim.Message{Type: "file", FileName: "page.jpg", Content: []byte("<!DOCTYPE html><p>"), NotReady: &thrice})
		emma.writes("bye")
		k.eventually(func() bool { return emma.conversations()[0].Status == conversation.StatusClosed }, "it is closed")
		require.Equal(t, [2]string{"refused", store.ReasonKind}, [2]string{string(emma.file(1).State), emma.file(1).Reason})
		emma.allAccepted()
		told := 0
		for _, m := range emma.transcript() {
			if m.Automated == "attachment_kind" {
				told++
			}
		}
		require.Equal(t, 1, told)
		require.Contains(t, emma.reads(), emma.transcript()[len(emma.transcript())-1].Text)
	})
}

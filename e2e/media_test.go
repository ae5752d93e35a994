package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	"image/jpeg"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// photo is a JPEG.
func photo(t testing.TB) []byte {
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

func TestAgentsAndCustomersExchangePictures(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		emma.writes("person please")
		emma.isAnswered(1)
		id := emma.conversations()[0].ID
		var place bytes.Buffer // where it was taken, as phones write it down
		place.WriteString("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x88\x25\x00\x04\x00\x00\x00\x01\x00\x00\x00\x1a\x00\x00\x00\x0035.6586N 139.7454E")
		taken := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(place.Len() + 2)}, place.Bytes()...)
		taken = append(taken, photo(t)[2:]...)
		emma.posts(linesim.Message{Type: "image", Content: taken})
		a := emma.file(1)
		require.Equal(t, conversation.AttachmentStored, a.State)

		res, list := k.call("GET", "/conversations/"+id+"/messages", nil, nil)
		require.Equal(t, 200, res.StatusCode)
		items := list["items"].([]any)
		var shown map[string]any
		for _, item := range items {
			if m, _ := item.(map[string]any)["attachment"].(map[string]any); m != nil {
				shown = m
			}
		}
		require.NotNil(t, shown)
		load := func(url any) []byte {
			res, err := http.Get(url.(string))
			require.NoError(t, err)
			defer func() { require.NoError(t, res.Body.Close()) }()
			require.Equal(t, 200, res.StatusCode)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			return body
		}
		require.Equal(t, taken, load(shown["url"]))
		preview := load(shown["preview_url"])
		require.Contains(t, string(taken), "139.7454E")
		require.NotContains(t, string(preview), "139.7454E")
		require.NotContains(t, string(preview), "Exif")

		// The other way.
		res, out := k.call("POST", "/conversations/"+id+"/pick", nil, nil)
		require.Equal(t, 200, res.StatusCode, out)
		for name, content := range map[string][]byte{"map.jpg": photo(t), "bill.pdf": []byte("%PDF-1.7")} {
			up := k.upload(id, name, content)
			res, sent := k.call("POST", "/conversations/"+id+"/messages", map[string]any{"type": "attachment", "attachment_id": up["id"]}, nil)
			require.Contains(t, []int{201, 202}, res.StatusCode, sent)
		}
		k.eventually(func() bool {
			chat, err := k.Sim.Chat(t.Context(), dev.SimChannelID, emma.id)
			require.NoError(t, err)
			have := map[string]bool{}
			for _, m := range chat {
				if m.Direction == "account" {
					have[m.Type] = true
				}
			}
			return have["image"] && have["flex"]
		}, "the phone shows a picture and a card")
	})
}

// upload uploads a file as the administrator.
func (k *kaiwa) upload(conversationID, name string, content []byte) map[string]any {
	k.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	require.NoError(k.t, err)
	_, err = part.Write(content)
	require.NoError(k.t, err)
	require.NoError(k.t, form.Close())
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, k.APIURL+"/api/v1/conversations/"+conversationID+"/attachments", &body)
	require.NoError(k.t, err)
	req.Header.Set("Authorization", "Bearer kaiwa-dev-admin")
	req.Header.Set("Content-Type", form.FormDataContentType())
	res, err := http.DefaultClient.Do(req)
	require.NoError(k.t, err)
	defer func() { _ = res.Body.Close() }()
	out := map[string]any{}
	require.NoError(k.t, json.NewDecoder(res.Body).Decode(&out))
	require.Equal(k.t, 201, res.StatusCode, out)
	return out
}

func TestALongConversationGoesOnWithItsFiles(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect, func(o *dev.Options) { o.HistoryLimit = 60 })
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		never := 1_000_000
		emma.writes("hi")
		emma.isAnswered(1)
		video := emma.posts(linesim.Message{Type: "video", Content: []byte("film"), DurationMS: 1000, NotReady: &never})
		k.eventually(func() bool { return len(emma.pending()) == 1 }, "the fetch waits")
		texts := numbered(30)
		for i, text := range texts {
			emma.writes(text)
			k.eventually(func() bool { return len(emma.heard()) == i+1 }, "%s is answered", text)
		}
		require.Equal(t, echoes(texts), emma.heard())
		require.Greater(t, len(emma.runs()), 1, "it went on in another run, though a file was waiting")
		k.eventually(func() bool { return slices.Equal(emma.pending(), []string{"FetchMedia"}) }, "which goes on fetching")
		_, err := k.Sim.Unsend(t.Context(), dev.SimChannelID, emma.id, video.MessageID)
		require.NoError(t, err)
		k.eventually(func() bool { return len(emma.pending()) == 0 }, "until there is nothing to fetch")
		// LINE may have said that it is gone before the event did.
		k.eventually(func() bool { return emma.file(1).State == conversation.AttachmentRevoked }, "and it is revoked")
	})
}

// pending are the activities under way for the customer, by name.
func (c customer) pending() (names []string) {
	d, err := c.k.Temporal.DescribeWorkflowExecution(c.k.t.Context(), c.workflowID(), "")
	if err != nil {
		return []string{err.Error()}
	}
	for _, a := range d.PendingActivities {
		names = append(names, a.ActivityType.Name)
	}
	return names
}

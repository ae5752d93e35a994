package linesim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// control calls the control API and decodes its answer.
func control[T any](b *testBundle, method, path string, body any) T {
	b.t.Helper()
	r := b.call(method, "/_control"+path, body)
	require.Equal(b.t, 200, r.Status, "%s %s: %s", method, path, r.Body)
	var v T
	require.NoError(b.t, json.Unmarshal(r.Body, &v))
	return v
}

func TestTheControlAPIDoesWhatTheGoAPIDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const chat = "/channels/" + testChannel + "/users/" + alice

	carol := control[User](b, "POST", "/users", User{DisplayName: "Carol"})
	require.Regexp(t, userIDPattern, carol.ID)
	require.Len(t, control[[]User](b, "GET", "/users", nil), 3)
	changed := control[Channel](b, "PATCH", "/channels/"+testChannel, map[string]any{"quota": 5})
	require.Equal(t, 5, changed.Quota)
	require.Equal(t, testSecret, changed.Secret)

	control[any](b, "POST", "/hold", map[string]string{"channel_id": testChannel})
	sent := control[Sent](b, "POST", chat+"/messages", Message{Type: "text", Text: "hello"})
	require.Equal(t, []string{sent.WebhookEventID}, control[[]string](b, "GET", "/held", nil))
	require.Equal(t, map[string]int{"released": 1}, control[map[string]int](b, "POST", "/release", ReleaseOptions{}))
	control[any](b, "POST", "/wait-idle?timeout_ms=10000", nil)
	require.Len(t, control[[]Delivery](b, "GET", "/deliveries?event_id="+sent.WebhookEventID, nil), 1)

	ids := control[map[string][]string](b, "POST", "/faults", Fault{Kind: FaultStatus, Endpoint: "push", Status: 502})
	require.Equal(t, 502, b.push(alice, "", "x").Status)
	control[any](b, "DELETE", "/faults/"+ids["ids"][0], nil)
	require.Equal(t, 200, b.push(alice, "", "x").Status)
	require.Len(t, control[[]Call](b, "GET", "/calls?endpoint=push&status=502", nil), 1)
	require.Equal(t, Consumption{Pushes: 1, Quota: 5}, control[Consumption](b, "GET", "/channels/"+testChannel+"/consumption", nil))

	control[Sent](b, "POST", chat+"/postback", map[string]any{"data": "a=1", "display_text": "One"})
	control[Sent](b, "POST", chat+"/messages/"+sent.MessageID+"/unsend", nil)
	control[any](b, "POST", "/channels/"+testChannel+"/redeliver", map[string]any{"event_ids": []string{sent.WebhookEventID}})
	control[Sent](b, "POST", "/channels/"+testChannel+"/events", json.RawMessage(`{"type":"somethingNew"}`))
	control[Sent](b, "POST", chat+"/unfollow", nil)
	require.Equal(t, []string{alice}, control[[]string](b, "GET", "/channels/"+testChannel+"/blocked", nil))
	require.Equal(t, 409, b.call("POST", "/_control"+chat+"/messages", Message{Type: "text", Text: "x"}).Status)
	control[Sent](b, "POST", chat+"/follow", nil)
	require.Len(t, control[[]ChatMessage](b, "GET", chat+"/chat", nil), 3)
	require.Len(t, control[[]ChatSummary](b, "GET", "/chats", nil), 1)
	b.idle()
	st := control[State](b, "GET", "/state", nil)
	require.Equal(t, map[string]int{"delivered": 6}, st.Events)
	require.Equal(t, 2, st.Messages.Customer)

	require.Equal(t, 404, b.call("GET", "/_control/channels/none", nil).Status)
	require.Equal(t, 400, b.call("POST", "/_control/users", map[string]any{"name": "wrong field"}).Status)
}

func TestFilesAreUploadedAsForms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	require.NoError(t, w.WriteField("message", `{"type":"file"}`))
	part, err := w.CreateFormFile("content", "見積.pdf")
	require.NoError(t, err)
	_, err = part.Write([]byte("%PDF-1.7"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	r := b.call("POST", "/_control/channels/"+testChannel+"/users/"+alice+"/messages", form.Bytes(), "Content-Type", w.FormDataContentType())
	require.Equal(t, 200, r.Status, "%s", r.Body)
	var sent Sent
	require.NoError(t, json.Unmarshal(r.Body, &sent))
	b.idle()
	var m struct {
		FileName string `json:"fileName"`
		FileSize int    `json:"fileSize"`
	}
	require.NoError(t, json.Unmarshal(b.bot.received()[0].Events[0]["message"], &m))
	require.Equal(t, "見積.pdf", m.FileName)
	require.Equal(t, 8, m.FileSize)
	got := b.call("GET", "/v2/bot/message/"+sent.MessageID+"/content", nil)
	require.Equal(t, "%PDF-1.7", string(got.Body))
	media := b.call("GET", "/_control/media/"+sent.MessageID, nil)
	require.Equal(t, "attachment", media.Header.Get("Content-Disposition"))
}

func TestTheStreamTellsWhatHappens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.api.URL+"/_control/stream", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	next := func(kind string) string {
		for lines.Scan() {
			if lines.Text() == "event: "+kind {
				require.True(t, lines.Scan())
				return strings.TrimPrefix(lines.Text(), "data: ")
			}
		}
		require.Fail(t, "the stream ended before "+kind)
		return ""
	}
	next("hello")
	b.write(alice, "hello")
	require.Contains(t, next("message"), `"hello"`)
	next("delivery")
	require.Equal(t, 200, b.push(alice, "", "hi").Status)
	require.Contains(t, next("message"), `"push"`)
	require.Contains(t, next("call"), `"accepted":true`)
}

func TestGroupsByTheControlAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const group = "C0123456789abcdef0123456789abcdef"
	at := "/_control/channels/" + testChannel + "/groups/" + group
	members := map[string]any{"user_ids": []string{alice}}
	kinds := func() (list []string) {
		t.Helper()
		require.NoError(t, b.WaitIdle(b.ctx))
		for _, d := range b.bot.received() {
			for _, e := range d.Events {
				list = append(list, strings.Trim(string(e["type"]), `"`))
			}
		}
		return list
	}
	require.Equal(t, 200, b.call("POST", at+"/invite", members).Status)
	require.Equal(t, 200, b.call("POST", at+"/joined", map[string]any{"user_ids": []string{bob}}).Status)
	require.Equal(t, 200, b.call("POST", at+"/left", map[string]any{"user_ids": []string{bob}}).Status)
	sent, err := b.Send(b.ctx, testChannel, alice, Message{Type: "text", Text: "at three", GroupID: group})
	require.NoError(t, err)
	require.Equal(t, 200, b.call("POST", "/_control/channels/"+testChannel+"/users/"+alice+"/messages/"+sent.MessageID+"/edit", map[string]any{"text": "at four"}).Status)
	chat, err := b.Chat(b.ctx, testChannel, group)
	require.NoError(t, err)
	require.Equal(t, "at four", chat[0].Text())
	require.Equal(t, 200, b.call("POST", "/v2/bot/group/"+group+"/leave", nil).Status)
	require.Equal(t, 404, b.call("POST", "/v2/bot/group/"+group+"/leave", nil).Status, "it has left")
	require.Equal(t, 400, b.push(group, "", "hi").Status, "nobody is there")
	_, err = b.Send(b.ctx, testChannel, alice, Message{Type: "text", Text: "still there?", GroupID: group})
	require.ErrorIs(t, err, ErrNotMember)
	require.Equal(t, []string{"join", "memberJoined", "memberLeft", "message", "messageEdited", "leave"}, kinds())
	require.Equal(t, 400, b.call("POST", "/_control/channels/"+testChannel+"/groups/"+alice+"/invite", members).Status)
	require.Equal(t, 400, b.call("POST", "/v2/bot/group/"+alice+"/leave", nil).Status)
	own, err := b.SendText(b.ctx, testChannel, alice, "alone")
	require.NoError(t, err)
	_, err = b.Edit(b.ctx, testChannel, alice, own.MessageID, "else")
	require.Error(t, err, "LINE tells of edits in groups only")
}

func TestWhatCustomersDoBesideWriting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := "/_control/channels/" + testChannel + "/users/" + alice
	latest := func() map[string]json.RawMessage {
		t.Helper()
		require.NoError(t, b.WaitIdle(b.ctx))
		got := b.bot.received()
		return got[len(got)-1].Events[0]
	}
	for _, c := range []struct {
		path string
		body map[string]any
		name string
		want string
	}{
		{user + "/beacon", map[string]any{"type": "enter", "hwid": "a1", "dm": "b2"}, "beacon", `{"type":"enter","hwid":"a1","dm":"b2"}`},
		{user + "/video-played", map[string]any{"tracking_id": "tour"}, "videoPlayComplete", `{"trackingId":"tour"}`},
		{user + "/membership", map[string]any{"type": "renewed", "membership_id": 7}, "membership", `{"type":"renewed","membershipId":7}`},
	} {
		require.Equal(t, 200, b.call("POST", c.path, c.body).Status)
		require.JSONEq(t, c.want, string(latest()[c.name]))
		require.NotEmpty(t, latest()["replyToken"])
	}
	require.Equal(t, 400, b.call("POST", user+"/beacon", map[string]any{"type": "flies"}).Status)
	require.Equal(t, 400, b.call("POST", user+"/membership", map[string]any{"type": "flies"}).Status)
	require.Equal(t, 200, b.call("POST", "/_control/channels/"+testChannel+"/suspension", map[string]any{"suspended": true}).Status)
	require.JSONEq(t, `"botSuspended"`, string(latest()["type"]))
}

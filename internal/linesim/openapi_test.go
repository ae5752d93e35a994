package linesim

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// published loads one of LINE's OpenAPI files.
// https://github.com/line/line-openapi
func published(t *testing.T, name string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join("..", "line", "testdata", "openapi", name))
	require.NoError(t, err)
	return doc
}

// variant is the schema that name's discriminator maps the value's type to.
func variant(t *testing.T, doc *openapi3.T, name string, value map[string]any) *openapi3.Schema {
	t.Helper()
	base := doc.Components.Schemas[name].Value
	kind, ok := value["type"].(string)
	require.True(t, ok, "%s without type: %v", name, value)
	ref, ok := base.Discriminator.Mapping[kind]
	require.True(t, ok, "%s of unknown type %q", name, kind)
	return doc.Components.Schemas[strings.TrimPrefix(ref.Ref, "#/components/schemas/")].Value
}

func TestWebhooksAreAsLINEPublishesThem(t *testing.T) {
	t.Parallel()
	doc := published(t, "webhook.yml")
	b := setup(t)
	none := 0
	group := "C" + strings.Repeat("b", 32)
	for _, m := range []Message{
		{Type: "text", Text: "สวัสดี", QuotedMessageID: "1", Emojis: json.RawMessage(`[{"index":0,"length":1,"productId":"p","emojiId":"001"}]`)},
		{Type: "sticker", PackageID: "446", StickerID: "1988", Keywords: []string{"hi"}},
		{Type: "image", Content: []byte("x"), ImageSetID: "set", ImageSetIndex: 1, ImageSetTotal: 2},
		{Type: "image", ExternalURL: "https://example.com/a.jpg", ExternalPreviewURL: "https://example.com/b.jpg"},
		{Type: "video", Content: []byte("x"), DurationMS: 10, NotReady: &none},
		{Type: "audio", Content: []byte("x"), DurationMS: 10},
		{Type: "file", Content: []byte("x"), FileName: "a.txt"},
		{Type: "location", Title: "Here", Latitude: 35.6, Longitude: 139.7},
		{Type: "text", Text: "to all", GroupID: group},
		{Type: "text", Text: "to all", RoomID: "R" + strings.Repeat("b", 32)},
	} {
		_, err := b.Send(b.ctx, testChannel, alice, m)
		require.NoError(t, err)
	}
	text := b.write(alice, "oops")
	for _, act := range []func() (Sent, error){
		func() (Sent, error) { return b.Unsend(b.ctx, testChannel, alice, text.MessageID) },
		func() (Sent, error) {
			return b.Postback(b.ctx, testChannel, alice, "d", "", map[string]string{"date": "2025-01-01"})
		},
		func() (Sent, error) { return b.Unfollow(b.ctx, testChannel, alice) },
		func() (Sent, error) { return b.Follow(b.ctx, testChannel, alice) },
		func() (Sent, error) { return b.AccountLink(b.ctx, testChannel, alice, "0123456789", true) },
		func() (Sent, error) { return b.AccountLink(b.ctx, testChannel, alice, "0123456789", false) },
	} {
		_, err := act()
		require.NoError(t, err)
	}
	require.NoError(t, b.Redeliver(b.ctx, testChannel, text.WebhookEventID))
	b.idle()

	bodies := b.bot.received()
	require.Len(t, bodies, 18)
	for _, body := range bodies {
		var v map[string]any
		require.NoError(t, json.Unmarshal(body.Raw, &v))
		require.NoError(t, doc.Components.Schemas["CallbackRequest"].Value.VisitJSON(v), "%s", body.Raw)
		e := v["events"].([]any)[0].(map[string]any)
		require.NoError(t, variant(t, doc, "Event", e).VisitJSON(e), "%s", body.Raw)
		if source, ok := e["source"].(map[string]any); ok && len(source) > 0 {
			require.NoError(t, variant(t, doc, "Source", source).VisitJSON(source), "%s", body.Raw)
		}
		if m, ok := e["message"].(map[string]any); ok {
			require.NoError(t, variant(t, doc, "MessageContent", m).VisitJSON(m), "%s", body.Raw)
		}
	}
}

func TestAnswersAreAsLINEPublishesThem(t *testing.T) {
	t.Parallel()
	doc := published(t, "messaging-api.yml")
	b := setup(t)
	b.SetPublicURL(b.api.URL)
	sent := b.write(alice, "hello")
	video, err := b.Send(b.ctx, testChannel, alice, Message{Type: "video", Content: []byte("x")})
	require.NoError(t, err)
	message := list([]string{"hi"})
	menu := b.menu("m", `{"type":"message","text":"x"}`)
	group := "C" + strings.Repeat("a", 32)
	_, err = b.Send(b.ctx, testChannel, alice, Message{Type: "text", Text: "hello all", GroupID: group})
	require.NoError(t, err)
	for _, c := range []struct {
		method, path, schema string
		body                 any
		header               []string
		status               int
	}{
		{"GET", "/v2/bot/info", "BotInfoResponse", nil, nil, 200},
		{"GET", "/v2/bot/channel/webhook/endpoint", "GetWebhookEndpointResponse", nil, nil, 200},
		{"POST", "/v2/bot/channel/webhook/test", "TestWebhookEndpointResponse", nil, nil, 200},
		{"GET", "/v2/bot/profile/" + alice, "UserProfileResponse", nil, nil, 200},
		{"GET", "/v2/bot/profile/nobody", "ErrorResponse", nil, nil, 404},
		{"GET", "/v2/bot/group/" + group + "/members/count", "GroupMemberCountResponse", nil, nil, 200},
		{"GET", "/v2/bot/group/C" + strings.Repeat("0", 32) + "/members/count", "ErrorResponse", nil, nil, 404},
		{"POST", "/v2/bot/message/reply", "ReplyMessageResponse", map[string]any{"replyToken": sent.ReplyToken, "messages": message}, nil, 200},
		{"POST", "/v2/bot/message/reply", "ErrorResponse", map[string]any{"replyToken": sent.ReplyToken, "messages": message}, nil, 400},
		{"POST", "/v2/bot/message/push", "PushMessageResponse", map[string]any{"to": alice, "messages": message}, []string{"X-Line-Retry-Key", key1}, 200},
		{"POST", "/v2/bot/message/push", "ErrorResponse", map[string]any{"to": alice, "messages": message}, []string{"X-Line-Retry-Key", key1}, 409},
		{"POST", "/v2/bot/message/push", "ErrorResponse", map[string]any{"to": alice, "messages": list([]string{""})}, nil, 400},
		{"POST", "/v2/bot/message/multicast", "MulticastResponse", map[string]any{"to": []string{alice}, "messages": message}, nil, 200},
		{"GET", "/v2/bot/message/quota", "MessageQuotaResponse", nil, nil, 200},
		{"GET", "/v2/bot/message/quota/consumption", "QuotaConsumptionResponse", nil, nil, 200},
		{"GET", "/v2/bot/message/" + video.MessageID + "/content/transcoding", "GetMessageContentTranscodingResponse", nil, nil, 200},
		{"POST", "/v2/bot/user/" + alice + "/linkToken", "IssueLinkTokenResponse", nil, nil, 200},
		{"POST", "/v2/bot/chat/loading/start", "ShowLoadingAnimationResponse", map[string]any{"chatId": alice}, nil, 202},
		{"POST", "/v2/bot/richmenu", "RichMenuIdResponse", menuOf("another"), nil, 200},
		{"GET", "/v2/bot/richmenu/" + menu, "RichMenuResponse", nil, nil, 200},
		{"GET", "/v2/bot/richmenu/list", "RichMenuListResponse", nil, nil, 200},
		{"POST", "/v2/bot/user/all/richmenu/" + menu, "", nil, nil, 200},
		{"GET", "/v2/bot/user/all/richmenu", "RichMenuIdResponse", nil, nil, 200},
		{"GET", "/v2/bot/user/" + alice + "/richmenu", "ErrorResponse", nil, nil, 404},
	} {
		r := b.call(c.method, c.path, c.body, c.header...)
		require.Equal(t, c.status, r.Status, "%s %s: %s", c.method, c.path, r.Body)
		var v any
		require.NoError(t, json.Unmarshal(r.Body, &v))
		if c.schema == "" {
			require.Empty(t, v)
			continue
		}
		require.NoError(t, doc.Components.Schemas[c.schema].Value.VisitJSON(v), "%s %s: %s", c.method, c.path, r.Body)
	}
}

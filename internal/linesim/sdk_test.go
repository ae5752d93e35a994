package linesim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"
	"github.com/stretchr/testify/require"
)

// LINE's own SDK must not tell the simulator from LINE.
func TestLINEsSDKWorksAgainstIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, err := messaging_api.NewMessagingApiAPI(testToken, messaging_api.WithEndpoint(b.api.URL))
	require.NoError(t, err)
	blob, err := messaging_api.NewMessagingApiBlobAPI(testToken, messaging_api.WithBlobEndpoint(b.api.URL))
	require.NoError(t, err)

	info, err := client.GetBotInfo()
	require.NoError(t, err)
	require.Equal(t, b.Channels()[0].BotUserID, info.UserId)

	picture, err := b.Send(b.ctx, testChannel, alice, Message{Type: "image", Content: []byte("\xff\xd8\xff")})
	require.NoError(t, err)
	b.idle()
	raw := b.bot.received()[0]
	req := httptest.NewRequest(http.MethodPost, "/", nil)
	req.Header.Set("X-Line-Signature", raw.Signature)
	req.Body = io.NopCloser(bytes.NewReader(raw.Raw))
	parsed, err := webhook.ParseRequest(testSecret, req)
	require.NoError(t, err)
	event, ok := parsed.Events[0].(webhook.MessageEvent)
	require.True(t, ok)
	require.Equal(t, picture.ReplyToken, event.ReplyToken)
	message, ok := event.Message.(webhook.ImageMessageContent)
	require.True(t, ok)
	require.Equal(t, picture.MessageID, message.Id)

	content, err := blob.GetMessageContent(message.Id)
	require.NoError(t, err)
	got, err := io.ReadAll(content.Body)
	require.NoError(t, err)
	require.NoError(t, content.Body.Close())
	require.Equal(t, "\xff\xd8\xff", string(got))

	replied, err := client.ReplyMessage(&messaging_api.ReplyMessageRequest{ReplyToken: event.ReplyToken, Messages: []messaging_api.MessageInterface{
		messaging_api.TextMessage{Text: "nice picture", QuoteToken: message.QuoteToken},
		messaging_api.StickerMessage{PackageId: "446", StickerId: "1988"},
		messaging_api.TemplateMessage{AltText: "a", Template: &messaging_api.ConfirmTemplate{Text: "?", Actions: []messaging_api.ActionInterface{
			&messaging_api.MessageAction{Label: "yes", Text: "yes"}, &messaging_api.PostbackAction{Label: "no", Data: "no"},
		}}},
		messaging_api.FlexMessage{AltText: "a", Contents: &messaging_api.FlexBubble{Body: &messaging_api.FlexBox{
			Layout: messaging_api.FlexBoxLAYOUT_VERTICAL, Contents: []messaging_api.FlexComponentInterface{&messaging_api.FlexText{Text: "hi"}},
		}}},
	}})
	require.NoError(t, err)
	require.Len(t, replied.SentMessages, 4)

	push := &messaging_api.PushMessageRequest{To: alice, Messages: []messaging_api.MessageInterface{messaging_api.TextMessage{Text: "later"}}}
	first, err := client.PushMessage(push, key1)
	require.NoError(t, err)
	res, _, err := client.PushMessageWithHttpInfo(push, key1)
	require.Error(t, err)
	require.Equal(t, http.StatusConflict, res.StatusCode)
	var conflict messaging_api.ErrorResponse
	require.NoError(t, json.NewDecoder(res.Body).Decode(&conflict))
	require.Equal(t, first.SentMessages[0].Id, conflict.SentMessages[0].Id)

	profile, err := client.GetProfile(alice)
	require.NoError(t, err)
	require.Equal(t, "Alice", profile.DisplayName)
	_, err = client.ShowLoadingAnimation(&messaging_api.ShowLoadingAnimationRequest{ChatId: alice, LoadingSeconds: 10})
	require.NoError(t, err)
	_, err = client.SetWebhookEndpoint(&messaging_api.SetWebhookEndpointRequest{Endpoint: b.bot.URL})
	require.NoError(t, err)
	tested, err := client.TestWebhookEndpoint(&messaging_api.TestWebhookEndpointRequest{})
	require.NoError(t, err)
	require.True(t, tested.Success)
}

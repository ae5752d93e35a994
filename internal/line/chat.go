package line

import (
	"context"
	"encoding/json"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
)

// StartLoading shows the loading animation in the chat with a user for so many
// seconds, rounded up to the next of 5, 10 … 60, or until a message arrives. It
// is seen only while the user looks at the chat; groups and rooms have none. It
// returns LINE's request id.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#display-a-loading-indicator
func (c *Client) StartLoading(ctx context.Context, userID string, seconds int) (requestID string, err error) {
	if !ValidUserID(userID) {
		return "", refused("not a LINE user id")
	}
	seconds = max(5, min(60, (seconds+4)/5*5))
	body, err := json.Marshal(messaging_api.ShowLoadingAnimationRequest{ChatId: userID, LoadingSeconds: int32(seconds)})
	if err != nil {
		return "", refused("the request cannot be encoded")
	}
	// Not by the SDK, which takes an accepted call without a body for a failure.
	return c.plain(ctx, "/v2/bot/chat/loading/start", body)
}

// MarkAsRead marks the message whose token it is, and those before it, as read
// by the account. It works while the account's chat mode is on; ClassRefused
// otherwise. It returns LINE's request id.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#mark-as-read
func (c *Client) MarkAsRead(ctx context.Context, token string) (requestID string, err error) {
	if !validToken(token) {
		return "", refused("the token is not usable")
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return "", err
	}
	_, _, err = sdk.MarkMessagesAsReadByTokenWithHttpInfo(&messaging_api.MarkMessagesAsReadByTokenRequest{MarkAsReadToken: token})
	if err := x.fail(err); err != nil {
		return "", err
	}
	return x.requestID(), nil
}

// plain is a call whose answer is its status.
func (c *Client) plain(ctx context.Context, path string, body []byte) (string, error) {
	req, err := c.post(ctx, path, body)
	if err != nil {
		return "", err
	}
	a, err := c.do(req)
	if err != nil {
		return "", err
	}
	if a.status/100 != 2 {
		return "", errorOf(a)
	}
	return a.requestID(), nil
}

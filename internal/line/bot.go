package line

import (
	"context"
	"time"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
)

// BotInfo is the account behind a channel.
type BotInfo struct {
	RequestID   string
	UserID      string // equals a webhook's destination
	BasicID     string // with its @
	DisplayName string
	PictureURL  string
	ChatMode    string // "chat": people answer in LINE's own tool too; "bot"
	MarkAsRead  string // "manual": Client.MarkAsRead works; "auto"
}

// BotInfo returns the account behind the channel. It is also the cheapest way
// to find out whether a token works.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-bot-info
func (c *Client) BotInfo(ctx context.Context) (BotInfo, error) {
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return BotInfo{}, err
	}
	_, b, err := sdk.GetBotInfoWithHttpInfo()
	if err := x.fail(err); err != nil {
		return BotInfo{}, err
	}
	return BotInfo{
		RequestID: x.requestID(), UserID: clean(b.UserId), BasicID: clean(b.BasicId), DisplayName: clean(b.DisplayName),
		PictureURL: clean(b.PictureUrl), ChatMode: clean(string(b.ChatMode)), MarkAsRead: clean(string(b.MarkAsReadMode)),
	}, nil
}

// WebhookEndpoint is where LINE delivers a channel's events.
type WebhookEndpoint struct {
	RequestID string
	URL       string
	// Active false means that "Use webhook" is off, which nothing but LINE's
	// console can turn on.
	Active bool
}

// WebhookEndpoint returns where LINE delivers events. It is ClassNotFound when
// no URL has been set.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-webhook-endpoint-information
func (c *Client) WebhookEndpoint(ctx context.Context) (WebhookEndpoint, error) {
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return WebhookEndpoint{}, err
	}
	_, w, err := sdk.GetWebhookEndpointWithHttpInfo()
	if err := x.fail(err); err != nil {
		return WebhookEndpoint{}, err
	}
	return WebhookEndpoint{RequestID: x.requestID(), URL: clean(w.Endpoint), Active: w.Active}, nil
}

const maxWebhookURL = 500 // characters

// SetWebhookEndpoint tells LINE where to deliver events: an HTTPS URL of at
// most 500 characters. LINE may take a minute to follow. It returns LINE's
// request id.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#set-webhook-endpoint-url
func (c *Client) SetWebhookEndpoint(ctx context.Context, url string) (requestID string, err error) {
	if err := checkURL(url, maxWebhookURL); err != nil {
		return "", refused("the webhook URL %s", err)
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return "", err
	}
	_, _, err = sdk.SetWebhookEndpointWithHttpInfo(&messaging_api.SetWebhookEndpointRequest{Endpoint: url})
	if err := x.fail(err); err != nil {
		return "", err
	}
	return x.requestID(), nil
}

// WebhookTest is how LINE fared when it called a webhook with no events.
type WebhookTest struct {
	RequestID  string
	Success    bool
	Timestamp  time.Time
	StatusCode int    // what the webhook answered; 0 or less when it did not
	Reason     string // such as OK, COULD_NOT_CONNECT, REQUEST_TIMEOUT, ERROR_STATUS_CODE
	Detail     string
}

// TestWebhook has LINE call the URL, or the one that is set when url is "". LINE
// allows 60 tests an hour.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#test-webhook-endpoint
func (c *Client) TestWebhook(ctx context.Context, url string) (WebhookTest, error) {
	if url != "" {
		if err := checkURL(url, maxWebhookURL); err != nil {
			return WebhookTest{}, refused("the webhook URL %s", err)
		}
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return WebhookTest{}, err
	}
	_, t, err := sdk.TestWebhookEndpointWithHttpInfo(&messaging_api.TestWebhookEndpointRequest{Endpoint: url})
	if err := x.fail(err); err != nil {
		return WebhookTest{}, err
	}
	return WebhookTest{
		RequestID: x.requestID(), Success: t.Success, Timestamp: t.Timestamp, StatusCode: int(t.StatusCode),
		Reason: clean(t.Reason), Detail: clean(t.Detail),
	}, nil
}

package line

import (
	"context"

	"github.com/line/line-bot-sdk-go/v8/linebot/channel_access_token"
	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
)

// The SDK's WithContext changes the client it is called on, which poisons later
// calls of a shared one, so every call makes a client of its own: it is a
// struct of four fields. The SDK puts path parameters into the URL as they are,
// so every method that has one checks its shape first.

func (c *Client) sdk(ctx context.Context) (*messaging_api.MessagingApiAPI, *exchange, error) {
	if err := c.checkToken(); err != nil {
		return nil, nil, err
	}
	x := &exchange{api: c.api}
	client, err := messaging_api.NewMessagingApiAPI(c.token,
		messaging_api.WithHTTPClient(x.http()), messaging_api.WithEndpoint(c.api.apiURL))
	if err != nil {
		return nil, nil, refused("LINE's address is not usable: %v", err)
	}
	return client.WithContext(ctx), x, nil
}

func (c *Client) blobSDK(ctx context.Context) (*messaging_api.MessagingApiBlobAPI, *exchange, error) {
	if err := c.checkToken(); err != nil {
		return nil, nil, err
	}
	x := &exchange{api: c.api}
	client, err := messaging_api.NewMessagingApiBlobAPI(c.token,
		messaging_api.WithBlobHTTPClient(x.http()), messaging_api.WithBlobEndpoint(c.api.dataURL))
	if err != nil {
		return nil, nil, refused("LINE's address is not usable: %v", err)
	}
	return client.WithContext(ctx), x, nil
}

func (a *API) tokenSDK(ctx context.Context) (*channel_access_token.ChannelAccessTokenAPI, *exchange, error) {
	x := &exchange{api: a}
	client, err := channel_access_token.NewChannelAccessTokenAPI(
		channel_access_token.WithHTTPClient(x.http()), channel_access_token.WithEndpoint(a.apiURL))
	if err != nil {
		return nil, nil, refused("LINE's address is not usable: %v", err)
	}
	return client.WithContext(ctx), x, nil
}

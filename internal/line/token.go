package line

import (
	"context"
	"time"
)

// StatelessToken is a channel access token that LINE does not keep track of:
// any number may be alive, none can be revoked.
type StatelessToken struct {
	RequestID string
	Token     string
	ExpiresIn time.Duration // 15 minutes at the time of writing
}

// IssueStatelessToken issues a short-lived channel access token out of the
// channel's id and secret. ClassRefused: LINE does not know the two together.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#issue-stateless-channel-access-token
func (a *API) IssueStatelessToken(ctx context.Context, channelID, secret string) (StatelessToken, error) {
	if channelID == "" || secret == "" {
		return StatelessToken{}, refused("a token needs the channel's id and secret")
	}
	sdk, x, err := a.tokenSDK(ctx)
	if err != nil {
		return StatelessToken{}, err
	}
	_, t, err := sdk.IssueStatelessChannelTokenByClientSecretWithHttpInfo(channelID, secret)
	if err := x.fail(err); err != nil {
		return StatelessToken{}, err
	}
	return StatelessToken{RequestID: x.requestID(), Token: t.AccessToken, ExpiresIn: time.Duration(t.ExpiresIn) * time.Second}, nil
}

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

// AssertedTokenLife is how long a channel access token v2.1 lives: the longest
// that LINE allows.
//
// Source: https://developers.line.biz/en/docs/messaging-api/generate-json-web-token/
const AssertedTokenLife = 30 * 24 * time.Hour

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// AssertedToken is a channel access token v2.1: LINE keeps track of it, and it
// can be revoked.
type AssertedToken struct {
	RequestID string
	Token     string
	KeyID     string // names the token at LINE; it is no secret
	ExpiresIn time.Duration
}

// IssueAssertedToken issues a channel access token v2.1 to the holder of the
// channel's assertion signing key. A channel may have 30 at once. ClassRefused:
// the key is not one that is registered with the channel, or there are 30. now is
// the time by which LINE judges whether the request is a fresh one.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#issue-channel-access-token-v2-1
func (a *API) IssueAssertedToken(ctx context.Context, channelID string, key AssertionKey, now time.Time) (AssertedToken, error) {
	if channelID == "" {
		return AssertedToken{}, refused("a token needs the channel's id")
	}
	assertion, err := key.assert(channelID, now, AssertedTokenLife)
	if err != nil {
		return AssertedToken{}, refused("the assertion signing key is not usable")
	}
	sdk, x, err := a.tokenSDK(ctx)
	if err != nil {
		return AssertedToken{}, err
	}
	_, t, err := sdk.IssueChannelTokenByJWTWithHttpInfo("client_credentials", assertionType, assertion)
	if err := x.fail(err); err != nil {
		return AssertedToken{}, err
	}
	return AssertedToken{RequestID: x.requestID(), Token: t.AccessToken, KeyID: t.KeyId, ExpiresIn: time.Duration(t.ExpiresIn) * time.Second}, nil
}

// RevokeAssertedToken ends a channel access token v2.1. One that is none any
// more is no failure.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#revoke-channel-access-token-v2-1
func (a *API) RevokeAssertedToken(ctx context.Context, channelID, secret, token string) error {
	if channelID == "" || secret == "" || token == "" {
		return refused("to revoke a token takes the channel's id and secret")
	}
	sdk, x, err := a.tokenSDK(ctx)
	if err != nil {
		return err
	}
	_, _, err = sdk.RevokeChannelTokenByJWTWithHttpInfo(channelID, secret, token)
	return x.fail(err)
}

// TokenChannel tells the id of the channel that an access token is of.
// longLived says that it is one that LINE's console issued; v2.1 and stateless
// ones have an endpoint of their own. ClassRefused: it is no token, or no more.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#verify-channel-access-token
// and #verify-channel-access-token-v2-1
func (a *API) TokenChannel(ctx context.Context, token string, longLived bool) (channelID string, err error) {
	if !validToken(token) {
		return "", refused("the access token is not usable")
	}
	sdk, x, err := a.tokenSDK(ctx)
	if err != nil {
		return "", err
	}
	ask := sdk.VerifyChannelTokenByJWTWithHttpInfo
	if longLived {
		ask = sdk.VerifyChannelTokenWithHttpInfo
	}
	_, said, err := ask(token)
	if err := x.fail(err); err != nil {
		return "", err
	}
	return clean(said.ClientId), nil
}

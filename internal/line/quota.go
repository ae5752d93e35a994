package line

import (
	"context"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
)

// Quota is what a channel may push this month and has pushed.
type Quota struct {
	RequestID string // of the second of the two calls this takes
	Limit     int64  // messages a month, free and additional; -1 when there is no limit
	Used      int64  // messages this month; LINE calls it approximate
}

// Lacks tells whether less is left than a push to n recipients takes.
func (q Quota) Lacks(n int64) bool { return q.Limit >= 0 && q.Limit-q.Used < n }

// Quota returns the month's limit and usage. Replies are not counted.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-quota and
// #get-consumption
func (c *Client) Quota(ctx context.Context) (Quota, error) {
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return Quota{}, err
	}
	_, limit, err := sdk.GetMessageQuotaWithHttpInfo()
	if err := x.fail(err); err != nil {
		return Quota{}, err
	}
	x.last = nil
	_, used, err := sdk.GetMessageQuotaConsumptionWithHttpInfo()
	if err := x.fail(err); err != nil {
		return Quota{}, err
	}
	q := Quota{RequestID: x.requestID(), Limit: -1, Used: used.TotalUsage}
	if limit.Type == messaging_api.QuotaType_LIMITED {
		q.Limit = limit.Value
	}
	return q, nil
}

// Classify429 finds out what a 429 to a push to n recipients meant by asking for
// the quota: ClassQuota when it lacks n, the class err has otherwise, save that a claim of a spent
// quota that is not true becomes ClassRateLimited: LINE reserves messages while
// another delivery runs and gives them back. The quota it went by comes with it.
// An err that is no 429 keeps its class, and no quota is asked for. When LINE does
// not tell the quota, the class of err stands and the reason is returned.
func (c *Client) Classify429(ctx context.Context, err error, n int64) (Class, Quota, error) {
	class := ClassOf(err)
	switch class {
	case ClassQuota, ClassRateLimited, ClassTooManyToUser:
	default:
		return class, Quota{}, nil
	}
	q, qerr := c.Quota(ctx)
	switch {
	case qerr != nil:
		return class, Quota{}, qerr
	case q.Lacks(n):
		return ClassQuota, q, nil
	case class == ClassQuota:
		return ClassRateLimited, q, nil
	}
	return class, q, nil
}

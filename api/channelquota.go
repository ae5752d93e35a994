package api

import (
	"context"
	"time"

	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

func showUsage(u store.LINEUsage) LINEUsage {
	return LINEUsage{Replies: u.Replies, Pushes: u.Pushes, Charged: u.Charged}
}

// quota asks LINE.
func (s *Server) quota(ctx context.Context, c store.Channel) (q line.Quota, err error) {
	err = s.tokens.Call(ctx, s.store, c, func(client *line.Client) (err error) {
		q, err = client.Quota(ctx)
		return err
	})
	return q, err
}

// GetChannelQuota asks LINE for the month's paid messages, and sums what Kaiwa
// sent.
func (s *Server) GetChannelQuota(ctx context.Context, r GetChannelQuotaRequestObject) (GetChannelQuotaResponseObject, error) {
	c, err := s.channel(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	asked, detail := time.Now(), ""
	var kept store.ChannelQuota
	if q, asking := s.quota(ctx, c); asking == nil {
		if kept, err = s.store.SaveQuota(ctx, c.ID, q.Limit, q.Used, asked); err != nil {
			return nil, err
		}
	} else {
		known, err := s.store.ChannelQuota(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if known == nil {
			return nil, lineError(asking)
		}
		kept, detail = *known, lineError(asking).Detail
	}
	sent, err := s.store.ChannelUsage(ctx, c.ID, asked)
	if err != nil {
		return nil, err
	}
	out := GetChannelQuota200JSONResponse{
		Month: kept.Month, Used: kept.Used, ReadAt: fromMicros(kept.ReadAt), Fresh: detail == "", Detail: detail,
		Warnings: append([]int64{}, kept.Warnings()...), Sent: showUsage(sent),
	}
	if kept.Limit >= 0 {
		left := kept.Left()
		out.Limit, out.Left = &kept.Limit, &left
	}
	return out, nil
}

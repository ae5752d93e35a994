package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// webhookStatsKept is how long statistics of webhooks are kept.
	webhookStatsKept = 90 * 24 * time.Hour
	// webhookStatsRows bounds the counters that one statement adds.
	webhookStatsRows = 500
)

// WebhookCount is one counter of a channel's webhooks in one hour.
type WebhookCount struct {
	ChannelID string
	Hour      time.Time // its beginning, UTC
	Name      string
	N         int64
}

// AddWebhookCounts adds to counters. In each statement they come in one order,
// so that processes that add to the same ones never wait for each other in a
// circle. It returns those that were not added when it fails.
func (s *Store) AddWebhookCounts(ctx context.Context, counts []WebhookCount) (left []WebhookCount, err error) {
	counts = slices.Clone(counts)
	slices.SortFunc(counts, func(a, b WebhookCount) int {
		return cmp.Or(cmp.Compare(a.ChannelID, b.ChannelID), a.Hour.Compare(b.Hour), cmp.Compare(a.Name, b.Name))
	})
	for len(counts) > 0 {
		some := counts[:min(len(counts), webhookStatsRows)]
		rows := make([][4]any, len(some))
		for i, c := range some {
			rows[i] = [4]any{c.ChannelID, micros(c.Hour), c.Name, c.N}
		}
		if err := s.txAlone(ctx, func(c conn) error {
			_, err := c.exec(ctx, `INSERT INTO webhook_stats (channel_id, hour, name, n)
				SELECT channel, hour, name, n FROM `+s.d.rows(1, "channel TEXT", "hour BIGINT", "name TEXT", "n BIGINT")+` AS counted WHERE TRUE
				ON CONFLICT (channel_id, hour, name) DO UPDATE SET n = webhook_stats.n + excluded.n`, jsonOf(rows))
			return err
		}); err != nil {
			return counts, fmt.Errorf("count webhooks: %w", err)
		}
		counts = counts[len(some):]
	}
	return nil, nil
}

// WebhookCounts reads the counters of a channel's webhooks in the hours that
// begin within a time, in the order of the hours.
func (s *Store) WebhookCounts(ctx context.Context, channelID string, from, to time.Time) ([]WebhookCount, error) {
	var rows []struct {
		Hour int64  `db:"hour"`
		Name string `db:"name"`
		N    int64  `db:"n"`
	}
	if err := s.read().list(ctx, &rows, `SELECT hour, name, n FROM webhook_stats WHERE channel_id = $1 AND hour >= $2 AND hour < $3 ORDER BY hour, name`,
		channelID, micros(from), micros(to)); err != nil {
		return nil, fmt.Errorf("statistics of the webhooks of channel %s: %w", channelID, err)
	}
	counts := make([]WebhookCount, len(rows))
	for i, r := range rows {
		counts[i] = WebhookCount{channelID, fromMicros(r.Hour), r.Name, r.N}
	}
	return counts, nil
}

package store

import (
	"context"
	"time"
)

// NoteSuspension notes that LINE has suspended a channel's account, or that it
// is back, by LINE's clock. What comes late changes nothing, and what is said
// again is told of once.
func (s *Store) NoteSuspension(ctx context.Context, channelID string, suspended bool, at time.Time) error {
	return s.tx(ctx, func(c conn) error {
		n, err := c.exec(ctx, `INSERT INTO channel_suspensions (channel_id, suspended, at) VALUES ($1, $2, $3)
			ON CONFLICT (channel_id) DO UPDATE SET suspended = excluded.suspended, at = excluded.at
			WHERE channel_suspensions.at < excluded.at AND channel_suspensions.suspended <> excluded.suspended`, channelID, suspended, micros(at))
		if err != nil || n == 0 {
			return err
		}
		kind := "channel.resumed"
		if suspended {
			kind = "channel.suspended"
		}
		return c.record(ctx, kind, "", channelID, "{}", micros(s.now()))
	})
}

// Suspensions tells since when accounts are suspended by LINE. Channels whose
// account is not are left out.
func (s *Store) Suspensions(ctx context.Context, channelIDs ...string) (map[string]time.Time, error) {
	since := map[string]time.Time{}
	if len(channelIDs) == 0 {
		return since, nil
	}
	var rows []struct {
		ChannelID string `db:"channel_id"`
		At        int64  `db:"at"`
	}
	err := s.read().list(ctx, &rows, `SELECT channel_id, at FROM channel_suspensions WHERE suspended AND channel_id IN (`+list1(len(channelIDs), 1)+`)`, anys(channelIDs)...)
	for _, r := range rows {
		since[r.ChannelID] = fromMicros(r.At)
	}
	return since, err
}

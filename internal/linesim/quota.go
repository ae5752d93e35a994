package linesim

import (
	"context"
	"fmt"
)

// Consumption is what the account sent this calendar month (Japan's time).
type Consumption struct {
	// Replies are calls, and free. Pushes are recipients, and paid.
	Replies int `json:"replies" db:"replies"`
	Pushes  int `json:"pushes" db:"pushes"`
	// Quota is the limit of pushes; 0 is unlimited.
	Quota int `json:"quota" db:"-"`
}

// Consumption counts what the channel sent this month.
func (s *Simulator) Consumption(ctx context.Context, channelID string) (Consumption, error) {
	c, err := s.channel(channelID)
	if err != nil {
		return Consumption{}, err
	}
	var used Consumption
	err = s.store.r.GetContext(ctx, &used, `SELECT coalesce(sum(replies), 0) AS replies, coalesce(sum(pushes), 0) AS pushes FROM consumption WHERE channel_id = ? AND month = ?`, channelID, monthOf(s.now()))
	if err != nil {
		return Consumption{}, fmt.Errorf("read consumption of %s: %w", channelID, err)
	}
	used.Quota = c.Quota
	return used, nil
}

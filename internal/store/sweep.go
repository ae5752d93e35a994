package store

import (
	"context"
	"time"
)

// SweepConfiguration forgets what has no use any more: expired idempotency
// keys and findings of services, secrets whose rotation is over, the tokens of channels deleted a day
// ago, API tokens that were revoked or expired a month ago, and old statistics
// of webhooks. It may run at
// any time and in several processes.
func (s *Store) SweepConfiguration(ctx context.Context) error {
	now := s.now()
	day, month := micros(now.Add(-24*time.Hour)), micros(now.Add(-30*24*time.Hour))
	for _, sweep := range []struct {
		query string
		arg   int64
	}{
		{"DELETE FROM idempotency_keys WHERE expires_at <= $1", micros(now)},
		{"DELETE FROM service_findings WHERE expires_at <= $1", micros(now)},
		{"UPDATE channels SET previous_secret = '', previous_until = 0 WHERE previous_until > 0 AND previous_until <= $1", micros(now)},
		{"UPDATE channels SET token = '', secret = '', assertion_key = '', old_token = '', tend_at = 0, held_at = 0 WHERE status = 'deleted' AND deleted_at <= $1 AND (token <> '' OR secret <> '')", day},
		{"DELETE FROM webhook_stats WHERE hour <= $1", micros(now.Add(-webhookStatsKept))},
		{"DELETE FROM api_tokens WHERE (revoked_at > 0 AND revoked_at <= $1) OR (expires_at > 0 AND expires_at <= $1)", month},
	} {
		if err := s.txAlone(ctx, func(c conn) error {
			_, err := c.exec(ctx, sweep.query, sweep.arg)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

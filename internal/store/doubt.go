package store

import (
	"context"
	"fmt"
	"time"
)

// doubtfulReply is true of a reply that LINE may have taken, or that is under
// way since before $1, and whose token is not older than $2. Both are Unix
// microseconds.
const doubtfulReply = `state = 'frozen' AND kind = 'reply' AND (doubt OR outcome NOT IN ('` + OutcomeNotTaken + `', '` + OutcomeHeld + `'))
	AND created_at <= $1 AND attempted_at <= $1 AND token_received_at > $2`

// DoubtfulReplies names the conversations with a reply of which nobody has
// learned what became of it and that nobody has tried since a time, the one
// whose token dies first before the others. Tokens received before tokens are
// left out: with them LINE can be asked no more.
func (s *Store) DoubtfulReplies(ctx context.Context, since, tokens time.Time, limit int) ([]string, error) {
	var ids []string
	if err := s.read().list(ctx, &ids, `SELECT conversation_id FROM batches WHERE `+doubtfulReply+` ORDER BY token_received_at LIMIT $3`,
		micros(since), micros(tokens), limit); err != nil {
		return nil, fmt.Errorf("replies in doubt: %w", err)
	}
	return ids, nil
}

// AskAgain counts another attempt of a conversation's reply, if it is still
// among DoubtfulReplies: of several who ask at once, one does. The result is nil
// when it is not.
func (s *Store) AskAgain(ctx context.Context, conversationID string, since, tokens time.Time) (*Batch, error) {
	var out *Batch
	err := s.tx(ctx, func(c conn) error {
		out = nil
		to, err := c.lockLane(ctx, conversationID)
		if err != nil || to.HeldAt > 0 { // LINE would not say
			return err
		}
		var b Batch
		found, err := c.get(ctx, &b, `SELECT `+batchColumns+` FROM batches WHERE conversation_id = $3 AND `+doubtfulReply+c.s.d.forUpdate(),
			micros(since), micros(tokens), conversationID)
		if err != nil || !found {
			return err
		}
		b.ChannelID = to.ChannelID
		return c.countAttempt(ctx, &b, &out)
	})
	if err != nil {
		return nil, fmt.Errorf("reply in doubt of conversation %s: %w", conversationID, err)
	}
	return out, nil
}

package linesim

import (
	"context"
	"fmt"
)

// Draft is a message that a customer is to send.
type Draft struct {
	UserID  string
	Message Message
}

// Webhook is a webhook that its maker delivers.
type Webhook struct {
	Sent
	UserID    string
	Body      []byte
	Signature string // the value of x-line-signature
}

// Drafts lets customers write, as Send does, and leaves the delivery of the
// webhooks, one a message, to the caller: load generators have a clock of their
// own. When they are delivered is not known here, so their reply tokens are good
// for as long as LINE's ever are, 20 minutes.
func (s *Simulator) Drafts(ctx context.Context, channelID string, drafts []Draft) ([]Webhook, error) {
	c, err := s.channel(channelID)
	if err != nil {
		return nil, err
	}
	writers := map[string]bool{}
	for _, d := range drafts {
		if err := d.Message.check(); err != nil {
			return nil, err
		}
		if writers[d.UserID] {
			continue
		}
		if _, err := s.writer(ctx, channelID, d.UserID); err != nil {
			return nil, err
		}
		writers[d.UserID] = true
	}
	hooks := make([]Webhook, len(drafts))
	err = s.store.write(func(t *txn) error {
		for i, d := range drafts {
			out, shown, err := s.happen(t, c, sourceOf(d.UserID, d.Message.GroupID, d.Message.RoomID), written(d.Message))
			if err != nil {
				return err
			}
			if _, err := t.exec(eventDone, "delivered", out.ID); err != nil {
				return err
			}
			if _, err := t.exec(renewReplyToken, out.AtMS+(replyLimit-replyWindow).Milliseconds(), out.ReplyToken); err != nil {
				return err
			}
			body, err := (&parcel{channelID: c.ID, events: []*outEvent{out}}).body(c)
			if err != nil {
				return err
			}
			hooks[i] = Webhook{
				Sent:   Sent{WebhookEventID: out.ID, MessageID: shown.ID, ReplyToken: out.ReplyToken, Timestamp: out.AtMS},
				UserID: d.UserID, Body: body, Signature: Signature(c.Secret, body),
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("drafts of channel %s: %w", channelID, err)
	}
	return hooks, nil
}

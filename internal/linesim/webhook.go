package linesim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Signature is the value of the x-line-signature header: base64 of the
// HMAC-SHA256 of the raw body with the channel secret. Source:
// https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
func Signature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Delivery is one POST to a webhook.
type Delivery struct {
	At        time.Time `json:"at"`
	ChannelID string    `json:"channel_id"`
	URL       string    `json:"url"`
	EventIDs  []string  `json:"event_ids"`
	// Attempt counts from 1 for the parcel's first event.
	Attempt    int  `json:"attempt"`
	Redelivery bool `json:"redelivery"`
	// Copy marks a duplicate a fault asked for.
	Copy bool `json:"copy,omitempty"`
	// Test marks a webhook test and a raw body: no events of the outbox.
	Test bool `json:"test,omitempty"`
	// Status is 0 when no answer came; Error says why.
	Status     int    `json:"status"`
	DurationMS int64  `json:"duration_ms"`
	Error      string `json:"error,omitempty"`
	Body       string `json:"body"`
	// Delivered tells whether LINE takes it for delivered: a 2xx in time.
	Delivered bool `json:"delivered"`
	// cause is one of LINE's four: see reasonOf.
	cause error
}

// DeliveryFilter selects deliveries; zero fields match all.
type DeliveryFilter struct {
	ChannelID string
	EventID   string
	// Limit keeps the newest n.
	Limit int
}

// Deliveries lists the webhook POSTs made since the start, oldest first.
func (s *Simulator) Deliveries(f DeliveryFilter) []Delivery {
	return s.posts.last(f.Limit, func(d Delivery) bool {
		if f.ChannelID != "" && f.ChannelID != d.ChannelID {
			return false
		}
		if f.EventID == "" {
			return true
		}
		for _, id := range d.EventIDs {
			if id == f.EventID {
				return true
			}
		}
		return false
	})
}

const (
	beginAttempt     = `UPDATE events SET attempts = attempts + 1 WHERE id = ?`
	renewReplyToken  = `UPDATE reply_tokens SET received_ms = ? WHERE token = ?`
	eventDone        = `UPDATE events SET state = ? WHERE id = ?`
	eventRescheduled = `UPDATE events SET state = 'pending', next_ms = ? WHERE id = ?`
)

// deliver makes one attempt, and says when the next is due (zero: never).
func (s *Simulator) deliver(ctx context.Context, p *parcel) time.Time {
	c, ok := s.accounts.get(p.channelID)
	if !ok || !c.WebhookActive || c.WebhookURL == "" {
		s.settleOrLog(p.events, "inactive")
		return time.Time{}
	}
	if wait, lost := s.strike(p, c); lost {
		s.settleOrLog(p.events, "lost")
		return time.Time{}
	} else if wait > 0 {
		return s.now().Add(wait)
	}
	copies, dropAnswer := p.copies, p.dropAnswer
	p.struck, p.copies, p.dropAnswer = false, 0, false

	body, err := p.body(c)
	if err != nil {
		s.log.Error("webhook body", "channel", c.ID, "error", err)
		s.settleOrLog(p.events, "failed")
		return time.Time{}
	}
	// The token's minute runs from the receipt, and a crash during the POST
	// must know that the bot may have the event: both before the first byte.
	err = s.store.write(func(t *txn) error {
		for _, e := range p.events {
			if _, err := t.exec(beginAttempt, e.ID); err != nil {
				return err
			}
			if e.ReplyToken == "" {
				continue
			}
			if _, err := t.exec(renewReplyToken, s.now().UnixMilli(), e.ReplyToken); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.Error("begin delivery", "channel", c.ID, "error", err)
		return s.now().Add(s.opts.RedeliveryBackoff[0])
	}
	for _, e := range p.events {
		e.Attempts++
	}

	d := s.post(ctx, c, body, Delivery{EventIDs: p.ids(), Attempt: p.events[0].Attempts, Redelivery: p.redelivery}, dropAnswer)
	for range copies {
		s.post(ctx, c, body, Delivery{EventIDs: p.ids(), Attempt: p.events[0].Attempts, Redelivery: p.redelivery, Copy: true}, false)
	}
	if ctx.Err() != nil {
		return time.Time{} // closing; the events stay pending
	}
	if d.Delivered {
		s.settleOrLog(p.events, "delivered")
		return time.Time{}
	}
	return s.afterFailure(p)
}

// strike lets faults hit the attempt, once also when one of them delays it.
func (s *Simulator) strike(p *parcel, c Channel) (wait time.Duration, lost bool) {
	if p.struck {
		return 0, false
	}
	p.struck = true
	for _, f := range s.faults.take(s.now(), WebhookEndpoint, c.ID, p.events[0].ChatID) {
		switch f.Kind {
		case FaultLose:
			lost = true
		case FaultDelay:
			wait += f.delay()
		case FaultDuplicate:
			p.copies += max(1, f.Copies)
		case FaultDropAnswer:
			p.dropAnswer = true
		}
	}
	return wait, lost
}

func (s *Simulator) afterFailure(p *parcel) time.Time {
	// The switch may have been turned during the POST.
	c, ok := s.accounts.get(p.channelID)
	attempts := p.events[0].Attempts
	wait := s.opts.RedeliveryBackoff[min(attempts, len(s.opts.RedeliveryBackoff))-1]
	next := s.now().Add(wait)
	if !ok || c.RedeliveryOff || next.Sub(msTime(p.events[0].AtMS)) > s.opts.RedeliverFor {
		s.settleOrLog(p.events, "failed")
		return time.Time{}
	}
	err := s.store.write(func(t *txn) error {
		for _, e := range p.events {
			if _, err := t.exec(eventRescheduled, next.UnixMilli(), e.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.Error("reschedule delivery", "channel", p.channelID, "error", err)
	}
	p.redelivery = true
	return next
}

// settle records the end of the events' deliveries.
func (s *Simulator) settle(events []*outEvent, state string) error {
	return s.store.write(func(t *txn) error {
		for _, e := range events {
			if _, err := t.exec(eventDone, state, e.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// settleOrLog is for the delivery goroutine, which has nobody to tell. An
// event that could not be marked is delivered again after a restart: LINE's
// webhooks are at least once anyway.
func (s *Simulator) settleOrLog(events []*outEvent, state string) {
	if err := s.settle(events, state); err != nil {
		s.log.Error("record delivery", "state", state, "error", err)
	}
}

func (p *parcel) ids() []string {
	ids := make([]string, len(p.events))
	for i, e := range p.events {
		ids[i] = e.ID
	}
	return ids
}

func (p *parcel) body(c Channel) ([]byte, error) {
	envelope := struct {
		Destination string            `json:"destination"`
		Events      []json.RawMessage `json:"events"`
	}{c.BotUserID, make([]json.RawMessage, len(p.events))}
	for i, e := range p.events {
		envelope.Events[i] = json.RawMessage(e.Body)
		if p.redelivery {
			again, err := asRedelivered([]byte(e.Body))
			if err != nil {
				return nil, err
			}
			envelope.Events[i] = again
		}
	}
	return json.Marshal(envelope)
}

var errAnswerDropped = errors.New("the answer was dropped by a fault")

// webhookClient follows no redirects: to LINE a 3xx is a failed delivery.
var webhookClient = &http.Client{
	Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConns:        2 * maxInFlight,
		MaxIdleConnsPerHost: maxInFlight,
		IdleConnTimeout:     30 * time.Second,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// post signs and sends body, and records it. d comes with what is being sent.
func (s *Simulator) post(ctx context.Context, c Channel, body []byte, d Delivery, dropAnswer bool) Delivery {
	start := time.Now()
	d.At, d.ChannelID, d.Body = s.now().UTC(), c.ID, string(body)
	if d.URL == "" {
		d.URL = c.WebhookURL
	}
	d.Status, d.cause = s.roundTrip(ctx, d.URL, c.Secret, body)
	if dropAnswer && d.cause == nil {
		d.Status, d.cause = 0, errAnswerDropped
	}
	if d.cause != nil {
		d.Error = d.cause.Error()
	}
	d.Delivered = d.cause == nil && d.Status/100 == 2
	d.DurationMS = time.Since(start).Milliseconds()
	s.posts.add(d)
	s.hub.publish("delivery", d)
	return d
}

func (s *Simulator) roundTrip(ctx context.Context, url, secret string, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.WebhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "LineBotWebhook/2.0")
	req.Header.Set("x-line-signature", Signature(secret, body))
	res, err := webhookClient.Do(req)
	if err != nil {
		return 0, err
	}
	// Read to the end so that the connection is used again; what the bot
	// answers means nothing to LINE, and a cut answer was still a 2xx.
	_, rerr := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	if err := errors.Join(rerr, res.Body.Close()); err != nil {
		s.log.Info("webhook answer not read to its end", "url", url, "error", err)
	}
	return res.StatusCode, nil
}

// PostRaw sends any bytes to the channel's webhook, once, properly signed, and
// returns what came of it: for bodies that LINE would never send.
func (s *Simulator) PostRaw(ctx context.Context, channelID string, body []byte) (Delivery, error) {
	c, err := s.channel(channelID)
	if err != nil {
		return Delivery{}, err
	}
	if c.WebhookURL == "" {
		return Delivery{}, fmt.Errorf("webhook URL of channel %s: %w", channelID, ErrNotFound)
	}
	return s.post(ctx, c, body, Delivery{EventIDs: []string{}, Attempt: 1, Test: true}, false), nil
}

// reasonOf gives reason and detail of a webhook test, and of LINE's webhook
// error statistics. Source:
// https://developers.line.biz/en/docs/messaging-api/check-webhook-error-statistics/
func reasonOf(d Delivery) (reason, detail string) {
	var timeout net.Error
	switch {
	case d.Delivered:
		return "OK", fmt.Sprint(d.Status)
	case d.cause == nil:
		return "ERROR_STATUS_CODE", fmt.Sprint(d.Status)
	case errors.As(d.cause, &timeout) && timeout.Timeout():
		return "REQUEST_TIMEOUT", "Request timeout"
	}
	return "COULD_NOT_CONNECT", d.Error
}

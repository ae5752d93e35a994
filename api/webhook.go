package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// maxWebhookEvents bounds one webhook by what one INSERT takes. LINE sends a
// hundred at most.
const maxWebhookEvents = 2000

// clockSkew is how far LINE's clock may be ahead of this machine's.
const clockSkew = 5 * time.Minute

// What became of a webhook, for the metrics.
const (
	webhookStored       = "stored"
	webhookBadSignature = "bad_signature"
	webhookUnknown      = "unknown_channel"
	webhookRefused      = "refused"
	webhookNotStored    = "not_stored"
)

// receiveLINEWebhook takes LINE's events. 200 means that they are durable; any
// other answer that nothing was kept, or nothing anybody was told of.
func (s *Server) receiveLINEWebhook(c echo.Context) error {
	receivedAt := time.Now()
	known, outcome, err := s.takeWebhook(c, receivedAt)
	s.metrics.webhooks.WithLabelValues(outcome).Inc()
	s.stats.ended(known, receivedAt, outcome)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, struct{}{})
}

// takeWebhook tells what became of a webhook, and of which channel it is, if
// there is one.
func (s *Server) takeWebhook(c echo.Context, receivedAt time.Time) (channelID, outcome string, _ error) {
	defer s.inbox.Taking()()
	r := c.Request()
	// LINE waits 2 s: what the database cannot do by then is better sent again.
	ctx, cancel := context.WithDeadline(r.Context(), receivedAt.Add(s.budget))
	defer cancel()

	id := c.Param("channel_id")
	if !conversation.ValidID(conversation.PrefixChannel, id) {
		return "", webhookUnknown, unknownChannel()
	}
	channel, fresh, err := s.channels.get(ctx, id)
	if err != nil {
		return s.webhookChannelError(err)
	}
	if channel.Status == store.ChannelDeleted {
		return "", webhookUnknown, unknownChannel()
	}
	body, err := readBody(r)
	if err != nil {
		return id, webhookRefused, err
	}
	signature := r.Header.Get("x-line-signature")
	if !signed(channel, body, signature) {
		// Another process may have rotated the secret since this one looked.
		if fresh || signature == "" {
			return id, webhookBadSignature, badSignature()
		}
		if channel, err = s.channels.read(ctx, id); err != nil {
			return s.webhookChannelError(err)
		}
		if !signed(channel, body, signature) {
			return id, webhookBadSignature, badSignature()
		}
	}
	webhook, err := line.SplitWebhook(body)
	if err != nil {
		return id, webhookRefused, &conversation.Error{Code: conversation.CodeInvalid, Detail: "The body is not a LINE webhook: a JSON object with an events array.", Err: err}
	}
	// The signature says the body is meant for this channel; another bot's id
	// in it says that the access token, which told the bot's id, is another
	// channel's: no reply would reach the customer. Refused, LINE shows the
	// error in its console and delivers the events again later, as long as it
	// sees fit; accepted, they would be lost to the wrong token.
	if webhook.Destination != "" && channel.BotUserID != "" && webhook.Destination != channel.BotUserID {
		s.log.Warn("a webhook is meant for another bot than the channel's access token", "channel_id", id, "request_id", requestID(ctx))
		return id, webhookRefused, conversation.Errorf(conversation.CodeInvalid,
			"The webhook is meant for another bot than the one this channel's access token belongs to. Check the channel's secret and access token.")
	}
	if len(webhook.Events) > maxWebhookEvents {
		return id, webhookRefused, conversation.Errorf(codeTooLarge, "The webhook has more than %d events.", maxWebhookEvents)
	}
	events := inboxEvents(channel, receivedAt, webhook.Events)
	failpoint.Hit("webhook.before_insert")
	chats, err := s.appendInTime(ctx, id, receivedAt, events)
	if err == nil {
		err = s.noteSuspensions(ctx, id, events)
	}
	var failed []store.Chat
	if err == nil {
		failed, err = s.noteFailedLinks(ctx, id, events)
	}
	if err != nil {
		s.log.Error("a webhook could not be stored", "channel_id", id, "request_id", requestID(ctx), "events", len(events), "error", err)
		return id, webhookNotStored, conversation.Errorf(conversation.CodeUnavailable, "The events could not be stored. Deliver them again.")
	}
	took := time.Since(receivedAt)
	s.metrics.stored.Observe(took.Seconds())
	s.stats.stored(id, receivedAt, took, webhook.Events, events)
	failpoint.Hit("webhook.after_insert")
	for _, e := range events {
		s.metrics.events.WithLabelValues(e.Disposition).Inc()
	}
	for _, chat := range chats {
		s.inbox.Notify(id, chat)
	}
	for _, chat := range failed {
		s.inbox.Notify(chat.ChannelID, chat.ChatKey)
	}
	failpoint.Hit("webhook.after_notify")
	return id, webhookStored, nil
}

// noteSuspensions keeps what LINE says of the account itself: such events have no
// chat whose workflow would. When it cannot be kept, LINE delivers them again.
func (s *Server) noteSuspensions(ctx context.Context, channelID string, events []store.InboxEvent) error {
	for _, e := range events {
		if e.Kind != line.EventBotSuspended && e.Kind != line.EventBotResumed || e.Disposition == store.DispositionChannelDisabled {
			continue
		}
		if err := s.store.NoteSuspension(ctx, channelID, e.Kind == line.EventBotSuspended, e.LineTime); err != nil {
			return err
		}
	}
	return nil
}

// confirmTime is what a database has to confirm that it gave a statement up.
const confirmTime = 300 * time.Millisecond

// appendInTime stores events. When the budget is spent the statement is
// cancelled, and what became of it awaited for a moment, so that the answer is
// the truth. A database that does not even answer that (SQLite waits for
// another process's lock without looking at contexts) may carry it out later:
// then the events are there once when LINE delivers them again, and the relay
// finds them if it does not.
func (s *Server) appendInTime(ctx context.Context, channelID string, receivedAt time.Time, events []store.InboxEvent) (chats []string, err error) {
	done := make(chan struct{})
	var stored []string
	var failed error
	go func() {
		defer close(done)
		stored, failed = s.store.AppendLINEEvents(ctx, channelID, receivedAt, events)
	}()
	select {
	case <-done:
		return stored, failed
	case <-ctx.Done():
	}
	select {
	case <-done:
		return stored, failed
	case <-time.After(confirmTime):
		return nil, ctx.Err()
	}
}

func (s *Server) webhookChannelError(err error) (channelID, outcome string, _ error) {
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return "", webhookUnknown, unknownChannel()
	}
	s.log.Error("a webhook's channel could not be read", "error", err)
	return "", webhookNotStored, conversation.Errorf(conversation.CodeUnavailable, "The channel could not be read. Deliver the events again.")
}

func unknownChannel() error {
	return conversation.Errorf(conversation.CodeNotFound, "There is no such channel.")
}

func badSignature() error {
	return conversation.Errorf(codeBadSignature, "The x-line-signature does not fit the body and the channel's secret.")
}

// signed compares with every secret that is accepted at the moment.
func signed(channel store.Channel, body []byte, signature string) bool {
	for _, secret := range channel.Secrets {
		if line.VerifySignature(secret, body, signature) {
			return true
		}
	}
	return false
}

// inboxEvents decides what is stored only. Everything is stored: also what
// cannot be read may have to be looked at.
func inboxEvents(channel store.Channel, receivedAt time.Time, raw []line.RawEvent) []store.InboxEvent {
	events := make([]store.InboxEvent, len(raw))
	for i, e := range raw {
		// The receipt is the best guess at an event's place among the others when LINE
		// tells no time, or one to come: that would stand behind all that is said until
		// then, and outdo whatever is told of the customer.
		if e.Timestamp.IsZero() || e.Timestamp.After(receivedAt.Add(clockSkew)) {
			e.Timestamp = receivedAt
		}
		disposition := store.DispositionNone
		switch {
		case channel.Status == store.ChannelDisabled:
			disposition = store.DispositionChannelDisabled
		case e.Malformed != "" && (e.Type == "" || e.ChatKey == ""):
			// One that is only partly unreadable is handled by what can be read.
			disposition = store.DispositionMalformed
		case e.ChatKey == "":
			disposition = store.DispositionNoSource
		}
		events[i] = store.InboxEvent{
			WebhookEventID: e.ID, ChatKey: e.ChatKey, Kind: e.Type, SourceType: e.SourceType, SourceID: e.SourceID, ReplyToken: e.ReplyToken,
			LineTime: e.Timestamp, Redelivery: e.Redelivery, Standby: e.Standby, Raw: e.Raw, Disposition: disposition,
		}
	}
	return events
}

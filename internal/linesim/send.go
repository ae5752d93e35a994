package linesim

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sentMessage is LINE's receipt for one message.
type sentMessage struct {
	ID         string `json:"id"`
	QuoteToken string `json:"quoteToken,omitempty"`
}

const (
	selectReplyToken = `SELECT chat_id, event_ms, received_ms, used_by FROM reply_tokens WHERE token = ? AND channel_id = ?`
	spendReplyToken  = `UPDATE reply_tokens SET used_by = ? WHERE token = ?`
	selectRetryKey   = `SELECT request_id, sent, digest FROM retry_keys WHERE channel_id = ? AND key = ? AND accepted_ms > ?`
	upsertRetryKey   = `INSERT OR REPLACE INTO retry_keys (channel_id, key, request_id, sent, digest, accepted_ms) VALUES (?, ?, ?, ?, ?, ?)`
	countMessages    = `INSERT INTO consumption (channel_id, month, replies, pushes) VALUES (?, ?, ?, ?)
		ON CONFLICT (channel_id, month) DO UPDATE SET replies = replies + excluded.replies, pushes = pushes + excluded.pushes`
)

const (
	// replyWindow is how long a reply token is good after the receipt of the
	// webhook, and replyLimit how long after the event at the most. Source:
	// https://developers.line.biz/en/reference/messaging-api/#send-reply-message
	replyWindow = time.Minute
	replyLimit  = 20 * time.Minute
	// retryKeyLife is how long a retry key is remembered. Source:
	// https://developers.line.biz/en/docs/messaging-api/retrying-api-request/
	retryKeyLife = 24 * time.Hour
)

// quotable are the kinds whose receipt has a quote token. Source:
// https://developers.line.biz/en/docs/messaging-api/get-quote-tokens/
var quotable = []string{"text", "textV2", "sticker", "image", "video", "template"}

// refusal carries LINE's answer out of a transaction that is rolled back.
type refusal struct{ answer answer }

func (refusal) Error() string { return "refused" }

func (s *Simulator) reply(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	token := v.text(req, "", "replyToken", textRule{required: true})
	messages := v.messages(req)
	if a := v.refusal(); a != nil {
		return *a
	}
	var receipt []sentMessage
	var shown []ChatMessage
	err := s.store.write(func(t *txn) error {
		var row struct {
			ChatID     string `db:"chat_id"`
			EventMS    int64  `db:"event_ms"`
			ReceivedMS int64  `db:"received_ms"`
			UsedBy     string `db:"used_by"`
		}
		err := t.get(&row, selectReplyToken, token, c.channel.ID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		now := s.now()
		expired := now.Sub(msTime(row.ReceivedMS)) > replyWindow || now.Sub(msTime(row.EventMS)) > replyLimit
		if err != nil || row.UsedBy != "" || expired {
			return refusal{refuse(http.StatusBadRequest, "Invalid reply token")}
		}
		if err := checkQuotes(t, c.channel.ID, row.ChatID, messages); err != nil {
			return err
		}
		if err := checkTracking(row.ChatID, messages); err != nil {
			return err
		}
		if _, err := t.exec(spendReplyToken, c.record.RequestID, token); err != nil {
			return err
		}
		c.record.To = row.ChatID
		if receipt, shown, err = s.place(t, c, row.ChatID, "reply", messages); err != nil {
			return err
		}
		_, err = t.exec(countMessages, c.channel.ID, monthOf(now), 1, 0)
		return err
	})
	return s.sent(c, err, receipt, shown)
}

func (s *Simulator) push(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	to := v.text(req, "", "to", textRule{required: true})
	if to != "" && !chatIDPattern.MatchString(to) {
		v.invalid("to")
	}
	messages := v.messages(req)
	c.record.To = to
	var receipt []sentMessage
	var shown []ChatMessage
	err := s.store.write(func(t *txn) error {
		// An accepted key answers 409 whatever else is wrong with the call.
		if err := s.acceptedBefore(t, c); err != nil {
			return err
		}
		if a := v.refusal(); a != nil {
			return refusal{*a}
		}
		if err := s.recipient(t, c.channel.ID, to); err != nil {
			return err
		}
		if err := checkQuotes(t, c.channel.ID, to, messages); err != nil {
			return err
		}
		if err := checkTracking(to, messages); err != nil {
			return err
		}
		if err := s.charge(t, c.channel, []string{to}); err != nil {
			return err
		}
		var err error
		if receipt, shown, err = s.place(t, c, to, "push", messages); err != nil {
			return err
		}
		return s.keepRetryKey(t, c, receipt)
	})
	return s.sent(c, err, receipt, shown)
}

func (s *Simulator) multicast(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	to := v.userIDs(req, "to", 500)
	messages := v.messages(req)
	var shown []ChatMessage
	err := s.store.write(func(t *txn) error {
		if err := s.acceptedBefore(t, c); err != nil {
			return err
		}
		if a := v.refusal(); a != nil {
			return refusal{*a}
		}
		if err := s.charge(t, c.channel, to); err != nil {
			return err
		}
		for _, id := range to {
			_, bubbles, err := s.place(t, c, id, "multicast", messages)
			if err != nil {
				return err
			}
			shown = append(shown, bubbles...)
		}
		return s.keepRetryKey(t, c, nil)
	})
	if a := s.sent(c, err, nil, shown); a.status != http.StatusOK {
		return a
	}
	return ok(struct{}{})
}

func (s *Simulator) validateOnly(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	v.messages(req)
	if a := v.refusal(); a != nil {
		return *a
	}
	return ok(struct{}{})
}

// sent turns the outcome of a sending transaction into LINE's answer.
func (s *Simulator) sent(c *apiCall, err error, receipt []sentMessage, shown []ChatMessage) answer {
	var r refusal
	switch {
	case errors.As(err, &r):
		return r.answer
	case err != nil:
		return s.broken(c, err)
	}
	c.record.Accepted = true
	for _, m := range shown {
		s.hub.publish("message", m)
	}
	return ok(map[string]any{"sentMessages": receipt})
}

// place puts messages into the chat. Of a user who blocked the account they
// are accepted, get ids, and are never shown.
func (s *Simulator) place(t *txn, c *apiCall, chatID, via string, messages []map[string]any) ([]sentMessage, []ChatMessage, error) {
	var blocks int
	if err := t.get(&blocks, selectBlocked, c.channel.ID, chatID); err != nil {
		return nil, nil, err
	}
	receipt := make([]sentMessage, len(messages))
	var shown []ChatMessage
	for i, m := range messages {
		body, err := json.Marshal(m)
		if err != nil {
			return nil, nil, err
		}
		kind := m["type"].(string) // the validator saw to it
		row := messageRow{
			ID: s.lastMessage.Add(1), ChannelID: c.channel.ID, ChatID: chatID, Direction: "account", Type: kind, Body: string(body),
			AtMS: s.clock.next(c.channel.ID+"|"+chatID, s.now()), Via: via, RequestID: c.record.RequestID, Hidden: blocks > 0,
		}
		if slices.Contains(quotable, kind) {
			row.QuoteToken = randomHex(24)
		}
		if err := row.insert(t); err != nil {
			return nil, nil, err
		}
		receipt[i] = sentMessage{ID: strconv.FormatInt(row.ID, 10), QuoteToken: row.QuoteToken}
		if !row.Hidden {
			shown = append(shown, row.shown())
		}
	}
	return receipt, shown, nil
}

// recipient refuses ids nobody has. Users who blocked or left are fine: LINE
// does not tell.
func (s *Simulator) recipient(t *txn, channelID, to string) error {
	var n int
	var err error
	if strings.HasPrefix(to, "U") {
		err = t.get(&n, selectUserExists, to)
	} else {
		err = t.get(&n, `SELECT count(*) FROM members WHERE channel_id = ? AND group_id = ?`, channelID, to)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return refusal{refuse(http.StatusBadRequest, "Failed to send messages")}
	}
	return nil
}

// charge counts one paid message per recipient, however many bubbles, and
// refuses above the quota. Of a group every member is one; who blocked the
// account is not counted. Source:
// https://developers.line.biz/en/docs/messaging-api/pricing/
func (s *Simulator) charge(t *txn, c Channel, to []string) error {
	paid := 0
	for _, id := range to {
		var n int
		var err error
		if userIDPattern.MatchString(id) {
			err = t.get(&n, `SELECT 1 - count(*) FROM blocks WHERE channel_id = ? AND user_id = ?`, c.ID, id)
		} else {
			err = t.get(&n, `SELECT count(*) FROM members WHERE channel_id = ? AND group_id = ?`, c.ID, id)
		}
		if err != nil {
			return err
		}
		paid += n
	}
	month := monthOf(s.now())
	if c.Quota > 0 {
		var used int
		if err := t.get(&used, `SELECT coalesce(sum(pushes), 0) FROM consumption WHERE channel_id = ? AND month = ?`, c.ID, month); err != nil {
			return err
		}
		if used+paid > c.Quota {
			return refusal{refuse(http.StatusTooManyRequests, messageQuota)}
		}
	}
	_, err := t.exec(countMessages, c.ID, month, 0, paid)
	return err
}

// monthOf is the calendar month quotas count in, in Japan's time.
func monthOf(t time.Time) string {
	return t.In(time.FixedZone("JST", 9*60*60)).Format("2006-01")
}

func (s *Simulator) acceptedBefore(t *txn, c *apiCall) error {
	if c.record.RetryKey == "" {
		return nil
	}
	var row struct {
		RequestID string `db:"request_id"`
		Sent      string `db:"sent"`
		Digest    string `db:"digest"`
	}
	err := t.get(&row, selectRetryKey, c.channel.ID, strings.ToLower(c.record.RetryKey), s.now().Add(-retryKeyLife).UnixMilli())
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	e := apiError{Message: "The retry key is already accepted"}
	if err := json.Unmarshal([]byte(row.Sent), &e.SentMessages); err != nil {
		return err
	}
	c.record.AcceptedRequestID, c.record.OtherBody = row.RequestID, row.Digest != digestOf(c.body)
	return refusal{answer{status: http.StatusConflict, json: e, header: map[string]string{"X-Line-Accepted-Request-Id": row.RequestID}}}
}

func (s *Simulator) keepRetryKey(t *txn, c *apiCall, receipt []sentMessage) error {
	if c.record.RetryKey == "" {
		return nil
	}
	sent, err := json.Marshal(receipt)
	if err != nil {
		return err
	}
	_, err = t.exec(upsertRetryKey, c.channel.ID, strings.ToLower(c.record.RetryKey), c.record.RequestID, string(sent), digestOf(c.body), s.now().UnixMilli())
	return err
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// checkQuotes refuses quote tokens that are not of this chat.
func checkQuotes(t *txn, channelID, chatID string, messages []map[string]any) error {
	for i, m := range messages {
		token, ok := m["quoteToken"].(string)
		if !ok || token == "" {
			continue
		}
		var n int
		if err := t.get(&n, `SELECT count(*) FROM messages WHERE quote_token = ? AND channel_id = ? AND chat_id = ?`, token, channelID, chatID); err != nil {
			return err
		}
		if n == 0 {
			d := errorDetail{Message: "Invalid quote token", Property: "messages[" + strconv.Itoa(i) + "].quoteToken"}
			return refusal{refuse(http.StatusBadRequest, "The request body has 1 error(s)", d)}
		}
	}
	return nil
}

// trackingIDPattern is what LINE takes as a video's trackingId. Source:
// https://developers.line.biz/en/reference/messaging-api/#video-message
var trackingIDPattern = regexp.MustCompile(`^[a-zA-Z0-9\-.=,+*()%$&;:@{}!?<>\[\]]*$`)

// checkTracking refuses what LINE says cannot be used in groups and rooms. In
// which words it does is not documented.
func checkTracking(chatID string, messages []map[string]any) error {
	for i, m := range messages {
		if id, _ := m["trackingId"].(string); id != "" && !strings.HasPrefix(chatID, "U") {
			d := errorDetail{Message: "Not available in group chats and multi-person chats", Property: "messages[" + strconv.Itoa(i) + "].trackingId"}
			return refusal{refuse(http.StatusBadRequest, "The request body has 1 error(s)", d)}
		}
	}
	return nil
}

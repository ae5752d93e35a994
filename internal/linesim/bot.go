package linesim

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf16"
)

// botInfo: https://developers.line.biz/en/reference/messaging-api/#get-bot-info
func (s *Simulator) botInfo(c *apiCall) answer {
	info := map[string]string{
		"userId": c.channel.BotUserID, "basicId": c.channel.BasicID, "displayName": c.channel.DisplayName,
		"chatMode": c.channel.ChatMode, "markAsReadMode": "auto",
	}
	if c.channel.ChatMode == "chat" {
		info["markAsReadMode"] = "manual"
	}
	if picture := s.picture(c.channel.PictureURL, c.channel.BotUserID); picture != "" {
		info["pictureUrl"] = picture
	}
	return ok(info)
}

// picture is the account's or user's own URL, or the one the simulator draws.
func (s *Simulator) picture(own, id string) string {
	if own != "" || s.publicURL() == "" {
		return own
	}
	return strings.TrimSuffix(s.publicURL(), "/") + "/_media/avatars/" + id + ".svg"
}

func (s *Simulator) getWebhook(c *apiCall) answer {
	if c.channel.WebhookURL == "" {
		return refuse(http.StatusNotFound, "Webhook endpoint not found")
	}
	return ok(map[string]any{"endpoint": c.channel.WebhookURL, "active": c.channel.WebhookActive})
}

// setWebhook changes the URL and never the switch: "Use webhook" is only in
// LINE's console. LINE needs up to a minute, the simulator none. Source:
// https://developers.line.biz/en/reference/messaging-api/#set-webhook-endpoint-url
func (s *Simulator) setWebhook(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	endpoint := v.text(req, "", "endpoint", textRule{required: true})
	if a := v.refusal(); a != nil {
		return *a
	}
	if !webhookURL(endpoint) {
		return refuse(http.StatusBadRequest, "Invalid webhook URL")
	}
	if err := s.ChangeChannel(c.Context(), c.channel.ID, func(ch *Channel) { ch.WebhookURL = endpoint }); err != nil {
		return s.broken(c, err)
	}
	return ok(struct{}{})
}

func webhookURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || len(utf16.Encode([]rune(s))) > 500 {
		return false
	}
	return u.Scheme == "https" || (u.Scheme == "http" && isLoopback(u.Hostname()))
}

// testWebhook sends a body without events and reports what came back. Source:
// https://developers.line.biz/en/reference/messaging-api/#test-webhook-endpoint
func (s *Simulator) testWebhook(c *apiCall) answer {
	target := c.channel.WebhookURL
	if len(c.body) > 0 {
		req, bad := c.decode()
		if bad != nil {
			return *bad
		}
		v := newValidator()
		if other := v.text(req, "", "endpoint", textRule{}); other != "" {
			target = other
		}
		if a := v.refusal(); a != nil {
			return *a
		}
	}
	if !webhookURL(target) {
		return refuse(http.StatusBadRequest, "Invalid webhook URL")
	}
	body := fmt.Appendf(nil, `{"destination":%q,"events":[]}`, c.channel.BotUserID)
	d := s.post(c.Context(), c.channel, body, Delivery{URL: target, EventIDs: []string{}, Attempt: 1, Test: true}, false)
	reason, detail := reasonOf(d)
	return ok(map[string]any{
		"success": d.Delivered, "timestamp": d.At.UTC().Format("2006-01-02T15:04:05.000Z"), "statusCode": d.Status, "reason": reason, "detail": detail,
	})
}

// profile: https://developers.line.biz/en/reference/messaging-api/#get-profile
func (s *Simulator) profile(c *apiCall) answer {
	u, err := s.user(c.Context(), c.PathValue("userId"))
	if errors.Is(err, ErrNotFound) {
		return refuse(http.StatusNotFound, "Not found")
	}
	if err != nil {
		return s.broken(c, err)
	}
	blocked, err := s.blocked(c.Context(), c.channel.ID, u.ID)
	if err != nil {
		return s.broken(c, err)
	}
	if blocked {
		return refuse(http.StatusNotFound, "Not found")
	}
	p := map[string]string{"userId": u.ID, "displayName": u.DisplayName}
	optional := map[string]string{"language": u.Language, "statusMessage": u.StatusMessage, "pictureUrl": s.picture(u.PictureURL, u.ID)}
	for k, v := range optional {
		if v != "" {
			p[k] = v
		}
	}
	return ok(p)
}

// memberProfile works for people who blocked the account, too: they are still
// in the group.
func (s *Simulator) memberProfile(c *apiCall) answer {
	var n int
	err := s.store.r.GetContext(c.Context(), &n, `SELECT count(*) FROM members WHERE channel_id = ? AND group_id = ? AND user_id = ?`, c.channel.ID, c.PathValue("groupId"), c.PathValue("userId"))
	if err != nil {
		return s.broken(c, err)
	}
	u, err := s.user(c.Context(), c.PathValue("userId"))
	if n == 0 || errors.Is(err, ErrNotFound) {
		return refuse(http.StatusNotFound, "Not found")
	}
	if err != nil {
		return s.broken(c, err)
	}
	p := map[string]string{"userId": u.ID, "displayName": u.DisplayName}
	if picture := s.picture(u.PictureURL, u.ID); picture != "" {
		p["pictureUrl"] = picture
	}
	return ok(p)
}

func (s *Simulator) groupSummary(c *apiCall) answer {
	var n int
	id := c.PathValue("groupId")
	if err := s.store.r.GetContext(c.Context(), &n, `SELECT count(*) FROM members WHERE channel_id = ? AND group_id = ?`, c.channel.ID, id); err != nil {
		return s.broken(c, err)
	}
	if n == 0 {
		return refuse(http.StatusNotFound, "Not found")
	}
	return ok(map[string]string{"groupId": id, "groupName": "Group " + id[:min(6, len(id))]})
}

// memberCount counts the people of a group or room, and not the account.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-members-group-count
func (s *Simulator) memberCount(c *apiCall) answer {
	var n int
	if err := s.store.r.GetContext(c.Context(), &n, `SELECT count(*) FROM members WHERE channel_id = ? AND group_id = ?`, c.channel.ID, c.PathValue("groupId")); err != nil {
		return s.broken(c, err)
	}
	if n == 0 {
		return refuse(http.StatusNotFound, "Not found")
	}
	return ok(map[string]int{"count": n})
}

// quota: https://developers.line.biz/en/reference/messaging-api/#get-quota
func (s *Simulator) quota(c *apiCall) answer {
	if c.channel.Quota == 0 {
		return ok(map[string]any{"type": "none"})
	}
	return ok(map[string]any{"type": "limited", "value": c.channel.Quota})
}

func (s *Simulator) consumption(c *apiCall) answer {
	used, err := s.Consumption(c.Context(), c.channel.ID)
	if err != nil {
		return s.broken(c, err)
	}
	return ok(map[string]any{"totalUsage": used.Pushes})
}

// loading shows the typing dots; nothing is kept of it. Source:
// https://developers.line.biz/en/reference/messaging-api/#display-a-loading-indicator
func (s *Simulator) loading(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	id := v.text(req, "", "chatId", textRule{required: true})
	v.number(req, "", "loadingSeconds", false, 5, 60)
	if a := v.refusal(); a != nil {
		return *a
	}
	seconds := 20
	if req["loadingSeconds"] != nil {
		if _, err := fmt.Sscanf(fmt.Sprint(req["loadingSeconds"]), "%d", &seconds); err != nil || seconds%5 != 0 {
			return refuse(http.StatusBadRequest, "The request body has 1 error(s)", errorDetail{Message: "Must be a multiple of 5", Property: "loadingSeconds"})
		}
	}
	if !userIDPattern.MatchString(id) {
		return refuse(http.StatusBadRequest, "The property, 'chatId', in the request body is invalid (line: -, column: -)")
	}
	if _, err := s.user(c.Context(), id); errors.Is(err, ErrNotFound) {
		return refuse(http.StatusBadRequest, "The property, 'chatId', in the request body is invalid (line: -, column: -)")
	} else if err != nil {
		return s.broken(c, err)
	}
	c.record.To = id
	s.hub.publish("loading", map[string]any{"channel_id": c.channel.ID, "chat_id": id, "until": s.now().Add(time.Duration(seconds) * time.Second), "seconds": seconds})
	return answer{status: http.StatusAccepted, json: struct{}{}}
}

// markAsRead marks the message of the token and all before it. Source:
// https://developers.line.biz/en/reference/messaging-api/#mark-as-read
func (s *Simulator) markAsRead(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	token := v.text(req, "", "markAsReadToken", textRule{required: true})
	if a := v.refusal(); a != nil {
		return *a
	}
	var rows []struct {
		ID     int64  `db:"id"`
		ChatID string `db:"chat_id"`
	}
	err := s.store.write(func(t *txn) error {
		if err := t.list(&rows, `SELECT id, chat_id FROM messages WHERE read_token = ? AND channel_id = ?`, token, c.channel.ID); err != nil || len(rows) == 0 {
			return err
		}
		_, err := t.exec(`UPDATE messages SET read_ms = ? WHERE channel_id = ? AND chat_id = ? AND id <= ? AND direction = 'customer' AND read_ms = 0`,
			s.now().UnixMilli(), c.channel.ID, rows[0].ChatID, rows[0].ID)
		return err
	})
	if err != nil {
		return s.broken(c, err)
	}
	if len(rows) == 0 {
		return refuse(http.StatusBadRequest, "Invalid markAsReadToken")
	}
	s.hub.publish("read", map[string]any{"channel_id": c.channel.ID, "chat_id": rows[0].ChatID, "message_id": fmt.Sprint(rows[0].ID)})
	return ok(struct{}{})
}

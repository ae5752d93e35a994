package linesim

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Message is what a customer sends. Which fields count depends on Type.
type Message struct {
	// Type is text, sticker, image, video, audio, file or location.
	Type string `json:"type"`

	// Text of a text message, up to 5,000 UTF-16 units, or of a message sticker.
	Text string `json:"text,omitempty"`
	// QuotedMessageID is the message a text or sticker quotes.
	QuotedMessageID string          `json:"quoted_message_id,omitempty"`
	Emojis          json.RawMessage `json:"emojis,omitempty"`
	Mention         json.RawMessage `json:"mention,omitempty"`

	PackageID           string   `json:"package_id,omitempty"`
	StickerID           string   `json:"sticker_id,omitempty"`
	StickerResourceType string   `json:"sticker_resource_type,omitempty"`
	Keywords            []string `json:"keywords,omitempty"`

	// Content is the file of an image, video, audio or file message.
	Content     []byte `json:"content,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Preview     []byte `json:"preview,omitempty"`
	FileName    string `json:"file_name,omitempty"`
	// FileSize is the number of bytes in Content; the simulator counts them.
	FileSize int `json:"file_size,omitempty"`
	// DurationMS is the length of video or audio in milliseconds.
	DurationMS int64 `json:"duration_ms,omitempty"`
	// ImageSet* tell that several images were sent at once; index and total
	// are left out by older LINE apps.
	ImageSetID    string `json:"image_set_id,omitempty"`
	ImageSetIndex int    `json:"image_set_index,omitempty"`
	ImageSetTotal int    `json:"image_set_total,omitempty"`
	// NotReady is how many times the content endpoint answers 202 before 200;
	// nil is 2 for video and audio, 1 above 10 MB, otherwise 0.
	NotReady *int `json:"not_ready,omitempty"`
	// TranscodingFails makes /content/transcoding end in "failed".
	TranscodingFails bool `json:"transcoding_fails,omitempty"`
	// ExternalURL makes contentProvider "external" (images and videos sent
	// through LIFF): the content is at that URL and not at LINE.
	ExternalURL        string `json:"external_url,omitempty"`
	ExternalPreviewURL string `json:"external_preview_url,omitempty"`

	Title     string  `json:"title,omitempty"`
	Address   string  `json:"address,omitempty"`
	Latitude  float64 `json:"latitude,omitempty"`
	Longitude float64 `json:"longitude,omitempty"`

	// GroupID ("C…") or RoomID ("R…") sends it in a group or multi-person chat.
	GroupID string `json:"group_id,omitempty"`
	RoomID  string `json:"room_id,omitempty"`
}

// Sent names what an action of a customer caused.
type Sent struct {
	WebhookEventID string `json:"webhook_event_id"`
	MessageID      string `json:"message_id,omitempty"`
	ReplyToken     string `json:"reply_token,omitempty"`
	// Timestamp is the event's time in milliseconds.
	Timestamp int64 `json:"timestamp"`
}

const insertMessage = `INSERT INTO messages (id, channel_id, chat_id, user_id, direction, type, body, at_ms, via, request_id, event_id, reply_token, quote_token, read_token, read_ms, unsent_ms, hidden)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`

// SendText lets the customer write. The webhook follows asynchronously, as at
// LINE, unless delivery is held.
func (s *Simulator) SendText(ctx context.Context, channelID, userID, text string) (Sent, error) {
	return s.Send(ctx, channelID, userID, Message{Type: "text", Text: text})
}

// Send lets the customer send any message. It fails if the user blocked the
// channel: the app makes them unblock first.
func (s *Simulator) Send(ctx context.Context, channelID, userID string, m Message) (Sent, error) {
	c, err := s.writer(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	if err := m.check(); err != nil {
		return Sent{}, err
	}
	return s.emit(c, sourceOf(userID, m.GroupID, m.RoomID), written(m))
}

// written is that a customer sends a message.
func written(m Message) occurrence {
	quote, read := randomHex(24), randomHex(24)
	return occurrence{
		kind: "message", replies: true,
		bubble: &bubble{kind: m.Type, quoteToken: quote, readToken: read, message: m},
		event: func(e *event, id string) {
			e.Message = m.content(id, quote, read)
		},
	}
}

// Postback lets the customer tap a postback action. displayText, if any, shows
// as the customer's own message, and is not sent as one. params are those of a
// date picker or rich menu switch.
func (s *Simulator) Postback(ctx context.Context, channelID, userID, data, displayText string, params map[string]string) (Sent, error) {
	c, err := s.writer(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	content := map[string]any{"data": data}
	if len(params) > 0 {
		content["params"] = params
	}
	o := occurrence{kind: "postback", replies: true, event: func(e *event, _ string) { e.Postback = content }}
	if displayText != "" {
		o.bubble = &bubble{kind: "text", silent: true, message: Message{Type: "text", Text: displayText}}
	}
	return s.emit(c, sourceOf(userID, "", ""), o)
}

// Follow adds the channel as a friend, or unblocks it.
func (s *Simulator) Follow(ctx context.Context, channelID, userID string) (Sent, error) {
	c, err := s.known(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	unblocked, err := s.blocked(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	sent, err := s.emit(c, sourceOf(userID, "", ""), occurrence{
		kind: "follow", replies: true,
		store: func(t *txn) error {
			_, err := t.exec(`DELETE FROM blocks WHERE channel_id = ? AND user_id = ?`, channelID, userID)
			return err
		},
		event: func(e *event, _ string) { e.Follow = map[string]bool{"isUnblocked": unblocked} },
	})
	if err == nil {
		s.hub.publish("block", map[string]any{"channel_id": channelID, "user_id": userID, "blocked": false})
	}
	return sent, err
}

// Unfollow blocks the channel.
func (s *Simulator) Unfollow(ctx context.Context, channelID, userID string) (Sent, error) {
	c, err := s.known(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	sent, err := s.emit(c, sourceOf(userID, "", ""), occurrence{
		kind: "unfollow",
		store: func(t *txn) error {
			_, err := t.exec(`INSERT OR IGNORE INTO blocks (channel_id, user_id) VALUES (?, ?)`, channelID, userID)
			return err
		},
	})
	if err == nil {
		s.hub.publish("block", map[string]any{"channel_id": channelID, "user_id": userID, "blocked": true})
	}
	return sent, err
}

// Unsend takes back a message the customer sent. Its content is gone (410).
func (s *Simulator) Unsend(ctx context.Context, channelID, userID, messageID string) (Sent, error) {
	c, err := s.known(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	var chatID string
	err = s.store.r.GetContext(ctx, &chatID, `SELECT chat_id FROM messages WHERE id = ? AND channel_id = ? AND user_id = ? AND direction = 'customer' AND unsent_ms = 0`, messageNumber(messageID), channelID, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return Sent{}, fmt.Errorf("message %q of %s: %w", messageID, userID, ErrNotFound)
	}
	if err != nil {
		return Sent{}, fmt.Errorf("read message %s: %w", messageID, err)
	}
	src := sourceOf(userID, "", "")
	switch chatID[0] {
	case 'C':
		src = sourceOf(userID, chatID, "")
	case 'R':
		src = sourceOf(userID, "", chatID)
	}
	sent, err := s.emit(c, src, occurrence{
		kind: "unsend",
		store: func(t *txn) error {
			if _, err := t.exec(`UPDATE messages SET unsent_ms = ?, body = '{}' WHERE id = ?`, s.now().UnixMilli(), messageNumber(messageID)); err != nil {
				return err
			}
			_, err := t.exec(`DELETE FROM content WHERE message_id = ?`, messageNumber(messageID))
			return err
		},
		event: func(e *event, _ string) { e.Unsend = map[string]string{"messageId": messageID} },
	})
	if err == nil {
		s.hub.publish("unsend", map[string]any{"channel_id": channelID, "chat_id": chatID, "message_id": messageID})
	}
	return sent, err
}

// AccountLink reports the end of the account link dialog to the bot. A failed
// one has neither source nor reply token, as at LINE.
func (s *Simulator) AccountLink(ctx context.Context, channelID, userID, nonce string, ok bool) (Sent, error) {
	c, err := s.known(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	if !ok {
		return s.Raw(ctx, channelID, json.RawMessage(fmt.Sprintf(`{"type":"accountLink","link":{"result":"failed","nonce":%q}}`, nonce)))
	}
	return s.emit(c, sourceOf(userID, "", ""), occurrence{
		kind: "accountLink", replies: true,
		event: func(e *event, _ string) { e.Link = map[string]string{"result": "ok", "nonce": nonce} },
	})
}

// repliable are the events that carry a reply token.
var repliable = []string{"message", "messageEdited", "follow", "join", "memberJoined", "postback", "videoPlayComplete", "beacon", "accountLink", "membership"}

// Raw injects any event: kinds and fields the simulator does not know, groups,
// beacons, malformed ones. What every event has (id, time, mode, delivery
// context) is filled in where it is missing; a reply token too for kinds that
// have one, if there is a source to answer to.
func (s *Simulator) Raw(_ context.Context, channelID string, raw json.RawMessage) (Sent, error) {
	c, err := s.channel(channelID)
	if err != nil {
		return Sent{}, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return Sent{}, fmt.Errorf("raw event must be a JSON object: %w", err)
	}
	var head struct {
		Type           string      `json:"type"`
		Timestamp      int64       `json:"timestamp"`
		WebhookEventID string      `json:"webhookEventId"`
		ReplyToken     string      `json:"replyToken"`
		Source         eventSource `json:"source"`
		Message        struct {
			ID string `json:"id"`
		} `json:"message"`
	}
	// What cannot be read stays as it is: malformed events are a use of Raw.
	if err := json.Unmarshal(raw, &head); err != nil {
		s.log.Info("raw event has fields of unusual types", "channel", channelID, "error", err)
	}
	chat := head.Source.chat()
	if head.Timestamp == 0 {
		head.Timestamp = s.clock.next(channelID+"|"+chat, s.now())
	}
	if head.WebhookEventID == "" {
		head.WebhookEventID = newULID(head.Timestamp)
	}
	if head.ReplyToken == "" && chat != "" && slices.Contains(repliable, head.Type) {
		head.ReplyToken = randomHex(16)
	}
	fill := func(name string, value any) error {
		if _, ok := fields[name]; ok || value == "" {
			return nil
		}
		var err error
		fields[name], err = json.Marshal(value)
		return err
	}
	err = errors.Join(
		fill("timestamp", head.Timestamp), fill("webhookEventId", head.WebhookEventID), fill("replyToken", head.ReplyToken),
		fill("mode", modeOf(c)), fill("deliveryContext", deliveryContext{}),
	)
	if err != nil {
		return Sent{}, fmt.Errorf("raw event: %w", err)
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return Sent{}, fmt.Errorf("raw event: %w", err)
	}
	out := &outEvent{ID: head.WebhookEventID, ChannelID: channelID, ChatID: chat, AtMS: head.Timestamp, Body: string(body), ReplyToken: head.ReplyToken}
	err = s.store.write(func(t *txn) error {
		if err := rememberMember(t, channelID, head.Source); err != nil {
			return err
		}
		return insertOutEvent(t, out)
	})
	if err != nil {
		return Sent{}, fmt.Errorf("store event: %w", err)
	}
	s.outbox.enqueue(out)
	return Sent{WebhookEventID: out.ID, MessageID: head.Message.ID, ReplyToken: out.ReplyToken, Timestamp: out.AtMS}, nil
}

// occurrence is one thing that happens in a chat: what it shows on the phone,
// what it changes and the event it makes, all stored in one transaction.
type occurrence struct {
	kind    string
	replies bool
	bubble  *bubble
	before  func(t *txn) error // comes first, and may refuse it
	store   func(t *txn) error
	event   func(e *event, messageID string)
}

type bubble struct {
	kind                  string
	quoteToken, readToken string
	message               Message
	// silent bubbles are not messages of their own (a postback's displayText).
	silent bool
}

func (s *Simulator) emit(c Channel, src eventSource, o occurrence) (Sent, error) {
	var out *outEvent
	var shown *ChatMessage
	err := s.store.write(func(t *txn) (err error) {
		out, shown, err = s.happen(t, c, src, o)
		return err
	})
	if err != nil {
		return Sent{}, fmt.Errorf("%s event of %s: %w", o.kind, src.chat(), err)
	}
	sent := Sent{WebhookEventID: out.ID, ReplyToken: out.ReplyToken, Timestamp: out.AtMS}
	if shown != nil {
		if !o.bubble.silent {
			sent.MessageID = shown.ID
		}
		s.hub.publish("message", shown)
	}
	s.outbox.enqueue(out)
	return sent, nil
}

// happen stores an occurrence with its pending event.
func (s *Simulator) happen(t *txn, c Channel, src eventSource, o occurrence) (out *outEvent, shown *ChatMessage, err error) {
	chat := src.chat()
	// Time and id are taken inside the transaction, so that the order of ids, of
	// times and of storing are one order.
	at := s.clock.next(c.ID+"|"+chat, s.now())
	e := event{Type: o.kind, WebhookEventID: newULID(at), Timestamp: at, Source: src, Mode: modeOf(c)}
	if o.replies {
		e.ReplyToken = randomHex(16)
	}
	if o.before != nil {
		if err := o.before(t); err != nil {
			return nil, nil, err
		}
	}
	if err := mayHear(t, c.ID, src); err != nil {
		return nil, nil, err
	}
	if err := rememberMember(t, c.ID, src); err != nil {
		return nil, nil, err
	}
	var id string
	if o.bubble != nil {
		n := s.lastMessage.Add(1)
		id = strconv.FormatInt(n, 10)
		if shown, err = o.bubble.save(t, c, src, n, at, e); err != nil {
			return nil, nil, err
		}
	}
	if o.event != nil {
		o.event(&e, id)
	}
	if o.store != nil {
		if err := o.store(t); err != nil {
			return nil, nil, err
		}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, nil, err
	}
	out = &outEvent{ID: e.WebhookEventID, ChannelID: c.ID, ChatID: chat, AtMS: at, Body: string(body), ReplyToken: e.ReplyToken}
	return out, shown, insertOutEvent(t, out)
}

func (b *bubble) save(t *txn, c Channel, src eventSource, n, at int64, e event) (*ChatMessage, error) {
	m := b.message
	content, preview := m.Content, m.Preview
	m.Content, m.Preview, m.FileSize = nil, nil, len(content)
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var readMS int64
	if c.ChatMode == "bot" {
		readMS = at
	}
	row := messageRow{
		ID: n, ChannelID: c.ID, ChatID: src.chat(), UserID: src.UserID, Direction: "customer", Type: b.kind, Body: string(body),
		AtMS: at, EventID: e.WebhookEventID, ReplyToken: e.ReplyToken, QuoteToken: b.quoteToken, ReadToken: b.readToken, ReadMS: readMS,
	}
	if err := row.insert(t); err != nil {
		return nil, err
	}
	if content != nil {
		_, err := t.exec(`INSERT INTO content (message_id, content_type, file_name, not_ready, transcoding_fails, bytes, preview) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			n, m.contentType(content), m.FileName, m.notReady(len(content)), m.TranscodingFails, content, append([]byte{}, preview...))
		if err != nil {
			return nil, err
		}
	}
	shown := row.shown()
	return &shown, nil
}

func rememberMember(t *txn, channelID string, src eventSource) error {
	if src.chat() == "" || src.chat() == src.UserID {
		return nil
	}
	if _, err := t.exec(`INSERT OR IGNORE INTO groups (channel_id, group_id, present) VALUES (?, ?, 1)`, channelID, src.chat()); err != nil {
		return err
	}
	if src.UserID == "" {
		return nil
	}
	_, err := t.exec(`INSERT OR IGNORE INTO members (channel_id, group_id, user_id) VALUES (?, ?, ?)`, channelID, src.chat(), src.UserID)
	return err
}

func (s *Simulator) known(ctx context.Context, channelID, userID string) (Channel, error) {
	c, err := s.channel(channelID)
	if err != nil {
		return Channel{}, err
	}
	var n int
	if err := s.store.r.GetContext(ctx, &n, selectUserExists, userID); err != nil {
		return Channel{}, fmt.Errorf("read user %s: %w", userID, err)
	}
	if n == 0 {
		return Channel{}, fmt.Errorf("user %q: %w", userID, ErrNotFound)
	}
	return c, nil
}

// ErrBlocked is returned when a customer who blocked the channel writes to it.
var ErrBlocked = errors.New("the user blocked this account")

func (s *Simulator) writer(ctx context.Context, channelID, userID string) (Channel, error) {
	c, err := s.known(ctx, channelID, userID)
	if err != nil {
		return Channel{}, err
	}
	blocked, err := s.blocked(ctx, channelID, userID)
	if err != nil {
		return Channel{}, err
	}
	if blocked {
		return Channel{}, fmt.Errorf("user %s: %w", userID, ErrBlocked)
	}
	return c, nil
}

func (m Message) check() error {
	switch m.Type {
	case "text":
		if n := len(utf16.Encode([]rune(m.Text))); n == 0 || n > 5000 {
			return fmt.Errorf("text must have 1 to 5,000 UTF-16 units, not %d", n)
		}
	case "sticker":
		if m.PackageID == "" || m.StickerID == "" {
			return errors.New("sticker needs package_id and sticker_id")
		}
	case "image", "video":
		if m.ExternalURL != "" {
			if u, err := url.Parse(m.ExternalURL); err != nil || u.Host == "" {
				return fmt.Errorf("external_url %q is not a URL", m.ExternalURL)
			}
			return nil
		}
		return m.needsContent()
	case "audio", "file":
		return m.needsContent()
	case "location":
		if m.Latitude < -90 || m.Latitude > 90 || m.Longitude < -180 || m.Longitude > 180 {
			return fmt.Errorf("location %v, %v is not on Earth", m.Latitude, m.Longitude)
		}
	default:
		return fmt.Errorf("message type %q must be text, sticker, image, video, audio, file or location", m.Type)
	}
	return nil
}

func (m Message) needsContent() error {
	if len(m.Content) == 0 {
		return fmt.Errorf("%s needs content", m.Type)
	}
	if m.Type == "file" && m.FileName == "" {
		return errors.New("file needs file_name")
	}
	return nil
}

func (m Message) contentType(content []byte) string {
	if m.ContentType != "" {
		return m.ContentType
	}
	if t := mime.TypeByExtension(path.Ext(m.FileName)); t != "" {
		return t
	}
	switch m.Type {
	case "video":
		return "video/mp4"
	case "audio":
		return "audio/x-m4a"
	}
	return http.DetectContentType(content)
}

func (m Message) notReady(size int) int {
	switch {
	case m.NotReady != nil:
		return *m.NotReady
	case m.Type == "video" || m.Type == "audio":
		return 2
	case size > 10<<20:
		return 1
	}
	return 0
}

// content is the message object of the webhook event. Source:
// https://developers.line.biz/en/reference/messaging-api/#message-event
func (m Message) content(id, quoteToken, readToken string) map[string]any {
	out := map[string]any{"type": m.Type, "id": id, "markAsReadToken": readToken}
	put := func(name string, v any, ok bool) {
		if ok {
			out[name] = v
		}
	}
	put("quotedMessageId", m.QuotedMessageID, m.QuotedMessageID != "")
	switch m.Type {
	case "text":
		out["text"], out["quoteToken"] = m.Text, quoteToken
		put("emojis", m.Emojis, m.Emojis != nil)
		put("mention", m.Mention, m.Mention != nil)
	case "sticker":
		out["packageId"], out["stickerId"], out["quoteToken"] = m.PackageID, m.StickerID, quoteToken
		out["stickerResourceType"] = "STATIC"
		put("stickerResourceType", m.StickerResourceType, m.StickerResourceType != "")
		put("keywords", m.Keywords, len(m.Keywords) > 0)
		put("text", m.Text, m.Text != "")
	case "image", "video", "audio":
		out["contentProvider"] = m.provider()
		put("quoteToken", quoteToken, m.Type != "audio")
		put("duration", m.DurationMS, m.DurationMS > 0)
		if m.ImageSetID != "" {
			set := map[string]any{"id": m.ImageSetID}
			if m.ImageSetTotal > 0 {
				set["index"], set["total"] = m.ImageSetIndex, m.ImageSetTotal
			}
			out["imageSet"] = set
		}
	case "file":
		out["fileName"], out["fileSize"] = m.FileName, len(m.Content)
	case "location":
		out["latitude"], out["longitude"] = m.Latitude, m.Longitude
		put("title", m.Title, m.Title != "")
		put("address", m.Address, m.Address != "")
	}
	return out
}

func (m Message) provider() map[string]string {
	if m.ExternalURL == "" {
		return map[string]string{"type": "line"}
	}
	p := map[string]string{"type": "external", "originalContentUrl": m.ExternalURL}
	if m.ExternalPreviewURL != "" {
		p["previewImageUrl"] = m.ExternalPreviewURL
	}
	return p
}

// messageNumber is the stored key of a message id; one that is not a number
// matches nothing.
func messageNumber(id string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

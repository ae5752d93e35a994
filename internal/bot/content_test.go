package bot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/textlen"
)

func TestEveryKindOfMessageIsCheckedForWhatItNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		message string
		wrong   string // pointer, or "ok"
	}{
		{`{"type": "text", "text": "hi", "quick_replies": [{"label": "a", "data": "b", "text": "c"}]}`, "ok"},
		{`{"type": "text", "text": "` + strings.Repeat("🙂", 10_001) + `"}`, "/text"},
		{`{"type": "quick_replies", "text": "hi"}`, "/quick_replies"},
		{`{"type": "quick_replies", "text": "hi", "quick_replies": [{"label": "👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "text": "x"}]}`, "ok"},
		{`{"type": "quick_replies", "text": "hi", "quick_replies": [{"label": " ", "text": "x"}]}`, "/quick_replies/0/label"},
		{`{"type": "quick_replies", "text": "hi", "quick_replies": [{"label": "a", "text": "x", "uri": "https://example.com"}]}`, "/quick_replies/0"},
		{`{"type": "quick_replies", "text": "hi", "quick_replies": [{"label": "a", "uri": "file:///etc/passwd"}]}`, "/quick_replies/0/uri"},
		{`{"type": "quick_replies", "text": "hi", "quick_replies": [{"label": "a", "uri": "tel:0312345678"}]}`, "ok"},
		{`{"type": "quick_replies", "text": "hi", "quick_replies": [{"label": "a", "data": "` + strings.Repeat("x", 301) + `"}]}`, "/quick_replies/0/data"},
		{`{"type": "quick_replies", "text": "hi", "quick_replies": [{"label": "a", "text": "` + strings.Repeat("x", 301) + `"}]}`, "/quick_replies/0/text"},
		{`{"type": "image", "url": "https://example.com/a.png", "preview_url": "ftp://example.com"}`, "/preview_url"},
		{`{"type": "image", "url": "http://127.0.0.1:8090/a.png"}`, "ok"},
		{`{"type": "image", "url": "https://example.com/` + strings.Repeat("x", 2000) + `"}`, "/url"},
		{`{"type": "video", "url": "https://example.com/a.mp4", "preview_url": "https://example.com/a.png"}`, "ok"},
		{`{"type": "video", "url": "https://example.com/a.mp4"}`, "/preview_url"},
		{`{"type": "audio", "url": "https://example.com/a.m4a", "duration_ms": 1500}`, "ok"},
		{`{"type": "audio", "url": "https://example.com/a.m4a"}`, "/duration_ms"},
		{`{"type": "audio", "url": "https://example.com/a.m4a", "duration_ms": 1.5}`, "/duration_ms"},
		{`{"type": "sticker", "package_id": "446", "sticker_id": "1988"}`, "ok"},
		{`{"type": "sticker", "package_id": "446", "sticker_id": "x"}`, "/sticker_id"},
		{`{"type": "location", "title": "Shop", "address": "1-1", "latitude": 35.6, "longitude": 139.7}`, "ok"},
		{`{"type": "location", "title": "Shop", "address": "1-1", "latitude": 91, "longitude": 0}`, "/latitude"},
		{`{"type": "template", "alt_text": "x", "template": {"type": "confirm"}}`, "ok"},
		{`{"type": "template", "alt_text": "x", "template": "confirm"}`, "/template"},
		{`{"type": "flex", "alt_text": "` + strings.Repeat("x", 1501) + `", "contents": {"a": 1}}`, "/alt_text"},
		{`{"type": "flex", "alt_text": "x", "contents": {"a": "` + strings.Repeat("x", 51<<10) + `"}}`, "/contents"},
		{`{"type": "text_v2", "text": "hi {a}", "substitution": {"a": {"type": "emoji"}}, "quote_message_id": "msg_1"}`, "ok"},
		{`{"type": "text_v2", "text": " "}`, "/text"},
		{`{"type": "text_v2", "text": "hi", "substitution": []}`, "/substitution"},
		{`{"type": "imagemap", "alt_text": "x", "imagemap": {"baseUrl": "https://example.com"}}`, "ok"},
		{`{"type": "imagemap", "alt_text": "x"}`, "/imagemap"},
		{`{"type": "coupon", "coupon_id": "c", "delivery_tag": "t"}`, "ok"},
		{`{"type": "coupon"}`, "/coupon_id"},
		{`{"type": "account_link"}`, "ok"},
		{`{"type": "account_link", "text": "Please sign in."}`, "ok"},
		{`{"type": "account_link", "text": "` + strings.Repeat("x", 2001) + `"}`, "/text"},
		{`{"type": "text", "text": "hi", "quick_replies": [{"label": "a", "action": {"type": "camera"}, "image_url": "https://example.com/i.png"}]}`, "ok"},
		{`{"type": "text", "text": "hi", "quick_replies": [{"label": "a", "text": "b", "action": {"type": "camera"}}]}`, "/quick_replies/0"},
		{`{"type": "text", "text": "hi", "quick_replies": [{"label": "a", "action": "camera"}]}`, "/quick_replies/0/action"},
	} {
		d := &document{}
		v, err := d.read([]byte(c.message))
		require.NoError(t, err)
		readContent(v)
		if c.wrong == "ok" {
			require.Empty(t, d.problems, c.message)
			continue
		}
		require.NotEmpty(t, d.problems, c.message)
		require.Equal(t, c.wrong, d.problems[0].Pointer, c.message)
	}
}

func TestAValueTooLongForAnAltTextIsCut(t *testing.T) {
	t.Parallel()
	s := parsed(t, strings.Replace(shop, `{"en": "Card", "ja": "カード"}`, `"Card {$member}"`, 1))
	k := newTalk(t, s, "en")
	k.turn.Context["member"] = strings.Repeat("🙂", 4000)
	r := k.say("show card")
	alt := r.Messages[1].AltText
	require.LessOrEqual(t, textlen.UTF16(alt), maxAltText)
	require.Equal(t, "Card "+strings.Repeat("🙂", 747), alt)
}

func TestAnEmptyTextInAFlexMessageIsADash(t *testing.T) {
	t.Parallel()
	r := newTalk(t, parsed(t, strings.Replace(shop, `"For {customer_name}"`, `"{customer_name}"`, 1)), "en").say("show card")
	require.Contains(t, string(r.Messages[1].Contents), `"text":"–"`)
}

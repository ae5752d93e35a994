package line

import (
	"context"
	"encoding/json"
	"strings"
)

// ValidateReply has LINE check 1 to 5 messages as it would those of a reply,
// and send nothing. It costs nothing. What LINE would refuse is ClassRefused,
// with the details.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#validate-message-objects-of-reply-message
func (c *Client) ValidateReply(ctx context.Context, messages []json.RawMessage) (requestID string, err error) {
	return c.validate(ctx, "/v2/bot/message/validate/reply", messages)
}

// ValidatePush is ValidateReply for a push.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#validate-message-objects-of-push-message
func (c *Client) ValidatePush(ctx context.Context, messages []json.RawMessage) (requestID string, err error) {
	return c.validate(ctx, "/v2/bot/message/validate/push", messages)
}

func (c *Client) validate(ctx context.Context, path string, messages []json.RawMessage) (string, error) {
	body, err := sendBody("", "", messages)
	if err != nil {
		return "", err
	}
	return c.plain(ctx, path, body)
}

// fieldOf is what Content calls a property of LINE's message objects.
var fieldOf = map[string]string{
	"originalContentUrl": "url", "previewImageUrl": "preview_url", "duration": "duration_ms", "packageId": "package_id", "stickerId": "sticker_id",
	"altText": "alt_text", "couponId": "coupon_id", "deliveryTag": "delivery_tag", "quoteToken": "quote_message_id", "quickReply": "quick_replies",
	"baseUrl": "imagemap/baseUrl", "baseSize": "imagemap/baseSize", "actions": "imagemap/actions", "video": "imagemap/video",
}

// PointerOf is where in a Content that is which LINE complains of, as a JSON
// pointer: /text for messages[0].text. Of a Flex Message LINE gives a pointer
// into its contents. The pointer is "" when the property tells nothing.
func PointerOf(property string) string {
	if strings.HasPrefix(property, "/") {
		return strings.TrimSuffix("/contents"+property, "/")
	}
	_, path, found := strings.Cut(property, "].")
	if !found || !strings.HasPrefix(property, "messages[") {
		return ""
	}
	parts := strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(path), ".")
	if name, known := fieldOf[parts[0]]; known {
		parts[0] = name
	}
	switch {
	case parts[0] == "quick_replies" && len(parts) > 1: // items, n, action, …
		parts = append(parts[:1], parts[2:min(3, len(parts))]...)
	case parts[0] == "sender" && len(parts) > 1 && parts[1] == "iconUrl":
		parts[1] = "icon_url"
	}
	return "/" + strings.Join(parts, "/")
}

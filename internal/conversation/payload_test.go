package conversation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

func TestAPayloadIsShownWithoutLINEsTokens(t *testing.T) {
	t.Parallel()
	for payload, shown := range map[string]string{
		"": "",
		`{"quoteToken":"q","markAsReadToken":"r"}`:                     "",
		`{"quoteToken":"q","emojis":[{"emojiId":"1"}]}`:                `{"emojis":[{"emojiId":"1"}]}`,
		`{"type":"text","quote_token":"q","quote_message_id":"msg_1"}`: `{"quote_message_id":"msg_1","type":"text"}`,
		`{"data":"a token\""}`:                                         `{"data":"a token\""}`,
		`["quoteToken"]`:                                               `["quoteToken"]`,
	} {
		require.Equal(t, shown, string(conversation.WithoutTokens(payload)), payload)
	}
}

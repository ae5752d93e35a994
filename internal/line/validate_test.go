package line_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
)

func TestPointerOf(t *testing.T) {
	t.Parallel()
	for property, want := range map[string]string{
		"messages[0].text":                                 "/text",
		"messages[4].originalContentUrl":                   "/url",
		"messages[0].previewImageUrl":                      "/preview_url",
		"messages[0].template.columns[2].actions[0].label": "/template/columns/2/actions/0/label",
		"messages[0].quickReply.items[12].action.label":    "/quick_replies/12",
		"messages[0].quickReply.items":                     "/quick_replies",
		"messages[0].sender.iconUrl":                       "/sender/icon_url",
		"messages[0].baseSize.width":                       "/imagemap/baseSize/width",
		"messages[0].substitution.who":                     "/substitution/who",
		"messages[0].quoteToken":                           "/quote_message_id",
		"/body/contents/0/text":                            "/contents/body/contents/0/text",
		"/":                                                "/contents",
		"messages":                                         "",
		"messages[0]":                                      "",
		"to":                                               "",
		"":                                                 "",
	} {
		require.Equal(t, want, line.PointerOf(property), property)
	}
}

func TestLINEValidatesWithoutSending(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	ctx := t.Context()
	good, bad := []json.RawMessage{json.RawMessage(`{"type":"text","text":"x"}`)}, []json.RawMessage{json.RawMessage(`{"type":"sticker","packageId":"1"}`)}
	for name, validate := range map[string]func() (string, error){
		"validate_reply": func() (string, error) { return b.client.ValidateReply(ctx, good) },
		"validate_push":  func() (string, error) { return b.client.ValidatePush(ctx, good) },
	} {
		id, err := validate()
		require.NoError(t, err)
		require.NotEmpty(t, id)
		require.Len(t, b.sim.Calls(linesim.CallFilter{Endpoint: name}), 1, name)
	}
	_, err := b.client.ValidatePush(ctx, bad)
	require.Equal(t, line.ClassRefused, line.ClassOf(err))
	var refusal *line.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, []line.Detail{{Message: "May not be empty", Property: "messages[0].stickerId"}}, refusal.Details)
	chat, err := b.sim.Chat(ctx, simChannel, b.user)
	require.NoError(t, err)
	require.Empty(t, chat)
}

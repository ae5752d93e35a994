package linesim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func verdict(t *testing.T, messages string) *answer {
	t.Helper()
	c := &apiCall{body: []byte(`{"messages":` + messages + `}`)}
	req, bad := c.decode()
	require.Nil(t, bad, "%s", messages)
	v := newValidator()
	v.messages(req)
	return v.refusal()
}

// one wraps a message's JSON into an array of it.
func one(m string) string { return "[" + m + "]" }

func textMessage(s string, more ...string) string {
	b, _ := json.Marshal(s)
	return one(`{"type":"text","text":` + string(b) + strings.Join(more, "") + `}`)
}

func quickReplyOf(n int, label string) string {
	item := fmt.Sprintf(`{"type":"action","action":{"type":"message","label":%q,"text":"x"}}`, label)
	return `,"quickReply":{"items":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`
}

const (
	picture = "https://example.com/a.jpg"
	say     = `{"type":"message","label":"Yes","text":"yes"}`
	family  = "👨‍👩‍👧‍👦" // one grapheme, eleven UTF-16 units
)

func TestMessagesLINETakes(t *testing.T) {
	t.Parallel()
	bubble := `{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"hi"}]}}`
	for name, messages := range map[string]string{
		"text of 5,000 units":        textMessage(strings.Repeat("あ", 5000)),
		"emoji at its dollar":        one(`{"type":"text","text":"$ hi","emojis":[{"index":0,"productId":"p","emojiId":"001"}]}`),
		"textV2":                     one(`{"type":"textV2","text":"Hi {who} {{x}}","substitution":{"who":{"type":"mention","mentionee":{"type":"user","userId":"U1"}}}}`),
		"sticker":                    one(`{"type":"sticker","packageId":"446","stickerId":"1988"}`),
		"image":                      one(`{"type":"image","originalContentUrl":"` + picture + `","previewImageUrl":"` + picture + `"}`),
		"image on this machine":      one(`{"type":"image","originalContentUrl":"http://127.0.0.1:8080/a","previewImageUrl":"http://localhost/a"}`),
		"video":                      one(`{"type":"video","originalContentUrl":"` + picture + `","previewImageUrl":"` + picture + `","trackingId":"t"}`),
		"video by any sign":          one(`{"type":"video","originalContentUrl":"` + picture + `","previewImageUrl":"` + picture + `","trackingId":"aZ9-.=,+*()%$&;:@{}!?<>[]"}`),
		"audio":                      one(`{"type":"audio","originalContentUrl":"` + picture + `","duration":1000}`),
		"location":                   one(`{"type":"location","title":"t","address":"a","latitude":35.6,"longitude":139.7}`),
		"imagemap":                   one(`{"type":"imagemap","baseUrl":"` + picture + `","altText":"a","baseSize":{"width":1040,"height":500},"actions":[{"type":"message","text":"x","area":{"x":0,"y":0,"width":10,"height":10}}]}`),
		"buttons":                    one(`{"type":"template","altText":"a","template":{"type":"buttons","text":"` + strings.Repeat("x", 160) + `","actions":[` + say + `]}}`),
		"buttons text by grapheme":   one(`{"type":"template","altText":"a","template":{"type":"buttons","text":"` + strings.Repeat(family, 160) + `","actions":[` + say + `]}}`),
		"confirm":                    one(`{"type":"template","altText":"a","template":{"type":"confirm","text":"?","actions":[` + say + `,` + say + `]}}`),
		"carousel":                   one(`{"type":"template","altText":"a","template":{"type":"carousel","columns":[{"text":"x","actions":[` + say + `]},{"text":"y","actions":[` + say + `]}]}}`),
		"image carousel":             one(`{"type":"template","altText":"a","template":{"type":"image_carousel","columns":[{"imageUrl":"` + picture + `","action":` + say + `}]}}`),
		"flex bubble":                one(`{"type":"flex","altText":"a","contents":` + bubble + `}`),
		"flex carousel":              one(`{"type":"flex","altText":"a","contents":{"type":"carousel","contents":[` + bubble + `]}}`),
		"13 quick replies":           textMessage("x", quickReplyOf(13, strings.Repeat("あ", 20))),
		"label counted in graphemes": textMessage("x", quickReplyOf(1, strings.Repeat(family, 20))),
		"null is absent":             one(`{"type":"text","text":"x","quickReply":null,"sender":null,"quoteToken":null}`),
		"sender":                     textMessage("x", `,"sender":{"name":"Aya","iconUrl":"`+picture+`"}`),
		"five messages":              `[` + strings.TrimSuffix(strings.Repeat(`{"type":"text","text":"x"},`, 5), ",") + `]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := verdict(t, messages)
			if a != nil {
				require.Fail(t, "refused", "%+v", a.json)
			}
		})
	}
}

func TestMessagesLINERefuses(t *testing.T) {
	t.Parallel()
	flex := func(contents string) string { return one(`{"type":"flex","altText":"a","contents":` + contents + `}`) }
	body := func(contents string) string {
		return flex(`{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[` + contents + `]}}`)
	}
	template := func(s string) string { return one(`{"type":"template","altText":"a","template":` + s + `}`) }
	for name, c := range map[string]struct{ messages, property, message string }{
		"a tracking id of no sign": {one(`{"type":"video","originalContentUrl":"` + picture + `","previewImageUrl":"` + picture + `","trackingId":"msg_1"}`), "messages[0].trackingId", "Invalid characters"},
		"no message":               {`[]`, "messages", "Size must be between 1 and 5"},
		"six messages":             {`[` + strings.TrimSuffix(strings.Repeat(`{"type":"text","text":"x"},`, 6), ",") + `]`, "messages", "Size must be between 1 and 5"},
		"empty text":               {textMessage(""), "messages[0].text", "May not be empty"},
		"missing text":             {one(`{"type":"text"}`), "messages[0].text", "May not be empty"},
		"text of 5,001 units":      {textMessage(strings.Repeat("a", 5001)), "messages[0].text", "Length must be between 0 and 5000"},
		"emoji of two units":       {textMessage(strings.Repeat("😀", 2501)), "messages[0].text", "Length must be between 0 and 5000"},
		"unknown type":             {one(`{"type":"fax"}`), "messages[0].type", "Must be one of the following values: [text, textV2, sticker, image, video, audio, location, imagemap, template, flex, coupon]"},
		"missing type":             {one(`{"text":"x"}`), "messages[0].type", "May not be empty"},
		"emoji elsewhere":          {one(`{"type":"text","text":"hi","emojis":[{"index":0,"productId":"p","emojiId":"1"}]}`), "messages[0].emojis[0].index", "The character at the index must be $"},
		"placeholder of none":      {one(`{"type":"textV2","text":"Hi {who}"}`), "messages[0].substitution.who", "Must be specified for the placeholder {who}"},
		"sticker without id":       {one(`{"type":"sticker","packageId":"1"}`), "messages[0].stickerId", "May not be empty"},
		"image over http":          {one(`{"type":"image","originalContentUrl":"http://example.com/a.jpg","previewImageUrl":"` + picture + `"}`), "messages[0].originalContentUrl", "invalid uri scheme"},
		"image not encoded":        {one(`{"type":"image","originalContentUrl":"https://example.com/写真.jpg","previewImageUrl":"` + picture + `"}`), "messages[0].originalContentUrl", "invalid uri"},
		"image without preview":    {one(`{"type":"image","originalContentUrl":"` + picture + `"}`), "messages[0].previewImageUrl", "May not be empty"},
		"long url":                 {one(`{"type":"image","originalContentUrl":"https://example.com/` + strings.Repeat("a", 2000) + `","previewImageUrl":"` + picture + `"}`), "messages[0].originalContentUrl", "Length must be between 0 and 2000"},
		"audio without length":     {one(`{"type":"audio","originalContentUrl":"` + picture + `"}`), "messages[0].duration", "May not be null"},
		"off the globe":            {one(`{"type":"location","title":"t","address":"a","latitude":91,"longitude":0}`), "messages[0].latitude", "Must be between -90 and 90"},
		"imagemap width":           {one(`{"type":"imagemap","baseUrl":"` + picture + `","altText":"a","baseSize":{"width":1000,"height":500},"actions":[]}`), "messages[0].baseSize.width", "Must be between 1040 and 1040"},
		"quick menu switch":        {textMessage("x", `,"quickReply":{"items":[{"type":"action","action":{"type":"richmenuswitch","label":"a","richMenuAliasId":"a","data":"d"}}]}`), "messages[0].quickReply.items[0].action.type", "Must be one of the following values: [postback, message, uri, datetimepicker, clipboard, camera, cameraRoll, location]"},
		"date that is a time":      {textMessage("x", `,"quickReply":{"items":[{"type":"action","action":{"type":"datetimepicker","label":"a","data":"d","mode":"date","initial":"10:00"}}]}`), "messages[0].quickReply.items[0].action.initial", "Must be a valid date"},
		"long delivery tag":        {one(`{"type":"coupon","couponId":"c","deliveryTag":"` + strings.Repeat("a", 31) + `"}`), "messages[0].deliveryTag", "Length must be between 0 and 30"},
		"14 quick replies":         {textMessage("x", quickReplyOf(14, "a")), "messages[0].quickReply.items", "Size must be between 1 and 13"},
		"long quick label":         {textMessage("x", quickReplyOf(1, strings.Repeat("あ", 21))), "messages[0].quickReply.items[0].action.label", "Length must be between 0 and 20"},
		"sender called LINE":       {textMessage("x", `,"sender":{"name":"LINE"}`), "messages[0].sender.name", "The name must not be LINE"},
		"long sender":              {textMessage("x", `,"sender":{"name":"`+strings.Repeat("a", 21)+`"}`), "messages[0].sender.name", "Length must be between 0 and 20"},
		"no alt text":              {one(`{"type":"flex","contents":{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[]}}}`), "messages[0].altText", "May not be empty"},
		"buttons text":             {template(`{"type":"buttons","text":"` + strings.Repeat("x", 161) + `","actions":[` + say + `]}`), "messages[0].template.text", "Length must be between 0 and 160"},
		"buttons under a title":    {template(`{"type":"buttons","title":"t","text":"` + strings.Repeat("x", 61) + `","actions":[` + say + `]}`), "messages[0].template.text", "Length must be between 0 and 60"},
		"five buttons":             {template(`{"type":"buttons","text":"x","actions":[` + say + `,` + say + `,` + say + `,` + say + `,` + say + `]}`), "messages[0].template.actions", "Size must be between 1 and 4"},
		"confirm with one":         {template(`{"type":"confirm","text":"x","actions":[` + say + `]}`), "messages[0].template.actions", "Size must be between 2 and 2"},
		"columns of two kinds":     {template(`{"type":"carousel","columns":[{"text":"x","actions":[` + say + `]},{"title":"t","text":"y","actions":[` + say + `]}]}`), "messages[0].template.columns[1].title", "All columns must have it, or none"},
		"two words of a postback":  {template(`{"type":"confirm","text":"x","actions":[` + say + `,{"type":"postback","label":"l","data":"d","displayText":"a","text":"b"}]}`), "messages[0].template.actions[1].displayText", "displayText and text cannot both be used"},
		"another way elsewhere":    {template(`{"type":"confirm","text":"x","actions":[` + say + `,{"type":"uri","label":"l","uri":"https://e.co","altUri":{"desktop":"ftp://e.co"}}]}`), "messages[0].template.actions[1].altUri.desktop", "invalid uri scheme"},
		"imagemap label":           {one(`{"type":"imagemap","baseUrl":"` + picture + `","altText":"a","baseSize":{"width":1040,"height":500},"actions":[{"type":"message","text":"x","label":"` + strings.Repeat("l", 101) + `","area":{"x":0,"y":0,"width":1,"height":1}}]}`), "messages[0].actions[0].label", "Length must be between 0 and 100"},
		"imagemap video":           {one(`{"type":"imagemap","baseUrl":"` + picture + `","altText":"a","baseSize":{"width":1040,"height":500},"actions":[],"video":{"originalContentUrl":"` + picture + `","area":{"x":0,"y":0,"width":1,"height":1}}}`), "messages[0].video.previewImageUrl", "May not be empty"},
		"date before dates":        {template(`{"type":"confirm","text":"x","actions":[` + say + `,{"type":"datetimepicker","label":"l","data":"d","mode":"date","min":"1899-12-31"}]}`), "messages[0].template.actions[1].min", "Must be a valid date"},
		"uneven columns":           {template(`{"type":"carousel","columns":[{"text":"x","actions":[` + say + `]},{"text":"y","actions":[` + say + `,` + say + `]}]}`), "messages[0].template.columns[1].actions", "The number of actions must be the same in all columns"},
		"long postback":            {template(`{"type":"confirm","text":"x","actions":[` + say + `,{"type":"postback","label":"l","data":"` + strings.Repeat("d", 301) + `"}]}`), "messages[0].template.actions[1].data", "Length must be between 0 and 300"},
		"ftp link":                 {template(`{"type":"confirm","text":"x","actions":[` + say + `,{"type":"uri","label":"l","uri":"ftp://x"}]}`), "messages[0].template.actions[1].uri", "invalid uri scheme"},
		"camera in a template":     {template(`{"type":"confirm","text":"x","actions":[` + say + `,{"type":"camera","label":"l"}]}`), "messages[0].template.actions[1].type", "Must be one of the following values: [postback, message, uri, datetimepicker, clipboard]"},
		"second of two":            {`[{"type":"text","text":"x"},{"type":"text","text":""}]`, "messages[1].text", "May not be empty"},
		"flex of nothing":          {flex(`{"type":"bubble"}`), "/", "At least one block must be specified"},
		"flex text of nothing":     {body(`{"type":"text"}`), "/body/contents/0/text", "must be specified"},
		"flex image over http":     {body(`{"type":"image","url":"http://example.com/a"}`), "/body/contents/0/url", "invalid uri scheme"},
		"flex unknown part":        {body(`{"type":"marquee"}`), "/body/contents/0", "invalid property"},
		"flex idle button":         {body(`{"type":"button"}`), "/body/contents/0/action", "must be specified"},
		"flex box in baseline":     {flex(`{"type":"bubble","body":{"type":"box","layout":"baseline","contents":[{"type":"box","layout":"vertical","contents":[]}]}}`), "/body/contents/0", "invalid property"},
		"flex of 30 KB":            {body(`{"type":"text","text":"` + strings.Repeat("x", 31<<10) + `"}`), "/", "too large; the limit of a bubble is 30 KB"},
		"13 bubbles":               {flex(`{"type":"carousel","contents":[` + strings.TrimSuffix(strings.Repeat(`{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[]}},`, 13), ",") + `]}`), "/contents", "size must be between 1 and 12"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := verdict(t, c.messages)
			require.NotNil(t, a)
			require.Equal(t, 400, a.status)
			e := a.json.(apiError)
			require.Equal(t, []errorDetail{{Message: c.message, Property: c.property}}, e.Details)
			if strings.HasPrefix(c.property, "/") {
				require.Equal(t, "A message (messages[0]) in the request body is invalid", e.Message)
			} else {
				require.Equal(t, "The request body has 1 error(s)", e.Message)
			}
		})
	}
}

func TestPropertiesOfAnotherTypeEndTheParsing(t *testing.T) {
	t.Parallel()
	for messages, property := range map[string]string{
		`"x"`:                           "messages",
		`["x"]`:                         "messages[0]",
		one(`{"type":"text","text":1}`): "messages[0].text",
		one(`{"type":"audio","originalContentUrl":"` + picture + `","duration":"1"}`): "messages[0].duration",
	} {
		a := verdict(t, messages)
		require.NotNil(t, a, messages)
		require.Equal(t, "The property, '"+property+"', in the request body is invalid (line: -, column: -)", a.json.(apiError).Message)
	}
}

func TestBodiesThatAreNotJSONAreRefusedWithThePlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.call("POST", "/v2/bot/message/push", []byte("{\n  \"to\": nobody\n}"))
	require.Equal(t, 400, r.Status)
	require.Equal(t, "The request body could not be parsed as JSON (line: 2, column: 10)", r.message(t))
	require.Equal(t, 413, b.call("POST", "/v2/bot/message/push", make([]byte, maxBody+1)).Status)
}

func TestSeveralFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.call("POST", "/v2/bot/message/validate/push", map[string]any{"messages": []any{text(""), map[string]any{"type": "sticker"}}})
	require.Equal(t, 400, r.Status)
	require.JSONEq(t, `{"message":"The request body has 3 error(s)","details":[{"message":"May not be empty","property":"messages[0].text"},
		{"message":"May not be empty","property":"messages[1].packageId"},{"message":"May not be empty","property":"messages[1].stickerId"}]}`, string(r.Body))
	require.Equal(t, 200, b.call("POST", "/v2/bot/message/validate/reply", map[string]any{"messages": list([]string{"fine"})}).Status)
}

func TestQuotesNeedATokenOfThisChat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(alice, "quote me")
	chat, err := b.Chat(b.ctx, testChannel, alice)
	require.NoError(t, err)
	quote := func(to string) int {
		return b.call("POST", "/v2/bot/message/push", map[string]any{"to": to, "messages": []any{map[string]any{"type": "text", "text": "re", "quoteToken": chat[0].QuoteToken}}}).Status
	}
	require.Equal(t, 200, quote(alice))
	require.Equal(t, 400, quote(bob))
}

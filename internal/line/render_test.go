package line

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

func TestRender(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content conversation.Content
		want    string
	}{
		"text": {conversation.TextContent("<b>&\"会話\" 👟"), `{"type":"text","text":"<b>&\"会話\" 👟"}`},
		"quick replies": {
			conversation.Content{Type: conversation.ContentQuickReplies, Text: "How was it?", QuickReplies: []conversation.QuickReply{
				{Label: "Good", Text: "Good"}, {Label: "Rate", Data: "csat=5", Text: "5"}, {Label: "Silent", Data: "a=b"}, {Label: "Call", URI: "tel:+81312345678"},
			}},
			`{"type":"text","text":"How was it?","quickReply":{"items":[` +
				`{"type":"action","action":{"type":"message","label":"Good","text":"Good"}},` +
				`{"type":"action","action":{"type":"postback","label":"Rate","data":"csat=5","displayText":"5"}},` +
				`{"type":"action","action":{"type":"postback","label":"Silent","data":"a=b"}},` +
				`{"type":"action","action":{"type":"uri","label":"Call","uri":"tel:+81312345678"}}]}}`,
		},
		"sticker":               {conversation.Content{Type: "sticker", PackageID: "446", StickerID: "1988"}, `{"type":"sticker","packageId":"446","stickerId":"1988"}`},
		"image":                 {conversation.Content{Type: "image", URL: "https://f.example.com/a.jpg?x=1&y=2", PreviewURL: "https://f.example.com/p.jpg"}, `{"type":"image","originalContentUrl":"https://f.example.com/a.jpg?x=1&y=2","previewImageUrl":"https://f.example.com/p.jpg"}`},
		"image without preview": {conversation.Content{Type: "image", URL: "https://f.example.com/a.jpg"}, `{"type":"image","originalContentUrl":"https://f.example.com/a.jpg","previewImageUrl":"https://f.example.com/a.jpg"}`},
		"image on this machine": {conversation.Content{Type: "image", URL: "http://127.0.0.1:8080/a.jpg"}, `{"type":"image","originalContentUrl":"http://127.0.0.1:8080/a.jpg","previewImageUrl":"http://127.0.0.1:8080/a.jpg"}`},
		"video":                 {conversation.Content{Type: "video", URL: "https://f.example.com/a.mp4", PreviewURL: "https://f.example.com/p.jpg"}, `{"type":"video","originalContentUrl":"https://f.example.com/a.mp4","previewImageUrl":"https://f.example.com/p.jpg"}`},
		"video that is tracked": {conversation.Content{Type: "video", URL: "https://f.example.com/a.mp4", PreviewURL: "https://f.example.com/p.jpg", TrackingID: "msg-1"}, `{"type":"video","originalContentUrl":"https://f.example.com/a.mp4","previewImageUrl":"https://f.example.com/p.jpg","trackingId":"msg-1"}`},
		"audio":                 {conversation.Content{Type: "audio", URL: "https://f.example.com/a.m4a", DurationMS: 4200}, `{"type":"audio","originalContentUrl":"https://f.example.com/a.m4a","duration":4200}`},
		"location":              {conversation.Content{Type: "location", Title: "Shop", Address: "1-9-1 Marunouchi", Latitude: 35.68, Longitude: 139.76}, `{"type":"location","title":"Shop","address":"1-9-1 Marunouchi","latitude":35.68,"longitude":139.76}`},
		"location off Ghana":    {conversation.Content{Type: "location", Title: "Null", Address: "Island"}, `{"type":"location","title":"Null","address":"Island","latitude":0,"longitude":0}`},
		"template":              {conversation.Content{Type: "template", AltText: "Sure?", Template: json.RawMessage(confirmTemplate)}, `{"type":"template","altText":"Sure?","template":` + confirmTemplate + `}`},
		"text v2": {
			conversation.Content{Type: "text_v2", Text: "Hi {smile} {{x}}", Substitution: json.RawMessage(`{ "smile": {"type":"emoji","productId":"p","emojiId":"001"} }`)},
			`{"type":"textV2","text":"Hi {smile} {{x}}","substitution":{"smile":{"type":"emoji","productId":"p","emojiId":"001"}}}`,
		},
		"quote from somebody": {
			conversation.Content{Type: "text", Text: "Yes", QuoteMessageID: "msg_1", QuoteToken: "q1", Sender: &conversation.MessageSender{Name: "Aya", IconURL: "https://f.example.com/a.png"}},
			`{"type":"text","text":"Yes","quoteToken":"q1","sender":{"name":"Aya","iconUrl":"https://f.example.com/a.png"}}`,
		},
		"sender without a name": {conversation.Content{Type: "text", Text: "Yes", Sender: &conversation.MessageSender{}}, `{"type":"text","text":"Yes"}`},
		"imagemap": {
			conversation.Content{Type: "imagemap", AltText: "Map", Imagemap: json.RawMessage(mapOf(``))},
			`{"type":"imagemap","altText":"Map","baseUrl":"https://e.co/map","baseSize":{"width":1040,"height":500},"actions":[]}`,
		},
		"coupon": {conversation.Content{Type: "coupon", CouponID: "c1", DeliveryTag: "tag"}, `{"type":"coupon","couponId":"c1","deliveryTag":"tag"}`},
		"quick replies of LINE's": {
			conversation.Content{Type: "quick_replies", Text: "?", QuickReplies: []conversation.QuickReply{
				{Label: "When", Action: json.RawMessage(`{"type":"datetimepicker","data":"d","mode":"date"}`), ImageURL: "https://e.co/i.png"}, {Label: "Photo", Action: json.RawMessage(`{"type":"camera"}`)},
			}},
			`{"type":"text","text":"?","quickReply":{"items":[{"type":"action","imageUrl":"https://e.co/i.png","action":{"data":"d","label":"When","mode":"date","type":"datetimepicker"}},` +
				`{"type":"action","action":{"label":"Photo","type":"camera"}}]}}`,
		},
		"flex with quick reply": {conversation.Content{Type: "flex", AltText: "Menu", Contents: json.RawMessage(bubble), QuickReplies: []conversation.QuickReply{{Label: "OK", Text: "OK"}}}, `{"type":"flex","altText":"Menu","contents":` + bubble + `,"quickReply":{"items":[{"type":"action","action":{"type":"message","label":"OK","text":"OK"}}]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := Render([]conversation.Content{tc.content})
			require.NoError(t, err)
			require.Len(t, out, 1)
			require.Equal(t, tc.want, string(out[0]))
			require.NoError(t, Validate(tc.content))
		})
	}
}

const (
	confirmTemplate = `{"type":"confirm","text":"Sure?","actions":[{"type":"message","label":"Yes","text":"yes"},{"type":"uri","label":"Terms","uri":"https://example.com/?a=1&b=2"}]}`
	bubble          = `{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"<Menu> & more"},{"type":"button","action":{"type":"postback","label":"Order","data":"order=1"}}]}}`
)

// mapOf is an imagemap with more members.
func mapOf(more string) string {
	return `{"baseUrl":"https://e.co/map","baseSize":{"width":1040,"height":500},"actions":[]` + more + `}`
}

func many(n int) []conversation.QuickReply {
	out := make([]conversation.QuickReply, n)
	for i := range out {
		out[i] = conversation.QuickReply{Label: fmt.Sprint(i), Text: "x"}
	}
	return out
}

func quick(r conversation.QuickReply) conversation.Content {
	return conversation.Content{Type: "quick_replies", Text: "?", QuickReplies: []conversation.QuickReply{r}}
}

func v2(text, substitution string) conversation.Content {
	return conversation.Content{Type: "text_v2", Text: text, Substitution: json.RawMessage(substitution)}
}

func imagemapOf(s string) conversation.Content {
	return conversation.Content{Type: "imagemap", AltText: "alt", Imagemap: json.RawMessage(s)}
}

func templateOf(s string) conversation.Content {
	return conversation.Content{Type: "template", AltText: "alt", Template: json.RawMessage(s)}
}

func bodyOf(component string) string {
	return `{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[` + component + `]}}`
}

func flexOf(s string) conversation.Content {
	return conversation.Content{Type: "flex", AltText: "alt", Contents: json.RawMessage(s)}
}

func TestLINEsLimits(t *testing.T) {
	t.Parallel()
	act := `{"type":"message","label":"L","text":"t"}`
	acts := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(act+",", n), ",") + "]" }
	list := func(one string, n int) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	column := func(n int) string { return `{"text":"t","actions":` + acts(n) + `}` }
	long := func(n int) string { return strings.Repeat("x", n) }
	family := "👨‍👩‍👧"
	url := func(n int) string { return "https://e.co/" + long(n-len("https://e.co/")) }
	button := func(action string) string {
		return `{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"button","action":` + action + `}]}}`
	}
	const filmed = `{"type":"bubble","hero":{"type":"video","url":"https://e.co/a.mp4","previewUrl":"https://e.co/a.png","altContent":{"type":"image","url":"https://e.co/a.png"}}}`
	postback := func(more string) conversation.Content {
		return templateOf(`{"type":"buttons","text":"t","actions":[{"type":"postback","label":"l","data":"d",` + more + `}]}`)
	}
	area := `"area":{"x":0,"y":0,"width":1,"height":1}`
	type c = conversation.Content
	for name, tc := range map[string]struct {
		content c
		pointer string // "" when LINE takes it
	}{
		"no type":                        {c{}, "/type"},
		"another type":                   {c{Type: "file"}, "/type"},
		"no text":                        {c{Type: "text"}, "/text"},
		"longest text":                   {c{Type: "text", Text: long(5000)}, ""},
		"text too long":                  {c{Type: "text", Text: long(5001)}, "/text"},
		"longest text of emoji":          {c{Type: "text", Text: strings.Repeat("👟", 2500)}, ""},
		"too many emoji":                 {c{Type: "text", Text: strings.Repeat("👟", 2501)}, "/text"},
		"text with NUL":                  {c{Type: "text", Text: "a\x00b"}, "/text"},
		"text of invalid UTF-8":          {c{Type: "text", Text: "a\xff"}, "/text"},
		"quick replies without any":      {c{Type: "quick_replies", Text: "?"}, "/quick_replies"},
		"13 quick replies":               {c{Type: "text", Text: "?", QuickReplies: many(13)}, ""},
		"14 quick replies":               {c{Type: "text", Text: "?", QuickReplies: many(14)}, "/quick_replies"},
		"label of 20 families":           {quick(conversation.QuickReply{Label: strings.Repeat(family, 20), Text: "x"}), ""},
		"label of 21 letters":            {quick(conversation.QuickReply{Label: long(21), Text: "x"}), "/quick_replies/0/label"},
		"no label":                       {quick(conversation.QuickReply{Text: "x"}), "/quick_replies/0/label"},
		"quick reply that does nothing":  {quick(conversation.QuickReply{Label: "x"}), "/quick_replies/0"},
		"quick reply that does too much": {quick(conversation.QuickReply{Label: "x", Text: "x", URI: "https://e.co"}), "/quick_replies/0"},
		"longest data":                   {quick(conversation.QuickReply{Label: "x", Data: long(300)}), ""},
		"data too long":                  {quick(conversation.QuickReply{Label: "x", Data: long(301)}), "/quick_replies/0/data"},
		"shown text too long":            {quick(conversation.QuickReply{Label: "x", Data: "d", Text: long(301)}), "/quick_replies/0/text"},
		"said text of 300 families":      {quick(conversation.QuickReply{Label: "x", Text: strings.Repeat(family, 300)}), ""},
		"said text too long":             {quick(conversation.QuickReply{Label: "x", Text: long(301)}), "/quick_replies/0/text"},
		"longest URI":                    {quick(conversation.QuickReply{Label: "x", URI: url(1000)}), ""},
		"URI too long":                   {quick(conversation.QuickReply{Label: "x", URI: url(1001)}), "/quick_replies/0/uri"},
		"LINE's own URI":                 {quick(conversation.QuickReply{Label: "x", URI: "line://app/1"}), ""},
		"another kind of URI":            {quick(conversation.QuickReply{Label: "x", URI: "javascript:alert(1)"}), "/quick_replies/0/uri"},
		"URI not encoded":                {quick(conversation.QuickReply{Label: "x", URI: "https://e.co/会話"}), "/quick_replies/0/uri"},
		"no URI at all":                  {quick(conversation.QuickReply{Label: "x", URI: "%zz"}), "/quick_replies/0/uri"},
		"longest URL":                    {c{Type: "image", URL: url(2000)}, ""},
		"URL too long":                   {c{Type: "image", URL: url(2001)}, "/url"},
		"no URL":                         {c{Type: "image"}, "/url"},
		"URL without TLS":                {c{Type: "image", URL: "http://e.co/a.jpg"}, "/url"},
		"URL without host":               {c{Type: "image", URL: "/a.jpg"}, "/url"},
		"URL with a password":            {c{Type: "image", URL: "https://u:p@e.co/a.jpg"}, "/url"},
		"URL not encoded":                {c{Type: "image", URL: "https://e.co/領収書.jpg"}, "/url"},
		"URL of this machine":            {c{Type: "image", URL: "http://localhost:8080/a.jpg"}, ""},
		"preview without TLS":            {c{Type: "image", URL: url(20), PreviewURL: "http://e.co/a.jpg"}, "/preview_url"},
		"video without preview":          {c{Type: "video", URL: url(20)}, "/preview_url"},
		"audio without length":           {c{Type: "audio", URL: url(20)}, "/duration_ms"},
		"audio of negative length":       {c{Type: "audio", URL: url(20), DurationMS: -1}, "/duration_ms"},
		"sticker without package":        {c{Type: "sticker", StickerID: "1"}, "/package_id"},
		"sticker by name":                {c{Type: "sticker", PackageID: "1", StickerID: "moon"}, "/sticker_id"},
		"place without title":            {c{Type: "location", Address: "a"}, "/title"},
		"place without address":          {c{Type: "location", Title: "a"}, "/address"},
		"place too far north":            {c{Type: "location", Title: "a", Address: "a", Latitude: 90.1}, "/latitude"},
		"place nowhere":                  {c{Type: "location", Title: "a", Address: "a", Longitude: math.NaN()}, "/longitude"},
		"place title too long":           {c{Type: "location", Title: long(101), Address: "a"}, "/title"},
		"longest alternative text":       {c{Type: "template", AltText: long(1500), Template: json.RawMessage(confirmTemplate)}, ""},
		"alternative text too long":      {c{Type: "template", AltText: long(1501), Template: json.RawMessage(confirmTemplate)}, "/alt_text"},
		"no alternative text":            {c{Type: "flex", Contents: json.RawMessage(bubble)}, "/alt_text"},

		"emoji":                            {v2("{a}", `{"a":{"type":"emoji","productId":"p","emojiId":"e"}}`), ""},
		"20 emoji":                         {v2(strings.Repeat("{a}", 20), `{"a":{"type":"emoji","productId":"p","emojiId":"e"}}`), ""},
		"21 emoji":                         {v2(strings.Repeat("{a}", 21), `{"a":{"type":"emoji","productId":"p","emojiId":"e"}}`), "/text"},
		"21 mentions":                      {v2(strings.Repeat("{a}", 21), `{"a":{"type":"mention","mentionee":{"type":"all"}}}`), "/text"},
		"emoji without id":                 {v2("{a}", `{"a":{"type":"emoji","productId":"p"}}`), "/substitution/a/emojiId"},
		"mention of nobody":                {v2("{a}", `{"a":{"type":"mention","mentionee":{"type":"user","userId":"me"}}}`), "/substitution/a/mentionee/userId"},
		"mention of some":                  {v2("{a}", `{"a":{"type":"mention","mentionee":{"type":"some"}}}`), "/substitution/a/mentionee/type"},
		"mention without anybody":          {v2("{a}", `{"a":{"type":"mention"}}`), "/substitution/a/mentionee"},
		"another substitute":               {v2("{a}", `{"a":{"type":"image"}}`), "/substitution/a/type"},
		"substitute that is none":          {v2("{a}", `{"a":"x"}`), "/substitution/a"},
		"placeholder of nothing":           {v2("{a} {a}", ``), "/substitution/a"},
		"placeholder of another name":      {v2("{a}", `{"b":{"type":"mention","mentionee":{"type":"all"}}}`), "/substitution/a"},
		"substitution that is no object":   {v2("a", `[]`), "/substitution"},
		"brace alone":                      {v2("a { b", ``), "/text"},
		"closing brace alone":              {v2("a } b", ``), "/text"},
		"braces around no name":            {v2("{a b}", ``), "/text"},
		"name too long":                    {v2("{"+long(21)+"}", ``), "/text"},
		"braces that stand for themselves": {v2("{{a}} {{{b}}}", `{"b":{"type":"mention","mentionee":{"type":"all"}}}`), ""},
		"version 2 too long":               {v2(long(5001), ``), "/text"},

		"sender of 20 letters":     {c{Type: "text", Text: "x", Sender: &conversation.MessageSender{Name: long(20)}}, ""},
		"sender of 21 letters":     {c{Type: "text", Text: "x", Sender: &conversation.MessageSender{Name: long(21)}}, "/sender/name"},
		"sender who is LINE":       {c{Type: "text", Text: "x", Sender: &conversation.MessageSender{Name: " Line"}}, "/sender/name"},
		"icon without TLS":         {c{Type: "text", Text: "x", Sender: &conversation.MessageSender{IconURL: "http://e.co/a.png"}}, "/sender/icon_url"},
		"sticker that quotes":      {c{Type: "sticker", PackageID: "1", StickerID: "1", QuoteToken: "q"}, ""},
		"place that quotes":        {c{Type: "location", Title: "a", Address: "a", QuoteToken: "q"}, "/quote_message_id"},
		"quote of no token":        {c{Type: "text", Text: "x", QuoteToken: "a b"}, "/quote_message_id"},
		"coupon without id":        {c{Type: "coupon"}, "/coupon_id"},
		"coupon with a long tag":   {c{Type: "coupon", CouponID: "c", DeliveryTag: long(31)}, "/delivery_tag"},
		"imagemap":                 {imagemapOf(mapOf("")), ""},
		"no imagemap":              {c{Type: "imagemap", AltText: "a"}, "/imagemap"},
		"imagemap with more":       {imagemapOf(mapOf(`,"altText":"a"`)), "/imagemap/altText"},
		"imagemap without URL":     {imagemapOf(`{"baseSize":{"width":1040,"height":500},"actions":[]}`), "/imagemap/baseUrl"},
		"narrow imagemap":          {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1000,"height":500},"actions":[]}`), "/imagemap/baseSize/width"},
		"imagemap of no height":    {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1040,"height":0},"actions":[]}`), "/imagemap/baseSize/height"},
		"imagemap without actions": {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1040,"height":500}}`), "/imagemap/actions"},
		"imagemap of 51 actions":   {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1040,"height":500},"actions":` + list(`{"type":"message","text":"t","area":{"x":0,"y":0,"width":1,"height":1}}`, 51) + `}`), "/imagemap/actions"},
		"imagemap action nowhere":  {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1040,"height":500},"actions":[{"type":"message","text":"t","area":{"x":0,"y":-1,"width":1,"height":1}}]}`), "/imagemap/actions/0/area/y"},
		"imagemap text too long":   {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1040,"height":500},"actions":[{"type":"message","text":"` + long(401) + `","area":{"x":0,"y":0,"width":1,"height":1}}]}`), "/imagemap/actions/0/text"},
		"imagemap postback":        {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1040,"height":500},"actions":[{"type":"postback","area":{"x":0,"y":0,"width":1,"height":1}}]}`), "/imagemap/actions/0/type"},
		"imagemap label too long":  {imagemapOf(`{"baseUrl":"https://e.co","baseSize":{"width":1040,"height":500},"actions":[{"type":"uri","linkUri":"https://e.co","label":"` + long(101) + `",` + area + `}]}`), "/imagemap/actions/0/label"},
		"imagemap video":           {imagemapOf(mapOf(`,"video":{"originalContentUrl":"https://e.co/v.mp4","area":{"x":0,"y":0,"width":1,"height":1}}`)), "/imagemap/video/previewImageUrl"},

		"quick camera":                 {quick(conversation.QuickReply{Label: "x", Action: json.RawMessage(`{"type":"camera"}`)}), ""},
		"quick reply with two actions": {quick(conversation.QuickReply{Label: "x", Text: "x", Action: json.RawMessage(`{"type":"camera"}`)}), "/quick_replies/0"},
		"quick reply to switch menus":  {quick(conversation.QuickReply{Label: "x", Action: json.RawMessage(`{"type":"richmenuswitch","richMenuAliasId":"a","data":"d"}`)}), "/quick_replies/0/action/type"},
		"quick reply with two labels":  {quick(conversation.QuickReply{Label: "x", Action: json.RawMessage(`{"type":"camera","label":"y"}`)}), "/quick_replies/0/action/label"},
		"quick reply of no JSON":       {quick(conversation.QuickReply{Label: "x", Action: json.RawMessage(`{`)}), "/quick_replies/0/action"},
		"quick clipboard too long":     {quick(conversation.QuickReply{Label: "x", Action: json.RawMessage(`{"type":"clipboard","clipboardText":"` + long(1001) + `"}`)}), "/quick_replies/0/action/clipboardText"},
		"quick reply's icon":           {quick(conversation.QuickReply{Label: "x", Text: "x", ImageURL: "http://e.co/i.png"}), "/quick_replies/0/image_url"},
		"date that is a time":          {quick(conversation.QuickReply{Label: "x", Action: json.RawMessage(`{"type":"datetimepicker","data":"d","mode":"date","initial":"10:00"}`)}), "/quick_replies/0/action/initial"},
		"last date before the first":   {quick(conversation.QuickReply{Label: "x", Action: json.RawMessage(`{"type":"datetimepicker","data":"d","mode":"date","min":"2026-01-02","max":"2026-01-01"}`)}), "/quick_replies/0/action/min"},

		"no template":                        {c{Type: "template", AltText: "a"}, "/template"},
		"template that is no JSON":           {templateOf(`{`), "/template"},
		"template that is a list":            {templateOf(`[]`), "/template"},
		"template of another kind":           {templateOf(`{"type":"poll"}`), "/template/type"},
		"template with the camera":           {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"camera","label":"l"}]}`), "/template/actions/0/type"},
		"template that switches menus":       {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"richmenuswitch","label":"l","richMenuAliasId":"a","data":"d"}]}`), "/template/actions/0/type"},
		"template that opens something":      {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"postback","label":"l","data":"d","inputOption":"openDoor"}]}`), "/template/actions/0/inputOption"},
		"template with NUL":                  {templateOf(`{"type":"buttons","text":"a\u0000","actions":` + acts(1) + `}`), "/template/text"},
		"template of invalid UTF-8":          {templateOf("{\"type\":\"buttons\",\"text\":\"\xff\",\"actions\":" + acts(1) + "}"), "/template"},
		"template nested endlessly":          {templateOf(`{"type":"buttons","x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`), "/template/x" + strings.Repeat("/0", 100)},
		"buttons":                            {templateOf(`{"type":"buttons","text":"` + long(160) + `","actions":` + acts(4) + `}`), ""},
		"buttons: text too long":             {templateOf(`{"type":"buttons","text":"` + long(161) + `","actions":` + acts(4) + `}`), "/template/text"},
		"buttons: text too long below title": {templateOf(`{"type":"buttons","title":"t","text":"` + long(61) + `","actions":` + acts(1) + `}`), "/template/text"},
		"buttons: text too long below image": {templateOf(`{"type":"buttons","thumbnailImageUrl":"https://e.co/a.png","text":"` + long(61) + `","actions":` + acts(1) + `}`), "/template/text"},
		"buttons: title too long":            {templateOf(`{"type":"buttons","title":"` + long(41) + `","text":"t","actions":` + acts(1) + `}`), "/template/title"},
		"buttons: image without TLS":         {templateOf(`{"type":"buttons","thumbnailImageUrl":"http://e.co/a.png","text":"t","actions":` + acts(1) + `}`), "/template/thumbnailImageUrl"},
		"buttons: five":                      {templateOf(`{"type":"buttons","text":"t","actions":` + acts(5) + `}`), "/template/actions"},
		"buttons: none":                      {templateOf(`{"type":"buttons","text":"t"}`), "/template/actions"},
		"buttons: no text":                   {templateOf(`{"type":"buttons","actions":` + acts(1) + `}`), "/template/text"},
		"buttons: default action":            {templateOf(`{"type":"buttons","text":"t","defaultAction":{"type":"uri","uri":"nope"},"actions":` + acts(1) + `}`), "/template/defaultAction/uri"},
		"confirm: text too long":             {templateOf(`{"type":"confirm","text":"` + long(241) + `","actions":` + acts(2) + `}`), "/template/text"},
		"confirm: one choice":                {templateOf(`{"type":"confirm","text":"t","actions":` + acts(1) + `}`), "/template/actions"},
		"carousel":                           {templateOf(`{"type":"carousel","columns":` + list(column(3), 10) + `}`), ""},
		"carousel: eleven":                   {templateOf(`{"type":"carousel","columns":` + list(column(3), 11) + `}`), "/template/columns"},
		"carousel: none":                     {templateOf(`{"type":"carousel","columns":[]}`), "/template/columns"},
		"carousel: four actions":             {templateOf(`{"type":"carousel","columns":[` + column(4) + `]}`), "/template/columns/0/actions"},
		"carousel: uneven":                   {templateOf(`{"type":"carousel","columns":[` + column(1) + `,` + column(2) + `]}`), "/template/columns/1/actions"},
		"carousel: text too long":            {templateOf(`{"type":"carousel","columns":[{"text":"` + long(121) + `","actions":` + acts(1) + `}]}`), "/template/columns/0/text"},
		"carousel: column no object":         {templateOf(`{"type":"carousel","columns":[5]}`), "/template/columns/0"},
		"image carousel":                     {templateOf(`{"type":"image_carousel","columns":[{"imageUrl":"https://e.co/a.png","action":{"type":"uri","uri":"https://e.co"}}]}`), ""},
		"image carousel: label too long":     {templateOf(`{"type":"image_carousel","columns":[{"imageUrl":"https://e.co/a.png","action":{"type":"message","text":"t","label":"` + long(13) + `"}}]}`), "/template/columns/0/action/label"},
		"image carousel: no image":           {templateOf(`{"type":"image_carousel","columns":[{"action":` + act + `}]}`), "/template/columns/0/imageUrl"},
		"image carousel: no action":          {templateOf(`{"type":"image_carousel","columns":[{"imageUrl":"https://e.co/a.png"}]}`), "/template/columns/0/action"},
		"action without label":               {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"message","text":"t"}]}`), "/template/actions/0/label"},
		"action with a label of numbers":     {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"message","text":"t","label":5}]}`), "/template/actions/0/label"},
		"action without type":                {templateOf(`{"type":"buttons","text":"t","actions":[{"label":"l"}]}`), "/template/actions/0/type"},
		"action that is a text":              {templateOf(`{"type":"buttons","text":"t","actions":["x"]}`), "/template/actions/0"},
		"action of a kind to come":           {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"teleport","label":"l"}]}`), ""},
		"date picker without mode":           {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"datetimepicker","label":"l","data":"d"}]}`), "/template/actions/0/mode"},
		"clipboard too long":                 {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"clipboard","label":"l","clipboardText":"` + long(1001) + `"}]}`), "/template/actions/0/clipboardText"},
		"postback that fills in too much":    {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"postback","label":"l","data":"d","inputOption":"openKeyboard","fillInText":"` + long(301) + `"}]}`), "/template/actions/0/fillInText"},
		"postback that fills in nothing":     {postback(`"fillInText":"x"`), "/template/actions/0/inputOption"},
		"postback with two texts":            {postback(`"displayText":"x","text":"y"`), "/template/actions/0/text"},
		"postback shown as 300 families":     {postback(`"displayText":"` + strings.Repeat(family, 300) + `"`), ""},
		"action that says 300 families":      {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"message","label":"l","text":"` + strings.Repeat(family, 300) + `"}]}`), ""},
		"action with another way elsewhere":  {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"uri","label":"l","uri":"https://e.co","altUri":{"desktop":"ftp://e.co"}}]}`), "/template/actions/0/altUri/desktop"},
		"date before dates":                  {templateOf(`{"type":"buttons","text":"t","actions":[{"type":"datetimepicker","label":"l","data":"d","mode":"date","min":"1899-12-31"}]}`), "/template/actions/0/min"},
		"carousel: one title":                {templateOf(`{"type":"carousel","columns":[` + column(1) + `,{"title":"t","text":"t","actions":` + acts(1) + `}]}`), "/template/columns/1/title"},
		"buttons: image of another shape":    {templateOf(`{"type":"buttons","imageAspectRatio":"round","text":"t","actions":` + acts(1) + `}`), "/template/imageAspectRatio"},

		"flex of another kind":        {flexOf(`{"type":"box"}`), "/contents/type"},
		"bubble of nothing":           {flexOf(`{"type":"bubble"}`), "/contents"},
		"largest bubble":              {flexOf(bubbleOf(30 << 10)), ""},
		"bubble too large":            {flexOf(bubbleOf(30<<10 + 1)), "/contents"},
		"bubble large by white space": {flexOf(bubble + strings.Repeat(" ", 30<<10)), ""},
		"twelve bubbles":              {flexOf(`{"type":"carousel","contents":` + list(bubble, 12) + `}`), ""},
		"thirteen bubbles":            {flexOf(`{"type":"carousel","contents":` + list(bubble, 13) + `}`), "/contents/contents"},
		"carousel too large":          {flexOf(`{"type":"carousel","contents":[` + bubbleOf(26<<10) + `,` + bubbleOf(26<<10) + `]}`), "/contents"},
		"one bubble too large":        {flexOf(`{"type":"carousel","contents":[` + bubble + `,` + bubbleOf(30<<10+1) + `]}`), "/contents/contents/1"},
		"flex: text without words":    {flexOf(bodyOf(`{"type":"text","text":""}`)), "/contents/body/contents/0/text"},
		"flex: text of spans":         {flexOf(bodyOf(`{"type":"text","contents":[{"type":"span","text":"a"}]}`)), ""},
		"flex: box without contents":  {flexOf(bodyOf(`{"type":"box","layout":"vertical"}`)), "/contents/body/contents/0/contents"},
		"flex: box without layout":    {flexOf(bodyOf(`{"type":"box","contents":[]}`)), "/contents/body/contents/0/layout"},
		"flex: component to come":     {flexOf(bodyOf(`{"type":"hologram"}`)), ""},
		"carousel of something else":  {flexOf(`{"type":"carousel","contents":[{"type":"box"}]}`), "/contents/contents/0"},
		"flex: label of 40":           {flexOf(button(`{"type":"message","text":"t","label":"` + long(40) + `"}`)), ""},
		"flex: label of 41":           {flexOf(button(`{"type":"message","text":"t","label":"` + long(41) + `"}`)), "/contents/body/contents/0/action/label"},
		"flex: button without label":  {flexOf(button(`{"type":"message","text":"t"}`)), "/contents/body/contents/0/action/label"},
		"flex: button without action": {flexOf(button(`null`)), "/contents/body/contents/0/action"},
		"flex: data too long":         {flexOf(button(`{"type":"postback","label":"l","data":"` + long(301) + `"}`)), "/contents/body/contents/0/action/data"},
		"flex: image without TLS":     {flexOf(`{"type":"bubble","hero":{"type":"image","url":"http://e.co/a.png"}}`), "/contents/hero/url"},
		"flex: tapped image":          {flexOf(`{"type":"bubble","hero":{"type":"image","url":"https://e.co/a.png","action":{"type":"uri","uri":"https://e.co"}}}`), ""},
		"flex: video without preview": {flexOf(`{"type":"bubble","hero":{"type":"video","url":"https://e.co/a.mp4","altContent":{"type":"image","url":"https://e.co/a.png"}}}`), "/contents/hero/previewUrl"},
		"flex: video":                 {flexOf(filmed), ""},
		"flex: video for some apps":   {flexOf(`{"type":"bubble","hero":{"type":"video","url":"https://e.co/a.mp4","previewUrl":"https://e.co/a.png"}}`), "/contents/hero/altContent"},
		"flex: video in a carousel":   {flexOf(`{"type":"carousel","contents":[` + filmed + `]}`), "/contents/contents/0/hero/type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Validate(tc.content)
			if tc.pointer == "" {
				require.NoError(t, err)
				return
			}
			var invalid *conversation.Error
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, conversation.CodeInvalid, invalid.Code)
			require.Len(t, invalid.Fields, 1, "%v", err)
			require.Equal(t, tc.pointer, invalid.Fields[0].Pointer)

			_, err = Render([]conversation.Content{conversation.TextContent("fine"), tc.content})
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, "/messages/1"+tc.pointer, invalid.Fields[0].Pointer)
		})
	}
}

// bubbleOf is a bubble of n bytes.
func bubbleOf(n int) string {
	head, tail := `{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"`, `"}]}}`
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

func TestRenderSaysEverythingThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Render([]conversation.Content{{Type: "text"}, {Type: "sticker"}, conversation.TextContent("fine")})
	var invalid *conversation.Error
	require.ErrorAs(t, err, &invalid)
	var pointers []string
	for _, f := range invalid.Fields {
		pointers = append(pointers, f.Pointer)
	}
	require.Equal(t, []string{"/messages/0/text", "/messages/1/package_id", "/messages/1/sticker_id"}, pointers)
}

func TestRenderTakesOneToFive(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{0: false, 1: true, 5: true, 6: false} {
		contents := make([]conversation.Content, n)
		for i := range contents {
			contents[i] = conversation.TextContent(fmt.Sprint(i))
		}
		out, err := Render(contents)
		if !ok {
			require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(err))
			continue
		}
		require.NoError(t, err)
		require.Len(t, out, n)
		require.Contains(t, string(out[n-1]), fmt.Sprint(n-1), "in order")
	}
}

func FuzzRender(f *testing.F) {
	f.Add([]byte(`{"type":"template","alt_text":"a","template":` + confirmTemplate + `}`))
	f.Add([]byte(`{"type":"flex","alt_text":"a","contents":` + bubble + `}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var content conversation.Content
		if json.Unmarshal(raw, &content) != nil {
			return
		}
		out, err := Render([]conversation.Content{content})
		if err != nil {
			var invalid *conversation.Error
			require.True(t, errors.As(err, &invalid) && len(invalid.Fields) > 0)
			return
		}
		require.True(t, json.Valid(out[0]))
		require.NotContains(t, strings.ReplaceAll(string(out[0]), `\\`, ""), `\u0000`)
	})
}

package activities

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/consent"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// arrived is an event of the kind that LINE sends, as the inbox keeps it.
func arrived(raw string) store.LINEEvent {
	return store.LINEEvent{SourceType: "user", SourceID: "U1", Raw: []byte(raw)}
}

// message is what becomes of a message.
func message(kind, text, id, payload string) store.Item {
	return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{
		Type: kind, Text: text, LINEMessageID: id, Payload: payload, Unsupported: kind == line.MessageUnsupported,
	}}
}

// withFile is a message that brings a file.
func withFile(i store.Item, f store.InboundFile) store.Item {
	i.Message.File = &f
	return i
}

var fact = store.Item{Kind: store.ItemFact}

func TestWhatBecomesOfAnEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		want store.Item
	}{
		"text": {
			`{"type":"message","message":{"id":"1","type":"text","text":"hello"}}`,
			message("text", "hello", "1", ""),
		},
		"text with emojis and a mention": {
			`{"type":"message","message":{"id":"1","type":"text","text":"$ @you","emojis":[{"index":0,"length":1,"productId":"p","emojiId":"e"}],"mention":{"mentionees":[{"index":2,"length":4,"type":"user"}]}}}`,
			message("text", "$ @you", "1", `{"emojis":[{"emojiId":"e","index":0,"length":1,"productId":"p"}],"mention":{"mentionees":[{"index":2,"length":4,"type":"user"}]}}`),
		},
		"text that quotes and can be quoted": {
			`{"type":"message","message":{"id":"1","type":"text","text":"this one","quoteToken":"quote-me","quotedMessageId":"0","markAsReadToken":"read-me"}}`,
			message("text", "this one", "1", `{"quoteToken":"quote-me","quotedMessageId":"0","markAsReadToken":"read-me"}`),
		},
		"sticker": {
			`{"type":"message","message":{"id":"1","type":"sticker","packageId":"446","stickerId":"1988","stickerResourceType":"ANIMATION","keywords":["hi"],"quoteToken":"quote-me"}}`,
			message("sticker", "", "1", `{"keywords":["hi"],"packageId":"446","stickerId":"1988","stickerResourceType":"ANIMATION","quoteToken":"quote-me"}`),
		},
		"sticker that says something": {
			`{"type":"message","message":{"id":"1","type":"sticker","packageId":"1","stickerId":"2","text":"おはよう"}}`,
			message("sticker", "", "1", `{"packageId":"1","stickerId":"2","text":"おはよう"}`),
		},
		"image": {
			`{"type":"message","message":{"id":"1","type":"image","contentProvider":{"type":"line"},"quoteToken":"quote-me","markAsReadToken":"read-me"}}`,
			withFile(message("image", "", "1", `{"contentProvider":{"type":"line"},"quoteToken":"quote-me","markAsReadToken":"read-me"}`), store.InboundFile{Kind: store.FileImage}),
		},
		"image of a set": {
			`{"type":"message","message":{"id":"1","type":"image","contentProvider":{"type":"line"},"imageSet":{"id":"s","index":1,"total":2}}}`,
			withFile(message("image", "", "1", `{"contentProvider":{"type":"line"},"imageSet":{"id":"s","index":1,"total":2}}`), store.InboundFile{Kind: store.FileImage}),
		},
		"image kept elsewhere": {
			`{"type":"message","message":{"id":"1","type":"image","contentProvider":{"type":"external","originalContentUrl":"https://shop.example/a.jpg"}}}`,
			withFile(message("image", "", "1", `{"contentProvider":{"originalContentUrl":"https://shop.example/a.jpg","type":"external"}}`), store.InboundFile{Kind: store.FileImage}),
		},
		"video": {
			`{"type":"message","message":{"id":"1","type":"video","duration":60000,"contentProvider":{"type":"line"},"quoteToken":"quote-me"}}`,
			withFile(message("video", "", "1", `{"contentProvider":{"type":"line"},"duration":60000,"quoteToken":"quote-me"}`), store.InboundFile{Kind: store.FileVideo, DurationMS: 60000}),
		},
		"audio": {
			`{"type":"message","message":{"id":"1","type":"audio","duration":1500,"contentProvider":{"type":"line"},"markAsReadToken":"read-me"}}`,
			withFile(message("audio", "", "1", `{"contentProvider":{"type":"line"},"duration":1500,"markAsReadToken":"read-me"}`), store.InboundFile{Kind: store.FileAudio, DurationMS: 1500}),
		},
		"file": {
			`{"type":"message","message":{"id":"1","type":"file","fileName":"bill.pdf","fileSize":2138}}`,
			withFile(message("file", "bill.pdf", "1", `{"fileName":"bill.pdf","fileSize":2138}`), store.InboundFile{Kind: store.FileOther, Name: "bill.pdf", Size: 2138}),
		},
		"location": {
			`{"type":"message","message":{"id":"1","type":"location","title":"Shop","address":"Marunouchi 1","latitude":35.68,"longitude":139.76}}`,
			message("location", "Shop, Marunouchi 1", "1", `{"title":"Shop","address":"Marunouchi 1","latitude":35.68,"longitude":139.76}`),
		},
		"location without words": {
			`{"type":"message","message":{"id":"1","type":"location","latitude":35.68,"longitude":139.76}}`,
			message("location", "", "1", `{"latitude":35.68,"longitude":139.76}`),
		},
		"message of a type LINE has added": {
			`{"type":"message","message":{"id":"1","type":"hologram","depth":3,"quoteToken":"quote-me"}}`,
			message("unsupported", "", "1", `{"type":"hologram","depth":3,"quoteToken":"quote-me"}`),
		},
		"message without an id": {
			`{"type":"message","message":{"type":"text","text":"hello"}}`,
			message("text", "hello", "", ""),
		},
		"message with a NUL": {
			`{"type":"message","message":{"id":"1","type":"text","text":"a\u0000b"}}`,
			message("text", "ab", "1", ""),
		},
		"message without a message":   {`{"type":"message"}`, fact},
		"message that is no object":   {`{"type":"message","message":"hello"}`, fact},
		"message that was edited":     {`{"type":"messageEdited","message":{"id":"1","type":"text","text":"other words"}}`, fact},
		"postback":                    {`{"type":"postback","postback":{"data":"buy=7"}}`, message("postback", "", "", `{"data":"buy=7","params":null}`)},
		"postback of a date picker":   {`{"type":"postback","postback":{"data":"book","params":{"datetime":"2026-12-24T18:30"}}}`, message("postback", "", "", `{"data":"book","params":{"datetime":"2026-12-24T18:30"}}`)},
		"postback of a rich menu":     {`{"type":"postback","postback":{"data":"menu","params":{"newRichMenuAliasId":"b","status":"SUCCESS"}}}`, message("postback", "", "", `{"data":"menu","params":{"newRichMenuAliasId":"b","status":"SUCCESS"}}`)},
		"button of the notice":        {`{"type":"postback","postback":{"data":"kaiwa:consent:cnv_1:v2:no"}}`, store.Item{Kind: store.ItemConsent, Tap: consent.Tap{ConversationID: "cnv_1", Version: "v2", Answer: consent.No}}},
		"broken button of the notice": {`{"type":"postback","postback":{"data":"kaiwa:consent:cnv_1"}}`, store.Item{Kind: store.ItemConsent}},
		"postback without a postback": {`{"type":"postback"}`, fact},
		"unsend":                      {`{"type":"unsend","unsend":{"messageId":"1"}}`, store.Item{Kind: store.ItemUnsend, Unsent: "1"}},
		"unsend of nothing":           {`{"type":"unsend"}`, store.Item{Kind: store.ItemUnsend}},
		"follow":                      {`{"type":"follow","follow":{"isUnblocked":false}}`, store.Item{Kind: store.ItemFollow}},
		"follow after a block":        {`{"type":"follow","follow":{"isUnblocked":true}}`, store.Item{Kind: store.ItemFollow}},
		"unfollow":                    {`{"type":"unfollow"}`, store.Item{Kind: store.ItemUnfollow}},
		"join":                        {`{"type":"join"}`, fact},
		"leave":                       {`{"type":"leave"}`, fact},
		"memberJoined":                {`{"type":"memberJoined","joined":{"members":[{"type":"user","userId":"U2"}]}}`, fact},
		"memberLeft":                  {`{"type":"memberLeft","left":{"members":[{"type":"user","userId":"U2"}]}}`, fact},
		"accountLink":                 {`{"type":"accountLink","link":{"result":"ok","nonce":"n"}}`, fact},
		"beacon":                      {`{"type":"beacon","beacon":{"hwid":"d41d8cd98f","type":"enter"}}`, fact},
		"videoPlayComplete":           {`{"type":"videoPlayComplete","videoPlayComplete":{"trackingId":"t"}}`, fact},
		"membership":                  {`{"type":"membership","membership":{"type":"joined","membershipId":1}}`, fact},
		"module":                      {`{"type":"module","module":{"type":"attached"}}`, fact},
		"activated":                   {`{"type":"activated","chatControl":{"expireAt":1}}`, fact},
		"delivery":                    {`{"type":"delivery","delivery":{"data":"d"}}`, fact},
		"kind LINE has added":         {`{"type":"teleport","message":{"id":"1","type":"text","text":"no message"}}`, fact},
		"kind in capitals":            {`{"type":"Message","message":{"id":"1","type":"text","text":"hello"}}`, fact},
		"scrubbed since":              {``, fact},
		"no JSON":                     {`hello`, fact},
		"no object":                   {`[1]`, fact},
		"without a type":              {`{"message":{"id":"1","type":"text","text":"hello"}}`, fact},
		"type that is no word":        {`{"type":7}`, fact},
		"quote token that is no word": {`{"type":"message","message":{"id":"1","type":"text","text":"x","quoteToken":7}}`, message("text", "x", "1", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := interpret(arrived(c.raw))
			if c.want.Message.Payload != "" {
				require.JSONEq(t, c.want.Message.Payload, got.Message.Payload)
				got.Message.Payload = c.want.Message.Payload
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Who is not alone with the account, and who talks to another system, holds no
// conversation here, whatever arrives.
func TestGroupsAndStandbyAreNotedOnly(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{"type":"message","message":{"id":"1","type":"text","text":"hello"}}`,
		`{"type":"postback","postback":{"data":"x"}}`, `{"type":"unsend","unsend":{"messageId":"1"}}`, `{"type":"follow"}`, `{"type":"unfollow"}`,
	} {
		for _, source := range []string{"group", "room", "", "planet"} {
			e := arrived(raw)
			e.SourceType = source
			require.Equal(t, fact, interpret(e), "%s in %q", raw, source)
		}
		e := arrived(raw)
		e.Standby = true
		require.Equal(t, fact, interpret(e), "%s in standby", raw)
	}
}

// Every event of LINE's own documentation is one thing or another, and every
// payload is JSON that databases take.
func TestEveryDocumentedEventIsInterpreted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../internal/line/testdata/webhook/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	messages := 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		w, err := line.SplitWebhook(body)
		require.NoError(t, err, file)
		for i, e := range w.Events {
			item := interpret(store.LINEEvent{SourceType: e.SourceType, SourceID: e.SourceID, Standby: e.Standby, Raw: e.Raw})
			what := fmt.Sprintf("%s, event %d: %s", filepath.Base(file), i, e.Type)
			talks := (e.Type == line.EventMessage || e.Type == line.EventPostback) && e.SourceType == "user" && !e.Standby
			require.Equal(t, talks, item.Kind == store.ItemMessage, what)
			if !talks {
				continue
			}
			messages++
			require.NotEmpty(t, item.Message.Type, what)
			require.True(t, item.Message.Payload == "" || json.Valid([]byte(item.Message.Payload)), what)
			if e.Type == line.EventMessage {
				require.NotEmpty(t, item.Message.LINEMessageID, what)
			}
		}
	}
	require.Greater(t, messages, 10)
}

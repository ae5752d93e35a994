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

// happens is an event that the transcript of an open conversation shows.
func happens(kind store.ItemKind, event, detail string, members ...string) store.Item {
	return store.Item{Kind: kind, Line: store.EventLine{Type: store.MessageEvent, Event: event, Detail: detail, Members: members}}
}

// forgotten is an item whose words are not kept.
func forgotten(i store.Item) store.Item {
	i.Forget = true
	return i
}

// unknown is a kind of event that LINE has added.
func unknown(event, detail string) store.Item {
	return store.Item{Kind: store.ItemFact, Line: store.EventLine{Type: line.MessageUnsupported, Event: event, Detail: detail}}
}

func welcomed(i store.Item) store.Item {
	i.Welcome = true
	return i
}

func gone(i store.Item) store.Item {
	i.Left = true
	return i
}

// quotable is a message that can be quoted.
func quotable(i store.Item) store.Item {
	i.Message.QuoteToken = "quote-me"
	return i
}

// readable is a message that can be marked as read.
func readable(i store.Item) store.Item {
	i.Message.ReadToken = "read-me"
	return i
}

// serving reads events of a channel that welcomes friends and serves groups.
var serving = reader{groups: store.GroupsServed, welcomes: true}

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
			readable(quotable(message("text", "this one", "1", `{"quotedMessageId":"0"}`))),
		},
		"sticker": {
			`{"type":"message","message":{"id":"1","type":"sticker","packageId":"446","stickerId":"1988","stickerResourceType":"ANIMATION","keywords":["hi"],"quoteToken":"quote-me"}}`,
			quotable(message("sticker", "", "1", `{"keywords":["hi"],"packageId":"446","stickerId":"1988","stickerResourceType":"ANIMATION"}`)),
		},
		"sticker that says something": {
			`{"type":"message","message":{"id":"1","type":"sticker","packageId":"1","stickerId":"2","text":"おはよう"}}`,
			message("sticker", "", "1", `{"packageId":"1","stickerId":"2","text":"おはよう"}`),
		},
		"image": {
			`{"type":"message","message":{"id":"1","type":"image","contentProvider":{"type":"line"},"quoteToken":"quote-me","markAsReadToken":"read-me"}}`,
			withFile(readable(quotable(message("image", "", "1", `{"contentProvider":{"type":"line"}}`))), store.InboundFile{Kind: store.FileImage}),
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
			withFile(quotable(message("video", "", "1", `{"contentProvider":{"type":"line"},"duration":60000}`)), store.InboundFile{Kind: store.FileVideo, DurationMS: 60000}),
		},
		"audio": {
			`{"type":"message","message":{"id":"1","type":"audio","duration":1500,"contentProvider":{"type":"line"},"markAsReadToken":"read-me"}}`,
			withFile(readable(message("audio", "", "1", `{"contentProvider":{"type":"line"},"duration":1500}`)), store.InboundFile{Kind: store.FileAudio, DurationMS: 1500}),
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
			quotable(message("unsupported", "", "1", `{"type":"hologram","depth":3}`)),
		},
		"message without an id": {
			`{"type":"message","message":{"type":"text","text":"hello"}}`,
			message("text", "hello", "", ""),
		},
		"message with a NUL": {
			`{"type":"message","message":{"id":"1","type":"text","text":"a\u0000b"}}`,
			message("text", "ab", "1", ""),
		},
		"text without a text": {
			`{"type":"message","message":{"id":"1","type":"text","text":null,"quoteToken":"quote-me"}}`,
			quotable(message("unsupported", "", "1", `{"type":"text","text":null}`)),
		},
		"message without a message": {`{"type":"message"}`, unknown("message", "")},
		"message that is no object": {`{"type":"message","message":"hello"}`, unknown("message", "")},
		"edit that mentions somebody": {`{"type":"messageEdited","message":{"id":"1","type":"text","text":"@Hana hi","mention":{"mentionees":[{"index":0,"length":5,"type":"all"}]}}}`,
			store.Item{Kind: store.ItemEdit, Edit: store.Edit{LINEMessageID: "1", Text: "@Hana hi", Marks: `{"mention":{"mentionees":[{"index":0,"length":5,"type":"all"}]}}`}}},
		"message that was edited":     {`{"type":"messageEdited","message":{"id":"1","type":"text","text":"other words"}}`, store.Item{Kind: store.ItemEdit, Edit: store.Edit{LINEMessageID: "1", Text: "other words"}}},
		"edit of nothing":             {`{"type":"messageEdited"}`, fact},
		"edit of another kind":        {`{"type":"messageEdited","message":{"id":"1","type":"hologram"}}`, forgotten(fact)},
		"postback":                    {`{"type":"postback","postback":{"data":"buy=7"}}`, message("postback", "", "", `{"data":"buy=7","params":null}`)},
		"postback of a date picker":   {`{"type":"postback","postback":{"data":"book","params":{"datetime":"2026-12-24T18:30"}}}`, message("postback", "", "", `{"data":"book","params":{"datetime":"2026-12-24T18:30"}}`)},
		"postback of a rich menu":     {`{"type":"postback","postback":{"data":"menu","params":{"newRichMenuAliasId":"b","status":"SUCCESS"}}}`, message("postback", "", "", `{"data":"menu","params":{"newRichMenuAliasId":"b","status":"SUCCESS"}}`)},
		"button of the notice":        {`{"type":"postback","postback":{"data":"kaiwa:consent:cnv_1:v2:no"}}`, store.Item{Kind: store.ItemConsent, Tap: consent.Tap{ConversationID: "cnv_1", Version: "v2", Answer: consent.No}}},
		"broken button of the notice": {`{"type":"postback","postback":{"data":"kaiwa:consent:cnv_1"}}`, store.Item{Kind: store.ItemConsent}},
		"postback without a postback": {`{"type":"postback"}`, unknown("postback", "")},
		"edit without words":          {`{"type":"messageEdited","message":{"id":"1","type":"text","text":7}}`, forgotten(fact)},
		"unsend":                      {`{"type":"unsend","unsend":{"messageId":"1"}}`, store.Item{Kind: store.ItemUnsend, Unsent: "1"}},
		"unsend of nothing":           {`{"type":"unsend"}`, store.Item{Kind: store.ItemUnsend}},
		"follow":                      {`{"type":"follow","follow":{"isUnblocked":false}}`, welcomed(happens(store.ItemFollow, "follow", `{"isUnblocked":false}`))},
		"follow after a block":        {`{"type":"follow","follow":{"isUnblocked":true}}`, happens(store.ItemFollow, "follow", `{"isUnblocked":true}`)},
		"unfollow":                    {`{"type":"unfollow"}`, happens(store.ItemUnfollow, "unfollow", "")},
		"join":                        {`{"type":"join"}`, happens(store.ItemFollow, "join", "")},
		"leave":                       {`{"type":"leave"}`, happens(store.ItemUnfollow, "leave", "")},
		"memberJoined":                {`{"type":"memberJoined","joined":{"members":[{"type":"user","userId":"U2"}]}}`, happens(store.ItemFact, "memberJoined", "", "U2")},
		"memberLeft":                  {`{"type":"memberLeft","left":{"members":[{"type":"user","userId":"U2"}]}}`, gone(happens(store.ItemFact, "memberLeft", "", "U2"))},
		"accountLink":                 {`{"type":"accountLink","link":{"result":"ok","nonce":"n"}}`, store.Item{Kind: store.ItemAccountLinked, Nonce: "n", Forget: true, Line: store.EventLine{Type: store.MessageEvent, Event: "accountLink", Detail: `{"result":"ok"}`}}},
		"beacon":                      {`{"type":"beacon","beacon":{"hwid":"d41d8cd98f","type":"enter"}}`, happens(store.ItemFact, "beacon", `{"hwid":"d41d8cd98f","type":"enter"}`)},
		"videoPlayComplete":           {`{"type":"videoPlayComplete","videoPlayComplete":{"trackingId":"t"}}`, happens(store.ItemFact, "videoPlayComplete", `{"trackingId":"t"}`)},
		"membership":                  {`{"type":"membership","membership":{"type":"joined","membershipId":1}}`, happens(store.ItemFact, "membership", `{"membershipId":1,"type":"joined"}`)},
		"module":                      {`{"type":"module","module":{"type":"attached"}}`, unknown("module", `{"type":"attached"}`)},
		"activated":                   {`{"type":"activated","chatControl":{"expireAt":1}}`, happens(store.ItemFact, "activated", `{"expireAt":1}`)},
		"delivery":                    {`{"type":"delivery","delivery":{"data":"d"}}`, fact},
		"kind LINE has added":         {`{"type":"teleport","teleport":{"to":"osaka"}}`, unknown("teleport", `{"to":"osaka"}`)},
		"kind with a message":         {`{"type":"teleport","message":{"id":"1","type":"text","text":"no message"}}`, forgotten(unknown("teleport", ""))},
		"kind in capitals":            {`{"type":"Message","message":{"id":"1","type":"text","text":"hello"}}`, forgotten(unknown("Message", ""))},
		"scrubbed since":              {``, fact},
		"no JSON":                     {`hello`, fact},
		"no object":                   {`[1]`, fact},
		"without a type":              {`{"message":{"id":"1","type":"text","text":"hello"}}`, fact},
		"type that is no word":        {`{"type":7}`, fact},
		"quote token that is no word": {`{"type":"message","message":{"id":"1","type":"text","text":"x","quoteToken":7}}`, message("text", "x", "1", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := serving.interpret(arrived(c.raw))
			if c.want.Message.Payload != "" {
				require.JSONEq(t, c.want.Message.Payload, got.Message.Payload)
				got.Message.Payload = c.want.Message.Payload
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Where groups are not served nothing that is said there is kept, and where the
// account is to leave it does so as soon as anything calls for it.
func TestWhatIsSaidInGroupsThatAreNotServedIsNotKept(t *testing.T) {
	t.Parallel()
	said := `{"type":"message","message":{"id":"1","type":"text","text":"hello"}}`
	calls := map[string]store.Item{
		said: forgotten(fact), `{"type":"postback","postback":{"data":"x"}}`: fact, `{"type":"join"}`: fact,
		`{"type":"memberJoined","joined":{"members":[{"userId":"U2"}]}}`: fact,
	}
	silent := map[string]store.Item{
		`{"type":"unsend","unsend":{"messageId":"1"}}`: {Kind: store.ItemUnsend, Unsent: "1"}, `{"type":"leave"}`: happens(store.ItemUnfollow, "leave", ""), `{"type":"memberLeft","left":{"members":[{"userId":"U2"}]}}`: fact,
		`{"type":"messageEdited","message":{"id":"1","type":"text","text":"hello"}}`: forgotten(fact),
	}
	for _, source := range []string{"group", "room"} {
		for raw, want := range calls {
			e := arrived(raw)
			e.SourceType = source
			require.Equal(t, want, reader{groups: store.GroupsIgnored}.interpret(e), raw)
			e.Standby = true
			require.Equal(t, want, reader{groups: store.GroupsLeft}.interpret(e), "another system is there: %s", raw)
			e.Standby, want.Kind = false, store.ItemUnwanted
			require.Equal(t, want, reader{groups: store.GroupsLeft}.interpret(e), raw)
		}
		for raw, want := range silent {
			e := arrived(raw)
			e.SourceType = source
			require.Equal(t, want, reader{groups: store.GroupsIgnored}.interpret(e), raw)
			require.Equal(t, want, reader{groups: store.GroupsLeft}.interpret(e), raw)
		}
	}
	e := arrived(said)
	e.SourceType = "planet"
	require.Equal(t, forgotten(fact), serving.interpret(e))
}

func TestInAGroupThatIsServedEachMessageHasItsSpeaker(t *testing.T) {
	t.Parallel()
	e := arrived(`{"type":"message","source":{"type":"group","groupId":"C1","userId":"U7"},"message":{"id":"1","type":"text","text":"hello"}}`)
	e.SourceType = "group"
	want := message("text", "hello", "1", "")
	want.Speaker = "U7"
	require.Equal(t, want, serving.interpret(e))
}

// In standby nothing is answered; what is taken back, and who leaves, counts.
func TestStandbyIsNotedOnly(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]store.Item{
		`{"type":"message","message":{"id":"1","type":"text","text":"hello"}}`: forgotten(fact),
		`{"type":"postback","postback":{"data":"x"}}`:                          fact,
		`{"type":"unsend","unsend":{"messageId":"1"}}`:                         {Kind: store.ItemUnsend, Unsent: "1"},
		`{"type":"follow","follow":{"isUnblocked":false}}`:                     happens(store.ItemFollow, "follow", `{"isUnblocked":false}`),
		`{"type":"unfollow"}`:                                                  happens(store.ItemUnfollow, "unfollow", ""),
	} {
		e := arrived(raw)
		e.Standby = true
		require.Equal(t, want, serving.interpret(e), raw)
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
			item := serving.interpret(store.LINEEvent{SourceType: e.SourceType, SourceID: e.SourceID, Standby: e.Standby, Raw: e.Raw})
			what := fmt.Sprintf("%s, event %d: %s", filepath.Base(file), i, e.Type)
			talks := (e.Type == line.EventMessage || e.Type == line.EventPostback) && !e.Standby
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

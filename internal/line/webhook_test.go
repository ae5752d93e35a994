package line

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

const (
	testUser  = "U0123456789abcdef0123456789abcdef"
	testGroup = "Cfedcba9876543210fedcba9876543210"
	testRoom  = "Raaaabbbbccccddddeeeeffff00001111"
)

// fixtures are bodies of the structure of LINE's reference, one of each kind.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/webhook/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 25)
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		out[strings.TrimSuffix(filepath.Base(f), ".json")] = b
	}
	return out
}

func TestEveryKindOfEventIsTaken(t *testing.T) {
	t.Parallel()
	for name, body := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want struct {
				Destination string
				Events      []struct {
					Type           string
					WebhookEventID string
					Timestamp      int64
					ReplyToken     string
					Source         *struct{ Type, UserID, GroupID, RoomID string }
				}
			}
			require.NoError(t, json.Unmarshal(body, &want))

			w, err := SplitWebhook(body)
			require.NoError(t, err)
			require.Equal(t, want.Destination, w.Destination)
			require.Len(t, w.Events, len(want.Events))
			for i, e := range w.Events {
				require.Empty(t, e.Malformed)
				require.Equal(t, want.Events[i].WebhookEventID, e.ID)
				require.Equal(t, want.Events[i].Type, e.Type)
				require.Equal(t, want.Events[i].Timestamp, e.Timestamp.UnixMilli())
				require.Equal(t, want.Events[i].ReplyToken, e.ReplyToken)
				if s := want.Events[i].Source; s == nil {
					require.Empty(t, e.ChatKey)
				} else {
					id := map[string]string{"user": s.UserID, "group": s.GroupID, "room": s.RoomID}[s.Type]
					require.Equal(t, s.Type, e.SourceType)
					require.Equal(t, id, e.SourceID)
					require.Equal(t, s.UserID, e.UserID)
					require.Equal(t, conversation.ChatKey(s.Type, id), e.ChatKey)
				}
				parsed, err := ParseEvent(e.Raw)
				require.NoError(t, err)
				require.Equal(t, e.Type, parsed.Type)
			}
		})
	}
}

func TestEveryEventIsRoutedByItsOwnSource(t *testing.T) {
	t.Parallel()
	w, err := SplitWebhook(fixtures(t)["many_chats"])
	require.NoError(t, err)
	var types []string
	for _, e := range w.Events {
		types = append(types, e.Type+" "+e.SourceType)
	}
	require.Equal(t, []string{"message user", "message group", "postback room", "unsend user", "message user"}, types)
	require.Equal(t, w.Events[0].ID, w.Events[4].ID, "repeated ids are all kept: the caller dedupes")
	require.Equal(t, w.Events[0].Raw, w.Events[4].Raw)
}

func TestSplitWebhookReadsTheEnvelope(t *testing.T) {
	t.Parallel()
	raw := `{"type":"message","mode":"standby","timestamp":1763790000123,"source":{"type":"group","groupId":"` + testGroup + `","userId":"` + testUser +
		`"},"webhookEventId":"01FZ74A0TDDPYRVKNK77XKC3ZR","deliveryContext":{"isRedelivery":true},"replyToken":"nHuyWiB7yP5Zw52FIkcQobQuGDXCTA"}`
	w, err := SplitWebhook([]byte(" {\"events\" : [\t" + raw + "\n] , \"destination\":\"" + testUser + "\"}\r\n"))
	require.NoError(t, err)
	require.Equal(t, testUser, w.Destination)
	require.Equal(t, []RawEvent{{
		ID: "01FZ74A0TDDPYRVKNK77XKC3ZR", Type: "message", SourceType: "group", SourceID: testGroup, UserID: testUser,
		ChatKey: conversation.ChatKey("group", testGroup), Timestamp: time.UnixMilli(1763790000123).UTC(),
		ReplyToken: "nHuyWiB7yP5Zw52FIkcQobQuGDXCTA", Redelivery: true, Standby: true, Raw: []byte(raw),
	}}, w.Events)
}

func TestABodyWithoutEventsIsRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                                   "not a JSON object",
		`null`:                               "not a JSON object",
		`[]`:                                 "not a JSON object",
		`"events"`:                           "not a JSON object",
		`{`:                                  "not a JSON object",
		`{"events":[]`:                       "not a JSON object",
		`{"events":[]}x`:                     "not a JSON object",
		`{"events":[]}{}`:                    "not a JSON object",
		`{"events":[],}`:                     "not a JSON object",
		`{"events"}`:                         "not a JSON object",
		`{"events":}`:                        "not a JSON object",
		`{"events":[}]`:                      "not a JSON object",
		`{events:[]}`:                        "not a JSON object",
		`{"events":["]}`:                     "not a JSON object",
		`{}`:                                 "no events array",
		`{"Events":[]}`:                      "no events array",
		`{"events":null}`:                    "no events array",
		`{"events":{}}`:                      "no events array",
		`{"events":"[]"}`:                    "no events array",
		`{"events":[1,]}`:                    "no events array",
		`{"events":[,1]}`:                    "no events array",
		`{"events":[]1}`:                     "no events array",
		`{"destination":"` + testUser + `"}`: "no events array",
	} {
		_, err := SplitWebhook([]byte(body))
		require.ErrorContains(t, err, want, body)
	}
	w, err := SplitWebhook([]byte(`{"events":[]}`))
	require.NoError(t, err)
	require.Empty(t, w.Events)
	require.Empty(t, w.Destination)
}

// sibling is an event that must come through whatever stands beside it.
const sibling = `{"type":"message","timestamp":1763790000000,"mode":"active","source":{"type":"user","userId":"` + testUser +
	`"},"webhookEventId":"01SIBLING","deliveryContext":{"isRedelivery":false},"message":{"id":"1","type":"text","text":"I must survive"}}`

func TestAMalformedEventHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	const good = `"type":"message","webhookEventId":"01BAD"`
	for name, tc := range map[string]struct{ raw, why string }{
		"null":                          {`null`, "not a JSON object"},
		"a number":                      {`17`, "not a JSON object"},
		"a text":                        {`"message"`, "not a JSON object"},
		"a list":                        {`[{"type":"message"}]`, "not a JSON object"},
		"a word":                        {`nonsense`, "not a JSON object"},
		"a comma in a text, unparsable": {`{"a":"],}","b":tru}`, "not a JSON object"},
		"broken within":                 {`{"type":"message",,}`, "not a JSON object"},
		"empty":                         {`{}`, "type is missing"},
		"nested beyond parsing":         {`{"type":"message","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, "not a JSON object"},
		"type a number":                 {`{"type":7}`, "type is not usable"},
		"type null":                     {`{"type":null}`, "type is missing"},
		"type with NUL":                 {`{"type":"mess\u0000age"}`, ""},
		"type a novel":                  {`{"type":"` + strings.Repeat("x", 65) + `"}`, "type is not usable"},
		"id a number":                   {`{"type":"message","webhookEventId":5}`, "webhookEventId is not usable"},
		"id with a space":               {`{"type":"message","webhookEventId":"a b"}`, "webhookEventId is not usable"},
		"id in Japanese":                {`{"type":"message","webhookEventId":"会話"}`, "webhookEventId is not usable"},
		"timestamp a text":              {`{` + good + `,"timestamp":"1763790000000"}`, "timestamp"},
		"timestamp negative":            {`{` + good + `,"timestamp":-5}`, "timestamp"},
		"timestamp of another age":      {`{` + good + `,"timestamp":17637900000000000}`, "timestamp"},
		"timestamp huge":                {`{` + good + `,"timestamp":1e999}`, "timestamp"},
		"timestamp very long":           {`{` + good + `,"timestamp":` + strings.Repeat("9", 5000) + `}`, "timestamp"},
		"timestamp a fraction":          {`{` + good + `,"timestamp":1.5}`, "timestamp"},
		"timestamp an object":           {`{` + good + `,"timestamp":{}}`, "timestamp"},
		"source a number":               {`{` + good + `,"source":4}`, "source is not an object"},
		"source without type":           {`{` + good + `,"source":{}}`, "source has no type"},
		"source type a list":            {`{` + good + `,"source":{"type":[]}}`, "source.type is not usable"},
		"user id a number":              {`{` + good + `,"source":{"type":"user","userId":3}}`, "source.userId is not usable"},
		"group id with a line break":    {`{` + good + `,"source":{"type":"group","groupId":"a\nb"}}`, "source.groupId is not usable"},
		"reply token an object":         {`{` + good + `,"replyToken":{}}`, "replyToken is not usable"},
		"mode a number":                 {`{` + good + `,"mode":1}`, "mode is not usable"},
		"redelivery a text":             {`{` + good + `,"deliveryContext":{"isRedelivery":"yes"}}`, "isRedelivery"},
		"delivery context a list":       {`{` + good + `,"deliveryContext":[]}`, "deliveryContext is not an object"},
		"invalid UTF-8":                 {"{" + good + ",\"message\":{\"text\":\"\xff\xfe\"}}", ""},
		"an escaped NUL":                {`{` + good + `,"message":{"text":"a\u0000b"}}`, ""},
		"a raw NUL":                     {"{" + good + ",\"message\":\"\x00\"}", "not a JSON object"},
		"half an emoji":                 {`{` + good + `,"message":{"text":"\ud83d"}}`, ""},
		"keys twice":                    {`{"type":"follow",` + good + `,"timestamp":"x","timestamp":1763790000000}`, ""},
		"other spelling":                {`{` + good + `,"Type":5,"TIMESTAMP":"x"}`, ""},
		"nulls":                         {`{` + good + `,"timestamp":null,"source":null,"replyToken":null,"mode":null,"deliveryContext":null}`, ""},
		"a source to come":              {`{` + good + `,"source":{"type":"square","squareId":"S1"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := SplitWebhook([]byte(`{"events":[` + sibling + `,` + tc.raw + `,` + sibling + `]}`))
			require.NoError(t, err)
			require.Len(t, w.Events, 3)
			for _, i := range []int{0, 2} {
				require.Empty(t, w.Events[i].Malformed)
				require.Equal(t, "01SIBLING", w.Events[i].ID)
				require.Equal(t, sibling, string(w.Events[i].Raw))
			}
			e := w.Events[1]
			require.Equal(t, tc.raw, string(e.Raw))
			if tc.why == "" {
				require.Empty(t, e.Malformed)
			} else {
				require.Contains(t, e.Malformed, tc.why)
			}
			requireStorable(t, e)
		})
	}
}

// requireStorable says that PostgreSQL takes every text of e.
func requireStorable(t testing.TB, e RawEvent) {
	t.Helper()
	require.NotEmpty(t, e.ID)
	for _, s := range []string{e.ID, e.Type, e.SourceType, e.SourceID, e.UserID, e.ChatKey, e.ReplyToken, e.Malformed} {
		require.True(t, utf8.ValidString(s))
		require.NotContains(t, s, "\x00")
	}
	require.Equal(t, e.SourceID == "", e.ChatKey == "")
}

func TestAnEventWithoutIDIsNamedByItsBytes(t *testing.T) {
	t.Parallel()
	w, err := SplitWebhook([]byte(`{"events":[null, null, {"type":"message"}, {"type":"message" }]}`))
	require.NoError(t, err)
	ids := map[string]int{}
	for _, e := range w.Events {
		require.Regexp(t, `^x-[0-9a-f]{32}$`, e.ID)
		ids[e.ID]++
	}
	require.Equal(t, w.Events[0].ID, w.Events[1].ID)
	require.Len(t, ids, 3)
}

func TestAnEventWithoutIDIsTheSameHoweverOftenItIsDelivered(t *testing.T) {
	t.Parallel()
	w, err := SplitWebhook([]byte(`{"events":[{"type":"follow","deliveryContext":{"isRedelivery":false}},{"type":"follow","deliveryContext":{"isRedelivery":true}},{"type":"unfollow","deliveryContext":{"isRedelivery":true}}]}`))
	require.NoError(t, err)
	require.Equal(t, w.Events[0].ID, w.Events[1].ID)
	require.NotEqual(t, w.Events[1].ID, w.Events[2].ID)
}

func TestRawHasMemoryOfItsOwn(t *testing.T) {
	t.Parallel()
	body := []byte(`{"events":[` + sibling + `]}`)
	w, err := SplitWebhook(body)
	require.NoError(t, err)
	for i := range body {
		body[i] = 'x'
	}
	require.Equal(t, sibling, string(w.Events[0].Raw))
}

// FuzzSplitWebhook holds the splitting against encoding/json wherever that one
// understands the body, and has any element leave its siblings alone.
func FuzzSplitWebhook(f *testing.F) {
	for _, body := range fixtures(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"events":[{"a":"\"]"},1,"x",null,[],{}],"events":[2]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := SplitWebhook(body)
		var top map[string]json.RawMessage
		if json.Unmarshal(body, &top) == nil && top != nil {
			var want []json.RawMessage
			isArray := json.Unmarshal(top["events"], &want) == nil && want != nil
			require.Equal(t, isArray, err == nil)
			require.Len(t, w.Events, len(want))
			for i := range want {
				require.Equal(t, string(bytes.TrimSpace(want[i])), string(w.Events[i].Raw))
			}
		}
		for _, e := range w.Events {
			requireStorable(t, e)
		}
		if json.Valid(body) {
			w, err := SplitWebhook([]byte(fmt.Sprintf(`{"events":[%s,%s,%s]}`, sibling, body, sibling)))
			require.NoError(t, err)
			require.Len(t, w.Events, 3)
			require.Equal(t, "01SIBLING", w.Events[0].ID)
			require.Equal(t, "01SIBLING", w.Events[2].ID)
		}
	})
}

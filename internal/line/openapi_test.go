package line_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
)

// openapi loads one of LINE's published OpenAPI files from beside the
// repository, or skips.
func openapi(t *testing.T, name string) *openapi3.T {
	t.Helper()
	root, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, root, filepath.Dir(root), "no go.mod above the test")
		root = filepath.Dir(root)
	}
	path := filepath.Join(root, "..", "shared", "line-openapi", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("LINE's %s is not beside the repository, so nothing is held against it.", name)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	require.NoError(t, err)
	return doc
}

// holds says that object is what the schema that base maps its type to allows.
// The file's discriminators stand without oneOf, where a validator ignores
// them, so the schema is looked up here, and so are those of the objects within
// that are known by their type.
func holds(t *testing.T, doc *openapi3.T, base string, object any) {
	t.Helper()
	o, ok := object.(map[string]any)
	require.True(t, ok, "%s is no object: %v", base, object)
	kind, _ := o["type"].(string)
	discriminator := doc.Components.Schemas[base].Value.Discriminator
	require.NotNil(t, discriminator, base)
	ref, known := discriminator.Mapping[kind]
	require.True(t, known, "LINE has no %s of type %q", base, kind)
	schema := doc.Components.Schemas[filepath.Base(ref.Ref)]
	require.NotNil(t, schema, ref.Ref)
	require.NoError(t, schema.Value.VisitJSON(o), "%s: %v", filepath.Base(ref.Ref), o)
}

func decode(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

// everyContent is one Content of each type and each way a button acts.
func everyContent() []conversation.Content {
	return []conversation.Content{
		conversation.TextContent("会話"),
		{Type: "quick_replies", Text: "?", QuickReplies: []conversation.QuickReply{
			{Label: "say", Text: "x"}, {Label: "post", Data: "a=b", Text: "shown"}, {Label: "open", URI: "https://example.com/"},
		}},
		{Type: "image", URL: "https://example.com/a.jpg", PreviewURL: "https://example.com/p.jpg"},
		{Type: "video", URL: "https://example.com/a.mp4", PreviewURL: "https://example.com/p.jpg"},
		{Type: "audio", URL: "https://example.com/a.m4a", DurationMS: 1000},
		{Type: "sticker", PackageID: "446", StickerID: "1988"},
		{Type: "location", Title: "t", Address: "a", Latitude: 35.68, Longitude: 139.76},
		{Type: "template", AltText: "alt", Template: json.RawMessage(`{"type":"buttons","text":"t","actions":[{"type":"postback","label":"l","data":"d"}]}`)},
		{Type: "template", AltText: "alt", Template: json.RawMessage(`{"type":"confirm","text":"t","actions":[{"type":"message","label":"y","text":"y"},{"type":"message","label":"n","text":"n"}]}`)},
		{Type: "template", AltText: "alt", Template: json.RawMessage(`{"type":"carousel","columns":[{"text":"t","actions":[{"type":"uri","label":"l","uri":"https://example.com"}]}]}`)},
		{Type: "template", AltText: "alt", Template: json.RawMessage(`{"type":"image_carousel","columns":[{"imageUrl":"https://example.com/a.png","action":{"type":"uri","uri":"https://example.com"}}]}`)},
		{Type: "flex", AltText: "alt", Contents: json.RawMessage(`{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"t"}]}}`)},
	}
}

func TestRenderedMessagesAreWhatLINEPublishes(t *testing.T) {
	t.Parallel()
	doc := openapi(t, "messaging-api.yml")
	for _, c := range everyContent() {
		out, err := line.Render([]conversation.Content{c})
		require.NoError(t, err)
		m := decode(t, out[0])
		holds(t, doc, "Message", m)
		o := m.(map[string]any)
		if q, ok := o["quickReply"].(map[string]any); ok {
			for _, item := range q["items"].([]any) {
				holds(t, doc, "Action", item.(map[string]any)["action"])
			}
		}
		if template, ok := o["template"]; ok {
			holds(t, doc, "Template", template)
		}
		if contents, ok := o["contents"]; ok {
			holds(t, doc, "FlexContainer", contents)
		}
	}
}

func TestRequestsAreWhatLINEPublishes(t *testing.T) {
	t.Parallel()
	doc := openapi(t, "messaging-api.yml")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		item := doc.Paths.Find(r.URL.Path)
		if item == nil || item.GetOperation(r.Method) == nil {
			t.Errorf("LINE has no %s %s", r.Method, r.URL.Path)
			return
		}
		op := item.GetOperation(r.Method)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if err := op.RequestBody.Value.Content.Get("application/json").Schema.Value.VisitJSON(v); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		hasKey := r.Header.Get("X-Line-Retry-Key") != ""
		if takesKey := op.Parameters.GetByInAndName("header", "X-Line-Retry-Key") != nil; takesKey != hasKey {
			t.Errorf("%s: retry key sent %v, taken %v", r.URL.Path, hasKey, takesKey)
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(s.Close)
	c := line.New(line.Config{APIURL: s.URL, DataAPIURL: s.URL}).As("token")
	ctx := t.Context()
	const user = "U0123456789abcdef0123456789abcdef"
	messages, err := line.Render(everyContent()[:5])
	require.NoError(t, err)
	_, err = c.Reply(ctx, "nHuyWiB7yP5Zw52FIkcQobQuGDXCTA", messages)
	require.NoError(t, err)
	_, err = c.Push(ctx, user, conversation.RetryKey("bat_1"), messages)
	require.NoError(t, err)
	_, err = c.StartLoading(ctx, user, 20)
	require.NoError(t, err)
	_, err = c.MarkAsRead(ctx, "nz0x74mZT2mRn")
	require.NoError(t, err)
	_, err = c.SetWebhookEndpoint(ctx, "https://example.com/hook")
	require.NoError(t, err)
	_, err = c.TestWebhook(ctx, "https://example.com/hook")
	require.NoError(t, err)
}

// What LINE has added since the file was published.
var newerEvents = map[string]bool{"messageEdited": true}

func TestTheFixturesAreWhatLINEPublishes(t *testing.T) {
	t.Parallel()
	doc := openapi(t, "webhook.yml")
	files, err := filepath.Glob("testdata/webhook/*.json")
	require.NoError(t, err)
	kinds := map[string]bool{}
	for _, f := range files {
		body, err := os.ReadFile(f)
		require.NoError(t, err)
		delivery := decode(t, body)
		require.NoError(t, doc.Components.Schemas["CallbackRequest"].Value.VisitJSON(delivery), f)
		for _, e := range delivery.(map[string]any)["events"].([]any) {
			o := e.(map[string]any)
			kind := o["type"].(string)
			kinds[kind] = true
			if source, ok := o["source"]; ok {
				holds(t, doc, "Source", source)
			}
			if message, ok := o["message"]; ok {
				holds(t, doc, "MessageContent", message)
			}
			if !newerEvents[kind] {
				holds(t, doc, "Event", o)
			}
		}
	}
	for kind := range doc.Components.Schemas["Event"].Value.Discriminator.Mapping {
		require.True(t, kinds[kind], "no fixture of a %s event", kind)
	}
}

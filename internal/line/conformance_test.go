package line_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
)

// conform holds a value against one of LINE's schemas. The files'
// discriminators stand without oneOf, where a validator ignores them, so that a
// text without text would pass: here each object is held against the schema its
// type maps to, wherever it stands, and has no property that LINE does not name.
func conform(doc *openapi3.T, at string, schema *openapi3.Schema, value any) error {
	object, isObject := value.(map[string]any)
	if isObject && schema.Discriminator != nil && len(schema.Discriminator.Mapping) > 0 {
		kind, _ := object[schema.Discriminator.PropertyName].(string)
		ref, known := schema.Discriminator.Mapping[kind]
		if !known {
			return fmt.Errorf("%s: LINE has none of type %q", at, kind)
		}
		schema = doc.Components.Schemas[filepath.Base(ref.Ref)].Value
	}
	if err := schema.VisitJSON(value); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if isObject {
		properties, others := propertiesOf(schema)
		for _, name := range slices.Sorted(maps.Keys(object)) {
			property := properties[name]
			if property == nil {
				property = others
			}
			if property == nil {
				return fmt.Errorf("%s: LINE has no property %s here", at, name)
			}
			if err := conform(doc, at+"/"+name, property.Value, object[name]); err != nil {
				return err
			}
		}
	}
	if list, ok := value.([]any); ok && schema.Items != nil {
		for i, item := range list {
			if err := conform(doc, fmt.Sprintf("%s/%d", at, i), schema.Items.Value, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// propertiesOf are the properties a schema names, and the schema of all others;
// nil when there are none.
func propertiesOf(schema *openapi3.Schema) (named openapi3.Schemas, others *openapi3.SchemaRef) {
	named = openapi3.Schemas{}
	maps.Copy(named, schema.Properties)
	others = schema.AdditionalProperties.Schema
	for _, part := range slices.Concat(schema.AllOf, schema.OneOf) {
		more, rest := propertiesOf(part.Value)
		maps.Copy(named, more)
		if rest != nil {
			others = rest
		}
	}
	return named, others
}

func message(c conversation.Content) conversation.Content {
	c.Sender = &conversation.MessageSender{Name: "Aya", IconURL: "https://example.com/aya.png"}
	c.QuickReplies = []conversation.QuickReply{{Label: "OK", Text: "OK"}}
	return c
}

func quoting(c conversation.Content) conversation.Content {
	c.QuoteMessageID, c.QuoteToken = "msg_1", "IStG5h1Tz7b"
	return c
}

// everyAction is one of LINE's action objects of each type a message may have,
// with everything they may have, but without their labels.
var everyAction = []string{
	`{"type":"message","text":"x"}`,
	`{"type":"uri","uri":"https://example.com/","altUri":{"desktop":"https://example.com/pc"}}`,
	`{"type":"postback","data":"a=b","displayText":"shown","inputOption":"openKeyboard","fillInText":"---\n"}`,
	`{"type":"datetimepicker","data":"when","mode":"datetime","initial":"2026-01-05T10:00","min":"2026-01-05T00:00","max":"2026-02-05t00:00"}`,
	`{"type":"datetimepicker","data":"when","mode":"date","initial":"2026-01-05"}`,
	`{"type":"datetimepicker","data":"when","mode":"time","initial":"09:30"}`,
	`{"type":"clipboard","clipboardText":"A-12345"}`,
}

// quickOnly are the actions that only a quick reply may have.
var quickOnly = []string{`{"type":"camera"}`, `{"type":"cameraRoll"}`, `{"type":"location"}`}

func labelled(action string) string { return strings.TrimSuffix(action, "}") + `,"label":"Go"}` }

// everyContent is every type of Content, with every kind of template, action and
// substitute.
func everyContent() map[string]conversation.Content {
	template := func(s string) conversation.Content {
		return conversation.Content{Type: "template", AltText: "alt", Template: json.RawMessage(s)}
	}
	flex := func(s string) conversation.Content {
		return conversation.Content{Type: "flex", AltText: "alt", Contents: json.RawMessage(s)}
	}
	const area = `"area":{"x":0,"y":0,"width":520,"height":200}`
	out := map[string]conversation.Content{
		"text": quoting(conversation.TextContent("会話")),
		"text v2": quoting(conversation.Content{Type: "text_v2", Text: "{{Hello}} {who}, {all} {smile}", Substitution: json.RawMessage(
			`{"who":{"type":"mention","mentionee":{"type":"user","userId":"U0123456789abcdef0123456789abcdef"}},"all":{"type":"mention","mentionee":{"type":"all"}},` +
				`"smile":{"type":"emoji","productId":"5ac1bfd5040ab15980c9b435","emojiId":"001"}}`)}),
		"text v2 without placeholders": {Type: "text_v2", Text: "Hello"},
		"quick replies": quoting(conversation.Content{Type: "quick_replies", Text: "?", QuickReplies: []conversation.QuickReply{
			{Label: "say", Text: "x", ImageURL: "https://example.com/i.png"}, {Label: "post", Data: "a=b", Text: "shown"}, {Label: "open", URI: "https://example.com/"},
		}}),
		"image":    {Type: "image", URL: "https://example.com/a.jpg", PreviewURL: "https://example.com/p.jpg"},
		"video":    {Type: "video", URL: "https://example.com/a.mp4", PreviewURL: "https://example.com/p.jpg", TrackingID: "msg-1"},
		"audio":    {Type: "audio", URL: "https://example.com/a.m4a", DurationMS: 1000},
		"sticker":  quoting(conversation.Content{Type: "sticker", PackageID: "446", StickerID: "1988"}),
		"location": {Type: "location", Title: "t", Address: "a", Latitude: 35.68, Longitude: 139.76},
		"coupon":   {Type: "coupon", CouponID: "01JYNW8JMQVFBNWF1APF8Z3FS7", DeliveryTag: "support"},
		"imagemap": {Type: "imagemap", AltText: "alt", Imagemap: json.RawMessage(`{"baseUrl":"https://example.com/map","baseSize":{"width":1040,"height":500},"actions":[` +
			`{"type":"uri","label":"l","linkUri":"https://example.com/",` + area + `},{"type":"message","text":"x",` + area + `},{"type":"clipboard","clipboardText":"x",` + area + `}],` +
			`"video":{"originalContentUrl":"https://example.com/a.mp4","previewImageUrl":"https://example.com/p.jpg",` + area + `,"externalLink":{"linkUri":"https://example.com/","label":"More"}}}`)},
		"imagemap without actions": {Type: "imagemap", AltText: "alt", Imagemap: json.RawMessage(`{"baseUrl":"https://example.com/map","baseSize":{"width":1040,"height":500},"actions":[]}`)},
		"confirm":                  template(`{"type":"confirm","text":"t","actions":[{"type":"message","label":"y","text":"y"},{"type":"message","label":"n","text":"n"}]}`),
		"flex carousel":            flex(`{"type":"carousel","contents":[{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"separator"}]}}]}`),
		"flex bubble": flex(`{"type":"bubble","size":"mega","direction":"ltr","styles":{"body":{"backgroundColor":"#ffffff"}},` +
			`"header":{"type":"box","layout":"horizontal","contents":[{"type":"text","text":"t","contents":[{"type":"span","text":"s","weight":"bold"}]}]},` +
			`"hero":{"type":"video","url":"https://example.com/a.mp4","previewUrl":"https://example.com/p.jpg","altContent":{"type":"image","url":"https://example.com/p.jpg"},"aspectRatio":"16:9"},` +
			`"body":{"type":"box","layout":"baseline","contents":[{"type":"icon","url":"https://example.com/i.png"},{"type":"filler"}],"background":{"type":"linearGradient","angle":"0deg","startColor":"#ffffff","endColor":"#000000"}},` +
			`"footer":{"type":"box","layout":"vertical","contents":[{"type":"button","action":{"type":"postback","label":"l","data":"d"}}]}}`),
	}
	for i, a := range everyAction {
		a := labelled(a)
		out[fmt.Sprintf("buttons %d", i)] = template(`{"type":"buttons","thumbnailImageUrl":"https://example.com/a.png","imageAspectRatio":"square","imageSize":"contain","imageBackgroundColor":"#ffffff","title":"t","text":"t","defaultAction":` + a + `,"actions":[` + a + `]}`)
		out[fmt.Sprintf("carousel %d", i)] = template(`{"type":"carousel","imageAspectRatio":"rectangle","imageSize":"cover","columns":[{"text":"t","defaultAction":` + a + `,"actions":[` + a + `]},{"text":"u","actions":[` + a + `]}]}`)
		out[fmt.Sprintf("image carousel %d", i)] = template(`{"type":"image_carousel","columns":[{"imageUrl":"https://example.com/a.png","action":` + a + `}]}`)
		out[fmt.Sprintf("flex with action %d", i)] = flex(`{"type":"bubble","action":` + a + `,"body":{"type":"box","layout":"vertical","action":` + a + `,"contents":[{"type":"text","text":"t","action":` + a + `},{"type":"image","url":"https://example.com/a.png","action":` + a + `}]}}`)
	}
	for i, a := range slices.Concat(everyAction, quickOnly) {
		out[fmt.Sprintf("quick reply %d", i)] = conversation.Content{Type: "text", Text: "?", QuickReplies: []conversation.QuickReply{{Label: "Go", Action: json.RawMessage(a)}}}
	}
	for name, c := range maps.Clone(out) {
		if len(c.QuickReplies) == 0 {
			out[name+" from somebody"] = message(c)
		}
	}
	return out
}

func TestEveryMessageIsWhatLINEPublishes(t *testing.T) {
	t.Parallel()
	doc := openapi(t, "messaging-api.yml")
	base := doc.Components.Schemas["Message"].Value
	seen := map[string]bool{}
	for name, c := range everyContent() {
		out, err := line.Render([]conversation.Content{c})
		require.NoError(t, err, name)
		m := decode(t, out[0]).(map[string]any)
		require.NoError(t, conform(doc, name, base, m))
		seen[m["type"].(string)] = true
	}
	for kind := range base.Discriminator.Mapping {
		require.True(t, seen[kind], "Kaiwa sends no message of type %s", kind)
	}
}

func TestWhatLINEDoesNotPublishDoesNotConform(t *testing.T) {
	t.Parallel()
	doc := openapi(t, "messaging-api.yml")
	text := func(more string) string { return `{"type":"text","text":"x",` + more + `}` }
	for name, c := range map[string]struct{ schema, value string }{
		"text without text":             {"Message", `{"type":"text"}`},
		"message without type":          {"Message", `{"text":"x"}`},
		"message of another type":       {"Message", `{"type":"file"}`},
		"text that is a number":         {"Message", `{"type":"text","text":1}`},
		"misspelled property":           {"Message", text(`"quotetoken":"q"`)},
		"image without preview":         {"Message", `{"type":"image","originalContentUrl":"https://example.com/a.jpg"}`},
		"audio of half a millisecond":   {"Message", `{"type":"audio","originalContentUrl":"https://example.com/a.m4a","duration":0.5}`},
		"emoji without id":              {"Message", `{"type":"textV2","text":"{a}","substitution":{"a":{"type":"emoji","productId":"p"}}}`},
		"mention of nobody":             {"Message", `{"type":"textV2","text":"{a}","substitution":{"a":{"type":"mention","mentionee":{"type":"user"}}}}`},
		"imagemap action without area":  {"Message", `{"type":"imagemap","baseUrl":"https://example.com","altText":"a","baseSize":{"width":1040,"height":1},"actions":[{"type":"message","text":"x"}]}`},
		"coupon without id":             {"Message", `{"type":"coupon"}`},
		"template without columns":      {"Message", `{"type":"template","altText":"a","template":{"type":"carousel"}}`},
		"template of another type":      {"Message", `{"type":"template","altText":"a","template":{"type":"poll"}}`},
		"box without layout":            {"Message", `{"type":"flex","altText":"a","contents":{"type":"bubble","body":{"type":"box","contents":[]}}}`},
		"component of another type":     {"Message", `{"type":"flex","altText":"a","contents":{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"table"}]}}}`},
		"14 quick replies":              {"Message", text(`"quickReply":{"items":[` + strings.TrimSuffix(strings.Repeat(`{"type":"action","action":{"type":"camera","label":"l"}},`, 14), ",") + `]}`)},
		"action of another type":        {"Message", text(`"quickReply":{"items":[{"type":"action","action":{"type":"call","label":"l"}}]}`)},
		"picker of another mode":        {"Message", text(`"quickReply":{"items":[{"type":"action","action":{"type":"datetimepicker","label":"l","data":"d","mode":"week"}}]}`)},
		"sender with too long a name":   {"Message", text(`"sender":{"name":"` + strings.Repeat("x", 21) + `"}`)},
		"push to nobody":                {"PushMessageRequest", `{"messages":[{"type":"text","text":"x"}]}`},
		"six messages":                  {"PushMessageRequest", `{"to":"U","messages":[` + strings.TrimSuffix(strings.Repeat(`{"type":"text","text":"x"},`, 6), ",") + `]}`},
		"a message that is none within": {"ReplyMessageRequest", `{"replyToken":"r","messages":[{"type":"text"}]}`},
	} {
		require.Error(t, conform(doc, name, doc.Components.Schemas[c.schema].Value, decode(t, []byte(c.value))), name)
	}
}

// platform is a LINE that takes whatever its published files allow and
// remembers what they do not.
type platform struct {
	*httptest.Server
	docs    []*openapi3.T
	routers []routers.Router
	host    string // as the files call it

	mu     sync.Mutex
	calls  int
	faults []string
}

func newPlatform(t *testing.T, host string) *platform {
	t.Helper()
	p := &platform{host: host}
	for _, name := range []string{"messaging-api.yml", "channel-access-token.yml"} {
		doc := openapi(t, name)
		doc.Servers = nil // it is asked at another address
		router, err := gorillamux.NewRouter(doc)
		require.NoError(t, err)
		p.docs, p.routers = append(p.docs, doc), append(p.routers, router)
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := p.check(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if err != nil {
		p.faults = append(p.faults, fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err))
	}
	_, _ = io.WriteString(w, `{}`)
}

func (p *platform) check(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	for i, router := range p.routers {
		route, params, err := router.FindRoute(r)
		if err != nil {
			continue
		}
		op := route.Operation
		host := "api.line.me"
		if op.Servers != nil {
			host = strings.TrimPrefix((*op.Servers)[0].URL, "https://")
		}
		if host != p.host {
			return fmt.Errorf("is asked of %s, and LINE has it at %s", p.host, host)
		}
		for name := range r.URL.Query() {
			if op.Parameters.GetByInAndName("query", name) == nil {
				return fmt.Errorf("LINE knows no parameter %s", name)
			}
		}
		takesKey := op.Parameters.GetByInAndName("header", "X-Line-Retry-Key") != nil
		if hasKey := r.Header.Get("X-Line-Retry-Key") != ""; hasKey != takesKey {
			return fmt.Errorf("a retry key is sent: %v, and taken: %v", hasKey, takesKey)
		}
		if needsToken := op.Security == nil && len(p.docs[i].Security) > 0; needsToken != strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			return fmt.Errorf("a token is needed: %v", needsToken)
		}
		if op.RequestBody == nil && len(body) > 0 {
			return fmt.Errorf("LINE takes no body here")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, ExcludeRequestBody: true},
		}); err != nil || op.RequestBody == nil {
			return err
		}
		return conformBody(p.docs[i], op.RequestBody.Value, r.Header.Get("Content-Type"), body)
	}
	return fmt.Errorf("LINE does not have it")
}

func conformBody(doc *openapi3.T, takes *openapi3.RequestBody, contentType string, body []byte) error {
	if len(body) == 0 && !takes.Required {
		return nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return err
	}
	content := takes.Content[kind]
	if content == nil {
		return fmt.Errorf("LINE takes no body of type %s here", kind)
	}
	var v any
	if kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return err
		}
		fields := map[string]any{}
		for name, values := range form {
			fields[name] = values[0]
		}
		v = fields
	} else if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return conform(doc, "", content.Schema.Value, v)
}

// take returns what was seen since it was last asked.
func (p *platform) take() (calls int, faults []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls, faults = p.calls, p.faults
	p.calls, p.faults = 0, nil
	return calls, faults
}

// requests makes each request Kaiwa can make to LINE, by the method that makes
// it.
func requests(t *testing.T, api *line.API) map[string]func(*line.Client) error {
	const (
		user  = "U0123456789abcdef0123456789abcdef"
		group = "C0123456789abcdef0123456789abcdef"
		room  = "R0123456789abcdef0123456789abcdef"
		menu  = "richmenu-0123456789abcdef0123456789abcdef"
	)
	ctx := t.Context()
	all := slices.Collect(maps.Values(everyContent()))
	// each sends every message there is, five at a time.
	each := func(send func([]json.RawMessage) error) error {
		for part := range slices.Chunk(all, line.MaxMessages) {
			messages, err := line.Render(part)
			if err != nil {
				return err
			}
			if err := send(messages); err != nil {
				return err
			}
		}
		return nil
	}
	stream := func(s line.ContentStream, err error) error {
		if err != nil {
			return err
		}
		return s.Body.Close()
	}
	return map[string]func(*line.Client) error{
		"Reply": func(c *line.Client) error {
			return each(func(m []json.RawMessage) error {
				_, err := c.Reply(ctx, "nHuyWiB7yP5Zw52FIkcQobQuGDXCTA", m)
				return err
			})
		},
		"Push": func(c *line.Client) error {
			for _, to := range []string{user, group, room} {
				if err := each(func(m []json.RawMessage) error {
					_, err := c.Push(ctx, to, conversation.RetryKey("bat_1"), m)
					return err
				}); err != nil {
					return err
				}
			}
			return nil
		},
		"ValidateReply": func(c *line.Client) error {
			return each(func(m []json.RawMessage) error { _, err := c.ValidateReply(ctx, m); return err })
		},
		"ValidatePush": func(c *line.Client) error {
			return each(func(m []json.RawMessage) error { _, err := c.ValidatePush(ctx, m); return err })
		},
		"StartLoading":    func(c *line.Client) error { _, err := c.StartLoading(ctx, user, 17); return err },
		"MarkAsRead":      func(c *line.Client) error { _, err := c.MarkAsRead(ctx, "nz0x74mZT2mRn"); return err },
		"BotInfo":         func(c *line.Client) error { _, err := c.BotInfo(ctx); return err },
		"WebhookEndpoint": func(c *line.Client) error { _, err := c.WebhookEndpoint(ctx); return err },
		"SetWebhookEndpoint": func(c *line.Client) error {
			_, err := c.SetWebhookEndpoint(ctx, "https://example.com/hook")
			return err
		},
		"TestWebhook": func(c *line.Client) error {
			if _, err := c.TestWebhook(ctx, ""); err != nil {
				return err
			}
			_, err := c.TestWebhook(ctx, "https://example.com/hook")
			return err
		},
		"Profile": func(c *line.Client) error { _, err := c.Profile(ctx, user); return err },
		"MemberProfile": func(c *line.Client) error {
			if _, err := c.MemberProfile(ctx, group, user); err != nil {
				return err
			}
			_, err := c.MemberProfile(ctx, room, user)
			return err
		},
		"IssueLinkToken": func(c *line.Client) error { _, err := c.IssueLinkToken(ctx, user); return err },
		"Quota":          func(c *line.Client) error { _, err := c.Quota(ctx); return err },
		"CountMembers": func(c *line.Client) error {
			if _, err := c.CountMembers(ctx, group); err != nil {
				return err
			}
			_, err := c.CountMembers(ctx, room)
			return err
		},
		"Classify429": func(c *line.Client) error {
			_, _, err := c.Classify429(ctx, &line.Error{Class: line.ClassRateLimited, Status: http.StatusTooManyRequests}, 1)
			return err
		},
		"Content":      func(c *line.Client) error { return stream(c.Content(ctx, "325708")) },
		"Preview":      func(c *line.Client) error { return stream(c.Preview(ctx, "325708")) },
		"Transcoding":  func(c *line.Client) error { _, err := c.Transcoding(ctx, "325708"); return err },
		"GroupSummary": func(c *line.Client) error { _, err := c.GroupSummary(ctx, group); return err },
		"Leave": func(c *line.Client) error {
			if _, err := c.Leave(ctx, group); err != nil {
				return err
			}
			_, err := c.Leave(ctx, room)
			return err
		},
		"RichMenus":      func(c *line.Client) error { _, err := c.RichMenus(ctx); return err },
		"RichMenu":       func(c *line.Client) error { _, err := c.RichMenu(ctx, menu); return err },
		"RichMenuImage":  func(c *line.Client) error { return stream(c.RichMenuImage(ctx, menu)) },
		"LinkRichMenu":   func(c *line.Client) error { _, err := c.LinkRichMenu(ctx, user, menu); return err },
		"UnlinkRichMenu": func(c *line.Client) error { _, err := c.UnlinkRichMenu(ctx, user); return err },
		"IssueStatelessToken": func(*line.Client) error {
			_, err := api.IssueStatelessToken(ctx, "2000000001", "0123456789abcdef0123456789abcdef")
			return err
		},
		"IssueAssertedToken": func(*line.Client) error {
			key, err := line.ParseAssertionKey(jwk(t, signingKey(), "kid-1"), "")
			if err != nil {
				return err
			}
			_, err = api.IssueAssertedToken(ctx, "2000000001", key, time.Now())
			return err
		},
		"RevokeAssertedToken": func(*line.Client) error {
			return api.RevokeAssertedToken(ctx, "2000000001", "0123456789abcdef0123456789abcdef", "token")
		},
		"TokenChannel": func(*line.Client) error {
			if _, err := api.TokenChannel(ctx, "token", true); err != nil {
				return err
			}
			_, err := api.TokenChannel(ctx, "token", false)
			return err
		},
	}
}

func TestEveryRequestIsWhatLINEPublishes(t *testing.T) {
	t.Parallel()
	api, data := newPlatform(t, "api.line.me"), newPlatform(t, "api-data.line.me")
	kaiwa := line.New(line.Config{APIURL: api.URL, DataAPIURL: data.URL})
	client := kaiwa.As("token")
	made := requests(t, kaiwa)
	for name, request := range made {
		require.NoError(t, request(client), name)
		calls, faults := api.take()
		more, others := data.take()
		require.Empty(t, slices.Concat(faults, others), name)
		require.Positive(t, calls+more, "%s asks LINE nothing", name)
	}
	for _, of := range []reflect.Type{reflect.TypeFor[*line.Client](), reflect.TypeFor[*line.API]()} {
		for i := range of.NumMethod() {
			if name := of.Method(i).Name; name != "As" {
				require.Contains(t, made, name, "no request of this method is held against what LINE publishes")
			}
		}
	}

	// The check can fail.
	for name, ask := range map[string]func() (*http.Request, error){
		"another path":      func() (*http.Request, error) { return http.NewRequest("POST", api.URL+"/v2/bot/message/fax", nil) },
		"another method":    func() (*http.Request, error) { return http.NewRequest("DELETE", api.URL+"/v2/bot/info", nil) },
		"another host":      func() (*http.Request, error) { return http.NewRequest("GET", api.URL+"/v2/bot/message/1/content", nil) },
		"no token":          func() (*http.Request, error) { return http.NewRequest("GET", api.URL+"/v2/bot/info", nil) },
		"unknown parameter": func() (*http.Request, error) { return http.NewRequest("GET", api.URL+"/v2/bot/info?x=1", nil) },
		"text without text": func() (*http.Request, error) { return post(api.URL, `{"replyToken":"r","messages":[{"type":"text"}]}`) },
		"reply without token": func() (*http.Request, error) {
			return post(api.URL, `{"messages":[{"type":"text","text":"x"}]}`)
		},
	} {
		req, err := ask()
		require.NoError(t, err)
		if name != "no token" {
			req.Header.Set("Authorization", "Bearer token")
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		_, faults := api.take()
		require.Len(t, faults, 1, name)
	}
}

func post(url, body string) (*http.Request, error) {
	req, err := http.NewRequest("POST", url+"/v2/bot/message/reply", strings.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// quotable puts a message of the customer with a quote token into the database.
func (b *bundle) quotable(conversationID, token string) (id string) {
	b.t.Helper()
	id = conversation.NewID(conversation.PrefixMessage)
	b.sql(`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, text, payload, state, created_at)
		VALUES ($1, $2, 'chn_any', 1, 'inbound', 'customer', 'text', 'which?', $3, 'accepted', 1)`, id, conversationID, `{"quoteToken":"`+token+`"}`)
	return id
}

const (
	bubble = `{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"hi"}]}}`
	smile  = `{"smile":{"type":"emoji","productId":"5ac1bfd5040ab15980c9b435","emojiId":"001"}}`
	plan   = `{"baseUrl":"https://example.com/map","baseSize":{"width":1040,"height":500},"actions":[]}`
)

func TestAnAgentSendsEveryKindOfMessage(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.live()
	quoted := b.quotable(id, "q1")
	b.sql(`UPDATE agents SET sender_name = 'Aya', sender_icon_url = 'https://example.com/aya.png' WHERE id = $1`, b.agents[store.RoleAgent].ID)
	const sender = `"sender":{"name":"Aya","icon_url":"https://example.com/aya.png"}`
	for name, c := range map[string]struct{ body, text, payload string }{
		"text that quotes": {`{"type":"text","text":"this one","quote_message_id":"` + quoted + `"}`, "this one", `{"type":"text","quote_message_id":"` + quoted + `",` + sender + `}`},
		"emoji":            {`{"type":"text_v2","text":"Hi {smile}","substitution":` + smile + `}`, "Hi {smile}", `{"type":"text_v2","substitution":` + smile + `,` + sender + `}`},
		"image":            {`{"type":"image","url":"https://example.com/a.jpg"}`, "", `{"type":"image","url":"https://example.com/a.jpg",` + sender + `}`},
		"video":            {`{"type":"video","url":"https://example.com/a.mp4","preview_url":"https://example.com/a.jpg"}`, "", `{"type":"video","url":"https://example.com/a.mp4","preview_url":"https://example.com/a.jpg",` + sender + `}`},
		"audio":            {`{"type":"audio","url":"https://example.com/a.m4a","duration_ms":1000}`, "", `{"type":"audio","url":"https://example.com/a.m4a","duration_ms":1000,` + sender + `}`},
		"sticker":          {`{"type":"sticker","package_id":"446","sticker_id":"1988","quote_message_id":"` + quoted + `"}`, "", `{"type":"sticker","package_id":"446","sticker_id":"1988","quote_message_id":"` + quoted + `",` + sender + `}`},
		"location":         {`{"type":"location","title":"t","address":"a","latitude":35.5,"longitude":139.5}`, "", `{"type":"location","title":"t","address":"a","latitude":35.5,"longitude":139.5,` + sender + `}`},
		"flex":             {`{"type":"flex","alt_text":"a","contents":` + bubble + `}`, "", `{"type":"flex","alt_text":"a","contents":` + bubble + `,` + sender + `}`},
		"imagemap":         {`{"type":"imagemap","alt_text":"a","imagemap":` + plan + `}`, "", `{"type":"imagemap","alt_text":"a","imagemap":` + plan + `,` + sender + `}`},
		"coupon":           {`{"type":"coupon","coupon_id":"c1","delivery_tag":"support"}`, "", `{"type":"coupon","coupon_id":"c1","delivery_tag":"support",` + sender + `}`},
		"buttons": {
			`{"type":"text","text":"?","quick_replies":[{"label":"Photo","action":{"type":"camera"},"image_url":"https://example.com/i.png"}]}`, "?",
			`{"type":"text","quick_replies":[{"label":"Photo","action":{"type":"camera"},"image_url":"https://example.com/i.png"}],` + sender + `}`,
		},
	} {
		r := b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/messages", c.body)
		require.Contains(t, []int{201, 202}, r.Status, "%s: %s", name, r.Raw)
		m, err := b.store.Message(t.Context(), r.text(t, "id"))
		require.NoError(t, err)
		require.Equal(t, c.text, m.Text, name)
		require.JSONEq(t, c.payload, m.Payload, name)
	}
}

func TestAMessageLINEWouldRefuseIsRefusedByItsFieldsAndStoresNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.live()
	elsewhere := b.quotable(b.conversation(b.firstChannel(), "active", "agent"), "q2")
	before := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/messages", nil)
	for name, c := range map[string]struct {
		body    string
		pointer string
	}{
		"a brace alone":              {`{"type":"text_v2","text":"a { b"}`, "/text"},
		"a blank text":               {`{"type":"text_v2","text":" "}`, "/text"},
		"an emoji that is missing":   {`{"type":"text_v2","text":"{smile}"}`, "/substitution/smile"},
		"a substitution in a text":   {`{"type":"text","text":"x","substitution":` + smile + `}`, "/substitution"},
		"a video without a frame":    {`{"type":"video","url":"https://example.com/a.mp4"}`, "/preview_url"},
		"an image by plain HTTP":     {`{"type":"image","url":"http://example.com/a.jpg"}`, "/url"},
		"an audio of no length":      {`{"type":"audio","url":"https://example.com/a.m4a"}`, "/duration_ms"},
		"a narrow imagemap":          {`{"type":"imagemap","alt_text":"a","imagemap":` + strings.Replace(plan, "1040", "700", 1) + `}`, "/imagemap/baseSize/width"},
		"a place that quotes":        {`{"type":"location","title":"t","address":"a","latitude":1,"longitude":1,"quote_message_id":"msg_x"}`, "/quote_message_id"},
		"a quote of another chat":    {`{"type":"text","text":"x","quote_message_id":"` + elsewhere + `"}`, "/quote_message_id"},
		"a button that switches":     {`{"type":"text","text":"x","quick_replies":[{"label":"a","action":{"type":"richmenuswitch","richMenuAliasId":"a","data":"d"}}]}`, "/quick_replies/0/action/type"},
		"a button of two minds":      {`{"type":"text","text":"x","quick_replies":[{"label":"a","uri":"https://example.com","action":{"type":"camera"}}]}`, "/quick_replies/0"},
		"a flex message of 31 KB":    {`{"type":"flex","alt_text":"a","contents":` + strings.Replace(bubble, "hi", strings.Repeat("x", 31<<10), 1) + `}`, "/contents"},
		"a coupon without its id":    {`{"type":"coupon"}`, "/coupon_id"},
		"a template with the camera": {`{"type":"template","alt_text":"a","template":{"type":"buttons","text":"t","actions":[{"type":"camera","label":"l"}]}}`, "/template/actions/0/type"},
	} {
		for _, path := range []string{"/messages", "/messages/validate"} {
			r := b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+path, c.body)
			requireProblem(t, r, 400, conversation.CodeInvalid, c.pointer)
			require.NotEmpty(t, r.text(t, "errors", 0, "detail"), name)
		}
	}
	after := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/messages", nil)
	require.Equal(t, string(before.Raw), string(after.Raw))
}

func TestAMessageIsCheckedWithoutSendingItAndByLINEWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.live()
	check := func(query, body string) response {
		return b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/messages/validate"+query, body)
	}
	asked := func() (names []string) {
		for _, c := range b.sim.Calls(linesim.CallFilter{}) {
			names = append(names, c.Endpoint)
		}
		b.sim.ForgetCalls()
		return names
	}
	asked()
	long := strings.Repeat("a", 5000)
	r := check("", `{"type":"text","text":"`+long+`b"}`)
	require.Equal(t, 200, r.Status, "%s", r.Raw)
	require.Equal(t, []any{map[string]any{"type": "text", "text": long}, map[string]any{"type": "text", "text": "b"}}, r.get(t, "messages"))
	require.Nil(t, r.get(t, "line_request_id"))
	require.Empty(t, asked())
	for via, endpoint := range map[string]string{"reply": "validate_reply", "push": "validate_push"} {
		r = check("?line="+via, `{"type":"flex","alt_text":"a","contents":`+bubble+`}`)
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.NotEmpty(t, r.text(t, "line_request_id"))
		require.Equal(t, []string{endpoint}, asked())
	}

	// What only LINE knows.
	r = check("?line=push", `{"type":"flex","alt_text":"a","contents":{"type":"bubble","body":{"type":"box","layout":"circular","contents":[]}}}`)
	requireProblem(t, r, 400, conversation.CodeInvalid, "/contents/body/layout")
	require.Contains(t, r.text(t, "errors", 0, "detail"), "LINE says: ")
	_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "validate_push", Times: 1, Status: http.StatusUnauthorized, Body: []byte(`{"message":"Authentication failed."}`)})
	require.NoError(t, err)
	requireProblem(t, check("?line=push", `{"type":"text","text":"x"}`), 502, conversation.CodeLINEUnreachable) // LINE takes the token elsewhere
	require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.AccessToken = "another" }))
	requireProblem(t, check("?line=push", `{"type":"text","text":"x"}`), 422, conversation.CodeLINERefused)
	requireProblem(t, check("?line=fax", `{"type":"text","text":"x"}`), 400, conversation.CodeInvalid, "/line")
	list := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/messages", nil)
	require.Empty(t, list.get(t, "items"))
}

func TestAgentsWhoMaySendNoFilesSendNoneByTheirAddressEither(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.live()
	b.limit(map[string]any{"agents_may_send": false})
	r := b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/messages", map[string]any{"type": "image", "url": "https://example.com/a.jpg"})
	requireProblem(t, r, 403, conversation.CodeForbidden)
}

func TestHowCustomersSeeAgentsAndBots(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	path := "/api/v1/agents/" + b.agents[store.RoleAgent].ID
	require.Empty(t, b.as(store.RoleAdmin, "GET", path, nil).get(t, "sender"))
	aya := map[string]any{"name": "Aya", "icon_url": "https://example.com/aya.png"}
	require.Equal(t, aya, b.patch(path, map[string]any{"sender": aya}).get(t, "sender"))
	require.Equal(t, map[string]any{"name": "Aya"}, b.patch(path, map[string]any{"sender": map[string]any{"icon_url": nil}}).get(t, "sender"))
	requireProblem(t, b.patch(path, map[string]any{"sender": map[string]any{"name": "Line", "icon_url": "http://example.com/a.png"}}), 400, conversation.CodeInvalid, "/sender/name", "/sender/icon_url")
	require.Empty(t, b.patch(path, map[string]any{"sender": nil}).get(t, "sender"))

	r := b.as(store.RoleAdmin, "POST", "/api/v1/bots", map[string]any{"name": "Guide", "kind": "webhook", "url": "https://example.com/bot", "sender": aya})
	require.Equal(t, 201, r.Status, "%s", r.Raw)
	require.Equal(t, aya, r.get(t, "sender"))
	require.Equal(t, aya, b.patch("/api/v1/bots/"+r.text(t, "id"), map[string]any{"name": "Guide 2"}).get(t, "sender"))
}

func TestAnAgentMentionsPeopleOfAGroup(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		say := func(substitution string) response {
			return b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/messages", `{"type":"text_v2","text":"{who}, hello","substitution":{"who":`+substitution+`}}`)
		}
		const all = `{"type":"mention","mentionee":{"type":"all"}}`
		of := func(user string) string {
			return `{"type":"mention","mentionee":{"type":"user","userId":"` + user + `"}}`
		}
		r := say(all)
		require.Equal(t, 400, r.Status, "%s", r.Raw)
		require.Equal(t, []string{"/substitution/who/type"}, r.pointers())

		b.sql(`INSERT INTO chats (channel_id, chat_key, tick, source_type, source_id, created_at) SELECT channel_id, chat_key, 1, 'group', 'C', 1 FROM conversations WHERE id = $1`, id)
		b.sql(`INSERT INTO chat_members (id, channel_id, chat_key, source_id, line_user_id, created_at)
			SELECT 'pro_hana', channel_id, chat_key, 'C', $1, 1 FROM conversations WHERE id = $2`, someUser, id)
		b.sql(`INSERT INTO chat_members (id, channel_id, chat_key, source_id, line_user_id, created_at) VALUES ('pro_other', 'chn_other', 'group:C', 'C', $1, 1)`, someUser)
		for substitution, want := range map[string]string{all: all, of("pro_hana"): of(someUser), of(someUser): of(someUser)} {
			r := say(substitution)
			require.Contains(t, []int{201, 202}, r.Status, "%s", r.Raw)
			m, err := b.store.Message(t.Context(), r.text(t, "id"))
			require.NoError(t, err)
			require.JSONEq(t, `{"type":"text_v2","substitution":{"who":`+want+`}}`, m.Payload)
		}
		r = say(of("pro_other"))
		require.Equal(t, 400, r.Status, "%s", r.Raw)
		require.Equal(t, []string{"/substitution/who/mentionee/userId"}, r.pointers())
	})
}

package linesim

import (
	"bytes"
	"encoding/json"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// menuOf is a rich menu object of LINE's, with one area for each action.
func menuOf(name string, actions ...string) map[string]any {
	areas := []any{}
	for i, a := range actions {
		areas = append(areas, map[string]any{"bounds": map[string]any{"x": i * 100, "y": 0, "width": 100, "height": 270}, "action": json.RawMessage(a)})
	}
	return map[string]any{"size": map[string]any{"width": 800, "height": 270}, "selected": true, "name": name, "chatBarText": "Menu", "areas": areas}
}

func pictureOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, image.NewGray(image.Rect(0, 0, width, height))))
	return out.Bytes()
}

// menu creates a rich menu by LINE's API, with an image.
func (b *testBundle) menu(name string, actions ...string) string {
	b.t.Helper()
	id := b.bareMenu(name, actions...)
	require.Equal(b.t, 200, b.call("POST", "/v2/bot/richmenu/"+id+"/content", pictureOf(b.t, 800, 270), "Content-Type", "image/png").Status)
	return id
}

func (b *testBundle) bareMenu(name string, actions ...string) string {
	b.t.Helper()
	r := b.call("POST", "/v2/bot/richmenu", menuOf(name, actions...))
	require.Equal(b.t, 200, r.Status, "%s", r.Body)
	var made struct{ RichMenuID string }
	require.NoError(b.t, json.Unmarshal(r.Body, &made))
	return made.RichMenuID
}

// sees is the name of the menu a customer sees; "" for none.
func (b *testBundle) sees(user string) string {
	b.t.Helper()
	menu, err := b.ShownRichMenu(b.ctx, testChannel, user)
	require.NoError(b.t, err)
	if menu == nil {
		return ""
	}
	return menu.Name
}

func TestRichMenusLINERefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	change := func(change func(map[string]any)) map[string]any {
		m := menuOf("m", `{"type":"message","text":"x"}`)
		change(m)
		return m
	}
	area := func(m map[string]any) map[string]any { return m["areas"].([]any)[0].(map[string]any) }
	for property, m := range map[string]map[string]any{
		"size.width":  change(func(m map[string]any) { m["size"] = map[string]any{"width": 799, "height": 300} }),
		"size.height": change(func(m map[string]any) { m["size"] = map[string]any{"width": 800, "height": 249} }),
		"size":        change(func(m map[string]any) { m["size"] = map[string]any{"width": 800, "height": 600} }),
		"selected":    change(func(m map[string]any) { delete(m, "selected") }),
		"name":        change(func(m map[string]any) { m["name"] = strings.Repeat("x", 301) }),
		"chatBarText": change(func(m map[string]any) { m["chatBarText"] = strings.Repeat("x", 15) }),
		"areas":       change(func(m map[string]any) { m["areas"] = make([]struct{}, 21) }),
		"areas[0].bounds": change(func(m map[string]any) {
			area(m)["bounds"] = map[string]any{"x": 750, "y": 0, "width": 100, "height": 1}
		}),
		"areas[0].action":      change(func(m map[string]any) { delete(area(m), "action") }),
		"areas[0].action.type": change(func(m map[string]any) { area(m)["action"] = map[string]any{"type": "camera", "label": "l"} }),
		"areas[0].action.data": change(func(m map[string]any) {
			area(m)["action"] = map[string]any{"type": "richmenuswitch", "richMenuAliasId": "b"}
		}),
		"areas[0].bounds.height": change(func(m map[string]any) { area(m)["bounds"] = map[string]any{"x": 0, "y": 0, "width": 100} }),
	} {
		for _, path := range []string{"/v2/bot/richmenu", "/v2/bot/richmenu/validate"} {
			r := b.call("POST", path, m)
			require.Equal(t, 400, r.Status, "%s: %s", property, r.Body)
			require.Contains(t, string(r.Body), `"property":"`+property+`"`)
		}
	}
	require.Equal(t, 200, b.call("POST", "/v2/bot/richmenu/validate", menuOf("m")).Status)
	require.JSONEq(t, `{"richmenus":[]}`, string(b.call("GET", "/v2/bot/richmenu/list", nil).Body), "validating creates nothing")
}

func TestARichMenuNeedsItsImageOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.bareMenu("m")
	content := "/v2/bot/richmenu/" + id + "/content"
	require.Equal(t, 404, b.call("GET", content, nil).Status)
	for _, path := range []string{"/v2/bot/user/" + alice + "/richmenu/" + id, "/v2/bot/user/all/richmenu/" + id} {
		r := b.call("POST", path, nil)
		require.Equal(t, 400, r.Status)
		require.Equal(t, "must upload richmenu image before applying it to user", r.message(t))
	}
	upload := func(kind string, picture []byte) int {
		return b.call("POST", content, picture, "Content-Type", kind).Status
	}
	var photo bytes.Buffer
	require.NoError(t, jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 800, 270)), nil))
	require.Equal(t, http.StatusUnsupportedMediaType, upload("image/gif", photo.Bytes()))
	require.Equal(t, 400, upload("image/png", photo.Bytes()))
	require.Equal(t, 400, upload("image/png", pictureOf(t, 800, 271)))
	require.Equal(t, http.StatusRequestEntityTooLarge, upload("image/jpeg", append(bytes.Clone(photo.Bytes()), make([]byte, maxRichMenuImage)...)))
	require.Equal(t, 200, upload("image/jpeg", photo.Bytes()))
	require.Equal(t, 400, upload("image/jpeg", photo.Bytes()), "it cannot be replaced")
	got := b.call("GET", content, nil)
	require.Equal(t, photo.Bytes(), got.Body)
	require.Equal(t, "image/jpeg", got.Header.Get("Content-Type"))
	require.Equal(t, 404, b.call("POST", "/v2/bot/richmenu/richmenu-0/content", photo.Bytes(), "Content-Type", "image/jpeg").Status)
}

func TestACustomersOwnRichMenuComesBeforeTheDefaultOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all, own := b.menu("all"), b.menu("own")
	require.Equal(t, "", b.sees(alice))
	require.Equal(t, 404, b.call("GET", "/v2/bot/user/all/richmenu", nil).Status)
	require.Equal(t, 200, b.call("POST", "/v2/bot/user/all/richmenu/"+all, nil).Status)
	require.JSONEq(t, `{"richMenuId":"`+all+`"}`, string(b.call("GET", "/v2/bot/user/all/richmenu", nil).Body))
	require.Equal(t, 404, b.call("GET", "/v2/bot/user/"+alice+"/richmenu", nil).Status, "the default one is nobody's own")
	require.Equal(t, 200, b.call("POST", "/v2/bot/user/"+alice+"/richmenu/"+own, nil).Status)
	require.JSONEq(t, `{"richMenuId":"`+own+`"}`, string(b.call("GET", "/v2/bot/user/"+alice+"/richmenu", nil).Body))
	require.Equal(t, []string{"own", "all"}, []string{b.sees(alice), b.sees(bob)})
	for range 2 { // there may be nothing to unlink
		require.Equal(t, 200, b.call("DELETE", "/v2/bot/user/"+alice+"/richmenu", nil).Status)
		require.Equal(t, "all", b.sees(alice))
	}
	require.Equal(t, 200, b.call("DELETE", "/v2/bot/user/all/richmenu", nil).Status)
	require.Equal(t, "", b.sees(alice))
}

func TestARichMenuThatIsNotThereAndAUserWhoIsNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.menu("m")
	missing := "richmenu-" + strings.Repeat("0", 32)
	for _, c := range [][2]string{
		{"POST", "/v2/bot/user/" + alice + "/richmenu/" + missing}, {"POST", "/v2/bot/user/all/richmenu/" + missing},
		{"GET", "/v2/bot/richmenu/" + missing}, {"DELETE", "/v2/bot/richmenu/" + missing},
	} {
		r := b.call(c[0], c[1], nil)
		require.Equal(t, 404, r.Status, c)
		require.Equal(t, "richmenu not found", r.message(t))
	}
	nobody := "U" + strings.Repeat("9", 32)
	for _, user := range []string{"nobody", nobody} {
		require.Equal(t, 400, b.call("POST", "/v2/bot/user/"+user+"/richmenu/"+id, nil).Status)
		require.Equal(t, 400, b.call("DELETE", "/v2/bot/user/"+user+"/richmenu", nil).Status)
	}
	require.Equal(t, 200, b.call("POST", "/v2/bot/user/"+alice+"/richmenu/"+id, nil).Status)
	require.Equal(t, 200, b.call("DELETE", "/v2/bot/richmenu/"+id, nil).Status)
	require.Equal(t, "", b.sees(alice), "one that is deleted is shown to nobody")
}

func TestRichMenusAreCreatedAHundredTimesAnHour(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 100 {
		b.bareMenu("m")
	}
	require.Equal(t, http.StatusTooManyRequests, b.call("POST", "/v2/bot/richmenu", menuOf("m")).Status)
}

func TestATapOnARichMenuIsWhatItsAreaSays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.menu("other")
	require.Equal(t, 200, b.call("POST", "/v2/bot/richmenu/alias", map[string]any{"richMenuAliasId": "other", "richMenuId": other}).Status)
	require.Equal(t, 400, b.call("POST", "/v2/bot/richmenu/alias", map[string]any{"richMenuAliasId": "other", "richMenuId": other}).Status)
	id := b.menu("first", `{"type":"message","text":"opening hours"}`, `{"type":"postback","data":"help","displayText":"Help!"}`,
		`{"type":"richmenuswitch","richMenuAliasId":"gone","data":"to gone"}`, `{"type":"richmenuswitch","richMenuAliasId":"other","data":"to other"}`, `{"type":"uri","uri":"https://example.com/"}`)
	require.Equal(t, 200, b.call("POST", "/v2/bot/user/"+alice+"/richmenu/"+id, nil).Status)
	for area := range 4 {
		_, err := b.TapRichMenu(b.ctx, testChannel, alice, area)
		require.NoError(t, err)
	}
	require.Equal(t, "other", b.sees(alice))
	_, err := b.TapRichMenu(b.ctx, testChannel, alice, 0)
	require.ErrorIs(t, err, ErrNotFound, "the other one has no areas")
	b.idle()
	var got []string
	for _, body := range b.bot.received() {
		if p := body.Events[0]["postback"]; p != nil {
			got = append(got, string(p))
			continue
		}
		var m struct{ Text string }
		require.NoError(t, json.Unmarshal(body.Events[0]["message"], &m))
		got = append(got, m.Text)
	}
	require.Equal(t, []string{
		"opening hours", `{"data":"help"}`,
		`{"data":"to gone","params":{"newRichMenuAliasId":"gone","status":"RICHMENU_ALIAS_ID_NOTFOUND"}}`,
		`{"data":"to other","params":{"newRichMenuAliasId":"other","status":"SUCCESS"}}`,
	}, got)
	require.Equal(t, []string{"> opening hours", "> Help!"}, b.texts(alice))
	require.Equal(t, 200, b.call("DELETE", "/v2/bot/richmenu/alias/other", nil).Status)
	require.Equal(t, 404, b.call("DELETE", "/v2/bot/richmenu/alias/other", nil).Status)
}

func TestThePhoneShowsARichMenuWithItsImage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	chat := "/_control/channels/" + testChannel + "/users/" + alice
	require.JSONEq(t, `{"menu":null}`, string(b.call("GET", chat+"/rich-menu", nil).Body))
	menu := RichMenu{Name: "all", ChatBarText: "Menu", Size: RichMenuSize{800, 270}, Areas: []RichMenuArea{{Action: json.RawMessage(`{"type":"message","text":"hi"}`)}}}
	id, err := b.AddRichMenu(b.ctx, testChannel, menu)
	require.NoError(t, err)
	require.Equal(t, 200, b.call("POST", "/v2/bot/user/all/richmenu/"+id, nil).Status)
	require.Contains(t, string(b.call("GET", chat+"/rich-menu", nil).Body), id)
	picture := b.call("GET", "/_control/channels/"+testChannel+"/rich-menus/"+id+"/image", nil)
	require.Equal(t, "image/png", picture.Header.Get("Content-Type"))
	require.Equal(t, 404, b.call("GET", "/_control/channels/"+testChannel+"/rich-menus/none/image", nil).Status)
	require.Equal(t, 200, b.call("POST", chat+"/rich-menu/tap", map[string]any{"area": 0}).Status)
	require.Equal(t, 404, b.call("POST", chat+"/rich-menu/tap", map[string]any{"area": 1}).Status)
	require.Equal(t, []string{"> hi"}, b.texts(alice))
}

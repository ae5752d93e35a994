package api_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

func TestAnAdministratorChoosesAmongTheAccountsRichMenus(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		path := "/api/v1/channels/" + b.channel()
		require.Equal(t, map[string]any{}, b.as(store.RoleAdmin, "GET", path, nil).get(t, "rich_menus"))
		require.Empty(t, b.as(store.RoleAdmin, "GET", path+"/rich-menus", nil).get(t, "items"))
		id, err := b.sim.AddRichMenu(t.Context(), "1000", linesim.RichMenu{Name: "served", ChatBarText: "メニュー", Size: linesim.RichMenuSize{Width: 800, Height: 270}, Areas: make([]linesim.RichMenuArea, 1)})
		require.NoError(t, err)
		require.Equal(t, []any{map[string]any{
			"id": id, "name": "served", "chat_bar_text": "メニュー", "width": 800.0, "height": 270.0, "areas": 1.0, "selected": false,
		}}, b.as(store.RoleAdmin, "GET", path+"/rich-menus", nil).get(t, "items"))
		image := b.as(store.RoleAdmin, "GET", path+"/rich-menus/"+id+"/image", nil)
		require.Equal(t, 200, image.Status)
		require.Equal(t, "image/png", image.Header.Get("Content-Type"))
		_, err = png.DecodeConfig(bytes.NewReader(image.Raw))
		require.NoError(t, err)
		require.Equal(t, 404, b.as(store.RoleAdmin, "GET", path+"/rich-menus/richmenu-0/image", nil).Status)
		require.Equal(t, 422, b.as(store.RoleAdmin, "GET", path+"/rich-menus/other/image", nil).Status)

		r := b.patch(path, map[string]any{"rich_menus": map[string]any{"agent": id, "queue": "richmenu-0"}})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, map[string]any{"agent": id, "queue": "richmenu-0"}, r.get(t, "rich_menus"))
		r = b.patch(path, map[string]any{"rich_menus": map[string]any{"queue": nil}})
		require.Equal(t, map[string]any{"agent": id}, r.get(t, "rich_menus"))
		require.Equal(t, map[string]any{"agent": id}, b.patch(path, map[string]any{"name": "Other"}).get(t, "rich_menus"))
		for pointer, menus := range map[string]any{
			"/rich_menus/agent": map[string]any{"agent": "served"}, "/rich_menus/bot": map[string]any{"bot": "richmenu-a/b"}, "/rich_menus/waiting": map[string]any{"waiting": id},
		} {
			r := b.patch(path, map[string]any{"rich_menus": menus})
			require.Equal(t, 400, r.Status, "%s", r.Raw)
			require.Equal(t, []string{pointer}, r.pointers(), "%s", r.Raw)
		}
	})
}

func TestTheCheckNamesRichMenusThatLINEDoesNotHave(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	path := "/api/v1/channels/" + b.channel()
	id, err := b.sim.AddRichMenu(t.Context(), "1000", linesim.RichMenu{Size: linesim.RichMenuSize{Width: 800, Height: 270}})
	require.NoError(t, err)
	missing := "richmenu-" + strings.Repeat("0", 32)
	look := func() (string, string) {
		states, reasons := steps(t, b.as(store.RoleAdmin, "POST", path+"/check", nil))
		return states["rich_menus"], reasons["rich_menus"]
	}
	for _, c := range []struct {
		menus         map[string]any
		state, reason string
	}{
		{map[string]any{"agent": id}, "done", "rich_menus_there"},
		{map[string]any{"agent": id, "bot": missing}, "todo", "rich_menus_missing"},
		{map[string]any{"agent": nil, "bot": nil}, "done", "rich_menus_not_set"},
	} {
		require.Equal(t, 200, b.patch(path, map[string]any{"rich_menus": c.menus}).Status)
		state, reason := look()
		require.Equal(t, [2]string{c.state, c.reason}, [2]string{state, reason})
	}
}

func TestAMenuThatLINERefusesIsShownUntilMenusAreSet(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		path := "/api/v1/channels/" + id
		require.Empty(t, b.as(store.RoleAdmin, "GET", path, nil).get(t, "rich_menu_problems"))
		require.Equal(t, 200, b.patch(path, map[string]any{"rich_menus": map[string]any{"agent": "richmenu-0"}}).Status)
		for range 2 {
			require.NoError(t, b.store.RefuseRichMenu(t.Context(), id, "richmenu-0", "richmenu not found", time.Now().Add(time.Minute)))
		}
		require.NoError(t, b.store.RefuseRichMenu(t.Context(), id, "richmenu-1", "one that is not set", time.Now()))
		shown := b.as(store.RoleAdmin, "GET", path, nil)
		problems := shown.get(t, "rich_menu_problems").([]any)
		require.Len(t, problems, 1)
		require.Equal(t, "richmenu-0", shown.text(t, "rich_menu_problems", 0, "rich_menu_id"))
		require.Equal(t, "richmenu not found", shown.text(t, "rich_menu_problems", 0, "detail"))
		require.Len(t, b.patch(path, map[string]any{"name": "Other"}).get(t, "rich_menu_problems"), 1)
		require.Empty(t, b.patch(path, map[string]any{"rich_menus": map[string]any{"agent": "richmenu-0"}}).get(t, "rich_menu_problems"), "it is tried anew")
	})
}

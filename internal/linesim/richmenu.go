package linesim

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"net/http"
	"regexp"
	"slices"
)

// A rich menu stands below a chat: an image with areas that can be tapped. A user
// sees the one that is linked to them, else the account's default one. Source:
// https://developers.line.biz/en/docs/messaging-api/rich-menus-overview/
const (
	maxRichMenus     = 1000
	maxRichMenuImage = 1 << 20
	maxRichMenuAreas = 20
	minMenuWidth     = 800
	maxMenuWidth     = 2500
	minMenuHeight    = 250
	minMenuRatio     = 1.45
)

var aliasPattern = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// RichMenu is a rich menu as LINE's API tells of it.
type RichMenu struct {
	ID          string         `json:"richMenuId"`
	Size        RichMenuSize   `json:"size"`
	Selected    bool           `json:"selected"`
	Name        string         `json:"name"`
	ChatBarText string         `json:"chatBarText"`
	Areas       []RichMenuArea `json:"areas"`
}

// RichMenuSize is in pixels.
type RichMenuSize struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// RichMenuArea is what a tap on a part of the image does.
type RichMenuArea struct {
	Bounds struct {
		X int `json:"x"`
		Y int `json:"y"`
		RichMenuSize
	} `json:"bounds"`
	Action json.RawMessage `json:"action"`
}

// createRichMenu: https://developers.line.biz/en/reference/messaging-api/#create-rich-menu
func (s *Simulator) createRichMenu(c *apiCall) answer {
	menu, bad := c.richMenu()
	if bad != nil {
		return *bad
	}
	menu.ID = "richmenu-" + randomHex(16)
	doc, err := json.Marshal(menu)
	if err != nil {
		return s.broken(c, err)
	}
	var full bool
	err = s.store.write(func(t *txn) error {
		var n int
		if err := t.get(&n, `SELECT count(*) FROM rich_menus WHERE channel_id = ?`, c.channel.ID); err != nil {
			return err
		}
		if full = n >= maxRichMenus; full {
			return nil
		}
		_, err := t.exec(`INSERT INTO rich_menus (channel_id, id, doc, kind, image) VALUES (?, ?, ?, '', x'')`, c.channel.ID, menu.ID, string(doc))
		return err
	})
	switch {
	case err != nil:
		return s.broken(c, err)
	case full:
		return refuse(http.StatusBadRequest, fmt.Sprintf("The number of rich menus must not exceed %d", maxRichMenus))
	}
	return ok(map[string]string{"richMenuId": menu.ID})
}

// validateRichMenu: https://developers.line.biz/en/reference/messaging-api/#validate-rich-menu-object
func (s *Simulator) validateRichMenu(c *apiCall) answer {
	if _, bad := c.richMenu(); bad != nil {
		return *bad
	}
	return ok(struct{}{})
}

// richMenu reads a rich menu object, or gives LINE's refusal of it. Source:
// https://developers.line.biz/en/reference/messaging-api/#rich-menu-object
func (c *apiCall) richMenu() (menu RichMenu, _ *answer) {
	req, bad := c.decode()
	if bad != nil {
		return menu, bad
	}
	v := newValidator()
	if size, path := v.object(req, "", "size", true); size != nil {
		v.number(size, path, "width", true, minMenuWidth, maxMenuWidth)
		v.number(size, path, "height", true, minMenuHeight, maxMenuWidth)
	}
	if _, is := req["selected"].(bool); req["selected"] == nil {
		v.add("selected", "May not be null")
	} else if !is {
		v.invalid("selected")
	}
	v.text(req, "", "name", textRule{required: true, max: 300})
	v.text(req, "", "chatBarText", textRule{required: true, max: 14})
	areas, path := v.list(req, "", "areas", true, 0, maxRichMenuAreas)
	for i, area := range areas {
		if bounds, bpath := v.object(area, at(path, i), "bounds", true); bounds != nil {
			v.number(bounds, bpath, "x", true, 0, maxMenuWidth)
			v.number(bounds, bpath, "y", true, 0, maxMenuWidth)
			v.number(bounds, bpath, "width", true, 1, maxMenuWidth)
			v.number(bounds, bpath, "height", true, 1, maxMenuWidth)
		}
		if action, apath := v.object(area, at(path, i), "action", true); action != nil {
			v.action(action, apath, actionRule{label: 20, menu: true})
		}
	}
	if a := v.refusal(); a != nil {
		return menu, a
	}
	if err := json.Unmarshal(c.body, &menu); err != nil {
		a := refuse(http.StatusBadRequest, "The request body is invalid")
		return menu, &a
	}
	if float64(menu.Size.Width)/float64(menu.Size.Height) < minMenuRatio {
		v.add("size", "The ratio of width and height must be %v or more", minMenuRatio)
	}
	for i, area := range menu.Areas {
		if b := area.Bounds; b.X+b.Width > menu.Size.Width || b.Y+b.Height > menu.Size.Height {
			v.add(at("areas", i)+".bounds", "Must be within the rich menu")
		}
	}
	return menu, v.refusal()
}

type richMenuRow struct {
	ID    string `db:"id"`
	Doc   string `db:"doc"`
	Kind  string `db:"kind"` // of its image; "" without one
	Image []byte `db:"image"`
}

// richMenuRow finds a menu; nil when there is none.
func (s *Simulator) richMenuRow(ctx context.Context, channelID, id string) (*richMenuRow, error) {
	var row richMenuRow
	err := s.store.r.GetContext(ctx, &row, `SELECT id, doc, kind, image FROM rich_menus WHERE channel_id = ? AND id = ?`, channelID, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &row, err
}

// knownRichMenu finds the menu of the path, or gives LINE's refusal.
func (c *apiCall) knownRichMenu(s *Simulator) (*richMenuRow, *answer) {
	row, err := s.richMenuRow(c.Context(), c.channel.ID, c.PathValue("richMenuId"))
	if err != nil {
		a := s.broken(c, err)
		return nil, &a
	}
	if row == nil {
		a := refuse(http.StatusNotFound, "richmenu not found")
		return nil, &a
	}
	return row, nil
}

func (s *Simulator) getRichMenu(c *apiCall) answer {
	row, bad := c.knownRichMenu(s)
	if bad != nil {
		return *bad
	}
	return ok(json.RawMessage(row.Doc))
}

func (s *Simulator) listRichMenus(c *apiCall) answer {
	var docs []string
	if err := s.store.r.SelectContext(c.Context(), &docs, `SELECT doc FROM rich_menus WHERE channel_id = ? ORDER BY seq`, c.channel.ID); err != nil {
		return s.broken(c, err)
	}
	menus := make([]json.RawMessage, len(docs))
	for i, doc := range docs {
		menus[i] = json.RawMessage(doc)
	}
	return ok(map[string]any{"richmenus": menus})
}

// deleteRichMenu also takes it from those it is linked to.
func (s *Simulator) deleteRichMenu(c *apiCall) answer {
	row, bad := c.knownRichMenu(s)
	if bad != nil {
		return *bad
	}
	err := s.store.write(func(t *txn) error {
		for _, from := range []string{`rich_menus WHERE channel_id = ? AND id = ?`, `rich_menu_links WHERE channel_id = ? AND rich_menu_id = ?`, `rich_menu_aliases WHERE channel_id = ? AND rich_menu_id = ?`} {
			if _, err := t.exec(`DELETE FROM `+from, c.channel.ID, row.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.broken(c, err)
	}
	s.hub.publish("menu", map[string]any{"channel_id": c.channel.ID, "user_id": ""})
	return ok(struct{}{})
}

// uploadRichMenuImage: https://developers.line.biz/en/reference/messaging-api/#upload-rich-menu-image
func (s *Simulator) uploadRichMenuImage(c *apiCall) answer {
	row, bad := c.knownRichMenu(s)
	if bad != nil {
		return *bad
	}
	kind := c.Header.Get("Content-Type")
	var menu RichMenu
	if err := json.Unmarshal([]byte(row.Doc), &menu); err != nil {
		return s.broken(c, err)
	}
	picture, format, err := image.DecodeConfig(bytes.NewReader(c.body))
	switch {
	case !slices.Contains([]string{"image/jpeg", "image/png"}, kind):
		return refuse(http.StatusUnsupportedMediaType, "Unsupported Media Type")
	case row.Kind != "":
		return refuse(http.StatusBadRequest, "An image has already been uploaded to the richmenu")
	case len(c.body) > maxRichMenuImage:
		return refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case err != nil || "image/"+format != kind:
		return refuse(http.StatusBadRequest, "The image could not be read")
	case picture.Width != menu.Size.Width || picture.Height != menu.Size.Height:
		return refuse(http.StatusBadRequest, "The size of the image does not match the size of the rich menu")
	}
	if err := s.store.write(func(t *txn) error {
		_, err := t.exec(`UPDATE rich_menus SET kind = ?, image = ? WHERE channel_id = ? AND id = ?`, kind, c.body, c.channel.ID, row.ID)
		return err
	}); err != nil {
		return s.broken(c, err)
	}
	return ok(struct{}{})
}

func (s *Simulator) richMenuImage(c *apiCall) answer {
	row, bad := c.knownRichMenu(s)
	if bad != nil {
		return *bad
	}
	if row.Kind == "" {
		return refuse(http.StatusNotFound, "Not found")
	}
	return answer{status: http.StatusOK, raw: row.Image, kind: row.Kind}
}

// everybody stands for the user of the default menu.
const everybody = ""

// showableRichMenu finds the menu of the path if it can be shown, or gives LINE's refusal.
func (c *apiCall) showableRichMenu(s *Simulator) (*richMenuRow, *answer) {
	row, bad := c.knownRichMenu(s)
	if bad == nil && row.Kind == "" {
		a := refuse(http.StatusBadRequest, "must upload richmenu image before applying it to user")
		return nil, &a
	}
	return row, bad
}

// linkable tells LINE's refusal of a user; nil for one that may have a menu.
func (c *apiCall) linkable(s *Simulator) *answer {
	id := c.PathValue("userId")
	if !userIDPattern.MatchString(id) {
		a := refuse(http.StatusBadRequest, "The value for the 'userId' parameter is invalid")
		return &a
	}
	_, err := s.user(c.Context(), id)
	switch {
	case errors.Is(err, ErrNotFound):
		a := refuse(http.StatusBadRequest, "The user is not a friend of the account")
		return &a
	case err != nil:
		a := s.broken(c, err)
		return &a
	}
	c.record.To = id
	return nil
}

// linkRichMenu: https://developers.line.biz/en/reference/messaging-api/#link-rich-menu-to-user
func (s *Simulator) linkRichMenu(c *apiCall) answer {
	if bad := c.linkable(s); bad != nil {
		return *bad
	}
	row, bad := c.showableRichMenu(s)
	if bad != nil {
		return *bad
	}
	return s.showMenu(c, c.PathValue("userId"), row.ID)
}

// unlinkRichMenu is 200 for a user without a menu, too.
func (s *Simulator) unlinkRichMenu(c *apiCall) answer {
	if bad := c.linkable(s); bad != nil {
		return *bad
	}
	return s.showMenu(c, c.PathValue("userId"), "")
}

func (s *Simulator) richMenuOfUser(c *apiCall) answer {
	return s.linkedRichMenu(c, c.PathValue("userId"), "the user has no richmenu")
}

func (s *Simulator) setDefaultRichMenu(c *apiCall) answer {
	row, bad := c.showableRichMenu(s)
	if bad != nil {
		return *bad
	}
	return s.showMenu(c, everybody, row.ID)
}

func (s *Simulator) clearDefaultRichMenu(c *apiCall) answer { return s.showMenu(c, everybody, "") }

func (s *Simulator) defaultRichMenu(c *apiCall) answer {
	return s.linkedRichMenu(c, everybody, "no default richmenu")
}

func (s *Simulator) showMenu(c *apiCall, userID, menuID string) answer {
	if err := s.link(c.channel.ID, userID, menuID); err != nil {
		return s.broken(c, err)
	}
	return ok(struct{}{})
}

// link shows a user a menu, or with "" the default one.
func (s *Simulator) link(channelID, userID, menuID string) error {
	err := s.store.write(func(t *txn) error {
		if menuID == "" {
			_, err := t.exec(`DELETE FROM rich_menu_links WHERE channel_id = ? AND user_id = ?`, channelID, userID)
			return err
		}
		_, err := t.exec(`INSERT INTO rich_menu_links (channel_id, user_id, rich_menu_id) VALUES (?, ?, ?)
			ON CONFLICT (channel_id, user_id) DO UPDATE SET rich_menu_id = excluded.rich_menu_id`, channelID, userID, menuID)
		return err
	})
	if err == nil {
		s.hub.publish("menu", map[string]any{"channel_id": channelID, "user_id": userID})
	}
	return err
}

func (s *Simulator) linkedRichMenu(c *apiCall, userID, none string) answer {
	id, err := s.linked(c.Context(), c.channel.ID, userID)
	switch {
	case err != nil:
		return s.broken(c, err)
	case id == "":
		return refuse(http.StatusNotFound, none)
	}
	return ok(map[string]string{"richMenuId": id})
}

// linked is the id of the menu that is linked to a user; "" when none is.
func (s *Simulator) linked(ctx context.Context, channelID, userID string) (string, error) {
	var id string
	err := s.store.r.GetContext(ctx, &id, `SELECT rich_menu_id FROM rich_menu_links WHERE channel_id = ? AND user_id = ?`, channelID, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// createRichMenuAlias: https://developers.line.biz/en/reference/messaging-api/#create-rich-menu-alias
func (s *Simulator) createRichMenuAlias(c *apiCall) answer {
	req, bad := c.decode()
	if bad != nil {
		return *bad
	}
	v := newValidator()
	alias := v.text(req, "", "richMenuAliasId", textRule{required: true, max: 32})
	menuID := v.text(req, "", "richMenuId", textRule{required: true})
	if a := v.refusal(); a != nil {
		return *a
	}
	if !aliasPattern.MatchString(alias) {
		return refuse(http.StatusBadRequest, "richMenuAliasId is invalid")
	}
	row, err := s.richMenuRow(c.Context(), c.channel.ID, menuID)
	switch {
	case err != nil:
		return s.broken(c, err)
	case row == nil:
		return refuse(http.StatusBadRequest, "richmenu not found")
	case row.Kind == "":
		return refuse(http.StatusBadRequest, "must upload richmenu image before applying it to user")
	}
	var made int64
	if err := s.store.write(func(t *txn) (err error) {
		made, err = t.exec(`INSERT OR IGNORE INTO rich_menu_aliases (channel_id, id, rich_menu_id) VALUES (?, ?, ?)`, c.channel.ID, alias, menuID)
		return err
	}); err != nil {
		return s.broken(c, err)
	}
	if made == 0 {
		return refuse(http.StatusBadRequest, "conflict richmenu alias id")
	}
	return ok(struct{}{})
}

func (s *Simulator) deleteRichMenuAlias(c *apiCall) answer {
	var gone int64
	if err := s.store.write(func(t *txn) (err error) {
		gone, err = t.exec(`DELETE FROM rich_menu_aliases WHERE channel_id = ? AND id = ?`, c.channel.ID, c.PathValue("richMenuAliasId"))
		return err
	}); err != nil {
		return s.broken(c, err)
	}
	if gone == 0 {
		return refuse(http.StatusNotFound, "richmenu alias not found")
	}
	return ok(struct{}{})
}

// AddRichMenu adds a rich menu with an image, as an account's owner would, and
// returns its id. Its areas are drawn in shades of grey.
func (s *Simulator) AddRichMenu(_ context.Context, channelID string, menu RichMenu) (id string, err error) {
	menu.ID = "richmenu-" + randomHex(16)
	doc, err := json.Marshal(menu)
	if err != nil {
		return "", err
	}
	picture := image.NewGray(image.Rect(0, 0, menu.Size.Width, menu.Size.Height))
	for i, area := range menu.Areas {
		b := area.Bounds
		shade := image.NewUniform(color.Gray{Y: uint8(80 + 60*i%160)})
		draw.Draw(picture, image.Rect(b.X, b.Y, b.X+b.Width, b.Y+b.Height), shade, image.Point{}, draw.Src)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return "", err
	}
	return menu.ID, s.store.write(func(t *txn) error {
		_, err := t.exec(`INSERT INTO rich_menus (channel_id, id, doc, kind, image) VALUES (?, ?, ?, 'image/png', ?)`, channelID, menu.ID, string(doc), out.Bytes())
		return err
	})
}

// ShownRichMenu is the menu a customer sees: the one that is linked to them, else
// the account's default one, else nil.
func (s *Simulator) ShownRichMenu(ctx context.Context, channelID, userID string) (*RichMenu, error) {
	for _, who := range []string{userID, everybody} {
		id, err := s.linked(ctx, channelID, who)
		if err != nil {
			return nil, fmt.Errorf("rich menu of %s: %w", userID, err)
		}
		if id == "" {
			continue
		}
		row, err := s.richMenuRow(ctx, channelID, id)
		if err != nil || row == nil {
			return nil, err
		}
		var menu RichMenu
		return &menu, json.Unmarshal([]byte(row.Doc), &menu)
	}
	return nil, nil
}

// TapRichMenu lets a customer tap an area of the menu they see: words are sent,
// a postback is, another menu is switched to. Whatever else an area does, LINE's
// app does by itself.
func (s *Simulator) TapRichMenu(ctx context.Context, channelID, userID string, area int) (Sent, error) {
	menu, err := s.ShownRichMenu(ctx, channelID, userID)
	if err != nil {
		return Sent{}, err
	}
	if menu == nil || area < 0 || area >= len(menu.Areas) {
		return Sent{}, fmt.Errorf("area %d of the rich menu of %s: %w", area, userID, ErrNotFound)
	}
	var action struct{ Type, Text, Data, DisplayText, RichMenuAliasID string }
	if err := json.Unmarshal(menu.Areas[area].Action, &action); err != nil {
		return Sent{}, err
	}
	switch action.Type {
	case "message":
		return s.SendText(ctx, channelID, userID, action.Text)
	case "postback":
		return s.Postback(ctx, channelID, userID, action.Data, action.DisplayText+action.Text, nil)
	case "richmenuswitch":
		return s.switchRichMenu(ctx, channelID, userID, action.RichMenuAliasID, action.Data)
	}
	return Sent{}, fmt.Errorf("an area of type %q tells the account nothing", action.Type)
}

// switchRichMenu: https://developers.line.biz/en/reference/messaging-api/#richmenu-switch-action
func (s *Simulator) switchRichMenu(ctx context.Context, channelID, userID, alias, data string) (Sent, error) {
	var to string
	err := s.store.r.GetContext(ctx, &to, `SELECT rich_menu_id FROM rich_menu_aliases WHERE channel_id = ? AND id = ?`, channelID, alias)
	status := "SUCCESS"
	switch {
	case errors.Is(err, sql.ErrNoRows):
		status = "RICHMENU_ALIAS_ID_NOTFOUND"
	case err != nil:
		return Sent{}, err
	default:
		if err := s.link(channelID, userID, to); err != nil {
			return Sent{}, err
		}
	}
	return s.Postback(ctx, channelID, userID, data, "", map[string]string{"newRichMenuAliasId": alias, "status": status})
}

// controlRichMenu shows what the phone shows.
func (s *Simulator) controlRichMenu(r *http.Request) (any, error) {
	menu, err := s.ShownRichMenu(r.Context(), r.PathValue("channel"), r.PathValue("user"))
	return map[string]any{"menu": menu}, err
}

func (s *Simulator) controlTapRichMenu(r *http.Request) (any, error) {
	req, err := read[struct {
		Area int `json:"area"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.TapRichMenu(r.Context(), r.PathValue("channel"), r.PathValue("user"), req.Area)
}

// richMenuPicture is a menu's image for the phone.
func (s *Simulator) richMenuPicture(w http.ResponseWriter, r *http.Request) {
	row, err := s.richMenuRow(r.Context(), r.PathValue("channel"), r.PathValue("menu"))
	if err != nil || row == nil || row.Kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", row.Kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if _, err := w.Write(row.Image); err != nil {
		s.log.Info("rich menu not sent", "error", err)
	}
}

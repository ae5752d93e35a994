package api

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

func showMenuProblems(c store.Channel) []RichMenuProblem {
	problems := []RichMenuProblem{}
	for id, r := range c.RichMenusRefused {
		problems = append(problems, RichMenuProblem{RichMenuID: id, Since: Time(r.Since), Detail: r.Because})
	}
	slices.SortFunc(problems, func(a, b RichMenuProblem) int { return cmp.Compare(a.RichMenuID, b.RichMenuID) })
	return problems
}

// names tells whether a patch has a field.
func names(patch json.RawMessage, field string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(patch, &fields) != nil {
		return false // what is no object was refused before
	}
	_, there := fields[field]
	return there
}

// ListRichMenus lists the rich menus that the account has at LINE.
func (s *Server) ListRichMenus(ctx context.Context, r ListRichMenusRequestObject) (ListRichMenusResponseObject, error) {
	client, err := s.speaksFor(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	menus, err := client.RichMenus(ctx)
	if err != nil {
		return nil, lineError(err)
	}
	return ListRichMenus200JSONResponse{Items: shown(menus, func(m line.RichMenu) RichMenu {
		return RichMenu{
			ID: m.ID, Name: m.Name, ChatBarText: m.ChatBarText, Selected: m.Selected,
			Width: int64(m.Width), Height: int64(m.Height), Areas: int64(m.Areas),
		}
	})}, nil
}

// GetRichMenuImage hands on the image of a rich menu as LINE has it.
func (s *Server) GetRichMenuImage(ctx context.Context, r GetRichMenuImageRequestObject) (GetRichMenuImageResponseObject, error) {
	client, err := s.speaksFor(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	image, err := client.RichMenuImage(ctx, r.MenuID)
	if line.ClassOf(err) == line.ClassNotFound {
		return nil, conversation.Errorf(conversation.CodeNotFound, "LINE has no rich menu %q with an image.", r.MenuID)
	}
	if err != nil {
		return nil, lineError(err)
	}
	kind := image.Type
	if kind != "image/png" { // LINE takes no others
		kind = "image/jpeg"
	}
	return GetRichMenuImage200ImageResponse{Body: image.Body, ContentType: kind, ContentLength: max(image.Length, 0)}, nil
}

// speaksFor is LINE's client for a channel that is there for callers.
func (s *Server) speaksFor(ctx context.Context, id string) (*line.Client, error) {
	c, err := s.channel(ctx, id)
	if err != nil {
		return nil, err
	}
	client, _, err := s.tokens.As(ctx, c)
	if err != nil {
		return nil, lineError(err)
	}
	return client, nil
}

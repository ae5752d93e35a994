package api

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"

	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/netguard"
	"kaiwa/internal/store"
)

func showBot(b store.Bot) Bot {
	return Bot{
		ID: b.ID, Name: b.Name, Kind: BotKind(b.Kind), URL: Nullable(b.URL), Script: b.Script, Sender: b.Sender,
		Version: b.Version, CreatedAt: Time(b.CreatedAt), UpdatedAt: Time(b.UpdatedAt),
	}
}

// botResponse shows the secret when it was made for this very request.
func botResponse(b store.Bot, made bool) BotJSONResponse {
	r := BotJSONResponse{Body: showBot(b), Headers: BotResponseHeaders{ETag: etag(b.Version)}}
	if made {
		r.Body.Secret = b.Secret
	}
	return r
}

const (
	secretPrefix = "whsec_" // Standard Webhooks 1.0
	minSecret    = 24       // bytes, as it recommends
	maxSecret    = 64

	wrongSecret = "Must be whsec_ and the base64 of %d to %d bytes."
)

// newSecret makes a secret as Standard Webhooks has it.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

func validSecret(secret string) bool {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return ok && err == nil && len(raw) >= minSecret && len(raw) <= maxSecret
}

// applyBot checks the input and puts it into b. made says that b got a new secret.
func (s *Server) applyBot(in BotInput, b *store.Bot) (made bool, _ error) {
	script := in.Script
	if string(script) == "null" {
		script = nil
	}
	var wrong invalid
	if err := wrong.under("/sender", line.ValidateSender(in.Sender)); err != nil {
		return false, err
	}
	b.Sender = in.Sender
	switch b.Name, b.Kind = in.Name, string(in.Kind); b.Kind {
	case store.BotScript:
		if in.URL != "" {
			wrong.add("/url", "A script bot has no URL.")
		}
		if in.Secret != "" {
			wrong.add("/secret", "A script bot has no secret.")
		}
		if script == nil {
			wrong.add("/script", "A script bot needs a script.")
		} else {
			if err := wrong.under("/script", bot.CheckScript(script)); err != nil {
				return false, err
			}
			b.Script = script
		}
	case store.BotWebhook:
		if script != nil {
			wrong.add("/script", "A webhook bot has no script.")
		}
		if in.URL == "" {
			wrong.add("/url", "A webhook bot needs a URL.")
		} else {
			s.checkURL(&wrong, "/url", in.URL)
		}
		switch {
		case in.Secret == "":
			in.Secret, made = newSecret(), true
		case !validSecret(in.Secret):
			wrong.add("/secret", wrongSecret, minSecret, maxSecret)
		}
		b.URL, b.Secret = in.URL, in.Secret
	}
	return made, wrong.err()
}

// checkURL notes what is wrong with the address of a service that Kaiwa is to
// call.
func (s *Server) checkURL(wrong *invalid, pointer, url string) {
	if err := netguard.CheckURL(url, s.private); err != nil {
		wrong.add(pointer, "%s.", capital(strings.TrimPrefix(err.Error(), netguard.ErrRefused.Error()+": ")))
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// ListBots lists bots.
func (s *Server) ListBots(ctx context.Context, r ListBotsRequestObject) (ListBotsResponseObject, error) {
	items, next, err := listed("bots", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Bot, error) {
		return s.store.Bots(ctx, after, limit)
	}, func(b store.Bot) store.Cursor { return store.Cursor{At: b.CreatedAt, ID: b.ID} }, showBot)
	return ListBots200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateBot creates a bot.
func (s *Server) CreateBot(ctx context.Context, r CreateBotRequestObject) (CreateBotResponseObject, error) {
	b := store.Bot{ID: idFor(ctx, conversation.PrefixBot)}
	made, err := s.applyBot(*r.Body, &b)
	if err != nil {
		return nil, err
	}
	b, err = s.store.CreateBot(ctx, origin(ctx), b)
	return CreateBot201JSONResponse{botResponse(b, made)}, err
}

// GetBot reads a bot.
func (s *Server) GetBot(ctx context.Context, r GetBotRequestObject) (GetBotResponseObject, error) {
	b, err := s.store.Bot(ctx, r.ID)
	return GetBot200JSONResponse{botResponse(b, false)}, err
}

// UpdateBot changes a bot.
func (s *Server) UpdateBot(ctx context.Context, r UpdateBotRequestObject) (UpdateBotResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	var made bool
	b, err := s.store.UpdateBot(ctx, origin(ctx), r.ID, version, func(b *store.Bot) error {
		// A script is replaced, not merged: menus have no use for half of one.
		patch, script, err := without(*r.Body, "script")
		if err != nil {
			return err
		}
		in := BotInput{Name: b.Name, Kind: BotInputKind(b.Kind), URL: b.URL, Secret: b.Secret, Sender: b.Sender}
		var out BotInput
		if err := mergePatch(in, patch, &out); err != nil {
			return err
		}
		if out.Script = b.Script; script != nil {
			out.Script = script
		}
		made, err = s.applyBot(out, b)
		return err
	})
	return UpdateBot200JSONResponse{botResponse(b, made)}, err
}

// without takes one member out of a JSON object; nil when it is not there.
func without(object json.RawMessage, name string) (rest, member json.RawMessage, _ error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, nil, err
	}
	member = members[name]
	delete(members, name)
	rest, err := json.Marshal(members)
	return rest, member, err
}

// DeleteBot deletes a bot.
func (s *Server) DeleteBot(ctx context.Context, r DeleteBotRequestObject) (DeleteBotResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteBot204Response{}, s.store.DeleteBot(ctx, origin(ctx), r.ID, version)
}

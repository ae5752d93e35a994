package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// What only a person can do, in LINE's consoles, in words.
const (
	todoUseWebhook = "Turn on “Use webhook” in the LINE Developers Console, Messaging API tab."
	todoRedelivery = "Turn on “Webhook redelivery” there, so that LINE delivers again what could not be stored. LINE does not tell whether it is on."
	todoAutoReply  = "Turn off auto-reply messages and greeting messages in the LINE Official Account Manager, so that customers are not answered twice. LINE does not tell whether they are off."
	todoConnect    = "Set the webhook URL at LINE to this channel's callback_url, or have POST …/connect do it."
	todoToken      = "Issue a new channel access token in the LINE Developers Console and give it to this channel."
)

// CheckChannel asks LINE about the channel's access token and webhook.
func (s *Server) CheckChannel(ctx context.Context, r CheckChannelRequestObject) (CheckChannelResponseObject, error) {
	c, err := s.channel(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	token, err := s.checkToken(ctx, c)
	if err != nil {
		return nil, err
	}
	webhook, err := s.checkWebhook(ctx, c, token.Ok)
	if err != nil {
		return nil, err
	}
	todo := []string{}
	switch {
	case !token.Ok:
		todo = append(todo, todoToken)
	case webhook.URL != Nullable(webhook.ExpectedURL):
		todo = append(todo, todoConnect)
	}
	if token.Ok && !webhook.Active {
		todo = append(todo, todoUseWebhook)
	}
	todo = append(todo, todoRedelivery, todoAutoReply)
	return CheckChannel200JSONResponse{Ok: token.Ok && webhook.Ok, Token: token, Webhook: webhook, Todo: todo}, nil
}

func (s *Server) checkToken(ctx context.Context, c store.Channel) (ChannelTokenCheck, error) {
	info, err := s.line.As(c.Token).BotInfo(ctx)
	if err != nil {
		detail, err := lineSays(err)
		return ChannelTokenCheck{Detail: detail}, err
	}
	check := ChannelTokenCheck{
		Ok: true, Detail: "LINE accepts the access token.",
		BotUserID: Nullable(info.UserID), BasicID: Nullable(info.BasicID), DisplayName: Nullable(info.DisplayName), ChatMode: Nullable(info.ChatMode),
	}
	if c.BotUserID != "" && c.BotUserID != info.UserID {
		check.Ok, check.Detail = false, "The access token is of another bot than this channel's."
	}
	return check, nil
}

func (s *Server) checkWebhook(ctx context.Context, c store.Channel, tokenWorks bool) (ChannelWebhookCheck, error) {
	check := ChannelWebhookCheck{ExpectedURL: s.callbackURL(c.ID), Detail: "LINE cannot be asked about the webhook without a working access token."}
	if !tokenWorks {
		return check, nil
	}
	at, err := s.line.As(c.Token).WebhookEndpoint(ctx)
	if line.ClassOf(err) == line.ClassNotFound {
		check.Detail = "No webhook URL is set at LINE."
		return check, nil
	}
	if err != nil {
		check.Detail, err = lineSays(err)
		return check, err
	}
	check.URL, check.Active = Nullable(at.URL), at.Active
	switch {
	case at.URL != check.ExpectedURL:
		check.Detail = "LINE delivers to another webhook URL."
	case !at.Active:
		check.Detail = "The webhook URL is right, and “Use webhook” is off."
	default:
		check.Ok, check.Detail = true, "LINE delivers to this channel."
	}
	return check, nil
}

// ConnectChannel sets the webhook URL at LINE and has LINE test it. LINE may
// take a minute to follow; the test names the URL, so it does not wait for that.
func (s *Server) ConnectChannel(ctx context.Context, r ConnectChannelRequestObject) (ConnectChannelResponseObject, error) {
	c, err := s.channel(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	url, api := s.callbackURL(c.ID), s.line.As(c.Token)
	if _, err := api.SetWebhookEndpoint(ctx, url); err != nil {
		return nil, lineError(err)
	}
	test, err := api.TestWebhook(ctx, url)
	if err != nil {
		return nil, lineError(err)
	}
	at, err := api.WebhookEndpoint(ctx)
	if err != nil {
		return nil, lineError(err)
	}
	todo := []string{}
	if !at.Active {
		todo = append(todo, todoUseWebhook)
	}
	todo = append(todo, todoRedelivery, todoAutoReply)
	return ConnectChannel200JSONResponse{
		Ok: test.Success && at.Active, URL: url, Todo: todo,
		Test: WebhookTest{Success: test.Success, StatusCode: test.StatusCode, Reason: test.Reason, Detail: test.Detail},
	}, nil
}

// tokenRefused is a failed bot info as the fault of the access token, unless
// LINE is to blame.
func tokenRefused(err error) error {
	e := lineError(err)
	if conversation.CodeOf(e) == conversation.CodeLINERefused {
		return &conversation.Error{Code: conversation.CodeLINERefused, Detail: e.Detail, Err: err,
			Fields: []conversation.FieldError{{Pointer: "/channel_access_token", Detail: e.Detail}}}
	}
	return e
}

// lineSays is LINE's refusal as a sentence of a check, or an error when LINE
// said nothing.
func lineSays(err error) (string, error) {
	e := lineError(err)
	if e.Code == conversation.CodeLINERefused {
		return e.Detail, nil
	}
	return "", e
}

// lineError is a failed call to LINE as callers see it, with LINE's own words.
func lineError(err error) *conversation.Error {
	var e *line.Error
	if !errors.As(err, &e) {
		return &conversation.Error{Code: conversation.CodeLINEUnreachable, Detail: "LINE did not answer. Try again.", Err: err}
	}
	said := ""
	if e.Message != "" {
		said = fmt.Sprintf(" LINE says: %s", strings.TrimRight(e.Message, ".")) + "."
	}
	switch {
	case e.Class == line.ClassUnauthorized:
		return &conversation.Error{Code: conversation.CodeLINERefused, Detail: "LINE does not accept the channel access token." + said, Err: err}
	case e.Retryable():
		return &conversation.Error{Code: conversation.CodeLINEUnreachable, Detail: "LINE did not answer as it should. Try again." + said, Err: err}
	}
	return &conversation.Error{Code: conversation.CodeLINERefused, Detail: "LINE refused the request." + said, Err: err}
}

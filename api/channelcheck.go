package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/guide"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/textlen"
)

// CheckChannel asks LINE about all that has to be right, has it test the webhook
// if it delivers there, and says what is left to do. It changes nothing at LINE.
func (s *Server) CheckChannel(ctx context.Context, r CheckChannelRequestObject) (CheckChannelResponseObject, error) {
	c, err := s.channel(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	l, err := s.look(ctx, c, false)
	if err != nil {
		return nil, err
	}
	steps, todo := showSteps(l.items, s.reader(ctx, r.Params.Locale))
	return CheckChannel200JSONResponse{
		Ok: l.ok(), Steps: steps, Todo: todo,
		Token: ChannelTokenCheck{
			Ok: l.state(guide.AccessToken) == guide.Done, Detail: detail(steps, guide.AccessToken),
			BotUserID: Nullable(l.info.UserID), BasicID: Nullable(l.info.BasicID), DisplayName: Nullable(l.info.DisplayName), ChatMode: Nullable(l.info.ChatMode),
		},
		Webhook: ChannelWebhookCheck{
			Ok: l.state(guide.WebhookURL) == guide.Done && l.at.Active, Detail: detail(steps, guide.WebhookURL),
			ExpectedURL: l.url, URL: Nullable(l.at.URL), Active: l.at.Active,
		},
	}, nil
}

// ConnectChannel sets the webhook URL at LINE, if it is not set, and has LINE
// test it. Asked again, it goes on where something was left to do. LINE may take
// a minute to follow; the test names the URL, so it does not wait for that.
func (s *Server) ConnectChannel(ctx context.Context, r ConnectChannelRequestObject) (ConnectChannelResponseObject, error) {
	c, err := s.channel(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	l, err := s.look(ctx, c, true)
	if err != nil {
		return nil, err
	}
	steps, todo := showSteps(l.items, s.reader(ctx, r.Params.Locale))
	return ConnectChannel200JSONResponse{
		Ok: l.ok(), URL: l.url, Steps: steps, Todo: todo,
		Test: WebhookTest{Success: l.test.Success, StatusCode: l.test.StatusCode, Reason: l.test.Reason, Detail: l.test.Detail},
	}, nil
}

// reader is the language of whoever asks.
func (s *Server) reader(ctx context.Context, asked string) string {
	if asked != "" {
		return asked
	}
	return caller(ctx).Agent.Locale
}

func showSteps(items []guide.Item, reader string) (steps []SetupStep, todo []string) {
	todo = []string{}
	for _, i := range items {
		step := SetupStep{Step: SetupStepStep(i.Step), State: SetupStepState(i.State), Reason: string(i.Finding), Title: i.Title(reader), Detail: i.Detail(reader)}
		if steps = append(steps, step); i.State == guide.Todo || i.State == guide.Confirm {
			todo = append(todo, step.Detail)
		}
	}
	return steps, todo
}

func detail(steps []SetupStep, of guide.Step) string {
	i := slices.IndexFunc(steps, func(s SetupStep) bool { return s.Step == SetupStepStep(of) })
	return steps[i].Detail
}

// look is one look at a channel at LINE.
type look struct {
	s       *Server
	channel store.Channel
	url     string // where LINE is to deliver
	client  *line.Client
	info    line.BotInfo
	at      line.WebhookEndpoint
	test    line.WebhookTest
	items   []guide.Item
}

// ok tells whether nothing is left to do but what LINE does not tell.
func (l *look) ok() bool {
	return !slices.ContainsFunc(l.items, func(i guide.Item) bool { return i.State == guide.Todo || i.State == guide.Blocked })
}

func (l *look) state(of guide.Step) guide.State {
	i := slices.IndexFunc(l.items, func(i guide.Item) bool { return i.Step == of })
	return l.items[i].State
}

func (l *look) add(step guide.Step, state guide.State, found guide.Finding, args ...string) {
	i := guide.Item{Step: step, State: state, Finding: found, Args: map[string]string{"url": l.url, "detail": "", "status": ""}}
	for n := 0; n+1 < len(args); n += 2 {
		i.Args[args[n]] = args[n+1]
	}
	l.items = append(l.items, i)
}

func (l *look) blocked(steps ...guide.Step) {
	for _, step := range steps {
		l.add(step, guide.Blocked, guide.AnotherStepIsFirst)
	}
}

// look goes through the steps of the guide. With connect it sets the webhook URL
// where LINE has another. An error is LINE's, when it does not answer.
func (s *Server) look(ctx context.Context, c store.Channel, connect bool) (*look, error) {
	l := &look{s: s, channel: c, url: s.callbackURL(c.ID)}
	for _, step := range []func(context.Context) error{l.lookAtToken, l.lookAtID, l.lookAtSecret, func(ctx context.Context) error { return l.lookAtURL(ctx, connect) }, l.lookAtTest, l.lookAtRest, l.lookAtMenus} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// refusal is LINE's refusal in its words; an error when LINE said nothing.
func refusal(err error) (words string, _ error) {
	if e := lineError(err); e.Code != conversation.CodeLINERefused {
		return "", e
	}
	var e *line.Error
	if errors.As(err, &e) && e.Message != "" {
		words = "LINE: " + e.Message
	}
	return words, nil
}

func (l *look) lookAtToken(ctx context.Context) error {
	var client *line.Client
	var info line.BotInfo
	err := l.s.tokens.Call(ctx, l.s.store, l.channel, func(c *line.Client) (err error) {
		client = c
		info, err = c.BotInfo(ctx)
		return err
	})
	if err != nil {
		words, unclear := refusal(err)
		if unclear != nil {
			return unclear
		}
		found := guide.TokenRefused
		if l.channel.TokenKind != store.TokenLongLived {
			found = guide.TokenNotIssued
		}
		l.add(guide.AccessToken, guide.Todo, found, "detail", words)
		return nil
	}
	if l.channel.BotUserID != "" && l.channel.BotUserID != info.UserID {
		l.add(guide.AccessToken, guide.Todo, guide.TokenOfOtherBot, "detail", info.BasicID)
		return nil
	}
	l.client, l.info = client, info
	l.add(guide.AccessToken, guide.Done, guide.TokenAccepted)
	return l.s.store.RestoreChannel(ctx, l.channel) // what waited for it goes
}

// lookAtID compares the LINE channel ID with that of the token. A stateless token
// was issued by it.
func (l *look) lookAtID(ctx context.Context) error {
	switch {
	case l.client == nil:
		l.blocked(guide.ChannelID)
		return nil
	case l.channel.TokenKind == store.TokenStateless:
		l.add(guide.ChannelID, guide.Done, guide.IDRight)
		return nil
	}
	id, err := l.s.line.TokenChannel(ctx, l.channel.Token, l.channel.TokenKind == store.TokenLongLived)
	if err != nil {
		if _, err := refusal(err); err != nil {
			return err
		}
		l.blocked(guide.ChannelID) // a token that only just was accepted
		return nil
	}
	if id != l.channel.LINEChannelID {
		l.add(guide.ChannelID, guide.Todo, guide.IDWrong, "detail", id)
		return nil
	}
	l.add(guide.ChannelID, guide.Done, guide.IDRight)
	return nil
}

// lookAtSecret has LINE say whether it knows channel ID and secret together, by
// having a short-lived token issued that nobody uses.
func (l *look) lookAtSecret(ctx context.Context) error {
	switch {
	case l.state(guide.ChannelID) != guide.Done:
		l.blocked(guide.ChannelSecret)
		return nil
	case l.channel.TokenKind == store.TokenStateless:
		l.add(guide.ChannelSecret, guide.Done, guide.SecretRight)
		return nil
	}
	_, err := l.s.line.IssueStatelessToken(ctx, l.channel.LINEChannelID, l.channel.Secrets[0])
	if err != nil {
		words, err := refusal(err)
		if err != nil {
			return err
		}
		l.add(guide.ChannelSecret, guide.Todo, guide.SecretWrong, "detail", words)
		return nil
	}
	l.add(guide.ChannelSecret, guide.Done, guide.SecretRight)
	return nil
}

const maxWebhookURL = 500 // characters, by LINE's reference

func (l *look) lookAtURL(ctx context.Context, connect bool) error {
	if l.client == nil {
		l.blocked(guide.WebhookURL, guide.UseWebhook)
		return nil
	}
	var err error
	if l.at, err = l.client.WebhookEndpoint(ctx); err != nil && line.ClassOf(err) != line.ClassNotFound {
		return lineError(err)
	}
	found, detail := l.foundOfURL(), l.at.URL
	if connect && (found == guide.URLMissing || found == guide.URLOther) {
		if _, err := l.client.SetWebhookEndpoint(ctx, l.url); err != nil {
			if detail, err = refusal(err); err != nil {
				return err
			}
			found = guide.URLUnusable
		} else if l.at, err = l.client.WebhookEndpoint(ctx); err != nil && line.ClassOf(err) != line.ClassNotFound {
			return lineError(err)
		} else { // LINE has taken it, though it may go on saying what was before for a minute
			l.at.URL = l.url
			found, detail = guide.URLRight, l.url
		}
	}
	state := guide.Todo
	if found == guide.URLRight {
		state = guide.Done
	}
	l.add(guide.WebhookURL, state, found, "detail", detail)
	switch {
	case state != guide.Done:
		l.blocked(guide.UseWebhook)
	case l.at.Active:
		l.add(guide.UseWebhook, guide.Done, guide.WebhookOn)
	default:
		l.add(guide.UseWebhook, guide.Todo, guide.WebhookOff)
	}
	return nil
}

// foundOfURL compares where LINE delivers with where it is to, once that is an
// address that LINE can take at all.
func (l *look) foundOfURL() guide.Finding {
	u, err := url.Parse(l.url)
	switch {
	case err != nil || u.Host == "":
		return guide.URLUnusable
	case textlen.UTF16(l.url) > maxWebhookURL:
		return guide.URLTooLong
	case u.Scheme != "https" && !line.Loopback(u.Hostname()): // a simulator's may be
		return guide.URLNotHTTPS
	case l.at.URL == "":
		return guide.URLMissing
	case l.at.URL != l.url:
		return guide.URLOther
	}
	return guide.URLRight
}

func (l *look) lookAtTest(ctx context.Context) error {
	if l.client == nil || l.state(guide.WebhookURL) != guide.Done {
		l.blocked(guide.WebhookTest)
		return nil
	}
	var err error
	if l.test, err = l.client.TestWebhook(ctx, l.url); line.ClassOf(err) == line.ClassRateLimited {
		l.add(guide.WebhookTest, guide.Confirm, guide.TestNotNow)
		return nil
	} else if err != nil {
		words, err := refusal(err)
		if err != nil {
			return err
		}
		l.add(guide.WebhookTest, guide.Todo, guide.TestUnclassified, "detail", strings.TrimPrefix(words, "LINE: ")) // who speaks, the step says
		return nil
	}
	if l.test.Success {
		l.add(guide.WebhookTest, guide.Done, guide.TestPassed)
		return nil
	}
	l.add(guide.WebhookTest, guide.Todo, foundOfTest(l.test), "detail", l.test.Detail, "status", strconv.Itoa(l.test.StatusCode))
	return nil
}

// foundOfTest explains why a test failed.
//
// Source: https://developers.line.biz/en/docs/messaging-api/check-webhook-error-statistics/
func foundOfTest(t line.WebhookTest) guide.Finding {
	switch strings.ToUpper(t.Reason) {
	case "COULD_NOT_CONNECT":
		return guide.TestNoConnection
	case "REQUEST_TIMEOUT":
		return guide.TestTimeout
	case "ERROR_STATUS_CODE":
		switch {
		case t.StatusCode == 401:
			return guide.TestSignature
		case t.StatusCode/100 == 3:
			return guide.TestRedirect
		}
		return guide.TestStatus
	}
	return guide.TestUnclassified
}

// lookAtRest is what LINE does not tell, or tells in a word.
func (l *look) lookAtRest(ctx context.Context) error {
	now := time.Now()
	counts, err := l.s.store.WebhookCounts(ctx, l.channel.ID, time.Time{}, now)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(counts, func(c store.WebhookCount) bool { return c.Name == countRedeliveries }) {
		l.add(guide.Redelivery, guide.Done, guide.RedeliverySeen)
	} else {
		l.add(guide.Redelivery, guide.Confirm, guide.RedeliveryUnknown)
	}
	switch {
	case l.client == nil:
		l.blocked(guide.ResponseMode)
	case l.info.ChatMode == "chat":
		l.add(guide.ResponseMode, guide.Confirm, guide.ModeChat)
	default:
		l.add(guide.ResponseMode, guide.Done, guide.ModeBot)
	}
	l.add(guide.AutoReply, guide.Confirm, guide.AutoReplyUnknown)
	l.add(guide.Greeting, guide.Confirm, guide.GreetingUnknown)
	return nil
}

// lookAtMenus asks for each rich menu that is set, and for its image, without which
// LINE shows it to nobody.
func (l *look) lookAtMenus(ctx context.Context) error {
	ids := l.channel.RichMenus.IDs()
	switch {
	case len(ids) == 0:
		l.add(guide.RichMenus, guide.Done, guide.MenusNotSet)
		return nil
	case l.client == nil:
		l.blocked(guide.RichMenus)
		return nil
	}
	var missing []string
	for _, id := range ids {
		image, err := l.client.RichMenuImage(ctx, id)
		if err == nil {
			if err := image.Body.Close(); err != nil {
				return err
			}
			continue
		}
		if _, err := refusal(err); err != nil {
			return err
		}
		missing = append(missing, id)
	}
	if len(missing) > 0 {
		l.add(guide.RichMenus, guide.Todo, guide.MenusMissing, "detail", strings.Join(missing, ", "), "id", l.channel.ID)
		return nil
	}
	l.add(guide.RichMenus, guide.Done, guide.MenusThere)
	return nil
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

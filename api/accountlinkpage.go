package api

import (
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// linkRoute is where the pages of account linking are. The token in it lets
// whoever has it unlink, so it is in no log.
const linkRoute = accountlink.Path + ":token"

// maxLinkForm bounds what the page sends, in bytes: one short field.
const maxLinkForm = 1 << 10

// What the page's buttons ask for.
const (
	linkContinue = "continue"
	linkUnlink   = "unlink"
)

var (
	//go:embed accountlinkpage.html
	linkHTML     string
	linkTemplate = template.Must(template.New("").Parse(linkHTML))
)

// linkPage is what the template shows: words, and at most one button.
type linkPage struct {
	Lang        string
	Style       template.CSS
	Title, Text string
	Steps       []string
	Undo        string
	Action      string // of the button, which goes to Kaiwa
	Go          string // or the address it leads to
	Label       string
}

// linkCustomer is who has the link of a request.
type linkCustomer struct {
	store.LinkPage
	channel store.Channel
	lang    string
	words   accountlink.Page
}

// getAccountLinkPage explains to whoever has its link what linking is, or that it
// is done. It changes nothing: previews of links look at it, too.
func (s *Server) getAccountLinkPage(c echo.Context) error {
	who, ok, err := s.linkCustomerOf(c)
	if !ok {
		return err
	}
	w := who.words
	if who.LinkID != "" {
		return showLinkPage(c, http.StatusOK, linkPage{Lang: who.lang, Title: w.Linked, Text: w.LinkedText, Action: linkUnlink, Label: w.Unlink})
	}
	if !who.channel.AccountLinking.On() || who.channel.Status != store.ChannelActive {
		return showLinkPage(c, http.StatusGone, linkPage{Lang: who.lang, Title: w.Off, Text: w.OffText})
	}
	return showLinkPage(c, http.StatusOK, linkPage{Lang: who.lang, Title: w.Title, Text: w.Text, Steps: w.Steps[:], Undo: w.Undo, Action: linkContinue, Label: w.Continue})
}

// postAccountLinkPage begins linking, or ends it. There is nothing to forge: who
// has the link may do both, and LINE links only the LINE account it is for.
func (s *Server) postAccountLinkPage(c echo.Context) error {
	who, ok, err := s.linkCustomerOf(c)
	if !ok {
		return err
	}
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxLinkForm)
	if err := r.ParseForm(); err != nil {
		return showLinkPage(c, http.StatusBadRequest, linkPage{Lang: who.lang, Title: who.words.Away, Text: who.words.AwayText})
	}
	switch r.PostForm.Get("action") {
	case linkContinue:
		return s.goToSignIn(c, who)
	case linkUnlink:
		return s.unlinkOnPage(c, who)
	}
	return showLinkPage(c, http.StatusBadRequest, linkPage{Lang: who.lang, Title: who.words.Away, Text: who.words.AwayText})
}

// goToSignIn begins linking. The way to the company is a link and no redirect of
// the form, which a policy on forms would have to let through to wherever the
// sign-in leads.
func (s *Server) goToSignIn(c echo.Context, who linkCustomer) error {
	w := who.words
	if !who.channel.AccountLinking.On() || who.channel.Status != store.ChannelActive {
		return showLinkPage(c, http.StatusGone, linkPage{Lang: who.lang, Title: w.Off, Text: w.OffText})
	}
	link, err := s.store.StartAccountLink(c.Request().Context(), who.ProfileID)
	if errors.Is(err, store.ErrTooManyLinks) {
		return showLinkPage(c, http.StatusTooManyRequests, linkPage{Lang: who.lang, Title: w.TooOften, Text: w.TooOftenText})
	}
	to := ""
	if err == nil {
		to, err = accountlink.SignInURL(who.channel.AccountLinking.LoginURL, link.ID, accountlink.Reference(s.store.Keys(), link.ID), who.lang)
	}
	if err != nil {
		return s.linkAway(c, who.lang, err)
	}
	return showLinkPage(c, http.StatusOK, linkPage{Lang: who.lang, Title: w.GoTitle, Text: w.GoText, Go: to, Label: w.Go})
}

func (s *Server) unlinkOnPage(c echo.Context, who linkCustomer) error {
	done := linkPage{Lang: who.lang, Title: who.words.Unlinked, Text: who.words.UnlinkedText}
	if who.LinkID == "" {
		return showLinkPage(c, http.StatusOK, done) // it was done before
	}
	chat, err := s.store.UnlinkAccount(c.Request().Context(), store.Origin{Address: c.RealIP(), RequestID: requestID(c.Request().Context())}, who.LinkID, store.UnlinkedByCustomer)
	if err != nil && conversation.CodeOf(err) != conversation.CodeNotAllowedNow {
		return s.linkAway(c, who.lang, err)
	}
	s.inbox.Notify(chat.ChannelID, chat.ChatKey)
	return showLinkPage(c, http.StatusOK, done)
}

// linkCustomerOf reads who the request's token is for. When it is for nobody now,
// it says so to the reader, and ok is false.
func (s *Server) linkCustomerOf(c echo.Context) (who linkCustomer, ok bool, err error) {
	ctx := c.Request().Context()
	reader := readerOf(c.Request(), func(tag string) string { _, lang := accountlink.PageIn(tag); return lang })
	id, expires, err := accountlink.ReadToken(s.store.Keys(), c.Param("token"))
	if err == nil {
		who.LinkPage, err = s.store.LinkPage(ctx, id)
	}
	if err == nil {
		who.channel, err = s.channel(ctx, who.ChannelID)
	}
	switch {
	case conversation.CodeOf(err) == conversation.CodeNotFound:
		words, lang := accountlink.PageIn(reader)
		return who, false, showLinkPage(c, http.StatusNotFound, linkPage{Lang: lang, Title: words.Unknown, Text: words.UnknownText})
	case err != nil:
		return who, false, s.linkAway(c, reader, err)
	}
	who.words, who.lang = accountlink.PageIn(accountlink.Language(who.Language, who.channel.Locale))
	if !time.Now().Before(expires) {
		return who, false, showLinkPage(c, http.StatusGone, linkPage{Lang: who.lang, Title: who.words.Over, Text: who.words.OverText})
	}
	return who, true, nil
}

// linkAway asks the reader to try again: the database is away.
func (s *Server) linkAway(c echo.Context, reader string, err error) error {
	s.log.ErrorContext(c.Request().Context(), "a page of account linking failed", "error", err)
	words, lang := accountlink.PageIn(reader)
	return showLinkPage(c, http.StatusServiceUnavailable, linkPage{Lang: lang, Title: words.Away, Text: words.AwayText})
}

func showLinkPage(c echo.Context, status int, page linkPage) error {
	page.Style = pageStyle
	return showPage(c, status, linkTemplate, formPolicy, page.Lang, page)
}

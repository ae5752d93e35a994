package api

import (
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// surveyRoute is where survey pages are. The token in it lets whoever has it
// answer, so it is in no log.
const surveyRoute = survey.Path + ":token"

// maxSurveyForm bounds what a survey's page sends, in bytes: every question
// answered at length, and every character written as %F0%9F%99%82.
const maxSurveyForm = survey.MaxQuestions * survey.MaxAnswer * 12

var (
	//go:embed surveypage.html
	surveyHTML     string
	surveyTemplate = template.Must(template.New("").Parse(surveyHTML))
)

// surveyPage is what the template shows: a form, or a few words.
type surveyPage struct {
	Lang        string
	Words       survey.Page
	Style       template.CSS
	Title, Text string
	Wrong       bool // an answer is missing or too long
	Questions   []surveyQuestion
}

type surveyQuestion struct {
	Name     string
	Lang     string
	Text     string
	Hint     string
	Optional bool
	Layout   string // scale, or list
	Numbered bool   // the numbers stand beside the words
	Options  []surveyOption
	Value    string // of a question for words
	Wrong    string
	First    bool // of those that are wrong
}

type surveyOption struct {
	survey.Option
	Chosen bool
}

// Describes lists the ids of what explains the question.
func (q surveyQuestion) Describes() string {
	var ids []string
	if q.Hint != "" {
		ids = append(ids, q.Name+"-hint")
	}
	if q.Wrong != "" {
		ids = append(ids, q.Name+"-wrong")
	}
	return strings.Join(ids, " ")
}

// getSurveyPage shows a survey's questions to whoever has its link.
func (s *Server) getSurveyPage(c echo.Context) error {
	inv, ok, err := s.surveyOf(c)
	if !ok {
		return err
	}
	return s.showSurvey(c, http.StatusOK, form(inv, nil, nil))
}

// postSurveyPage keeps the answers, all at once and once. There is nothing to
// forge: who has the link may answer, and nobody is signed in.
func (s *Server) postSurveyPage(c echo.Context) error {
	inv, ok, err := s.surveyOf(c)
	if !ok {
		return err
	}
	words, lang := survey.PageIn(inv.Locale)
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxSurveyForm)
	if err := r.ParseForm(); err != nil {
		status := http.StatusBadRequest
		if errors.As(err, new(*http.MaxBytesError)) {
			status = http.StatusRequestEntityTooLarge
		}
		return s.showSurvey(c, status, surveyPage{Lang: lang, Title: words.SomeWrong, Text: words.TooLong})
	}
	values, wrong := map[string]string{}, map[string]string{}
	for _, q := range inv.Questions {
		value := strings.TrimSpace(strings.ReplaceAll(r.PostForm.Get(q.ID), "\r\n", "\n"))
		values[q.ID] = value
		if _, ok := q.Accepts(value); ok {
			continue
		}
		wrong[q.ID] = words.Missing
		if q.Kind == survey.KindText && utf8.RuneCountInString(value) > survey.MaxAnswer {
			wrong[q.ID] = words.TooLong
		}
	}
	if len(wrong) > 0 {
		return s.showSurvey(c, http.StatusUnprocessableEntity, form(inv, values, wrong))
	}
	answered, err := s.store.AnswerByLink(r.Context(), inv.ID, values)
	switch conversation.CodeOf(err) {
	case conversation.CodeConflict:
		return s.showSurvey(c, http.StatusConflict, surveyPage{Lang: lang, Title: words.Answered, Text: words.AnsweredText})
	case conversation.CodeNotAllowedNow:
		return s.showSurvey(c, http.StatusGone, surveyPage{Lang: lang, Title: words.Closed, Text: words.ClosedText})
	}
	if err != nil {
		return s.surveyAway(c, inv.Locale, err)
	}
	s.surveys.Notify(answered.ChannelID, answered.ConversationID)
	return s.showSurvey(c, http.StatusOK, surveyPage{Lang: lang, Title: words.Thanks, Text: words.ThanksText})
}

// surveyOf reads the invitation the request's token is for. When there is none
// that can be answered now, it says so to the reader, and ok is false.
func (s *Server) surveyOf(c echo.Context) (inv store.Invitation, ok bool, err error) {
	id, expires, err := survey.ReadToken(s.store.Keys(), c.Param("token"))
	if err == nil {
		inv, err = s.store.Invitation(c.Request().Context(), id)
	}
	reader := readerOf(c.Request(), func(tag string) string { _, lang := survey.PageIn(tag); return lang })
	switch {
	case conversation.CodeOf(err) == conversation.CodeNotFound, err == nil && inv.Mode != survey.ModeLink:
		words, lang := survey.PageIn(reader)
		return inv, false, s.showSurvey(c, http.StatusNotFound, surveyPage{Lang: lang, Title: words.Unknown, Text: words.UnknownText})
	case err != nil:
		return inv, false, s.surveyAway(c, reader, err)
	}
	words, lang := survey.PageIn(inv.Locale)
	switch {
	case inv.State == survey.Answered || len(inv.Answers) > 0:
		status := http.StatusOK
		if c.Request().Method == http.MethodPost {
			status = http.StatusConflict
		}
		return inv, false, s.showSurvey(c, status, surveyPage{Lang: lang, Title: words.Answered, Text: words.AnsweredText})
	case inv.State != survey.Open || !time.Now().Before(expires):
		return inv, false, s.showSurvey(c, http.StatusGone, surveyPage{Lang: lang, Title: words.Closed, Text: words.ClosedText})
	}
	return inv, true, nil
}

// surveyAway asks the reader to try again: the database is away.
func (s *Server) surveyAway(c echo.Context, reader string, err error) error {
	s.log.ErrorContext(c.Request().Context(), "a survey's page failed", "error", err)
	words, lang := survey.PageIn(reader)
	return s.showSurvey(c, http.StatusServiceUnavailable, surveyPage{Lang: lang, Title: words.Away, Text: words.AwayText})
}

// form is the page with a survey's questions, with what was answered and what
// is wrong with it.
func form(inv store.Invitation, values, wrong map[string]string) surveyPage {
	words, lang := survey.PageIn(inv.Locale)
	page := surveyPage{Lang: lang, Words: words, Title: words.Title, Wrong: len(wrong) > 0}
	focused := false
	for _, q := range inv.Questions {
		shown := surveyQuestion{
			Name: q.ID, Lang: inv.Locale, Text: survey.In(q.Text, inv.Locale), Hint: q.HintIn(inv.Locale), Optional: q.Optional,
			Layout: "list", Numbered: q.Kind.Scored(), Value: values[q.ID], Wrong: wrong[q.ID],
		}
		if q.Kind == survey.KindNPS || q.Kind == survey.KindEffort {
			shown.Layout = "scale"
		}
		for _, o := range q.Options(inv.Locale) {
			shown.Options = append(shown.Options, surveyOption{o, values[q.ID] == o.Value})
		}
		shown.First = shown.Wrong != "" && !focused
		focused = focused || shown.First
		page.Questions = append(page.Questions, shown)
	}
	return page
}

func (s *Server) showSurvey(c echo.Context, status int, page surveyPage) error {
	page.Style = pageStyle
	return showPage(c, status, surveyTemplate, formPolicy, page.Lang, page)
}

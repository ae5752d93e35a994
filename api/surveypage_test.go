package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

func init() { openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder) }

// surveyed is a closed conversation that a survey follows.
type surveyed struct {
	*bundle
	agentID    string
	surveyID   string
	invitation store.Invitation
}

func words(en, ja string) map[string]string { return map[string]string{"en": en, "ja": ja} }

// hostile is what somebody might write to get out of the page.
const hostile = `</legend><script>alert(1)</script>"><img src=x onerror=alert(2)>`

func everyKind() []survey.Question {
	return []survey.Question{
		{ID: "satisfied", Kind: survey.KindCSAT, Text: words("Satisfied?", "ご満足いただけましたか。")},
		{ID: "recommend", Kind: survey.KindNPS, Text: words("Recommend?", "おすすめいただけますか。")},
		{ID: "effort", Kind: survey.KindEffort, Text: words("Easy?", "簡単でしたか。")},
		{ID: "topic", Kind: survey.KindChoice, Text: words("About?", "ご用件は?"), Choices: []survey.Choice{
			{Value: "parcel", Label: words("<b>Parcel</b>", "荷物")}, {Value: "bill", Label: words("Bill", "請求書")},
		}},
		{ID: "words", Kind: survey.KindText, Optional: true, Text: words(hostile, hostile)},
	}
}

// survey has a survey follow a conversation.
func (b *bundle) survey(settings survey.Settings, locale string) surveyed {
	b.t.Helper()
	ctx := context.Background()
	settings = settings.Defaults()
	require.NoError(b.t, settings.Validate())
	asked, err := b.store.CreateSurvey(ctx, store.Origin{}, store.Survey{Name: "After", Settings: settings})
	require.NoError(b.t, err)
	o := surveyed{bundle: b, agentID: b.agents[store.RoleAgent].ID, surveyID: asked.ID}
	channels, err := b.store.Channels(ctx, store.Cursor{}, 1)
	require.NoError(b.t, err)
	if len(channels) == 0 {
		b.channel()
		channels, err = b.store.Channels(ctx, store.Cursor{}, 1)
		require.NoError(b.t, err)
	}
	id := b.conversation(channels[0].ID, "closed", "none")
	b.sql(`UPDATE conversations SET closure_reason = 'agent_ended', agent_id = $1, locale = $2 WHERE id = $3`, o.agentID, locale, id)
	_, err = b.store.Invite(ctx, store.InviteRequest{ConversationID: id, Policy: survey.Policy{AgentSurveyID: o.surveyID}})
	require.NoError(b.t, err)
	o.invitation, err = b.store.InvitationAfter(ctx, id)
	require.NoError(b.t, err)
	return o
}

func (o surveyed) path() string {
	return survey.Path + survey.Token(o.store.Keys(), o.invitation.ID, o.invitation.ExpiresAt)
}

// page is what a browser is shown.
type page struct {
	status int
	header http.Header
	raw    string
	root   *html.Node
}

func (b *bundle) browse(method, path string, form url.Values, headers ...header) page {
	b.t.Helper()
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, res.Body.Close()) }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	p := page{status: res.StatusCode, header: res.Header, raw: string(raw)}
	require.Equal(b.t, "text/html; charset=UTF-8", p.header.Get("Content-Type"))
	require.Equal(b.t, "no-store", p.header.Get("Cache-Control"))
	require.Equal(b.t, "no-referrer", p.header.Get("Referrer-Policy"))
	p.root, err = html.Parse(strings.NewReader(p.raw))
	require.NoError(b.t, err)
	p.isSound(b.t)
	return p
}

// isSound holds what is true of every page: it is in a language, has a title
// and one heading, loads nothing, runs nothing, and its style is the one its
// policy allows.
func (p page) isSound(t testing.TB) {
	t.Helper()
	root := p.all("html")
	require.Len(t, root, 1)
	require.NotEmpty(t, attr(root[0], "lang"))
	require.Equal(t, p.header.Get("Content-Language"), attr(root[0], "lang"))
	require.Len(t, p.all("h1"), 1)
	require.NotEmpty(t, textOf(p.all("title")[0]))
	for _, tag := range []string{"script", "img", "link", "iframe", "object", "b"} {
		for _, n := range p.all(tag) {
			require.False(t, tag != "b" || n.Parent.Data != "span", "<%s>", tag)
		}
	}
	style := p.all("style")
	require.Len(t, style, 1)
	sum := sha256.Sum256([]byte(style[0].FirstChild.Data))
	require.Contains(t, p.header.Get("Content-Security-Policy"), "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	require.Contains(t, p.header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, n := range p.all("*") {
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src", "%s of <%s>", a.Key, n.Data)
		}
	}
	focused := 0
	for _, n := range p.all("*") {
		if has(n, "autofocus") {
			focused++
		}
	}
	require.LessOrEqual(t, focused, 1)
	// Everything that is filled in has a label, and what describes it is there.
	ids := map[string]*html.Node{}
	for _, n := range p.all("*") {
		if id := attr(n, "id"); id != "" {
			require.Nil(t, ids[id], id)
			ids[id] = n
		}
	}
	labels := map[string]bool{}
	for _, n := range p.all("label") {
		labels[attr(n, "for")] = true
	}
	for _, n := range p.all("textarea") {
		require.True(t, labels[attr(n, "id")], "a label for %s", attr(n, "id"))
	}
	for _, n := range p.all("input") {
		require.Equal(t, "label", n.Parent.Data)
		require.NotEmpty(t, textOf(n.Parent))
	}
	for _, n := range p.all("fieldset") {
		require.NotEmpty(t, textOf(within(n, "legend")[0]))
	}
	for _, n := range p.all("*") {
		for _, id := range strings.Fields(attr(n, "aria-describedby")) {
			require.NotNil(t, ids[id], id)
		}
	}
}

func (p page) all(tag string) []*html.Node { return within(p.root, tag) }

func (p page) heading() string { return textOf(p.all("h1")[0]) }

func within(n *html.Node, tag string) (out []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && (tag == "*" || d.Data == tag) {
			out = append(out, d)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// choices lists the values a question offers, the chosen one in brackets.
func (p page) choices(name string) (out []string) {
	for _, n := range p.all("input") {
		if attr(n, "name") == name {
			v := attr(n, "value")
			if has(n, "checked") {
				v = "[" + v + "]"
			}
			out = append(out, v)
		}
	}
	return out
}

func TestASurveyIsAnsweredOnItsPageOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		o := b.survey(survey.Settings{Mode: survey.ModeLink, Questions: everyKind()}, "ja")
		p := b.browse(http.MethodGet, o.path(), nil)
		require.Equal(t, http.StatusOK, p.status)
		require.Equal(t, "ja", attr(p.all("html")[0], "lang"))
		require.Equal(t, "アンケートにご協力ください", p.heading())
		require.Equal(t, []string{"5", "4", "3", "2", "1"}, p.choices("satisfied"))
		require.Len(t, p.choices("recommend"), 11)
		require.Len(t, p.choices("effort"), 7)
		require.Equal(t, []string{"parcel", "bill"}, p.choices("topic"))
		require.Contains(t, p.raw, "とても満足")
		require.Contains(t, textOf(p.all("form")[0]), hostile, "as words, not as markup")
		require.False(t, has(p.all("textarea")[0], "required"))

		some := url.Values{"satisfied": {"4"}, "recommend": {"11"}, "effort": {"7"}, "words": {"<script>こんにちは"}}
		p = b.browse(http.MethodPost, o.path(), some)
		require.Equal(t, http.StatusUnprocessableEntity, p.status)
		require.Equal(t, []string{"5", "[4]", "3", "2", "1"}, p.choices("satisfied"), "what was answered is there still")
		require.Equal(t, "<script>こんにちは", textOf(p.all("textarea")[0]))
		require.Equal(t, 2, strings.Count(p.raw, "回答を選択または入力してください。"), "one is missing, one is no answer")
		require.Contains(t, p.raw, `role="alert"`)
		require.Contains(t, p.raw, "autofocus", "the first of them is where one goes on")

		some.Set("recommend", "10")
		some.Set("topic", "bill")
		some.Set("words", strings.Repeat("話", survey.MaxAnswer+1))
		p = b.browse(http.MethodPost, o.path(), some)
		require.Equal(t, http.StatusUnprocessableEntity, p.status)
		require.Equal(t, "true", attr(p.all("textarea")[0], "aria-invalid"))
		require.Empty(t, b.surveys.woken())

		some.Set("words", strings.Repeat("🙂", survey.MaxAnswer-1)+"\r\n")
		p = b.browse(http.MethodPost, o.path(), some)
		require.Equal(t, http.StatusOK, p.status, p.raw[:min(len(p.raw), 500)])
		require.Equal(t, "ご回答ありがとうございました", p.heading())
		require.Equal(t, []string{o.invitation.ChannelID + "/" + o.invitation.ConversationID}, b.surveys.woken())
		inv, err := b.store.Invitation(t.Context(), o.invitation.ID)
		require.NoError(t, err)
		require.Len(t, inv.Answers, 5)
		require.EqualValues(t, 10, inv.Answers[1].Score)

		p = b.browse(http.MethodPost, o.path(), some)
		require.Equal(t, http.StatusConflict, p.status)
		require.Equal(t, "すでにご回答いただいています", p.heading())
		p = b.browse(http.MethodGet, o.path(), nil)
		require.Equal(t, http.StatusOK, p.status)
		require.Equal(t, "すでにご回答いただいています", p.heading())
		require.NotContains(t, b.log.String(), strings.TrimPrefix(o.path(), survey.Path), "a link is in no log")
	})
}

func TestALinkThatIsWrongOrOverSaysSoInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		open := b.survey(survey.Settings{Mode: survey.ModeLink, Questions: everyKind()}, "ja")
		for _, c := range []struct{ accept, lang, heading string }{
			{"", "en", "This link does not work"},
			{"en-GB,en;q=0.9", "en", "This link does not work"},
			{"ja-JP,ja;q=0.9,en;q=0.8", "ja", "このリンクは開けません"},
			{"fr,th;q=0.5", "th", "เปิดลิงก์นี้ไม่ได้"},
			{"zh-Hant-TW", "zh-TW", "無法開啟這個連結"},
			{"da", "da", "Linket virker ikke"},
			{";;;", "en", "This link does not work"},
		} {
			p := b.browse(http.MethodGet, open.path()+"x", nil, header{"Accept-Language", c.accept})
			require.Equal(t, http.StatusNotFound, p.status)
			require.Equal(t, c.lang, attr(p.all("html")[0], "lang"), c.accept)
			require.Equal(t, c.heading, p.heading())
		}
		require.Equal(t, http.StatusNotFound, b.browse(http.MethodPost, survey.Path+"hello", url.Values{"satisfied": {"5"}}).status)

		inLINE := b.survey(survey.Settings{Mode: survey.ModeLINE, Questions: everyKind()}, "ja")
		require.Equal(t, http.StatusNotFound, b.browse(http.MethodGet, inLINE.path(), nil).status, "a survey in LINE has no page")

		over := b.survey(survey.Settings{Mode: survey.ModeLink, Questions: everyKind()}, "ja")
		over.invitation.ExpiresAt = time.Now().Add(-time.Second)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			p := b.browse(method, over.path(), url.Values{})
			require.Equal(t, http.StatusGone, p.status)
			require.Equal(t, "このアンケートは終了しました", p.heading())
		}
		b.sql(`UPDATE survey_invitations SET state = 'cancelled' WHERE id = $1`, open.invitation.ID)
		require.Equal(t, http.StatusGone, b.browse(http.MethodGet, open.path(), nil).status)
	})
}

func TestASurveysPageAsksToTryAgainWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		o := b.survey(survey.Settings{Mode: survey.ModeLink, Questions: everyKind()}, "en")
		b.sql(`ALTER TABLE survey_answers RENAME TO gone`)
		p := b.browse(http.MethodGet, o.path(), nil, header{"Accept-Language", "ja"})
		require.Equal(t, http.StatusServiceUnavailable, p.status)
		require.Equal(t, "送信できませんでした", p.heading())
		b.sql(`ALTER TABLE gone RENAME TO survey_answers`)
		require.Equal(t, http.StatusOK, b.browse(http.MethodGet, o.path(), nil).status)
	})
}

func TestASurveyPageTakesNoFlood(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	o := b.survey(survey.Settings{Mode: survey.ModeLink, Questions: everyKind()}, "en")
	p := b.browse(http.MethodPost, o.path(), url.Values{"words": {strings.Repeat("a", 2_000_000)}})
	require.Equal(t, http.StatusRequestEntityTooLarge, p.status)
}

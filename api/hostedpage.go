package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"github.com/labstack/echo/v4"
	"golang.org/x/text/language"
)

// What the pages for customers have in common: small, without a script, in the
// customer's language, and for nobody but who has the link.

//go:embed page.css
var pageCSS string

var (
	pageStyle = template.CSS(pageCSS)
	// pagePolicy lets a page show its style, and nothing else.
	pagePolicy = "default-src 'none'; style-src '" + digestOf(pageCSS) + "'; base-uri 'none'; frame-ancestors 'none'"
	// formPolicy is for pages whose form goes to Kaiwa.
	formPolicy = pagePolicy + "; form-action 'self'"
)

// digestOf names a source by its content (Content Security Policy Level 3,
// §2.3.1).
func digestOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// showPage answers with a page for a customer, in a language.
func showPage(c echo.Context, status int, page *template.Template, policy, lang string, data any) error {
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, "page", data); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Language", lang)
	h.Set("X-Robots-Tag", "noindex, nofollow")
	return c.HTMLBlob(status, out.Bytes())
}

// readerOf is the language a browser asks for first of those there are words
// in: in tells which language the words for a tag are in.
func readerOf(r *http.Request, in func(tag string) (lang string)) string {
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return ""
	}
	for _, tag := range tags {
		base, _ := tag.Base()
		if lang := in(tag.String()); lang != "en" || base.String() == "en" {
			return lang
		}
	}
	return ""
}

// Package locale chooses the language a text is shown in.
//
// Locales are BCP 47 tags (RFC 5646). LINE, browsers and people write them in
// many ways ("zh-Hant", "zh_TW", "ja-JP"); this package is the one place that
// knows those are the same language.
package locale

import (
	"errors"

	"golang.org/x/text/language"
)

// maxLength bounds a tag in bytes; RFC 5646 §4.4.1 calls 35 enough for every
// tag without extensions.
const maxLength = 64

// How well an offered locale serves a wanted one, best first.
const (
	sameTag      = iota
	sameCountry  // the same language, script and country, spelled out or implied (zh-Hant: zh-TW)
	anyCountry   // the same language and script, offered for every country (en-GB: en)
	otherCountry // the same language and script of another country (zh-HK: zh-TW)
	otherScript  // readable with effort, and better than a foreign language (zh-CN: zh-TW)
	unrelated
)

// Match returns the one of have that serves a reader of want best, spelled as
// it is in have: the exact tag, then the same language and script, then the
// same language; among equals the first. It returns "" when want is not a
// locale or none of have is in its language: the caller has its own default.
func Match(want string, have []string) string {
	w, ok := parse(want)
	if !ok {
		return ""
	}
	best, found := unrelated, ""
	for _, h := range have {
		t, ok := parse(h)
		if !ok {
			continue
		}
		if d := distance(w, t); d < best {
			best, found = d, h
		}
	}
	return found
}

// Valid tells whether tag is a well-formed locale of a language, script and
// country that exist. "jp" is not: Japanese is "ja".
func Valid(tag string) bool {
	if tag == "" || len(tag) > maxLength {
		return false
	}
	t, err := language.Parse(tag)
	base, _, _ := t.Raw()
	return err == nil && base.String() != "und"
}

func parse(tag string) (language.Tag, bool) {
	if tag == "" || len(tag) > maxLength {
		return language.Und, false
	}
	// A tag with an unknown part is still good for the parts that are known.
	t, err := language.All.Parse(tag)
	if err != nil && !errors.As(err, new(language.ValueError)) {
		return language.Und, false
	}
	base, _, _ := t.Raw()
	return t, base.String() != "und"
}

func distance(want, have language.Tag) int {
	wantBase, _ := want.Base()
	haveBase, _ := have.Base()
	if wantBase != haveBase {
		return unrelated
	}
	if want == have {
		return sameTag
	}
	wantScript, _ := want.Script()
	haveScript, _ := have.Script()
	if wantScript != haveScript {
		return otherScript
	}
	wantRegion, _ := want.Region()
	haveRegion, _ := have.Region()
	if wantRegion == haveRegion {
		return sameCountry
	}
	if _, _, stated := have.Raw(); stated.String() == "ZZ" {
		return anyCountry
	}
	return otherCountry
}

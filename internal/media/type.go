// Package media looks into files: what they are, whether they are allowed, how
// long they play, and what a small picture of them looks like. It believes
// their bytes only, never a name or a header, and reads as little of them as it
// can.
package media

import (
	"regexp"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// HeadSize is how many bytes of a file Sniff wants: fewer are only right when
// the file has no more.
const HeadSize = 3072

// Sniff tells the media type of a file by its first bytes, such as
// "image/jpeg", without parameters; "application/octet-stream" when it cannot
// tell. An animated PNG is a PNG: it is shown and sent as one.
func Sniff(head []byte) string {
	t, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	if t == "image/apng" || t == "image/vnd.mozilla.apng" {
		return "image/png"
	}
	return t
}

// Octets is the type of what cannot be told, and of what must not be run.
const Octets = "application/octet-stream"

// Extension is the usual ending of a type's file names, with its dot; "" when
// it has none.
func Extension(mime string) string {
	if m := mimetype.Lookup(mime); m != nil {
		return m.Extension()
	}
	return ""
}

var pattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{0,60}/(\*|[a-z0-9][a-z0-9.+-]{0,80})$`)

// ValidPattern tells whether s can stand in a list of types: a type such as
// application/pdf, or all of a family such as image/*.
func ValidPattern(s string) bool { return pattern.MatchString(s) }

// Allowed tells whether files of a type may pass: they match no pattern of
// blocked, and one of allowed if there are any. A pattern in blocked also stops
// what is built on its type: application/zip stops Office documents, text/plain
// stops HTML.
func Allowed(mime string, allowed, blocked []string) bool {
	names := []string{mime}
	for t := mimetype.Lookup(mime); t != nil && t.Parent() != nil; t = t.Parent() { // the last parent is octets, on which all is built
		names = append(names, t.String())
	}
	for _, p := range blocked {
		for _, name := range names {
			if matches(name, p) {
				return false
			}
		}
	}
	for _, p := range allowed {
		if matches(mime, p) {
			return true
		}
	}
	return len(allowed) == 0
}

func matches(mime, pattern string) bool {
	mime, _, _ = strings.Cut(mime, ";")
	if family, all := strings.CutSuffix(pattern, "/*"); all {
		return strings.HasPrefix(mime, family+"/")
	}
	return is(mime, pattern)
}

// is tells whether two names are of one type: some types have several.
func is(mime, name string) bool {
	if mime == name {
		return true
	}
	m := mimetype.Lookup(mime)
	return m != nil && m.Is(name)
}

// shown are the types a browser may show and play, and LINE's apps load. None
// of them can hold anything that runs.
var shown = map[string]bool{
	"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true,
	"video/mp4": true, "video/quicktime": true, "video/webm": true,
	"audio/mpeg": true, "audio/mp4": true, "audio/x-m4a": true, "audio/ogg": true, "audio/wav": true,
}

// documents are the types that are named when they are saved, because phones
// open them by their type.
var documents = map[string]bool{
	"application/pdf": true, "application/zip": true,
	"application/msword": true, "application/vnd.ms-excel": true, "application/vnd.ms-powerpoint": true,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   true,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         true,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": true,
}

// Served is how a file of a type may leave this origin: under which type, and
// whether it may be shown in place or only be saved. What could run (HTML, SVG,
// XML, scripts) and what is not known leaves as octets.
func Served(mime string) (as string, inline bool) {
	switch {
	case shown[mime]:
		return mime, true
	case documents[mime]:
		return mime, false
	}
	return Octets, false
}

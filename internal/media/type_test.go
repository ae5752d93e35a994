package media_test

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/media"
)

const (
	page   = "<!DOCTYPE html><html><script>alert(document.cookie)</script></html>"
	vector = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
)

// archive is a zip file with one member.
func archive(t testing.TB, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create(name)
	require.NoError(t, err)
	_, err = w.Write([]byte("<x/>"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

func TestWhatAFileIsIsToldByItsBytes(t *testing.T) {
	t.Parallel()
	gif := "GIF89a" + "/*" + page + "*/"
	for _, c := range []struct {
		name, content, mime, served string
		inline                      bool
	}{
		{"a page", page, "text/html", media.Octets, false},
		{"a page after white space", "\n \t" + page, "text/html", media.Octets, false},
		{"a page in XHTML", `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"></html>`, "application/xhtml+xml", media.Octets, false},
		{"a drawing that runs", vector, "image/svg+xml", media.Octets, false},
		{"a drawing without a declaration", `<svg xmlns="http://www.w3.org/2000/svg"/>`, "image/svg+xml", media.Octets, false},
		{"a GIF that is also a page", gif, "image/gif", "image/gif", true},
		{"a JPEG", "\xff\xd8\xff\xe0\x00\x10JFIF\x00", "image/jpeg", "image/jpeg", true},
		{"a PNG", "\x89PNG\r\n\x1a\n", "image/png", "image/png", true},
		{"a PDF", "%PDF-1.7\n", "application/pdf", "application/pdf", false},
		{"text", "こんにちは", "text/plain", media.Octets, false},
		{"a program", "MZ\x90\x00", "application/vnd.microsoft.portable-executable", media.Octets, false},
		{"an archive", string(archive(t, "a.txt")), "application/zip", "application/zip", false},
		{"a video", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "video/mp4", "video/mp4", true},
		{"a sound", "\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42", "audio/x-m4a", "audio/x-m4a", true},
		{"nothing", "", "text/plain", media.Octets, false},
		{"noise", "\x00\x01\x02\xfe", media.Octets, media.Octets, false},
	} {
		mime := media.Sniff([]byte(c.content))
		require.Equal(t, c.mime, mime, c.name)
		served, inline := media.Served(mime)
		require.Equal(t, c.served, served, c.name)
		require.Equal(t, c.inline, inline, c.name)
	}
}

func TestListsOfTypesAllowAndBlockBySniffedType(t *testing.T) {
	t.Parallel()
	document := media.Sniff(archive(t, "word/document.xml"))
	for _, c := range []struct {
		name             string
		mime             string
		allowed, blocked []string
		passes           bool
	}{
		{"without lists everything passes", "application/x-thing", nil, nil, true},
		{"a family", "image/png", []string{"image/*"}, nil, true},
		{"another family", "video/mp4", []string{"image/*"}, nil, false},
		{"a type by name", "application/pdf", []string{"application/pdf"}, nil, true},
		{"a type by another of its names", "application/pdf", nil, []string{"application/x-pdf"}, false},
		{"blocked goes before allowed", "image/svg+xml", []string{"image/*"}, []string{"image/svg+xml"}, false},
		{"blocked stops what is built on it", "text/html", nil, []string{"text/plain"}, false},
		{"blocked archives stop documents made of one", document, nil, []string{"application/zip"}, false},
		{"allowed archives are no licence for documents", "application/java-archive", []string{"application/zip"}, nil, false},
		{"unknown can be blocked", media.Octets, nil, []string{media.Octets}, false},
		{"and blocks nothing else", "image/png", nil, []string{media.Octets}, true},
		{"a type nobody knows", "application/x-thing", nil, []string{"application/*"}, false},
	} {
		require.Equal(t, c.passes, media.Allowed(c.mime, c.allowed, c.blocked), c.name)
	}
	for pattern, valid := range map[string]bool{
		"image/*": true, "application/pdf": true, "image/svg+xml": true, "*/*": false, "image": false, "image/": false, "Image/PNG": false, "image/png; q=1": false, "": false,
	} {
		require.Equal(t, valid, media.ValidPattern(pattern), pattern)
	}
}

package api

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/conversation"
	"kaiwa/internal/media"
	"kaiwa/internal/store"
)

const (
	filesPath = "/files/"
	// transferTime is how long a file may be on its way, in or out.
	transferTime = time.Hour
	// slowest is the speed below which a download is cut, in bytes a second.
	slowest = 64 << 10
)

// transfers tells whether a request is about the bytes of a file, which take
// longer than an answer may.
func transfers(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, filesPath) ||
		r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/api/v1/conversations/") && strings.HasSuffix(r.URL.Path, "/attachments")
}

// filesHost is the host that serves files and nothing else; "" when files come
// from the host everything comes from.
func filesHost(filesURL, publicURL string) string {
	files, err := url.Parse(filesURL)
	if err != nil {
		return ""
	}
	if public, err := url.Parse(publicURL); err == nil && strings.EqualFold(files.Host, public.Host) {
		return ""
	}
	return files.Host
}

// elsewhere tells whether a request has come to the wrong host: files are
// served by theirs, and by no other, and it serves nothing else.
func (s *Server) elsewhere(r *http.Request) bool {
	return s.filesHost != "" && strings.EqualFold(r.Host, s.filesHost) != strings.HasPrefix(r.URL.Path, filesPath)
}

// getFile serves a file to whoever has its link: LINE's apps, and browsers.
func (s *Server) getFile(c echo.Context) error {
	a, err := s.linked(c.Request().Context(), c.Param("link"))
	if err != nil {
		return err
	}
	as, inline := media.Served(a.ContentType)
	return s.serveBytes(c, a, a.BlobKey, as, inline, a.SHA256)
}

// getPreview serves the preview of a file.
func (s *Server) getPreview(c echo.Context) error {
	a, err := s.linked(c.Request().Context(), c.Param("link"))
	if err != nil {
		return err
	}
	if a.PreviewKey == "" {
		return conversation.Errorf(conversation.CodeNotFound, "This file has no preview.")
	}
	return s.serveBytes(c, a, a.PreviewKey, "image/jpeg", true, a.SHA256+"-preview")
}

// linked is the stored attachment with a link.
func (s *Server) linked(ctx context.Context, link string) (store.Attachment, error) {
	a, err := s.store.AttachmentByLink(ctx, link)
	if err == nil && a.State != conversation.AttachmentStored {
		err = conversation.Errorf(codeGone, "This file was taken back.")
	}
	return a, err
}

// serveBytes answers with a file, or with the part of it that is asked for.
// Nothing in it can run here, or reach anything of this origin.
func (s *Server) serveBytes(c echo.Context, a store.Attachment, key, as string, inline bool, tag string) error {
	r := c.Request()
	file, err := s.blobs.Open(r.Context(), key)
	if errors.Is(err, blob.ErrNotFound) {
		s.log.Error("a stored file is not in the bucket", "attachment_id", a.ID, "key", key)
		return conversation.Errorf(conversation.CodeNotFound, "The file is not there.")
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	disposition := "attachment"
	if inline {
		disposition = "inline"
	}
	h := c.Response().Header()
	h.Set("Content-Type", as)
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": attachment.Name(a)}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // pictures are shown by the console, wherever it is
	h.Set("Cache-Control", "private, no-cache")           // what is taken back is gone at once
	h.Set("ETag", `"`+tag+`"`)
	patience := time.Minute + time.Duration(file.Size()/slowest)*time.Second
	if err := http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	http.ServeContent(c.Response(), r, "", time.Time{}, file)
	return nil
}

package api_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// form is a multipart body with one file.
func form(t testing.TB, part, name string, content []byte) (body []byte, kind string) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", multipart.FileContentDisposition(part, name))
	h.Set("Content-Type", "image/png") // nobody believes it
	p, err := w.CreatePart(h)
	require.NoError(t, err)
	_, err = p.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes(), w.FormDataContentType()
}

// upload uploads a file as an agent.
func (b *bundle) upload(conversationID, name string, content []byte, headers ...header) response {
	b.t.Helper()
	body, kind := form(b.t, "file", name, content)
	return b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+conversationID+"/attachments", string(body), append(headers, header{"Content-Type", kind})...)
}

// live is a conversation that an agent has.
func (b *bundle) live() string {
	b.t.Helper()
	id := b.conversation(b.channel(), "active", "agent")
	b.sql(`UPDATE conversations SET agent_id = $1, locale = 'ja' WHERE id = $2`, b.agents[store.RoleAgent].ID, id)
	return id
}

// bytesKept lists what is in the bucket.
func (b *bundle) bytesKept() []string {
	b.t.Helper()
	list := []string{}
	require.NoError(b.t, filepath.WalkDir(b.blobDir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// raw makes a request without looking at the answer.
func (b *bundle) raw(method, url string, headers ...header) (*http.Response, []byte) {
	b.t.Helper()
	req, err := http.NewRequest(method, url, nil)
	require.NoError(b.t, err)
	for _, h := range headers {
		if h.name == "Host" {
			req.Host = h.value
		}
		req.Header.Set(h.name, h.value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res, body
}

func smallJPEG(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, 40, 30)), nil))
	return out.Bytes()
}

// mp4 is an MP4 of 1.5 s with tracks of these kinds.
func mp4(brand string, tracks ...string) []byte {
	box := func(kind string, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		n := len(body) + 8
		return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), kind[0], kind[1], kind[2], kind[3]}, body...)
	}
	mvhd := make([]byte, 100)
	copy(mvhd[12:], []byte{0, 0, 3, 232, 0, 0, 5, 220})
	parts := [][]byte{box("mvhd", mvhd)}
	for _, kind := range tracks {
		parts = append(parts, box("trak", box("mdia", box("hdlr", make([]byte, 8), []byte(kind), make([]byte, 12)))))
	}
	return append(box("ftyp", []byte(brand+"\x00\x00\x00\x00"+brand)), box("moov", parts...)...)
}

func TestWhatBecomesOfAnUpload(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		for _, c := range []struct {
			name, file, kind, mime, content string
			says                            string // the type of the message
		}{
			{"a photo", "猫.jpg", "image", "image/jpeg", string(smallJPEG(t)), "image"},
			{"a film", "a.mp4", "video", "video/mp4", string(mp4("mp42", "vide", "soun")), "video"},
			{"a sound", "a.m4a", "audio", "audio/x-m4a", string(mp4("M4A ", "soun")), "audio"},
			{"a sound in a film's container", "a.mp4", "audio", "audio/mp4", string(mp4("isom", "soun")), "audio"},
			{"a document", "../請求書.pdf", "file", "application/pdf", "%PDF-1.7 ...", "flex"},
			{"half a photo", "a.jpg", "file", "image/jpeg", string(smallJPEG(t)[:100]), "flex"},
			{"a page called a photo", "a.jpg", "file", "text/html", "<!DOCTYPE html><script>alert(1)</script>", "flex"},
			{"a drawing", "a.svg", "file", "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg"/>`, "flex"},
		} {
			up := b.upload(id, c.file, []byte(c.content))
			require.Equal(t, 201, up.Status, "%s: %s", c.name, up.Raw)
			require.Equal(t, [3]any{c.kind, c.mime, "stored"}, [3]any{up.Body["kind"], up.Body["content_type"], up.Body["state"]}, c.name)
			require.EqualValues(t, len(c.content), up.Body["size"], c.name)
			require.Equal(t, filepath.Base(c.file), up.text(t, "file_name"))
			if c.kind == "audio" {
				require.EqualValues(t, 1500, up.Body["duration_ms"], "LINE needs it")
			}
			res, body := b.raw("GET", up.text(t, "url"))
			require.Equal(t, 200, res.StatusCode)
			require.Equal(t, c.content, string(body))

			message := map[string]any{"type": "attachment", "attachment_id": up.text(t, "id")}
			path := "/api/v1/conversations/" + id + "/messages"
			sent := b.as(store.RoleAgent, "POST", path, message, header{"Idempotency-Key", c.name})
			require.Equal(t, 202, sent.Status, "%s: %s", c.name, sent.Raw)
			require.Equal(t, c.says, sent.text(t, "type"), c.name)
			require.Equal(t, up.text(t, "id"), sent.text(t, "attachment", "id"))
			require.Equal(t, sent.text(t, "id"), sent.text(t, "attachment", "message_id"))
			require.Contains(t, string(sent.Raw), up.text(t, "url"))
			if c.says == "flex" {
				require.Contains(t, string(sent.Raw), "開く", "in the conversation's language")
			}
			requireProblem(t, b.as(store.RoleAgent, "POST", path, message), 409, conversation.CodeConflict)
		}
		list := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/messages", nil)
		require.Equal(t, "猫.jpg", list.text(t, "items", 0, "attachment", "file_name"))

		other := b.conversation(b.firstChannel(), "active", "agent")
		up := b.upload(id, "a.pdf", []byte("%PDF-1.7"))
		for _, wrong := range []string{up.text(t, "id"), "att_none"} {
			requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/conversations/"+other+"/messages", map[string]any{"type": "attachment", "attachment_id": wrong}),
				400, conversation.CodeInvalid, "/attachment_id")
		}
		requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/messages", map[string]any{"type": "attachment"}), 400, conversation.CodeInvalid, "/attachment_id")
	})
}

// firstChannel is the channel there is.
func (b *bundle) firstChannel() string {
	b.t.Helper()
	return b.as(store.RoleAdmin, "GET", "/api/v1/channels", nil).text(b.t, "items", 0, "id")
}

func TestAFileIsServedSoThatNothingOfItRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		for content, served := range map[string][2]string{
			"<!DOCTYPE html><script>alert(1)</script>":                                {"application/octet-stream", "attachment"},
			`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`:                 {"application/octet-stream", "attachment"},
			`<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"></html>`: {"application/octet-stream", "attachment"},
			"GIF89a/*<!DOCTYPE html><script>alert(1)</script>*/":                      {"image/gif", "inline"},
			"%PDF-1.7":           {"application/pdf", "attachment"},
			string(smallJPEG(t)): {"image/jpeg", "inline"},
		} {
			up := b.upload(id, "naïve\".html", []byte(content))
			res, body := b.raw("GET", up.text(t, "url"))
			require.Equal(t, 200, res.StatusCode)
			require.Equal(t, content, string(body))
			require.Equal(t, served[0], res.Header.Get("Content-Type"))
			require.True(t, strings.HasPrefix(res.Header.Get("Content-Disposition"), served[1]+"; "), res.Header)
			require.Contains(t, res.Header.Get("Content-Disposition"), "na%C3%AFve%22.html")
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "sandbox; default-src 'none'", res.Header.Get("Content-Security-Policy"))
			require.True(t, strings.HasPrefix(res.Header.Get("Cache-Control"), "private"))
		}
	})
}

func TestALinkServesRangesUntilItIsTakenBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		content := smallJPEG(t)
		up := b.upload(id, "a.jpg", content)
		url, preview := up.text(t, "url"), up.text(t, "preview_url")
		require.Regexp(t, `/files/[0-9A-Z]{26,}$`, url, "128 bits")

		res, body := b.raw("GET", url, header{"Range", "bytes=2-5"})
		require.Equal(t, 206, res.StatusCode)
		require.Equal(t, content[2:6], body)
		require.Equal(t, fmt.Sprintf("bytes 2-5/%d", len(content)), res.Header.Get("Content-Range"))
		res, body = b.raw("GET", url, header{"Range", "bytes=-3"})
		require.Equal(t, 206, res.StatusCode)
		require.Equal(t, content[len(content)-3:], body)
		res, _ = b.raw("GET", url, header{"Range", "bytes=999999-"})
		require.Equal(t, 416, res.StatusCode)
		res, body = b.raw("HEAD", url)
		require.Equal(t, [2]any{200, int64(len(content))}, [2]any{res.StatusCode, res.ContentLength})
		require.Empty(t, body)
		res, _ = b.raw("GET", url, header{"If-None-Match", res.Header.Get("Etag")})
		require.Equal(t, 304, res.StatusCode)
		res, body = b.raw("GET", preview)
		require.Equal(t, [2]any{200, "image/jpeg"}, [2]any{res.StatusCode, res.Header.Get("Content-Type")})
		_, err := jpeg.Decode(bytes.NewReader(body))
		require.NoError(t, err)

		requireProblem(t, b.as("", "GET", "/files/"+strings.Repeat("A", 26), nil), 404, conversation.CodeNotFound)
		requireProblem(t, b.as("", "GET", "/files/%27%20OR%201=1", nil), 404, conversation.CodeNotFound)

		_, link, _ := strings.Cut(url, "/files/")
		require.NotContains(t, b.log.String(), link, "links are not logged")
		one := "/api/v1/attachments/" + up.text(t, "id")
		require.Equal(t, url, b.as(store.RoleAgent, "GET", one, nil).text(t, "url"))
		for range 2 {
			require.Equal(t, 204, b.as(store.RoleAgent, "DELETE", one, nil).Status)
			for _, at := range []string{url, preview} {
				res, body := b.raw("GET", at)
				require.Equal(t, 410, res.StatusCode, "%s", body)
			}
		}
		require.Empty(t, b.bytesKept())
		after := b.as(store.RoleAgent, "GET", one, nil)
		require.Equal(t, [3]any{"revoked", "taken_back", nil}, [3]any{after.Body["state"], after.Body["reason"], after.Body["url"]})
		entries := b.as(store.RoleAdmin, "GET", "/api/v1/audit-log?subject_id="+up.text(t, "id"), nil)
		require.Len(t, entries.get(t, "items"), 1)
		requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/messages", map[string]any{"type": "attachment", "attachment_id": up.text(t, "id")}), 409, conversation.CodeConflict)
		requireProblem(t, b.as(store.RoleAgent, "DELETE", "/api/v1/attachments/att_none", nil), 404, conversation.CodeNotFound)
	})
}

func TestAnIdempotencyKeyMakesOneAttachment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		key := header{"Idempotency-Key", "k1"}
		first := b.upload(id, "a.txt", []byte("hello"), key)
		require.Equal(t, 201, first.Status, "%s", first.Raw)
		again := b.upload(id, "a.txt", []byte("hello"), key)
		require.Equal(t, 201, again.Status)
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		require.Equal(t, first.Body, again.Body)
		requireProblem(t, b.upload(id, "a.txt", []byte("other"), key), 422, conversation.CodeIdempotencyMismatch)
		require.NotEqual(t, first.text(t, "id"), b.upload(id, "a.txt", []byte("hello"), header{"Idempotency-Key", "k2"}).text(t, "id"))
		requireProblem(t, b.upload(id, "a.txt", []byte("hello"), header{"Idempotency-Key", strings.Repeat("k", 256)}), 400, conversation.CodeInvalid)

		// One that failed is no obstacle.
		b.limit(map[string]any{"max_bytes": 1024})
		broken := header{"Idempotency-Key", "k3"}
		requireProblem(t, b.upload(id, "a.txt", make([]byte, 1025), broken), 413, "too_large")
		require.Equal(t, 201, b.upload(id, "a.txt", make([]byte, 1024), broken).Status)

		// Several at once.
		answers := make(chan response)
		for range 4 {
			go func() { answers <- b.upload(id, "b.txt", []byte("together"), header{"Idempotency-Key", "k4"}) }()
		}
		ids := map[string]bool{}
		for range 4 {
			r := <-answers
			require.Equal(t, 201, r.Status, "%s", r.Raw)
			ids[r.text(t, "id")] = true
		}
		require.Len(t, ids, 1)
		res, body := b.raw("GET", b.upload(id, "b.txt", []byte("together"), header{"Idempotency-Key", "k4"}).text(t, "url"))
		require.Equal(t, [2]any{200, "together"}, [2]any{res.StatusCode, string(body)})
	})
}

// limit changes which files are taken.
func (b *bundle) limit(settings map[string]any) {
	b.t.Helper()
	workstream := b.as(store.RoleAdmin, "GET", "/api/v1/workstreams", nil).text(b.t, "items", 0, "id")
	r := b.patch("/api/v1/workstreams/"+workstream, map[string]any{"settings": map[string]any{"attachments": settings}})
	require.Equal(b.t, 200, r.Status, "%s", r.Raw)
}

func TestAnUploadThatIsNotTakenIsToldWhyAndNotKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		path := "/api/v1/conversations/" + id + "/attachments"
		post := func(body []byte, kind string) response {
			return b.as(store.RoleAgent, "POST", path, string(body), header{"Content-Type", kind})
		}
		body, kind := form(t, "file", "a.txt", []byte("hello"))
		other, otherKind := form(t, "picture", "a.txt", []byte("hello"))
		requireProblem(t, post(other, otherKind), 400, conversation.CodeInvalid, "/file")
		requireProblem(t, post([]byte("{}"), "application/json"), 415, "unsupported_media_type")
		requireProblem(t, post([]byte("hello"), "multipart/form-data; boundary=x"), 400, conversation.CodeInvalid, "/file")
		requireProblem(t, post(body[:len(body)-10], kind), 400, conversation.CodeInvalid)
		requireProblem(t, b.upload("cnv_none", "a.txt", []byte("hello")), 404, conversation.CodeNotFound)
		closed := b.conversation(b.firstChannel(), "closed", "none")
		requireProblem(t, b.upload(closed, "a.txt", []byte("hello")), 409, conversation.CodeConversationClosed)

		b.limit(map[string]any{"blocked_types": []string{"text/html"}, "max_bytes": 100_000})
		requireProblem(t, b.upload(id, "a.jpg", []byte("<!DOCTYPE html>")), 400, conversation.CodeInvalid, "/file")
		requireProblem(t, b.upload(id, "a.bin", make([]byte, 100_001)), 413, "too_large")
		requireProblem(t, b.upload(id, "a.bin", make([]byte, 1<<20)), 413, "too_large")
		require.Equal(t, 201, b.upload(id, "a.bin", make([]byte, 100_000)).Status)
		require.Len(t, b.bytesKept(), 1)
		b.limit(map[string]any{"agents_may_send": false})
		requireProblem(t, b.upload(id, "a.bin", []byte("hello")), 403, conversation.CodeForbidden)

		// The connection breaks off in the middle.
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		require.NoError(t, err)
		b.limit(map[string]any{"agents_may_send": true})
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 50000\r\n\r\n", path, b.tokens[store.RoleAgent], kind)
		require.NoError(t, err)
		_, err = conn.Write(append(body[:len(body)-10], make([]byte, 10_000)...))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Eventually(t, func() bool {
			failed := 0
			b.query(func(r *sql.Rows) { require.NoError(t, r.Scan(&failed)) }, `SELECT count(*) FROM attachments WHERE state = 'failed'`)
			return failed == 2
		}, 30*time.Second, 10*time.Millisecond)
		require.Len(t, b.bytesKept(), 1)
	})
}

func TestOneFileIsUploadedAtATime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for _, name := range []string{"a.txt", "b.txt"} {
			p, err := w.CreateFormFile("file", name)
			require.NoError(t, err)
			_, err = p.Write([]byte("hello"))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		path := "/api/v1/conversations/" + b.live() + "/attachments"
		requireProblem(t, b.as(store.RoleAgent, "POST", path, body.String(), header{"Content-Type", w.FormDataContentType()}), 400, conversation.CodeInvalid, "/file")
		require.NoError(t, b.api.SweepAttachments(t.Context()))
		require.Empty(t, b.bytesKept())
	})
}

func TestSettingsOfAttachmentsAreChecked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.workstream()
		path := "/api/v1/workstreams/" + id
		now := b.as(store.RoleAdmin, "GET", path, nil)
		raw, err := json.Marshal(now.get(t, "settings", "attachments"))
		require.NoError(t, err)
		require.JSONEq(t, `{"customers_may_send":true,"agents_may_send":true,"max_bytes":26214400,"allowed_types":[],"blocked_types":[]}`, string(raw))
		for pointer, wrong := range map[string]map[string]any{
			"/settings/attachments/max_bytes":       {"max_bytes": 209_715_201},
			"/settings/attachments/allowed_types/1": {"allowed_types": []string{"image/*", "*/*"}},
			"/settings/attachments/blocked_types/0": {"blocked_types": []string{".exe"}},
			"/settings/attachments/more":            {"more": true},
		} {
			r := b.patch(path, map[string]any{"settings": map[string]any{"attachments": wrong}})
			requireProblem(t, r, 400, conversation.CodeInvalid, pointer)
		}
		r := b.patch(path, map[string]any{"settings": map[string]any{"attachments": map[string]any{"customers_may_send": false, "blocked_types": []string{"application/zip"}}}})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, false, r.get(t, "settings", "attachments", "customers_may_send"))
		require.Equal(t, true, r.get(t, "settings", "attachments", "agents_may_send"))
	})
}

func TestFilesMayHaveAHostOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Dialects()[0], func(c *api.Config) { c.FilesURL = "http://files.example:8443" })
	up := b.upload(b.live(), "a.txt", []byte("hello"))
	link := strings.TrimPrefix(up.text(t, "url"), "http://files.example:8443")
	require.Regexp(t, `^/files/[0-9A-Z]+$`, link)
	get := func(path, host string) int {
		res, _ := b.raw("GET", b.url+path, header{"Host", host})
		return res.StatusCode
	}
	require.Equal(t, 200, get(link, "files.example:8443"))
	require.Equal(t, 404, get(link, "kaiwa.example"), "the public host serves no files")
	require.Equal(t, 404, get("/healthz", "Files.example:8443"), "the files' host serves nothing else")
	require.Equal(t, 200, get("/healthz", "kaiwa.example"))
}

func TestWhatAProcessLeftIsSwept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.live()
		up := b.upload(id, "a.txt", []byte("hello"))
		b.upload(id, "b.txt", []byte("hello"))
		require.Len(t, b.bytesKept(), 2)
		// As it is when a process died after it wrote the bytes, long ago.
		b.sql(`UPDATE attachments SET state = 'pending', blob_key = id, created_at = 1 WHERE id = $1`, up.text(t, "id"))
		require.NoError(t, b.api.SweepAttachments(t.Context()))
		require.Len(t, b.bytesKept(), 1)
		after := b.as(store.RoleAgent, "GET", "/api/v1/attachments/"+up.text(t, "id"), nil)
		require.Equal(t, [2]any{"failed", "late"}, [2]any{after.Body["state"], after.Body["reason"]})
	})
}

// A server that gives up on requests and answers soon gives a file its time, as
// long as some of it comes.
func TestASlowUploadIsGivenItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Dialects()[0])
	id := b.live()
	server := httptest.NewUnstartedServer(nil)
	server.Config = b.api.HTTPServer("")
	server.Config.ReadTimeout, server.Config.WriteTimeout = 200*time.Millisecond, 300*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	body, kind := form(t, "file", "a.txt", bytes.Repeat([]byte("slow"), 3000))
	reader, writer := io.Pipe()
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for len(body) > 0 {
			n := min(1000, len(body))
			_, _ = writer.Write(body[:n]) // a server that gave up is seen in its answer
			body = body[n:]
			<-tick.C
		}
		_ = writer.Close() // never fails
	}()
	req, err := http.NewRequest("POST", server.URL+"/api/v1/conversations/"+id+"/attachments", reader)
	require.NoError(t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "Bearer "+b.tokens[store.RoleAgent])
	r := b.do(req)
	require.Equal(t, 201, r.Status, "%s", r.Raw)
	require.EqualValues(t, 12_000, r.Body["size"])
}

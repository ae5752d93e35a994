package activities_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	_ "gocloud.dev/blob/fileblob"

	"kaiwa/activities"
	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/netguard"
	"kaiwa/internal/store"
)

// sender is a customer who sends files, and the worker that fetches them.
type sender struct {
	*world
	acts  *activities.Activities
	guard netguard.Options // of the last start
	// scanner looks at files; nil looks at none.
	scanner *attachment.Scanner
	user    string
	id      string // of the conversation
	seen    int64
}

func newSender(t *testing.T, change ...func(*store.AttachmentSettings)) *sender {
	t.Helper()
	return newSenderIn(t, newWorld(t), change...)
}

func eachSender(t *testing.T, f func(t *testing.T, s *sender)) {
	t.Helper()
	eachWorld(t, func(t *testing.T, w *world) { f(t, newSenderIn(t, w)) })
}

func newSenderIn(t *testing.T, w *world, change ...func(*store.AttachmentSettings)) *sender {
	t.Helper()
	s := &sender{world: w, user: linesim.NewUserID()}
	var err error
	w.blobs, err = blob.Open(t.Context(), (&url.URL{Scheme: "file", Path: t.TempDir()}).String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.blobs.Close()) })
	require.NoError(t, w.sim.AddUser(t.Context(), linesim.User{ID: s.user, DisplayName: "Aoi"}))
	workstream, err := w.store.Workstream(t.Context(), w.channel.WorkstreamID)
	require.NoError(t, err)
	_, err = w.store.UpdateWorkstream(t.Context(), store.Origin{}, workstream.ID, workstream.Version, func(to *store.Workstream) error {
		for _, f := range change {
			f(&to.Settings.Attachments)
		}
		return nil
	})
	require.NoError(t, err)
	s.restart(netguard.Options{AllowPrivate: true, MaxResponseBytes: store.MaxAttachmentSize})
	return s
}

// restart is a new worker process.
func (s *sender) restart(o netguard.Options) {
	s.guard = o
	s.acts = activities.New(activities.Options{
		Store: s.store, LINE: s.bare, Blobs: s.blobs, Scanner: s.scanner, BotHTTP: http.DefaultClient, MediaHTTP: netguard.NewClient(o), Logger: slog.New(slog.DiscardHandler), Now: s.Now,
	})
}

// ingest runs the activity and returns the files it says are due.
func (s *sender) ingest() []string {
	s.t.Helper()
	require.NoError(s.t, s.sim.WaitIdle(s.t.Context()))
	out, err := s.acts.Ingest(s.t.Context(), activities.IngestInput{
		ChannelID: s.channel.ID, ChatKey: conversation.ChatKey("user", s.user), ConversationID: s.id, Seen: s.seen, Epoch: 1,
	})
	require.NoError(s.t, err)
	s.id, s.seen = out.ConversationID, out.Seen
	return out.Media
}

// sends has the customer send a file, and returns its attachment.
func (s *sender) sends(m linesim.Message) (attachmentID, lineID string) {
	s.t.Helper()
	none := 0
	if m.NotReady == nil {
		m.NotReady = &none
	}
	sent, err := s.sim.Send(s.t.Context(), lineChannel, s.user, m)
	require.NoError(s.t, err)
	due := s.ingest()
	require.Len(s.t, due, 1)
	return due[0], sent.MessageID
}

// fetch runs the activity as a worker does.
func (s *sender) fetch(id string) (activities.MediaOutput, error) {
	s.t.Helper()
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivity(s.acts)
	v, err := env.ExecuteActivity(s.acts.FetchMedia, activities.MediaInput{AttachmentID: id})
	if err != nil {
		return activities.MediaOutput{}, err
	}
	var out activities.MediaOutput
	require.NoError(s.t, v.Get(&out))
	return out, nil
}

// becomes fetches a file and looks what it has become.
func (s *sender) becomes(id string, state conversation.AttachmentState, reason string) store.Attachment {
	s.t.Helper()
	out, err := s.fetch(id)
	require.NoError(s.t, err)
	a, err := s.store.Attachment(s.t.Context(), id)
	require.NoError(s.t, err)
	require.Equal(s.t, [2]string{string(state), reason}, [2]string{string(a.State), a.Reason})
	require.Equal(s.t, [2]string{string(state), reason}, [2]string{string(out.State), out.Reason})
	require.Equal(s.t, s.id, out.ConversationID)
	if state != conversation.AttachmentStored {
		require.Empty(s.t, a.Link)
	}
	return a
}

// comesAgain fetches a file that is not there yet.
func (s *sender) comesAgain(id, code string) {
	s.t.Helper()
	_, err := s.fetch(id)
	var app *temporal.ApplicationError
	require.ErrorAs(s.t, err, &app)
	require.False(s.t, app.NonRetryable())
	require.Equal(s.t, code, app.Type())
	a, err := s.store.Attachment(s.t.Context(), id)
	require.NoError(s.t, err)
	require.Equal(s.t, conversation.AttachmentPending, a.State)
}

func (s *sender) read(key string) []byte {
	s.t.Helper()
	r, err := s.blobs.Open(s.t.Context(), key)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, r.Close()) }()
	content, err := io.ReadAll(r)
	require.NoError(s.t, err)
	return content
}

// told is what waits to be said to the customer.
func (s *sender) told() (out []string) {
	s.t.Helper()
	list, err := s.store.Messages(s.t.Context(), s.id, store.MessagePosition{}, 1000)
	require.NoError(s.t, err)
	for _, m := range list {
		if m.Direction == conversation.Outbound {
			out = append(out, m.Automated)
		}
	}
	return out
}

func picture(t testing.TB, w, h int) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, w, h)), nil))
	return out.Bytes()
}

func TestAPictureIsFetchedOnceHoweverOftenItIsTried(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	content := picture(t, 64, 48)
	id, _ := s.sends(linesim.Message{Type: "image", Content: content})
	a := s.becomes(id, conversation.AttachmentStored, "")
	require.Equal(t, [3]any{"image/jpeg", int64(len(content)), "image"}, [3]any{a.ContentType, a.Size, a.Kind})
	require.Equal(t, [2]int64{64, 48}, [2]int64{a.Width, a.Height})
	require.GreaterOrEqual(t, len(a.Link), 26, "128 bits")
	require.Equal(t, content, s.read(a.BlobKey))
	_, err := jpeg.Decode(bytes.NewReader(s.read(a.PreviewKey)))
	require.NoError(t, err)
	for range 3 {
		require.Equal(t, a, s.becomes(id, conversation.AttachmentStored, ""), "the same row")
	}
	list, err := s.store.Messages(t.Context(), s.id, store.MessagePosition{}, 10)
	require.NoError(t, err)
	require.Equal(t, id, list[0].AttachmentID)
	require.Empty(t, s.told())
}

func TestTwoRunsAtOnceLeaveOneFileThatFitsItsRow(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	id, _ := s.sends(linesim.Message{Type: "file", FileName: "a.txt", Content: []byte("hello")})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _, _ = s.acts.FetchMedia(context.Background(), activities.MediaInput{AttachmentID: id}) })
	}
	wg.Wait()
	a := s.becomes(id, conversation.AttachmentStored, "")
	require.Equal(t, "hello", string(s.read(a.BlobKey)))
}

func TestWhatLINEStillPreparesIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	twice := 2
	image, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8), NotReady: &twice})
	s.comesAgain(image, "line_not_ready")
	s.comesAgain(image, "line_not_ready")
	s.becomes(image, conversation.AttachmentStored, "")

	video, _ := s.sends(linesim.Message{Type: "video", Content: film(4200), DurationMS: 4000, NotReady: &twice})
	s.comesAgain(video, "line_not_ready")
	s.comesAgain(video, "line_not_ready")
	a := s.becomes(video, conversation.AttachmentStored, "")
	require.Equal(t, [2]any{"video/mp4", int64(4200)}, [2]any{a.ContentType, a.DurationMS})
	frame, err := jpeg.Decode(bytes.NewReader(s.read(a.PreviewKey)))
	require.NoError(t, err)
	require.Equal(t, 320, frame.Bounds().Dx(), "the frame LINE shows")

	failed, _ := s.sends(linesim.Message{Type: "audio", Content: []byte("noise"), TranscodingFails: true})
	s.becomes(failed, conversation.AttachmentFailed, store.ReasonTranscodingFailed)
}

// film is an MP4 of a length in milliseconds.
func film(ms uint32) []byte {
	box := func(kind string, body []byte) []byte {
		n := uint32(len(body) + 8)
		return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), kind[0], kind[1], kind[2], kind[3]}, body...)
	}
	mvhd := make([]byte, 100)
	copy(mvhd[12:], []byte{0, 0, 3, 232, byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms)})
	return append(box("ftyp", []byte("mp42\x00\x00\x00\x00mp42isom")), box("moov", box("mvhd", mvhd))...)
}

func TestWhatIsNeverReadyIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	never := 1000
	id, _ := s.sends(linesim.Message{Type: "video", Content: film(1), NotReady: &never})
	s.pass(29 * time.Minute)
	s.comesAgain(id, "line_not_ready")
	s.pass(time.Minute)
	s.becomes(id, conversation.AttachmentFailed, store.ReasonLate)
}

func TestWhatWasUnsentIsGoneEverywhere(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	unsend := func(lineID string) {
		_, err := s.sim.Unsend(t.Context(), lineChannel, s.user, lineID)
		require.NoError(t, err)
	}
	stored, lineID := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	before := s.becomes(stored, conversation.AttachmentStored, "")
	unsend(lineID)
	require.Equal(t, []string{stored}, s.ingest(), "there is something to delete")
	after, err := s.fetch(stored)
	require.NoError(t, err)
	require.Equal(t, conversation.AttachmentRevoked, after.State)
	for _, key := range []string{before.BlobKey, before.PreviewKey} {
		_, err := s.blobs.Open(t.Context(), key)
		require.ErrorIs(t, err, blob.ErrNotFound)
	}

	// LINE has taken it back, and the event of that has not arrived.
	s.sim.Hold(lineChannel)
	sent, err := s.sim.Send(t.Context(), lineChannel, s.user, linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	require.NoError(t, err)
	_, err = s.sim.Release(linesim.ReleaseOptions{ChannelID: lineChannel})
	require.NoError(t, err)
	due := s.ingest()
	s.sim.Hold(lineChannel)
	unsend(sent.MessageID)
	s.becomes(due[0], conversation.AttachmentGone, store.ReasonUnsent)

	// It is taken back while it is being fetched: what was written goes, too.
	_, err = s.sim.Release(linesim.ReleaseOptions{ChannelID: lineChannel})
	require.NoError(t, err)
	s.ingest()
	fetched, lineID := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	s.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		res, err := carry()
		if strings.HasSuffix(r.URL.Path, "/content") {
			s.line.stand(nil)
			unsend(lineID)
			require.Equal(t, []string{fetched}, s.ingest())
		}
		return res, err
	})
	out, err := s.fetch(fetched)
	require.NoError(t, err)
	require.Equal(t, conversation.AttachmentRevoked, out.State)
	a, err := s.store.Attachment(t.Context(), fetched)
	require.NoError(t, err)
	require.Equal(t, [2]string{"revoked", store.ReasonUnsent}, [2]string{string(a.State), a.Reason})
	require.Equal(t, fetched, a.BlobKey, "it is looked after again, when nobody can be writing any more")
	s.pass(2 * time.Hour)
	list, err := s.store.AttachmentsToDelete(t.Context(), store.Position{}, 10)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, a := range list {
		require.NoError(t, s.store.AttachmentDeleted(t.Context(), a.ID))
	}
	list, err = s.store.AttachmentsToDelete(t.Context(), store.Position{}, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestARefusedFileIsToldOnceAndNotKept(t *testing.T) {
	t.Parallel()
	page := []byte("<!DOCTYPE html><script>alert(1)</script>")
	drawing := []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)
	no := false
	for name, c := range map[string]struct {
		rules  func(*store.AttachmentSettings)
		sends  linesim.Message
		reason string
		says   string
	}{
		"not allowed at all":              {func(a *store.AttachmentSettings) { a.CustomersMaySend = &no }, linesim.Message{Type: "image", Content: picture(t, 8, 8)}, store.ReasonNotAllowed, "attachment_not_allowed"},
		"a blocked type":                  {func(a *store.AttachmentSettings) { a.BlockedTypes = []string{"text/html"} }, linesim.Message{Type: "file", FileName: "cat.jpg", Content: page}, store.ReasonKind, "attachment_kind"},
		"not an allowed one":              {func(a *store.AttachmentSettings) { a.AllowedTypes = []string{"image/jpeg"} }, linesim.Message{Type: "image", ContentType: "image/jpeg", Content: drawing}, store.ReasonKind, "attachment_kind"},
		"too large, as LINE says at once": {func(a *store.AttachmentSettings) { a.MaxBytes = 1000 }, linesim.Message{Type: "file", FileName: "a.bin", Content: make([]byte, 1001)}, store.ReasonSize, "attachment_size"},
		"too large, as its length says":   {func(a *store.AttachmentSettings) { a.MaxBytes = 1000 }, linesim.Message{Type: "image", Content: make([]byte, 1001)}, store.ReasonSize, "attachment_size"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSender(t, c.rules)
			id, _ := s.sends(c.sends)
			s.becomes(id, conversation.AttachmentRefused, c.reason)
			s.becomes(id, conversation.AttachmentRefused, c.reason)
			again, _ := s.sends(c.sends) // right after it, as the pictures of a set
			s.becomes(again, conversation.AttachmentRefused, c.reason)
			require.Equal(t, []string{c.says}, s.told(), "once for all that was sent together")
			s.pass(2 * time.Minute)
			later, _ := s.sends(c.sends)
			s.becomes(later, conversation.AttachmentRefused, c.reason)
			require.Len(t, s.told(), 2)
		})
	}
}

func TestALengthThatIsNotToldIsCounted(t *testing.T) {
	t.Parallel()
	s := newSender(t, func(a *store.AttachmentSettings) { a.MaxBytes = 100_000 })
	s.line.stand(func(_ *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		res, err := carry()
		if err == nil {
			res.ContentLength = -1
		}
		return res, err
	})
	id, _ := s.sends(linesim.Message{Type: "image", Content: make([]byte, 100_001)})
	s.becomes(id, conversation.AttachmentRefused, store.ReasonSize)
	id, _ = s.sends(linesim.Message{Type: "image", Content: make([]byte, 100_000)})
	s.becomes(id, conversation.AttachmentStored, "")
}

func TestADownloadThatBreaksOffIsNoFile(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{10, 5000} { // within what is sniffed, and after it
		s := newSender(t)
		id, _ := s.sends(linesim.Message{Type: "image", Content: make([]byte, 10_000)})
		s.line.stand(func(_ *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
			res, err := carry()
			if err == nil {
				res.Body = io.NopCloser(io.MultiReader(io.LimitReader(res.Body, n), brokenReader{}))
			}
			return res, err
		})
		s.comesAgain(id, "media_failed")
		s.line.stand(nil)
		require.EqualValues(t, 10_000, s.becomes(id, conversation.AttachmentStored, "").Size)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestLINEsTroublesAreToldApart(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	id, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	answer := func(status int) {
		s.line.stand(func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
		})
	}
	for status, code := range map[int]string{403: "line_unauthorized", 429: "line_rate_limited", 500: "line_server", 202: "line_not_ready"} {
		answer(status)
		s.comesAgain(id, code)
	}
	s.line.stand(func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
		return nil, errors.New("no route")
	})
	s.comesAgain(id, "line_no_answer")
	answer(404)
	s.becomes(id, conversation.AttachmentGone, store.ReasonExpired)
}

func TestAFileKeptElsewhereIsFetchedThereWithoutTheToken(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	content := picture(t, 8, 8)
	var status int
	var mu sync.Mutex
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "" {
			status = 400
		}
		w.WriteHeader(status)
		_, _ = w.Write(content)
	}))
	t.Cleanup(elsewhere.Close)
	answer := func(n int) { mu.Lock(); defer mu.Unlock(); status = n }
	external := linesim.Message{Type: "image", ExternalURL: elsewhere.URL + "/private?name=secret"}

	id, _ := s.sends(external)
	for _, n := range []int{202, 429, 500, 503} {
		answer(n)
		s.comesAgain(id, "provider_not_ready")
	}
	answer(200)
	require.Equal(t, content, s.read(s.becomes(id, conversation.AttachmentStored, "").BlobKey))
	for n, reason := range map[int][2]string{404: {"gone", store.ReasonExpired}, 410: {"gone", store.ReasonExpired}, 403: {"failed", store.ReasonProvider}, 302: {"failed", store.ReasonProvider}} {
		answer(n)
		id, _ = s.sends(external)
		s.becomes(id, conversation.AttachmentState(reason[0]), reason[1])
	}

	elsewhere.Close()
	id, _ = s.sends(external)
	_, err := s.fetch(id)
	require.Error(t, err)
	require.NotContains(t, fmt.Sprint(err), "secret", "histories carry no content")

	s.restart(netguard.Options{MaxResponseBytes: store.MaxAttachmentSize}) // as in production
	s.becomes(id, conversation.AttachmentFailed, store.ReasonProvider)
}

func TestAVideoKeptElsewhereHasTheFrameItsProviderGives(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "":
			w.WriteHeader(http.StatusBadRequest)
		case r.URL.Path == "/film":
			_, _ = w.Write(film(1))
		case r.URL.Path == "/frame":
			_, _ = w.Write(picture(t, 64, 32))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(elsewhere.Close)
	for frame, has := range map[string]bool{"/frame": true, "/none": false, "/film": false} {
		id, _ := s.sends(linesim.Message{Type: "video", ExternalURL: elsewhere.URL + "/film", ExternalPreviewURL: elsewhere.URL + frame, DurationMS: 1000})
		a := s.becomes(id, conversation.AttachmentStored, "")
		require.Equal(t, "video/mp4", a.ContentType)
		require.Equal(t, has, a.PreviewKey != "", frame)
		if has {
			p, err := jpeg.DecodeConfig(bytes.NewReader(s.read(a.PreviewKey)))
			require.NoError(t, err)
			require.Equal(t, [2]int{64, 32}, [2]int{p.Width, p.Height})
		}
	}
}

func TestWhoeverDoesNotGiveAFileHoldsUpNothingOfLINEs(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		_, _ = w.Write(picture(t, 8, 8))
	}))
	t.Cleanup(elsewhere.Close)
	external := linesim.Message{Type: "image", ExternalURL: elsewhere.URL}
	var silent []string
	for range 3 {
		id, _ := s.sends(external)
		silent = append(silent, id)
	}
	var fetching sync.WaitGroup
	for _, id := range silent[:2] {
		fetching.Go(func() { _, _ = s.fetch(id) })
	}
	<-asked
	<-asked
	s.comesAgain(silent[2], "provider_busy")
	id, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	s.becomes(id, conversation.AttachmentStored, "")
	close(answer)
	fetching.Wait()
	for _, id := range silent {
		s.becomes(id, conversation.AttachmentStored, "")
	}
}

func TestHostileFilesAreStoredForWhatTheyAre(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	var bomb bytes.Buffer
	require.NoError(t, png.Encode(&bomb, image.NewGray(image.Rect(0, 0, 1, 1))))
	copy(bomb.Bytes()[16:], []byte{0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff}) // 65,535 × 65,535 pixels
	whole := picture(t, 64, 64)
	for name, c := range map[string]struct {
		content []byte
		mime    string
	}{
		"a page called a picture":    {[]byte("<!DOCTYPE html><script>alert(1)</script>"), "text/html"},
		"a drawing that runs":        {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), "image/svg+xml"},
		"a GIF that is also a page":  {[]byte("GIF89a/*<html><script>*/"), "image/gif"},
		"a picture of four billion":  {bomb.Bytes(), "image/png"},
		"half a picture":             {whole[:len(whole)/2], "image/jpeg"},
		"a film that is only a head": {film(1)[:24], "video/mp4"},
	} {
		id, _ := s.sends(linesim.Message{Type: "image", ContentType: "image/jpeg", Content: c.content})
		a := s.becomes(id, conversation.AttachmentStored, "")
		require.Equal(t, c.mime, a.ContentType, name)
		require.Empty(t, a.PreviewKey, name)
		require.Equal(t, c.content, s.read(a.BlobKey), name)
	}
}

func TestAFileThatNobodyIsAtIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	id, _ := s.sends(linesim.Message{Type: "image", Content: picture(t, 8, 8)})
	s.pass(3 * time.Hour)
	require.NoError(t, s.store.AbandonAttachments(t.Context()))
	s.becomes(id, conversation.AttachmentFailed, store.ReasonLate)
}

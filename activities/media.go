package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/attachment"
	"kaiwa/internal/automessage"
	"kaiwa/internal/blob"
	"kaiwa/internal/callrate"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/media"
	"kaiwa/internal/netguard"
	"kaiwa/internal/store"
)

const (
	// mediaTime is how long after its arrival a file is asked for: LINE has
	// prepared it by then, or never will.
	mediaTime = 30 * time.Minute
	// stallTime is how long a download may bring nothing.
	stallTime = 30 * time.Second
	// elsewhereAtOnce is how many files a worker fetches at once from elsewhere than
	// LINE, so that whoever does not give them holds up nothing of LINE's.
	elsewhereAtOnce = 2
	// maxLINEPreview bounds what is read of a preview that LINE made.
	maxLINEPreview = 8 << 20
)

// MediaInput names a file to be fetched.
type MediaInput struct {
	AttachmentID string `json:"attachment_id"`
}

// MediaOutput says what it has come to.
type MediaOutput struct {
	ConversationID string                       `json:"conversation_id"`
	State          conversation.AttachmentState `json:"state"`
	Reason         string                       `json:"reason,omitempty"`
	Messages       int                          `json:"messages,omitempty"` // wait to be sent
}

// FetchMedia brings a customer's file from LINE, or from whoever provides it,
// into the blob store, and notes what it is; or refuses it and tells the
// customer. Of one that was revoked it deletes the bytes. Where there is a
// scanner, it looks at the file before anybody can load it.
//
// While LINE prepares the file, or does not answer, or the scanner does not, it
// fails in a way that Temporal retries. What ends that is the file's age, not a
// number of tries.
// Each run writes under a key of its own, and the first that ends decides: so it
// may run twice, also at the same time; what the other wrote goes with the
// attachment.
//
// While LINE takes no access token of the channel, a file stays pending, and the
// time it may take does not run: see store.FileWaits.
func (a *Activities) FetchMedia(ctx context.Context, in MediaInput) (MediaOutput, error) {
	f, err := a.store.Fetch(ctx, in.AttachmentID)
	if err != nil {
		return MediaOutput{}, final(err)
	}
	out := MediaOutput{ConversationID: f.ConversationID, State: f.State, Reason: f.Reason}
	if f.State == conversation.AttachmentPending {
		end, err := a.fetch(ctx, f)
		if errors.Is(err, errWaits) {
			return out, nil
		}
		if err != nil {
			return MediaOutput{}, err
		}
		at, _, said, err := a.store.FinishAttachment(ctx, f.ID, end)
		if err != nil {
			return MediaOutput{}, final(err)
		}
		out.State, out.Reason, out.Messages = at.State, at.Reason, said
	}
	if f.WaitsSince > 0 {
		if err := a.store.FileWaitsNoMore(ctx, f); err != nil {
			return MediaOutput{}, final(err)
		}
	}
	if out.State != conversation.AttachmentStored && out.State != conversation.AttachmentQuarantined {
		if err := a.blobs.DeleteAll(ctx, f.ID); err != nil {
			return MediaOutput{}, err
		}
		if err := a.store.AttachmentDeleted(ctx, f.ID); err != nil {
			return MediaOutput{}, final(err)
		}
	}
	return out, nil
}

// fileOf is what LINE tells of the file in a message; nil when there is none.
func fileOf(m *line.Message) *store.InboundFile {
	kinds := map[string]string{
		line.MessageImage: store.FileImage, line.MessageVideo: store.FileVideo, line.MessageAudio: store.FileAudio, line.MessageFile: store.FileOther,
	}
	kind, ok := kinds[m.Type]
	if !ok {
		return nil
	}
	told := readLINEFile(m.Payload)
	return &store.InboundFile{Kind: kind, Name: media.Name(told.FileName), Size: max(told.FileSize, 0), DurationMS: max(told.Duration, 0)}
}

// lineFile is what LINE's message object tells of a file.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#wh-image
type lineFile struct {
	FileName        string `json:"fileName"`
	FileSize        int64  `json:"fileSize"`
	Duration        int64  `json:"duration"` // milliseconds
	ContentProvider struct {
		Type               string `json:"type"`
		OriginalContentURL string `json:"originalContentUrl"`
		PreviewImageURL    string `json:"previewImageUrl"`
	} `json:"contentProvider"`
}

func readLINEFile(payload []byte) lineFile {
	var f lineFile
	_ = json.Unmarshal(payload, &f) // a field that is not as it should be counts as absent
	return f
}

// fetch is one attempt. It returns what the file has come to, or why there must
// be another attempt.
func (a *Activities) fetch(ctx context.Context, f store.Fetch) (store.AttachmentEnd, error) {
	end, err := a.tryFetch(ctx, &f)
	if err == nil {
		return end, nil
	}
	if errors.Is(err, errWaits) {
		return end, err
	}
	if age := a.age(f); age >= mediaTime {
		if f.Kept() {
			a.logger.WarnContext(ctx, "a file could not be scanned in time", slog.String("attachment", f.ID), slog.Any("error", err))
			return f.End(conversation.AttachmentQuarantined, store.ReasonNotScanned), nil
		}
		a.logger.WarnContext(ctx, "a file could not be had in time", slog.String("attachment", f.ID), slog.Any("error", err))
		return ended(conversation.AttachmentFailed, store.ReasonLate), nil
	}
	var later *temporal.ApplicationError
	if errors.As(err, &later) {
		return end, err
	}
	return end, a.mediaLater(f, "media_failed", err)
}

// mediaLater has Temporal run the activity again, after a wait that grows with
// the file's age, from one second to thirty.
func (a *Activities) mediaLater(f store.Fetch, code string, cause error) error {
	age := a.age(f)
	return temporal.NewApplicationErrorWithOptions("the file is not here yet", code, temporal.ApplicationErrorOptions{
		Cause: cause, NextRetryDelay: min(max(age/3, time.Second), 30*time.Second), Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// errWaits is that a file waits for an access token that LINE takes.
var errWaits = errors.New("the file waits for an access token that LINE takes")

// age is for how long a file could have been had by now.
func (a *Activities) age(f store.Fetch) time.Duration {
	return a.now().Sub(time.UnixMicro(max(f.CreatedAt, f.WaitsSince)))
}

func ended(state conversation.AttachmentState, reason string) store.AttachmentEnd {
	return store.AttachmentEnd{State: state, Reason: reason}
}

// tryFetch brings the file into the bucket, unless it is there, and has the
// scanner look at it; f is then what is known of it.
func (a *Activities) tryFetch(ctx context.Context, f *store.Fetch) (store.AttachmentEnd, error) {
	plan, err := a.plans.get(ctx, f.ChannelID)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return ended(conversation.AttachmentFailed, store.ReasonChannelGone), nil
	}
	if err != nil {
		return store.AttachmentEnd{}, err
	}
	if !f.Kept() {
		end, err := a.download(ctx, plan, *f)
		if err != nil || end.State != conversation.AttachmentStored || a.scanner == nil {
			return end, err
		}
		if f.Attachment, err = a.store.KeepAttachment(ctx, f.ID, end); err != nil {
			return store.AttachmentEnd{}, err
		}
	}
	signature, err := a.scanner.Scan(ctx, a.blobs, f.BlobKey)
	switch {
	case errors.Is(err, attachment.ErrUnscannable):
		a.logger.WarnContext(ctx, "a file is more than the scanner looks at", slog.String("attachment", f.ID), slog.Int64("size", f.Size), slog.Any("error", err))
		return f.End(conversation.AttachmentQuarantined, store.ReasonNotScanned), nil
	case err != nil:
		return store.AttachmentEnd{}, a.mediaLater(*f, "scanner_no_answer", err)
	case signature == "":
		return f.End(conversation.AttachmentStored, ""), nil
	}
	end := f.End(conversation.AttachmentQuarantined, store.ReasonMalware)
	end.Signature = signature
	end.Say, err = a.sayOfFile(ctx, plan, *f, automessage.AttachmentMalware)
	return end, err
}

// download brings the file into the bucket.
func (a *Activities) download(ctx context.Context, plan store.Plan, f store.Fetch) (store.AttachmentEnd, error) {
	rules := plan.Workstream.Settings.Attachments
	switch {
	case !*rules.CustomersMaySend:
		return a.refuseFile(ctx, plan, f, store.ReasonNotAllowed)
	case f.Size > rules.MaxBytes:
		return a.refuseFile(ctx, plan, f, store.ReasonSize)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	src, end, err := a.open(ctx, plan, f)
	if src == nil {
		return end, err
	}
	defer func() { _ = src.body.Close() }() // whatever it says, the bytes are here or not
	if src.length > rules.MaxBytes {
		return a.refuseFile(ctx, plan, f, store.ReasonSize)
	}
	kept, err := attachment.Keep(ctx, a.blobs, f.ID, newStallGuard(src.body, stallTime, stop), attachment.Rules{MaxBytes: rules.MaxBytes, Allowed: rules.AllowedTypes, Blocked: rules.BlockedTypes})
	switch {
	case errors.Is(err, attachment.ErrKind):
		return a.refuseFile(ctx, plan, f, store.ReasonKind)
	case errors.Is(err, blob.ErrTooLarge), errors.Is(err, netguard.ErrTooLarge):
		return a.refuseFile(ctx, plan, f, store.ReasonSize)
	case context.Cause(ctx) != nil:
		return store.AttachmentEnd{}, context.Cause(ctx)
	case err != nil:
		return store.AttachmentEnd{}, err
	}
	if f.Kind == store.FileVideo && src.preview != nil {
		kept.PreviewKey = a.keepLINEPreview(ctx, f, src.preview)
	}
	return store.AttachmentEnd{
		State: conversation.AttachmentStored, ContentType: kept.ContentType, BlobKey: kept.Key, PreviewKey: kept.PreviewKey, Size: kept.Size, SHA256: kept.SHA256,
		Width: int64(kept.Width), Height: int64(kept.Height), DurationMS: kept.Duration.Milliseconds(),
	}, nil
}

// keepLINEPreview keeps the frame LINE shows of a video, made anew. A video
// without one is no worse.
func (a *Activities) keepLINEPreview(ctx context.Context, f store.Fetch, open func(context.Context) (io.ReadCloser, error)) string {
	ctx, cancel := context.WithTimeout(ctx, stallTime)
	defer cancel()
	key, err := func() (string, error) {
		frame, err := open(ctx)
		if err != nil {
			return "", err
		}
		defer func() { _ = frame.Close() }() // it was read, or is not needed
		raw, err := io.ReadAll(io.LimitReader(frame, maxLINEPreview))
		if err != nil {
			return "", err
		}
		picture, err := media.Preview(ctx, bytes.NewReader(raw))
		if err != nil {
			return "", err
		}
		return attachment.KeepPreview(ctx, a.blobs, f.ID, picture.JPEG)
	}()
	if err != nil {
		a.logger.InfoContext(ctx, "a video has no preview", slog.String("attachment", f.ID), slog.Any("error", err))
		return ""
	}
	return key
}

// refuseFile is the end of a file that the workstream does not take, with what
// the customer is told.
func (a *Activities) refuseFile(ctx context.Context, plan store.Plan, f store.Fetch, reason string) (store.AttachmentEnd, error) {
	trigger := map[string]automessage.Trigger{
		store.ReasonNotAllowed: automessage.AttachmentNotAllowed, store.ReasonKind: automessage.AttachmentKind, store.ReasonSize: automessage.AttachmentSize,
	}[reason]
	say, err := a.sayOfFile(ctx, plan, f, trigger)
	end := ended(conversation.AttachmentRefused, reason)
	end.Say = say
	return end, err
}

// sayOfFile is what the customer is told of a file; nothing when they have
// blocked the account.
func (a *Activities) sayOfFile(ctx context.Context, plan store.Plan, f store.Fetch, trigger automessage.Trigger) ([]store.Draft, error) {
	conv, err := a.store.Conversation(ctx, f.ConversationID)
	if err != nil || conv.ClosureReason == conversation.ReasonCustomerBlocked {
		return nil, err
	}
	return a.drafts(ctx, plan, conv, trigger, "")
}

// source is a file that is being downloaded.
type source struct {
	body   io.ReadCloser
	length int64 // bytes; -1 when nobody says

	preview func(context.Context) (io.ReadCloser, error) // nil when there is none
}

// open begins the download of a file: from LINE, which may still prepare it, or
// from the address LINE gives for it. Without a source it returns the file's
// end, or why to come again.
func (a *Activities) open(ctx context.Context, plan store.Plan, f store.Fetch) (*source, store.AttachmentEnd, error) {
	told := readLINEFile([]byte(f.Payload))
	if told.ContentProvider.Type == "external" {
		select {
		case a.elsewhere <- struct{}{}:
		default:
			return nil, store.AttachmentEnd{}, a.mediaLater(f, "provider_busy", errors.New("as many files as may be are being fetched from elsewhere than LINE"))
		}
		leave := sync.OnceFunc(func() { <-a.elsewhere })
		src, end, err := a.openExternal(ctx, f, told.ContentProvider.OriginalContentURL)
		if src == nil {
			leave()
			return nil, end, err
		}
		src.body = &leaving{src.body, leave}
		if at := told.ContentProvider.PreviewImageURL; at != "" {
			src.preview = func(ctx context.Context) (io.ReadCloser, error) { return a.openExternalPreview(ctx, f, at) }
		}
		return src, end, err
	}
	if f.Held {
		return a.waits(ctx, f)
	}
	if !a.rates.May(ctx, plan.Channel.ID, callrate.Content) {
		return a.notThere(f, callrate.TooFast(callrate.Content))
	}
	var content line.ContentStream
	var preview func(context.Context) (io.ReadCloser, error)
	status := line.TranscodingSucceeded
	err := a.asChannel(ctx, plan.Channel, func(client *line.Client) (err error) {
		if f.Kind == store.FileVideo || f.Kind == store.FileAudio {
			t, err := client.Transcoding(ctx, f.LINEMessageID)
			if status = t.Status; err != nil || status != line.TranscodingSucceeded {
				return err
			}
		}
		content, err = client.Content(ctx, f.LINEMessageID)
		preview = func(ctx context.Context) (io.ReadCloser, error) {
			frame, err := client.Preview(ctx, f.LINEMessageID)
			return frame.Body, err
		}
		return err
	})
	switch {
	case errors.Is(err, accesstoken.ErrHeld):
		return a.waits(ctx, f)
	case err != nil:
		return a.notThere(f, err)
	case status == line.TranscodingFailed:
		return nil, ended(conversation.AttachmentFailed, store.ReasonTranscodingFailed), nil
	case status != line.TranscodingSucceeded:
		return nil, store.AttachmentEnd{}, a.mediaLater(f, "line_not_ready", line.ErrNotReady)
	}
	return &source{content.Body, content.Length, preview}, store.AttachmentEnd{}, nil
}

// waits notes that a file waits until LINE takes an access token of its channel.
// If it does so by now, the file is asked for again at once.
func (a *Activities) waits(ctx context.Context, f store.Fetch) (*source, store.AttachmentEnd, error) {
	waits, err := a.store.FileWaits(ctx, f)
	switch {
	case err != nil:
		return nil, store.AttachmentEnd{}, err
	case waits:
		return nil, store.AttachmentEnd{}, errWaits
	}
	a.plans.forget(f.ChannelID)
	return nil, store.AttachmentEnd{}, a.mediaLater(f, "line_unauthorized", accesstoken.ErrHeld)
}

// notThere is what LINE's refusal to give a file means.
func (a *Activities) notThere(f store.Fetch, err error) (*source, store.AttachmentEnd, error) {
	switch class := line.ClassOf(err); class {
	case line.ClassGone:
		return nil, ended(conversation.AttachmentGone, store.ReasonUnsent), nil
	case line.ClassNotFound, line.ClassRefused:
		return nil, ended(conversation.AttachmentGone, store.ReasonExpired), nil
	default: // also what the channel's plan does not allow: it can be changed
		return nil, store.AttachmentEnd{}, a.mediaLater(f, "line_"+string(class), err)
	}
}

// openExternal begins the download of a file that is not at LINE. The channel's
// token does not go there.
func (a *Activities) openExternal(ctx context.Context, f store.Fetch, at string) (*source, store.AttachmentEnd, error) {
	refused := ended(conversation.AttachmentFailed, store.ReasonProvider)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, refused, nil
	}
	res, err := a.mediaHTTP.Do(req)
	switch {
	case errors.Is(err, netguard.ErrTooLarge):
		return &source{body: http.NoBody, length: store.MaxAttachmentSize + 1}, store.AttachmentEnd{}, nil
	case errors.Is(err, netguard.ErrRefused), errors.Is(err, netguard.ErrTooManyRedirects):
		return nil, refused, nil
	case err != nil:
		return nil, store.AttachmentEnd{}, a.mediaLater(f, "provider_no_answer", withoutURL(err))
	case res.StatusCode == http.StatusOK:
		return &source{body: res.Body, length: res.ContentLength}, store.AttachmentEnd{}, nil
	}
	_ = res.Body.Close() // it is not read
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return nil, ended(conversation.AttachmentGone, store.ReasonExpired), nil
	case http.StatusAccepted, http.StatusTooManyRequests:
	default:
		if res.StatusCode < http.StatusInternalServerError {
			return nil, refused, nil
		}
	}
	return nil, store.AttachmentEnd{}, a.mediaLater(f, "provider_not_ready", fmt.Errorf("the provider answered with status %d", res.StatusCode))
}

// leaving makes room for another file when it is closed.
type leaving struct {
	io.ReadCloser
	leave func()
}

func (l *leaving) Close() error {
	defer l.leave()
	return l.ReadCloser.Close()
}

// openExternalPreview begins the download of the frame of a video that is not at
// LINE.
func (a *Activities) openExternalPreview(ctx context.Context, f store.Fetch, at string) (io.ReadCloser, error) {
	src, end, err := a.openExternal(ctx, f, at)
	switch {
	case err != nil:
		return nil, err
	case src == nil:
		return nil, fmt.Errorf("its provider does not give it: %s", end.Reason)
	}
	return src.body, nil
}

var errStalled = errors.New("the download brought nothing for too long")

// stallGuard ends a download that brings nothing.
type stallGuard struct {
	r     io.Reader
	limit time.Duration
	stop  context.CancelCauseFunc
}

func newStallGuard(r io.Reader, limit time.Duration, stop context.CancelCauseFunc) *stallGuard {
	return &stallGuard{r, limit, stop}
}

func (g *stallGuard) Read(p []byte) (int, error) {
	timer := time.AfterFunc(g.limit, func() { g.stop(errStalled) })
	defer timer.Stop()
	return g.r.Read(p)
}

// withoutURL takes the address out of an error of net/http: histories carry no
// content.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

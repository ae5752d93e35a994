// Package attachment is what becomes of a file on its way through Kaiwa: into
// the blob store, with what is worth knowing of it, and out again as a message.
package attachment

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"kaiwa/internal/blob"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/media"
)

// ErrKind is what a file comes to whose type is not allowed.
var ErrKind = errors.New("files of this type are not allowed")

// Kept is a file in the blob store.
type Kept struct {
	blob.Written
	Key         string
	ContentType string // as sniffed

	PreviewKey    string // "" when there can be no preview
	Width, Height int    // of an image, in pixels
	media.Film           // of an MP4
}

// Rules say what may be kept.
type Rules struct {
	MaxBytes         int64
	Allowed, Blocked []string // types; see media.Allowed
}

// Keep stores what r gives as the file of an attachment, finds out what it is,
// and makes its preview. Each call writes under keys of its own, so that two of
// them for the same attachment do not meet.
//
// It returns ErrKind and blob.ErrTooLarge for what may not be kept, of which
// nothing is; other errors are those of r and of the store, and a later call may
// come through.
func Keep(ctx context.Context, bucket *blob.Bucket, attachmentID string, r io.Reader, rules Rules) (Kept, error) {
	head, err := readHead(r)
	if err != nil {
		return Kept{}, err
	}
	k := Kept{ContentType: media.Sniff(head)}
	if !media.Allowed(k.ContentType, rules.Allowed, rules.Blocked) {
		return Kept{}, fmt.Errorf("%w: %s", ErrKind, k.ContentType)
	}
	k.Key = blob.Key(attachmentID, rand.Text())
	if k.Written, err = bucket.Write(ctx, k.Key, io.MultiReader(bytes.NewReader(head), r), rules.MaxBytes); err != nil {
		return Kept{}, err
	}
	failpoint.Hit("media.written")
	return k, k.look(ctx, bucket, attachmentID)
}

// readHead reads what sniffing wants, or all there is. (io.ReadFull would not
// tell a short file from one that broke off.)
func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, media.HeadSize)
	n := 0
	for n < len(head) {
		m, err := r.Read(head[n:])
		n += m
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return head[:n], nil
}

// look finds out what the content tells. What cannot be told is no error.
func (k *Kept) look(ctx context.Context, bucket *blob.Bucket, attachmentID string) error {
	switch k.ContentType {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
	case "video/mp4", "video/quicktime", "audio/mp4", "audio/x-m4a":
		return k.lookAtFilm(ctx, bucket)
	default:
		return nil
	}
	file, err := bucket.Open(ctx, k.Key)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	picture, err := media.Preview(ctx, file)
	if errors.Is(err, media.ErrNoPreview) {
		return nil
	}
	if err != nil {
		return err
	}
	k.Width, k.Height = picture.Width, picture.Height
	k.PreviewKey, err = KeepPreview(ctx, bucket, attachmentID, picture.JPEG)
	return err
}

func (k *Kept) lookAtFilm(ctx context.Context, bucket *blob.Bucket) error {
	file, err := bucket.Open(ctx, k.Key)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	film, err := media.MP4(file)
	if errors.Is(err, media.ErrNotMP4) {
		return nil
	}
	k.Film = film
	return err
}

// KeepPreview stores a preview of an attachment and returns its key.
func KeepPreview(ctx context.Context, bucket *blob.Bucket, attachmentID string, jpeg []byte) (string, error) {
	key := blob.Key(attachmentID, rand.Text()+".jpg")
	_, err := bucket.Write(ctx, key, bytes.NewReader(jpeg), media.MaxPreview)
	return key, err
}

// KeepFrame stores a frame of a film as its preview and returns its key: one of
// its own where ffmpeg is installed and can read it, otherwise a neutral one.
func KeepFrame(ctx context.Context, bucket *blob.Bucket, attachmentID, film string) (string, error) {
	file, err := bucket.Open(ctx, film)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	jpeg := media.VideoFrame()
	switch p, err := media.Frame(ctx, file); {
	case err == nil:
		jpeg = p.JPEG
	case !errors.Is(err, media.ErrNoFrame):
		return "", err
	}
	return KeepPreview(ctx, bucket, attachmentID, jpeg)
}

// Package blob keeps files: what customers send and what agents upload. They
// are in a bucket of gocloud.dev/blob, which is a directory, S3, Azure Blob
// Storage or Google Cloud Storage by the scheme of its URL; the processes
// register the drivers they are built with.
//
// A file passes through in pieces: nothing here holds one in memory.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

var (
	// ErrTooLarge is what writing a file comes to that is larger than allowed.
	ErrTooLarge = errors.New("the file is too large")
	// ErrNotFound is what opening a file comes to that is not there.
	ErrNotFound = errors.New("there is no such file")
)

// What one write may hold in memory where the driver sends in parts.
const (
	partSize     = 5 << 20 // bytes; S3 takes no smaller ones
	partsAtOnce  = 2
	everythingIs = "application/octet-stream" // nobody who reaches the bucket by another way has anything run
)

// Bucket is where files are kept. It is safe for concurrent use.
type Bucket struct {
	b *blob.Bucket
}

// Open opens the bucket at a URL such as file:///var/lib/kaiwa/blobs or
// s3://name?region=ap-northeast-1, and makes sure that it can be reached.
func Open(ctx context.Context, rawURL string) (*Bucket, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("it is not a URL") // the error of Parse would show the query
	}
	if u.Scheme == "file" {
		// Temporary files are made beside what they become, so that the last
		// step is a rename within one file system; nothing Kaiwa needs is in the
		// files of attributes that the driver would write otherwise.
		q := u.Query()
		q.Set("no_tmp_dir", "true")
		q.Set("metadata", "skip")
		u.RawQuery = q.Encode()
	}
	if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
		if u.Scheme == "gs" {
			return nil, errors.New("this build has no Google Cloud Storage; take one built with -tags gcs")
		}
		return nil, fmt.Errorf("there are buckets of %s only", strings.Join(schemes(), ", "))
	}
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, err
	}
	bucket := &Bucket{b}
	if err := bucket.Check(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return bucket, nil
}

// schemes lists what this build can open.
func schemes() []string {
	list := blob.DefaultURLMux().BucketSchemes()
	for i, s := range list {
		list[i] = s + "://"
	}
	return list
}

// Check tells whether the bucket can be reached.
func (b *Bucket) Check(ctx context.Context) error {
	ok, err := b.b.IsAccessible(ctx)
	if err != nil {
		return fmt.Errorf("the bucket is not accessible: %w", err)
	}
	if !ok {
		return errors.New("there is no such bucket, or it is not accessible")
	}
	return nil
}

// Close releases what the bucket holds.
func (b *Bucket) Close() error { return b.b.Close() }

// Key names a part of an attachment. The parts of one attachment stand side by
// side, in one of 1,024 folders.
func Key(attachmentID, part string) string { return prefix(attachmentID) + part }

func prefix(attachmentID string) string {
	name := attachmentID[strings.IndexByte(attachmentID, '_')+1:]
	return "attachments/" + name[:min(2, len(name))] + "/" + attachmentID + "."
}

// Written is a file that was written.
type Written struct {
	Size   int64
	SHA256 string // hexadecimal
}

// Write stores what r gives, at most limit bytes, under a key; what was there
// is replaced. It is there as a whole or not at all: when r fails, when it gives
// more than limit (ErrTooLarge), or when ctx ends, nothing of it is. After
// success it survives a loss of power.
func (b *Bucket) Write(ctx context.Context, key string, r io.Reader, limit int64) (Written, error) {
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	var file *os.File
	w, err := b.b.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: everythingIs, BufferSize: partSize, MaxConcurrency: partsAtOnce,
		BeforeWrite: func(as func(any) bool) error { as(&file); return nil },
	})
	if err != nil {
		return Written{}, fmt.Errorf("write %s: %w", key, err)
	}
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, digest), io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = ErrTooLarge
	}
	if err == nil && file != nil {
		err = file.Sync()
	}
	if err != nil {
		abort()
		_ = w.Close() // says that it was aborted
		return Written{}, fmt.Errorf("write %s: %w", key, err)
	}
	if err := w.Close(); err != nil {
		return Written{}, fmt.Errorf("write %s: %w", key, err)
	}
	if file != nil {
		if err := syncDir(filepath.Dir(file.Name())); err != nil {
			return Written{}, fmt.Errorf("write %s: %w", key, err)
		}
	}
	return Written{Size: n, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}

// syncDir makes a rename within a directory survive a loss of power.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Open opens a file for reading; ErrNotFound when it is not there. Reading can
// begin anywhere: a Seek costs nothing until the next Read.
func (b *Bucket) Open(ctx context.Context, key string) (*blob.Reader, error) {
	r, err := b.b.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("read %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return r, nil
}

// DeleteAll deletes every part of an attachment, also what processes left that
// died while they wrote. It is no error when nothing is there.
func (b *Bucket) DeleteAll(ctx context.Context, attachmentID string) error {
	parts := b.b.List(&blob.ListOptions{Prefix: prefix(attachmentID)})
	for {
		part, err := parts.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("delete the parts of %s: %w", attachmentID, err)
		}
		if err := b.b.Delete(ctx, part.Key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("delete %s: %w", part.Key, err)
		}
	}
}

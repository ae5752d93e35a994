package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	_ "gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/memblob"

	"kaiwa/internal/blob"
)

const id = "att_0123456789abcdef"

// bundle is a bucket, and the directory it is in ("" when it is in memory).
type bundle struct {
	*blob.Bucket
	t   *testing.T
	dir string
}

func each(t *testing.T, f func(t *testing.T, b *bundle)) {
	t.Helper()
	for _, scheme := range []string{"file", "mem"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			b := &bundle{t: t}
			at := "mem://"
			if scheme == "file" {
				b.dir = t.TempDir()
				at = (&url.URL{Scheme: "file", Path: b.dir}).String()
			}
			var err error
			b.Bucket, err = blob.Open(context.Background(), at)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, b.Close()) })
			f(t, b)
		})
	}
}

// files lists what is in the directory.
func (b *bundle) files() []string {
	b.t.Helper()
	list := []string{}
	if b.dir == "" {
		return list
	}
	require.NoError(b.t, filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, strings.TrimPrefix(path, b.dir+"/"))
		}
		return err
	}))
	return list
}

func (b *bundle) requireGone(key string) {
	b.t.Helper()
	_, err := b.Open(context.Background(), key)
	require.ErrorIs(b.t, err, blob.ErrNotFound)
}

func TestWhatIsWrittenIsReadFromAnywhere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ctx := context.Background()
		content := bytes.Repeat([]byte("会話"), 100_000)
		sum := sha256.Sum256(content)
		w, err := b.Write(ctx, blob.Key(id, "file"), iotest.HalfReader(bytes.NewReader(content)), int64(len(content)))
		require.NoError(t, err)
		require.Equal(t, blob.Written{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}, w)
		if b.dir != "" {
			require.Equal(t, []string{"attachments/01/" + id + ".file"}, b.files(), "nothing beside the file")
		}

		r, err := b.Open(ctx, blob.Key(id, "file"))
		require.NoError(t, err)
		require.EqualValues(t, len(content), r.Size())
		_, err = r.Seek(-6, io.SeekEnd)
		require.NoError(t, err)
		tail, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "会話", string(tail))
		_, err = r.Seek(0, io.SeekStart)
		require.NoError(t, err)
		all, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, content, all)
		require.NoError(t, r.Close())
	})
}

func TestAnAbortedWriteLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		key := blob.Key(id, "file")
		broken := errors.New("the line broke")
		for name, write := range map[string]func() error{
			"too large": func() error {
				_, err := b.Write(context.Background(), key, strings.NewReader("123456"), 5)
				require.ErrorIs(t, err, blob.ErrTooLarge)
				return err
			},
			"broken": func() error {
				_, err := b.Write(context.Background(), key, io.MultiReader(strings.NewReader("123"), iotest.ErrReader(broken)), 5)
				require.ErrorIs(t, err, broken)
				return err
			},
			"cancelled": func() error {
				ctx, cancel := context.WithCancel(context.Background())
				_, err := b.Write(ctx, key, io.MultiReader(strings.NewReader("123"), readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF })), 5)
				require.ErrorIs(t, err, context.Canceled)
				return err
			},
		} {
			require.Error(t, write(), name)
			b.requireGone(key)
			require.Empty(t, b.files(), name)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAWriteThatFailsLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ctx, key := context.Background(), blob.Key(id, "file")
		for range 2 {
			_, err := b.Write(ctx, key, strings.NewReader("right"), 5)
			require.NoError(t, err)
		}
		_, err := b.Write(ctx, key, strings.NewReader("too much"), 5)
		require.ErrorIs(t, err, blob.ErrTooLarge)
		r, err := b.Open(ctx, key)
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "right", string(content))
		require.NoError(t, r.Close())
	})
}

func TestDeletingTakesEveryPartAndWhatACrashLeft(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ctx := context.Background()
		neighbour := id + "0"
		for _, key := range []string{blob.Key(id, "file"), blob.Key(id, "preview"), blob.Key(neighbour, "file")} {
			_, err := b.Write(ctx, key, strings.NewReader("x"), 1)
			require.NoError(t, err)
		}
		if b.dir != "" { // a process died while it wrote
			require.NoError(t, os.WriteFile(filepath.Join(b.dir, blob.Key(id, "file")+".18c2.tmp"), []byte("half"), 0o600))
		}
		for range 2 {
			require.NoError(t, b.DeleteAll(ctx, id))
			b.requireGone(blob.Key(id, "file"))
			b.requireGone(blob.Key(id, "preview"))
		}
		if b.dir != "" {
			require.Equal(t, []string{blob.Key(neighbour, "file")}, b.files())
		}
		r, err := b.Open(ctx, blob.Key(neighbour, "file"))
		require.NoError(t, err)
		require.NoError(t, r.Close())
	})
}

func TestABucketThatIsNotThereIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for at, says := range map[string]string{
		"file:///nowhere/at/all": "/nowhere/at/all", "ftp://example.com": "file://, mem:// only", "blobs": "file://, mem:// only",
		"file://%zz": "not a URL", "gs://files": "-tags gcs",
	} {
		_, err := blob.Open(context.Background(), at)
		require.ErrorContains(t, err, says, at)
	}
}

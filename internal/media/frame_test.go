package media_test

import (
	"bytes"
	"context"
	"errors"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/media"
)

func TestAFrameOfAFilmIsATellingOne(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil && os.Getenv("CI") == "" { // there it must be
		t.Skip("ffmpeg is not installed, so films have a neutral frame.")
	}
	path := filepath.Join(t.TempDir(), "film.mp4")
	out, err := exec.Command("ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "color=c=black:s=320x240:d=0.4:r=10",
		"-f", "lavfi", "-i", "color=c=red:s=320x240:d=2:r=10", "-filter_complex", "[0][1]concat=n=2", "-c:v", "mpeg4", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	film, err := os.ReadFile(path)
	require.NoError(t, err)
	p, err := media.Frame(t.Context(), bytes.NewReader(film))
	require.NoError(t, err)
	require.Equal(t, []int{320, 240}, []int{p.Width, p.Height})
	require.LessOrEqual(t, len(p.JPEG), media.MaxPreview)
	picture, err := jpeg.Decode(bytes.NewReader(p.JPEG))
	require.NoError(t, err)
	r, g, b, _ := picture.At(160, 120).RGBA()
	require.True(t, r > 0xc000 && g < 0x4000 && b < 0x4000, "the middle is red: %x %x %x", r, g, b)

	_, err = media.Frame(t.Context(), bytes.NewReader(film[:len(film)/2])) // its index is at the end
	require.ErrorIs(t, err, media.ErrNoFrame)
	// A playlist that would have ffmpeg load other things is no film.
	_, err = media.Frame(t.Context(), strings.NewReader("#EXTM3U\n#EXTINF:1,\nfile://"+path+"\n"))
	require.ErrorIs(t, err, media.ErrNoFrame)
}

func TestALargeFilmHasAFrame(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil && os.Getenv("CI") == "" {
		t.Skip("ffmpeg is not installed, so films have a neutral frame.")
	}
	path := filepath.Join(t.TempDir(), "film.mp4")
	out, err := exec.Command("ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "color=gray:s=2560x1440:r=10,noise=alls=100:allf=t",
		"-t", "0.3", "-c:v", "mpeg4", "-q:v", "2", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	film, err := os.ReadFile(path)
	require.NoError(t, err)
	p, err := media.Frame(t.Context(), bytes.NewReader(film))
	require.NoError(t, err)
	require.Equal(t, []int{1024, 576}, []int{p.Width, p.Height})
}

func TestWithoutFFmpegThereIsNoFrame(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := media.Frame(t.Context(), strings.NewReader("film"))
	require.ErrorIs(t, err, media.ErrNoFrame)
}

func TestWithoutRoomForTheFilmThereIsNoFrame(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte("#!/bin/sh\nexit 1\n"), 0o700))
	t.Setenv("PATH", dir)
	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	_, err := media.Frame(t.Context(), strings.NewReader("film"))
	require.ErrorIs(t, err, media.ErrNoFrame)
}

func TestAFilmThatBreaksOffIsNoFilmWithoutAFrame(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte("#!/bin/sh\nexit 1\n"), 0o700))
	t.Setenv("PATH", dir)
	broken := errors.New("the connection broke")
	_, err := media.Frame(t.Context(), iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = media.Frame(gone, strings.NewReader("film"))
	require.ErrorIs(t, err, context.Canceled)
}

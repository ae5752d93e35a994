package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

const (
	// frameTime bounds how long a frame is looked for.
	frameTime = 15 * time.Second
	// maxFrame bounds what is read of a frame, in bytes.
	maxFrame = 8 << 20
	// maxFramePixels is the largest picture of a film that is decoded.
	maxFramePixels = "36000000"
	// frameSize has a film's pictures made as small as a preview is, before some of
	// them are held to choose from.
	frameSize = "scale=w='min(1024,iw)':h='min(1024,ih)':force_original_aspect_ratio=decrease"
	// frameSample is among how many of a film's first pictures a telling one is
	// chosen, since films begin black.
	frameSample = "30"
)

// ErrNoFrame is what a film comes to of which no frame can be had: ffmpeg is not
// installed, or cannot read it in time.
var ErrNoFrame = errors.New("no frame can be made of it")

// Frame makes a preview of an MP4 film, as Preview does, by the program ffmpeg
// where that is installed; Width and Height are those of the preview. What film gives stands in a temporary file meanwhile.
// ffmpeg reads that file and nothing else, as an MP4 and no playlist. Frame
// returns ErrNoFrame, also where there is no room for that file, or the error of
// reading film.
func Frame(ctx context.Context, film io.Reader) (Picture, error) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrNoFrame, err)
	}
	dir, err := os.MkdirTemp("", "kaiwa-frame-")
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrNoFrame, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays is the system's to clean
	file, err := os.CreateTemp(dir, "*.mp4")
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrNoFrame, err)
	}
	from := &reading{r: film}
	_, err = io.Copy(file, from)
	err = errors.Join(err, file.Close())
	switch {
	case from.err != nil:
		return Picture{}, from.err
	case err != nil:
		return Picture{}, fmt.Errorf("%w: %w", ErrNoFrame, err)
	}

	short, cancel := context.WithTimeout(ctx, frameTime)
	defer cancel()
	cmd := exec.CommandContext(short, ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-max_pixels", maxFramePixels,
		"-protocol_whitelist", "file", "-f", "mov", "-i", file.Name(),
		"-map", "0:v:0", "-vf", frameSize+",thumbnail="+frameSample, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "pipe:1")
	cmd.Dir, cmd.Env = dir, []string{}
	out := &limited{left: maxFrame}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return Picture{}, ctx.Err()
		}
		return Picture{}, fmt.Errorf("%w: %w", ErrNoFrame, err)
	}
	p, err := Preview(ctx, bytes.NewReader(out.Bytes()))
	if errors.Is(err, ErrNoPreview) {
		err = fmt.Errorf("%w: %w", ErrNoFrame, err)
	}
	return p, err
}

// reading remembers an error of reading.
type reading struct {
	r   io.Reader
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// limited keeps what is written, and refuses more than is left.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("the frame is too large")
	}
	return l.Buffer.Write(p)
}

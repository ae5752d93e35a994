package media

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // registers its decoder
	"image/jpeg"
	_ "image/png" // registers its decoder
	"io"
	"sync"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // registers its decoder
)

const (
	// PreviewSide is the longer side of a preview at most, in pixels.
	PreviewSide = 1024
	// MaxPreview is LINE's limit for a preview, in bytes. Source:
	// https://developers.line.biz/en/reference/messaging-api/#image-message
	MaxPreview = 1 << 20

	// maxDecoded bounds the memory a picture takes while it is decoded, in
	// bytes: 64 megapixels of an ordinary JPEG, 24 of a PNG. A picture that says
	// it is larger is not decoded. Half as much again is needed to scale it.
	maxDecoded = 96 << 20
)

// ErrNoPreview is what no preview can be made of: not an image, broken, or too
// large to decode.
var ErrNoPreview = errors.New("no preview can be made of it")

// decoding has one picture decoded at a time in a process, so that the memory
// it takes is bounded, too.
var decoding = make(chan struct{}, 1)

// Picture is the preview of an image, and the size of the image itself, the
// right way up, in pixels.
type Picture struct {
	JPEG          []byte
	Width, Height int
}

// Preview makes a small JPEG of a JPEG, PNG, GIF or WebP image: the right way
// up, at most PreviewSide pixels long and MaxPreview bytes large. It holds
// nothing of the file but its pixels: no place, no time, no camera, no colour
// profile. It waits while another preview is made in this process.
//
// It returns ErrNoPreview, or the error of reading r.
func Preview(ctx context.Context, r io.ReadSeeker) (Picture, error) {
	select {
	case decoding <- struct{}{}:
		defer func() { <-decoding }()
	case <-ctx.Done():
		return Picture{}, ctx.Err()
	}
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return Picture{}, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return Picture{}, err
	}
	src := &noted{r: r, size: size}
	whole, orientation, err := decode(src)
	if src.err != nil {
		return Picture{}, src.err
	}
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrNoPreview, err)
	}
	pixels := whole.Bounds().Size()
	if orientation >= 5 {
		pixels = image.Pt(pixels.Y, pixels.X)
	}
	small := upright(shrink(whole, PreviewSide), orientation)
	for quality := 85; ; quality -= 15 {
		var out bytes.Buffer
		if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: quality}); err != nil {
			return Picture{}, fmt.Errorf("%w: %w", ErrNoPreview, err)
		}
		if out.Len() <= MaxPreview {
			return Picture{JPEG: out.Bytes(), Width: pixels.X, Height: pixels.Y}, nil
		}
		if quality < 30 {
			return Picture{}, ErrNoPreview // noise this fine does not exist at this size
		}
	}
}

// noted remembers an error of reading, which decoders report as a broken image,
// and does not seek beyond the end, where a broken image may point.
type noted struct {
	r        io.ReadSeeker
	at, size int64
	err      error
}

func (n *noted) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	n.at += int64(k)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}

// Seek takes io.SeekStart and io.SeekCurrent.
func (n *noted) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekCurrent {
		offset += n.at
	}
	at, err := n.r.Seek(min(offset, n.size), io.SeekStart)
	if err != nil {
		n.err = err
	}
	n.at = at
	return at, err
}

// decode decodes an image whose size allows it.
func decode(r io.ReadSeeker) (_ image.Image, orientation int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the decoder gave up: %v", p)
		}
	}()
	l, err := layoutOf(r)
	if err != nil {
		return nil, 0, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	c, _, err := image.DecodeConfig(bufio.NewReader(r))
	if err != nil {
		return nil, 0, err
	}
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > maxDecoded || decodedSize(c, l) > maxDecoded {
		return nil, 0, fmt.Errorf("%d × %d pixels are too many", c.Width, c.Height)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	picture, _, err := image.Decode(bufio.NewReader(r))
	if err != nil {
		return nil, 0, err
	}
	return picture, l.orientation, nil
}

// decodedSize is the memory that decoding takes, in bytes.
func decodedSize(c image.Config, l layout) int64 {
	pixels := int64(c.Width) * int64(c.Height)
	if l.samples > 0 {
		bytes := pixels * int64(l.samples) / 4
		if l.progressive {
			bytes *= 5 // and a coefficient of four bytes for each sample
		}
		return bytes
	}
	switch c.ColorModel {
	case color.NRGBA64Model, color.RGBA64Model:
		return pixels * 8
	case color.GrayModel:
		return pixels
	case color.Gray16Model:
		return pixels * 2
	}
	if _, ok := c.ColorModel.(color.Palette); ok {
		return pixels
	}
	return pixels * 4
}

// shrink scales a picture down to a longer side, on white. Halving first keeps
// it smooth: each step means over four pixels.
func shrink(picture image.Image, side int) *image.RGBA {
	b := picture.Bounds()
	for max(b.Dx(), b.Dy()) > 2*side {
		half := image.NewRGBA(image.Rect(0, 0, max(b.Dx()/2, 1), max(b.Dy()/2, 1)))
		paint(half, picture)
		picture, b = half, half.Bounds()
	}
	w, h := b.Dx(), b.Dy()
	if longer := max(w, h); longer > side {
		w, h = max(w*side/longer, 1), max(h*side/longer, 1)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	paint(small, picture)
	return small
}

func paint(onto *image.RGBA, picture image.Image) {
	draw.Draw(onto, onto.Bounds(), image.White, image.Point{}, draw.Src)
	draw.ApproxBiLinear.Scale(onto, onto.Bounds(), picture, picture.Bounds(), draw.Over, nil)
}

// upright turns and mirrors a picture as its orientation says (Exif 2.3, tag
// Orientation).
func upright(p *image.RGBA, orientation int) *image.RGBA {
	if orientation < 2 || orientation > 8 {
		return p
	}
	w, h := p.Rect.Dx(), p.Rect.Dy()
	size := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(size)
	for y := range h {
		for x := range w {
			to := [...]image.Point{
				2: {w - 1 - x, y}, 3: {w - 1 - x, h - 1 - y}, 4: {x, h - 1 - y},
				5: {y, x}, 6: {h - 1 - y, x}, 7: {h - 1 - y, w - 1 - x}, 8: {y, w - 1 - x},
			}[orientation]
			copy(out.Pix[out.PixOffset(to.X, to.Y):][:4], p.Pix[p.PixOffset(x, y):][:4])
		}
	}
	return out
}

// VideoFrame is the preview of a video of which nothing else is known: a dark
// frame with a triangle.
var VideoFrame = sync.OnceValue(func() []byte {
	const w, h = 640, 360
	frame := image.NewGray(image.Rect(0, 0, w, h))
	for i := range frame.Pix {
		frame.Pix[i] = 0x20
	}
	for y := -60; y <= 60; y++ {
		for x := -50; x <= 50-(max(y, -y)*100/60); x++ {
			frame.SetGray(w/2+x, h/2+y, color.Gray{Y: 0xe0})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, frame, nil); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
})

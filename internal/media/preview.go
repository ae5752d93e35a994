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

	// maxDecoded bounds the memory a picture takes until it is small, in bytes:
	// 67 megapixels of an ordinary JPEG, 33 of a PNG. A picture that says it is
	// larger is not decoded.
	maxDecoded = 160 << 20

	// maxScans bounds how often a JPEG goes over its pixels: cameras and programs
	// do it some ten times, and each time costs time but hardly a byte.
	maxScans = 1000
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
	r = &near{r: r}
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return Picture{}, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return Picture{}, err
	}
	src := &noted{ctx: ctx, r: r, size: size}
	whole, pixels, orientation, err := decode(src)
	if src.err != nil {
		return Picture{}, src.err
	}
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrNoPreview, err)
	}
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
// and does not seek beyond the end, where a broken image may point. It gives
// nothing any more when ctx has ended.
type noted struct {
	ctx      context.Context
	r        io.ReadSeeker
	at, size int64
	err      error
}

func (n *noted) Read(p []byte) (int, error) {
	if n.err = n.ctx.Err(); n.err != nil {
		return 0, n.err
	}
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

// scans breaks off a JPEG that goes over its pixels too often. It counts the
// markers that begin a scan.
type scans struct {
	r    io.Reader
	left int
	last byte
}

func (s *scans) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for _, b := range p[:n] {
		if s.last == 0xff && b == 0xda {
			s.left--
		}
		s.last = b
	}
	if s.left < 0 {
		return 0, errors.New("it goes over its pixels too often")
	}
	return n, err
}

// decode decodes an image whose size allows it. size is that of the whole, which
// the first picture of an animation may not fill.
func decode(r io.ReadSeeker) (_ image.Image, size image.Point, orientation int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the decoder gave up: %v", p)
		}
	}()
	l, err := layoutOf(r)
	if err != nil {
		return nil, size, 0, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, size, 0, err
	}
	c, kind, err := image.DecodeConfig(bufio.NewReader(r))
	if err != nil {
		return nil, size, 0, err
	}
	size = image.Pt(c.Width, c.Height)
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > maxDecoded || decodedSize(c, kind, l) > maxDecoded {
		return nil, size, 0, fmt.Errorf("%d × %d pixels are too many", c.Width, c.Height)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, size, 0, err
	}
	var whole io.Reader = r
	if kind == "jpeg" {
		whole = &scans{r: r, left: maxScans}
	}
	picture, _, err := image.Decode(bufio.NewReader(whole))
	if err != nil {
		return nil, size, 0, err
	}
	if all := (image.Rectangle{Max: size}); kind == "gif" && picture.Bounds() != all {
		canvas := image.NewRGBA(all)
		draw.Draw(canvas, picture.Bounds(), picture, picture.Bounds().Min, draw.Src)
		picture = canvas
	}
	return picture, size, l.orientation, nil
}

// decodedSize is the memory that an image takes until it is small, in bytes:
// decoded, and once more at half its sides.
func decodedSize(c image.Config, kind string, l layout) int64 {
	pixels := int64(c.Width) * int64(c.Height)
	half := 4 * int64(max(c.Width/2, 1)) * int64(max(c.Height/2, 1))
	switch kind {
	case "jpeg":
		bytes := pixels * int64(l.samples) / 4
		if l.progressive {
			bytes *= 5 // and a coefficient of four bytes for each sample
		}
		if l.mixed {
			bytes += pixels * 4 // its colours are brought together
		}
		return bytes + half
	case "gif":
		return pixels*(1+4) + half // a picture, and all it stands on
	}
	bytes := pixels * 4
	switch c.ColorModel {
	case color.NRGBA64Model, color.RGBA64Model:
		bytes = pixels * 8
	case color.Gray16Model:
		bytes = pixels * 2
		if l.transparent {
			bytes = pixels * 8
		}
	case color.GrayModel:
		if !l.transparent {
			bytes = pixels
		}
	case color.NYCbCrAModel:
		bytes = pixels * 7 // what is seen through is decoded apart
	}
	if _, ok := c.ColorModel.(color.Palette); ok {
		bytes = pixels
	}
	if l.interlaced {
		bytes *= 2
	}
	return bytes + 2*8*int64(c.Width) + half // and two rows
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

package media_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/media"
)

// flag is a picture whose left half is red and whose right half is blue.
func flag(w, h int) *image.RGBA {
	p := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{R: 0xff, A: 0xff}
			if x >= w/2 {
				c = color.RGBA{B: 0xff, A: 0xff}
			}
			p.SetRGBA(x, y, c)
		}
	}
	return p
}

const place = "35.6586N 139.7454E"

// exif is an EXIF structure with an orientation and a place.
func exif(orientation uint16) []byte {
	var b bytes.Buffer
	b.WriteString("MM\x00*\x00\x00\x00\x08")
	entry := func(tag, kind uint16, count, value uint32) {
		_ = binary.Write(&b, binary.BigEndian, struct {
			Tag, Kind    uint16
			Count, Value uint32
		}{tag, kind, count, value})
	}
	_ = binary.Write(&b, binary.BigEndian, uint16(2))
	entry(0x112, 3, 1, uint32(orientation)<<16)
	entry(0x8825, 4, 1, 38) // GPS
	b.Write(make([]byte, 4))
	b.WriteString(place)
	return b.Bytes()
}

// photo is a JPEG as a phone makes it: with EXIF, and a colour profile.
func photo(t testing.TB, p image.Image, orientation uint16) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, p, nil))
	var head bytes.Buffer
	head.Write(out.Bytes()[:2])
	for _, s := range []struct {
		marker byte
		body   []byte
	}{{0xe1, append([]byte("Exif\x00\x00"), exif(orientation)...)}, {0xe2, []byte("ICC_PROFILE\x00\x01\x01profile")}, {0xfe, []byte(page)}} {
		head.Write([]byte{0xff, s.marker})
		_ = binary.Write(&head, binary.BigEndian, uint16(len(s.body)+2))
		head.Write(s.body)
	}
	return append(head.Bytes(), out.Bytes()[2:]...)
}

// chunk is a chunk of a PNG.
func chunk(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// zeroPNG is a PNG whose samples are all zero.
func zeroPNG(t testing.TB, w, h uint32, depth, colour, interlace byte, bytesPerPixel uint32, before ...[]byte) []byte {
	t.Helper()
	header := binary.BigEndian.AppendUint32(nil, w)
	header = append(binary.BigEndian.AppendUint32(header, h), depth, colour, 0, 0, interlace)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", header)...)
	out = append(out, bytes.Join(before, nil)...)
	passes := [][4]uint32{{0, 0, 1, 1}} // where it begins, and its steps
	if interlace == 1 {
		passes = [][4]uint32{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
	}
	var packed bytes.Buffer
	z, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	require.NoError(t, err)
	for _, p := range passes {
		columns, rows := (w-p[0]+p[2]-1)/p[2], (h-p[1]+p[3]-1)/p[3]
		_, err := z.Write(make([]byte, rows*(1+columns*bytesPerPixel)))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return append(append(out, chunk("IDAT", packed.Bytes())...), chunk("IEND", nil)...)
}

// greyJPEG is a JPEG of 8 × 8 pixels, with so many components, and so many scans
// after the first.
func greyJPEG(frame, components byte, scans int) []byte {
	segment := func(marker byte, body ...byte) []byte {
		return append([]byte{0xff, marker, 0, byte(len(body) + 2)}, body...)
	}
	out := append([]byte{0xff, 0xd8}, segment(0xee, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00")...)...)
	out = append(out, segment(0xdb, make([]byte, 1)...)...)
	binary.BigEndian.PutUint16(out[len(out)-3:], 2+65)
	out = append(out, bytes.Repeat([]byte{1}, 64)...)
	header, first := []byte{8, 0, 8, 0, 8, components}, []byte{components}
	for i := range components {
		header, first = append(header, i+1, 0x11, 0), append(first, i+1, 0)
	}
	out = append(out, segment(frame, header...)...)
	for _, table := range []byte{0x00, 0x10} { // one code, 0, for nothing
		out = append(out, segment(0xc4, append([]byte{table, 1}, make([]byte, 16)...)...)...)
	}
	if frame == 0xc2 {
		out = append(append(out, segment(0xda, append(first, 0, 0, 0)...)...), 0x7f)
	} else {
		out = append(append(out, segment(0xda, append(first, 0, 63, 0)...)...), 0)
	}
	for range scans {
		out = append(append(out, segment(0xda, 1, 1, 0, 1, 63, 0)...), 0x7f)
	}
	return append(out, 0xff, 0xd9)
}

func preview(t testing.TB, content []byte) image.Image {
	t.Helper()
	p, err := media.Preview(context.Background(), bytes.NewReader(content))
	require.NoError(t, err)
	require.LessOrEqual(t, len(p.JPEG), media.MaxPreview)
	img, kind, err := image.Decode(bytes.NewReader(p.JPEG))
	require.NoError(t, err)
	require.Equal(t, "jpeg", kind)
	require.LessOrEqual(t, max(img.Bounds().Dx(), img.Bounds().Dy()), media.PreviewSide)
	for _, trace := range []string{"Exif", place, "ICC_PROFILE", "JFIF", "script"} {
		require.NotContains(t, string(p.JPEG), trace)
	}
	return img
}

func isRed(c color.Color) bool {
	r, _, b, _ := c.RGBA()
	return r > 0xc000 && b < 0x4000
}

func TestAPreviewIsUprightAndHoldsNothingButPixels(t *testing.T) {
	t.Parallel()
	// Where the red half is when the picture is the right way up.
	for orientation, red := range map[uint16]string{1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom", 0: "left", 9: "left"} {
		content := photo(t, flag(64, 32), orientation)
		require.Contains(t, string(content), place)
		p := preview(t, content)
		w, h := p.Bounds().Dx(), p.Bounds().Dy()
		where := map[bool]string{true: "left", false: "right"}
		at := [2]image.Point{{4, h / 2}, {w - 4, h / 2}}
		size := image.Pt(64, 32)
		if orientation >= 5 && orientation <= 8 {
			where = map[bool]string{true: "top", false: "bottom"}
			at = [2]image.Point{{w / 2, 4}, {w / 2, h - 4}}
			size = image.Pt(32, 64)
		}
		require.Equal(t, size, p.Bounds().Size(), orientation)
		first, second := isRed(p.At(at[0].X, at[0].Y)), isRed(p.At(at[1].X, at[1].Y))
		require.NotEqual(t, first, second, orientation)
		require.Equal(t, red, where[first], orientation)
	}
}

func TestEveryKindOfPictureHasAPreview(t *testing.T) {
	t.Parallel()
	encode := func(f func(io.Writer) error) []byte {
		var out bytes.Buffer
		require.NoError(t, f(&out))
		return out.Bytes()
	}
	tall := flag(600, 3000)
	for name, content := range map[string][]byte{
		"jpeg": encode(func(w io.Writer) error { return jpeg.Encode(w, tall, nil) }),
		"png":  encode(func(w io.Writer) error { return png.Encode(w, tall) }),
		"gif":  encode(func(w io.Writer) error { return gif.Encode(w, tall, nil) }),
	} {
		require.Equal(t, image.Pt(204, 1024), preview(t, content).Bounds().Size(), name)
	}
	webp, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	require.NoError(t, err)
	require.Equal(t, image.Pt(1, 1), preview(t, webp).Bounds().Size())

	turned := encode(func(w io.Writer) error { return png.Encode(w, flag(64, 32)) })
	turned = append(append(append([]byte{}, turned[:33]...), chunk("eXIf", exif(6))...), turned[33:]...)
	require.Equal(t, image.Pt(32, 64), preview(t, turned).Bounds().Size(), "a PNG says its orientation, too")
	riff := append(append([]byte{}, webp...), "EXIF"...)
	riff = append(binary.LittleEndian.AppendUint32(riff, uint32(len(exif(6)))), exif(6)...)
	require.Equal(t, image.Pt(1, 1), preview(t, riff).Bounds().Size())
}

func TestPicturesOfUnusualProgramsHaveAPreview(t *testing.T) {
	t.Parallel()
	whole := photo(t, flag(64, 32), 6)
	stray := append(append(append([]byte{}, whole[:2]...), "\xff\xe1\x00\x08Exif\x00\x00 and more than it says"...), whole[2:]...)
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, flag(64, 32), nil))
	rgb := out.Bytes()
	for _, marker := range []byte{0xc0, 0xda} {
		at, step := bytes.Index(rgb, []byte{0xff, marker}), 2
		if at += 5; marker == 0xc0 {
			at, step = at+5, 3
		}
		rgb[at], rgb[at+step], rgb[at+2*step] = 'R', 'G', 'B'
	}
	animation := zeroPNG(t, 64, 32, 8, 6, 0, 4, chunk("acTL", []byte{0, 0, 0, 2, 0, 0, 0, 0}))
	require.Equal(t, "image/png", media.Sniff(animation))
	for name, c := range map[string]struct {
		content []byte
		size    image.Point
	}{
		"bytes between its parts": {stray, image.Pt(32, 64)}, "a JPEG of red, green and blue": {rgb, image.Pt(64, 32)},
		"a JPEG for print": {greyJPEG(0xc0, 4, 0), image.Pt(8, 8)}, "a JPEG of many scans": {greyJPEG(0xc2, 1, 100), image.Pt(8, 8)},
		"16 bits": {zeroPNG(t, 64, 32, 16, 2, 0, 6), image.Pt(64, 32)}, "interlaced": {zeroPNG(t, 64, 32, 8, 6, 1, 4), image.Pt(64, 32)},
		"grey that is seen through": {zeroPNG(t, 64, 32, 8, 0, 0, 1, chunk("tRNS", []byte{0, 7})), image.Pt(64, 32)}, "an animated PNG": {animation, image.Pt(64, 32)},
	} {
		require.Equal(t, c.size, preview(t, c.content).Bounds().Size(), name)
	}
}

func TestAnAnimationIsAsLargeAsAllOfItsPictures(t *testing.T) {
	t.Parallel()
	colours := color.Palette{color.White, color.RGBA{R: 0xff, A: 0xff}}
	first, second := image.NewPaletted(image.Rect(32, 0, 64, 32), colours), image.NewPaletted(image.Rect(0, 0, 64, 32), colours)
	for i := range first.Pix {
		first.Pix[i] = 1
	}
	var out bytes.Buffer
	require.NoError(t, gif.EncodeAll(&out, &gif.GIF{Image: []*image.Paletted{first, second}, Delay: []int{1, 1}, Config: image.Config{Width: 64, Height: 32}}))
	p := preview(t, out.Bytes())
	require.Equal(t, image.Pt(64, 32), p.Bounds().Size())
	require.False(t, isRed(p.At(10, 16)))
	require.True(t, isRed(p.At(54, 16)))
}

func TestWhatIsSeenThroughIsWhite(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, image.NewNRGBA(image.Rect(0, 0, 10, 10))))
	r, g, b, _ := preview(t, out.Bytes()).At(5, 5).RGBA()
	require.Greater(t, min(r, g, b), uint32(0xf000))
}

func TestNoiseStaysWithinLINEsLimit(t *testing.T) {
	t.Parallel()
	p, rnd := image.NewRGBA(image.Rect(0, 0, 1024, 1024)), rand.New(rand.NewPCG(1, 2))
	for i := range p.Pix {
		p.Pix[i] = byte(rnd.Uint32())
	}
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, p))
	preview(t, out.Bytes())
}

func TestABombIsNotDecoded(t *testing.T) {
	t.Parallel()
	header := binary.BigEndian.AppendUint32(nil, 60_000)
	header = append(binary.BigEndian.AppendUint32(header, 60_000), 8, 6, 0, 0, 0)
	bomb := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", header)...)
	huge := photo(t, flag(16, 16), 1)
	at := bytes.Index(huge, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(huge[at+5:], 65_000)
	binary.BigEndian.PutUint16(huge[at+7:], 65_000)
	whole := photo(t, flag(64, 64), 1)
	for name, content := range map[string][]byte{
		"a PNG of 3.6 gigapixels": bomb, "a JPEG of 4.2 gigapixels": huge, "a page": []byte(page), "a drawing": []byte(vector), "nothing": nil,
		"half a photo": whole[:len(whole)-200], "its head": whole[:20],
		"a GIF that is also a page":       []byte("GIF89a/*" + page + "*/"),
		"grey that takes four times more": zeroPNG(t, 6500, 6500, 8, 0, 0, 1, chunk("tRNS", []byte{0, 7})),
		"interlaced":                      zeroPNG(t, 4400, 4400, 8, 6, 1, 4),
		"a row of twenty million":         zeroPNG(t, 20_000_000, 1, 8, 0, 0, 1),
		"its pixels again and again":      greyJPEG(0xc2, 1, 1500),
	} {
		_, err := media.Preview(context.Background(), bytes.NewReader(content))
		require.ErrorIs(t, err, media.ErrNoPreview, name)
	}
}

func TestAFileThatCannotBeReadIsNoBrokenImage(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	_, err := media.Preview(context.Background(), failing{bytes.NewReader(photo(t, flag(64, 64), 1)[:100]), broken})
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, media.ErrNoPreview)
}

func TestAPictureIsDecodedNoLongerThanSomebodyWaits(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	content := zeroPNG(t, 2000, 2000, 8, 6, 0, 4)
	_, err := media.Preview(ctx, cancelling{bytes.NewReader(content), cancel})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, media.ErrNoPreview)
}

// cancelling is read by somebody who loses patience once decoding has begun.
type cancelling struct {
	io.ReadSeeker
	cancel func()
}

func (c cancelling) Read(p []byte) (int, error) {
	if at, err := c.Seek(0, io.SeekCurrent); err == nil && at > 4096 {
		c.cancel()
	}
	return c.ReadSeeker.Read(p)
}

// failing fails where the reader ends.
type failing struct {
	io.ReadSeeker
	err error
}

func (f failing) Read(p []byte) (int, error) {
	n, err := f.ReadSeeker.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.err
	}
	return n, err
}

func TestTheFrameOfAVideoIsAPreview(t *testing.T) {
	t.Parallel()
	p, err := jpeg.Decode(bytes.NewReader(media.VideoFrame()))
	require.NoError(t, err)
	require.Equal(t, image.Pt(640, 360), p.Bounds().Size())
}

func FuzzPreview(f *testing.F) {
	f.Add(photo(f, flag(16, 16), 6))
	var out bytes.Buffer
	require.NoError(f, png.Encode(&out, flag(8, 8)))
	f.Add(out.Bytes())
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPEXIF\x04\x00\x00\x00MM\x00*"))
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := media.Preview(context.Background(), bytes.NewReader(content))
		if err != nil {
			require.ErrorIs(t, err, media.ErrNoPreview)
			return
		}
		_, err = jpeg.Decode(bytes.NewReader(p.JPEG))
		require.NoError(t, err)
		require.NotContains(t, string(p.JPEG), "Exif")
	})
}

package media_test

import (
	"bytes"
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
		"a GIF that is also a page": []byte("GIF89a/*" + page + "*/"),
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

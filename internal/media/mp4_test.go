package media_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/media"
)

// box is a box of an MP4 file around others.
func box(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+8)), kind...), body...)
}

func big(n int, v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v)[8-n:] }

func header(scale, duration uint64) []byte {
	return box("mvhd", big(4, 0), big(8, 0), big(4, scale), big(4, duration), make([]byte, 80))
}

func longHeader(scale, duration uint64) []byte {
	return box("mvhd", big(4, 1<<24), big(8, 0), big(8, 0), big(4, scale), big(8, duration), make([]byte, 80))
}

func track(kind string) []byte {
	return box("trak", box("mdia", box("hdlr", big(8, 0), []byte(kind), make([]byte, 12))))
}

var (
	brand = box("ftyp", []byte("M4A \x00\x00\x00\x00M4A mp42"))
	sound = bytes.Join([][]byte{brand, box("moov", header(1000, 12_345), track("soun")), box("mdat", make([]byte, 1000))}, nil)
)

func TestAnMP4TellsHowLongItPlays(t *testing.T) {
	t.Parallel()
	largeData := append(append(big(4, 1), "mdat"...), append(big(8, 16+100), make([]byte, 100)...)...)
	for name, c := range map[string]struct {
		parts [][]byte
		film  media.Film
	}{
		"a sound":                 {[][]byte{sound}, media.Film{Duration: 12_345 * time.Millisecond, Audio: true}},
		"a film, its head behind": {[][]byte{brand, largeData, box("moov", longHeader(90_000, 450_000), track("vide"), track("soun"))}, media.Film{Duration: 5 * time.Second, Video: true, Audio: true}},
		"in fragments":            {[][]byte{brand, box("moov", header(1000, 0), box("mvex", box("mehd", big(4, 0), big(4, 2500))), track("soun"))}, media.Film{Duration: 2500 * time.Millisecond, Audio: true}},
		"nobody knows":            {[][]byte{brand, box("moov", header(1000, 0xffffffff), track("soun"))}, media.Film{Audio: true}},
		"no scale":                {[][]byte{brand, box("moov", header(0, 5000), track("soun"))}, media.Film{Audio: true}},
		"longer than a life":      {[][]byte{brand, box("moov", longHeader(1, 1<<62), track("soun"))}, media.Film{Audio: true}},
		"the last to the end":     {[][]byte{brand, box("moov", header(600, 600)), append(big(4, 0), "mdat rest"...)}, media.Film{Duration: time.Second}},
	} {
		film, err := media.MP4(bytes.NewReader(bytes.Join(c.parts, nil)))
		require.NoError(t, err, name)
		require.Equal(t, c.film, film, name)
	}
}

func TestABrokenMP4IsTold(t *testing.T) {
	t.Parallel()
	deep := box("trak")
	for range 10 {
		deep = box("trak", deep)
	}
	many := bytes.Repeat(box("free"), 5000)
	for name, content := range map[string][]byte{
		"nothing": nil, "a page": []byte(page), "half": sound[:len(sound)/30], "no film": brand,
		"a box larger than its file": append(big(4, 1<<30), "moov"...), "a box smaller than its head": append(big(4, 4), "moov"...),
		"boxes without end": append(append([]byte{}, brand...), box("moov", deep)...), "a million of them": append(append([]byte{}, brand...), many...),
		"a short header": append(append([]byte{}, brand...), box("moov", box("mvhd", big(4, 0)))...),
	} {
		_, err := media.MP4(bytes.NewReader(content))
		require.ErrorIs(t, err, media.ErrNotMP4, name)
	}
}

func FuzzMP4(f *testing.F) {
	f.Add(sound)
	f.Add(append(append([]byte{}, brand...), box("moov", longHeader(90_000, 450_000), track("vide"))...))
	f.Fuzz(func(t *testing.T, content []byte) {
		film, err := media.MP4(bytes.NewReader(content))
		if err != nil {
			require.ErrorIs(t, err, media.ErrNotMP4)
		}
		require.GreaterOrEqual(t, film.Duration, time.Duration(0))
	})
}

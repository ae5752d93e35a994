package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// layout is what the structure of an image file tells before it is decoded.
type layout struct {
	orientation int  // as EXIF counts, 1 to 8; 1 when it says nothing
	progressive bool // a progressive JPEG
	samples     int  // JPEG: samples to 4 pixels, all components together (4:2:0 has 6); 0 otherwise
	mixed       bool // a JPEG in other colours than brightness and two differences
	transparent bool // a PNG with a colour that is seen through
	interlaced  bool // an interlaced PNG
}

// maxSegments bounds how many parts of an image file are looked at, maxStray how
// many bytes between them that belong to none.
const maxSegments, maxStray = 1000, 4096

// maxEXIF bounds the EXIF that is read, which the formats bound alike or not at
// all. The orientation stands in its first directory.
const maxEXIF = 64 << 10

var errNoImage = errors.New("not an image this can read")

// layoutOf reads the layout of an image without its pixels.
func layoutOf(r io.ReadSeeker) (layout, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return layout{}, errNoImage
	}
	switch {
	case head[0] == 0xff && head[1] == 0xd8:
		return layoutOfJPEG(r)
	case string(head[:8]) == "\x89PNG\r\n\x1a\n":
		return layoutOfChunks(r, 8, binary.BigEndian, "eXIf", false)
	case string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		return layoutOfChunks(r, 12, binary.LittleEndian, "EXIF", true)
	case string(head[:4]) == "GIF8":
		return layout{orientation: 1}, nil
	}
	return layout{}, errNoImage
}

// layoutOfJPEG goes through the markers up to the frame header (ITU-T T.81,
// annex B). EXIF stands before it, in APP1 (Exif 2.3, 4.5.4).
func layoutOfJPEG(r io.ReadSeeker) (layout, error) {
	l := layout{orientation: 1}
	if _, err := r.Seek(2, io.SeekStart); err != nil {
		return l, err
	}
	for range maxSegments {
		marker, err := nextMarker(r)
		if err != nil {
			return l, err
		}
		if marker == 0x01 || marker >= 0xd0 && marker <= 0xd7 {
			continue // these stand alone
		}
		var n [2]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return l, errNoImage
		}
		length := int64(binary.BigEndian.Uint16(n[:])) - 2
		if length < 0 {
			return l, errNoImage
		}
		switch {
		case marker >= 0xc0 && marker <= 0xc2:
			l.progressive = marker == 0xc2
			var mixed bool
			l.samples, mixed, err = samplesOf(r, length)
			l.mixed = l.mixed || mixed
			return l, err
		case marker == 0xda || marker == 0xd9:
			return l, errNoImage // pixels before a frame header
		case marker == 0xe1 || marker == 0xee:
			segment := make([]byte, length)
			if _, err := io.ReadFull(r, segment); err != nil {
				return l, errNoImage
			}
			if exif, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); ok && marker == 0xe1 {
				l.orientation = orientationOf(exif)
			}
			if adobe, ok := bytes.CutPrefix(segment, []byte("Adobe")); ok && marker == 0xee && len(adobe) >= 7 {
				l.mixed = adobe[6] == 0 // RGB or CMYK
			}
		default:
			if _, err := r.Seek(length, io.SeekCurrent); err != nil {
				return l, err
			}
		}
	}
	return l, errNoImage
}

// nextMarker reads the next marker. Fill bytes may stand before it; so may, in
// files of careless programs, a few others.
func nextMarker(r io.Reader) (byte, error) {
	var last, b [1]byte
	for range maxStray {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, errNoImage
		}
		if last[0] == 0xff && b[0] != 0xff && b[0] != 0 {
			return b[0], nil
		}
		last = b
	}
	return 0, errNoImage
}

// samplesOf reads out of a frame header how many samples four pixels take, and
// whether they are mixed.
func samplesOf(r io.Reader, length int64) (samples int, mixed bool, err error) {
	if length < 6 || length > 6+3*4 {
		return 0, false, errNoImage
	}
	frame := make([]byte, length)
	if _, err := io.ReadFull(r, frame); err != nil {
		return 0, false, errNoImage
	}
	n, most, ids := int(frame[5]), 1, ""
	if n < 1 || n > 4 || len(frame) < 6+3*n {
		return 0, false, errNoImage
	}
	for i := range n {
		h, v := int(frame[6+3*i+1]>>4), int(frame[6+3*i+1]&15)
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return 0, false, errNoImage
		}
		most, samples, ids = max(most, h*v), samples+h*v, ids+string(rune(frame[6+3*i]))
	}
	return (4*samples + most - 1) / most, n == 4 || ids == "RGB", nil
}

// layoutOfChunks goes through the chunks of a PNG (type after length, a checksum
// behind) or of a WebP (type before length, padded to even) for its EXIF, and for
// what decoding a PNG takes, which stands before its pixels.
func layoutOfChunks(r io.ReadSeeker, from int64, order binary.ByteOrder, exif string, riff bool) (layout, error) {
	l := layout{orientation: 1}
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return l, err
	}
	pixels := riff
	for range maxSegments {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return l, nil // the end, or a broken one, which decoding will tell
		}
		length, kind := int64(order.Uint32(head[:4])), string(head[4:])
		skip := length + 4
		if riff {
			length, kind = int64(order.Uint32(head[4:])), string(head[:4])
			skip = length + length%2
		}
		read := int64(0)
		switch {
		case kind == exif && length <= maxEXIF, kind == "IHDR" && length == 13 && !riff:
			chunk := make([]byte, length)
			if _, err := io.ReadFull(r, chunk); err != nil {
				return l, nil
			}
			if read = length; kind == exif {
				l.orientation = orientationOf(bytes.TrimPrefix(chunk, []byte("Exif\x00\x00")))
				exif = "" // the first one counts
			} else {
				l.interlaced = chunk[12] != 0
			}
		case kind == "tRNS":
			l.transparent = true
		case kind == "IDAT":
			pixels = true
		}
		if exif == "" && pixels {
			return l, nil
		}
		if _, err := r.Seek(skip-read, io.SeekCurrent); err != nil {
			return l, err
		}
	}
	if !pixels {
		return l, errNoImage
	}
	return l, nil
}

// orientationOf reads the tag Orientation (274) of the first directory of a TIFF
// structure (TIFF 6.0, section 2).
func orientationOf(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 1
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 274 {
			if o := int(order.Uint16(entries[8:])); order.Uint16(entries[2:]) == 3 && o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

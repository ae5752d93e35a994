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
}

// maxSegments bounds how many parts of an image file are looked at.
const maxSegments = 1000

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
			l.samples, err = samplesOf(r, length)
			return l, err
		case marker == 0xda || marker == 0xd9:
			return l, errNoImage // pixels before a frame header
		case marker == 0xe1 && length <= maxEXIF:
			segment := make([]byte, length)
			if _, err := io.ReadFull(r, segment); err != nil {
				return l, errNoImage
			}
			if exif, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); ok {
				l.orientation = orientationOf(exif)
			}
		default:
			if _, err := r.Seek(length, io.SeekCurrent); err != nil {
				return l, err
			}
		}
	}
	return l, errNoImage
}

// nextMarker reads the next marker; fill bytes may stand before it.
func nextMarker(r io.Reader) (byte, error) {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil || b[0] != 0xff {
		return 0, errNoImage
	}
	for range maxSegments {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, errNoImage
		}
		if b[0] != 0xff {
			return b[0], nil
		}
	}
	return 0, errNoImage
}

// samplesOf reads out of a frame header how many samples four pixels take.
func samplesOf(r io.Reader, length int64) (int, error) {
	if length < 6 || length > 6+3*4 {
		return 0, errNoImage
	}
	frame := make([]byte, length)
	if _, err := io.ReadFull(r, frame); err != nil {
		return 0, errNoImage
	}
	n, most, samples := int(frame[5]), 1, 0
	if n < 1 || n > 4 || len(frame) < 6+3*n {
		return 0, errNoImage
	}
	for i := range n {
		h, v := int(frame[6+3*i+1]>>4), int(frame[6+3*i+1]&15)
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return 0, errNoImage
		}
		most, samples = max(most, h*v), samples+h*v
	}
	return (4*samples + most - 1) / most, nil
}

// layoutOfChunks goes through the chunks of a PNG (type after length, a checksum
// behind) or of a WebP (type before length, padded to even) for its EXIF.
func layoutOfChunks(r io.ReadSeeker, from int64, order binary.ByteOrder, exif string, riff bool) (layout, error) {
	l := layout{orientation: 1}
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return l, err
	}
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
		if kind == exif && length <= maxEXIF {
			chunk := make([]byte, length)
			if _, err := io.ReadFull(r, chunk); err != nil {
				return l, nil
			}
			l.orientation = orientationOf(bytes.TrimPrefix(chunk, []byte("Exif\x00\x00")))
			return l, nil
		}
		if _, err := r.Seek(skip, io.SeekCurrent); err != nil {
			return l, err
		}
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

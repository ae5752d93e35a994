package media

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"time"
)

// Film is what the container of an mp4 or m4a file tells (ISO/IEC 14496-12).
type Film struct {
	Duration     time.Duration // 0 when the container does not say
	Video, Audio bool          // which kinds of track there are
}

// ErrNotMP4 is what a file that is no MP4, or a broken one, comes to.
var ErrNotMP4 = errors.New("not an MP4 file")

const (
	maxBoxes = 4096
	maxDepth = 6
)

// MP4 reads what a container tells. Of the file it reads the headers of boxes
// only, at most a few thousand of them.
func MP4(r io.ReadSeeker) (Film, error) {
	r = &near{r: r}
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return Film{}, err
	}
	p := &mp4{r: r, boxes: maxBoxes}
	if err := p.walk(0, size, 0); err != nil {
		return Film{}, err
	}
	if !p.ftyp || !p.moov {
		return Film{}, ErrNotMP4
	}
	return p.film, nil
}

type mp4 struct {
	r          io.ReadSeeker
	boxes      int // how many more are read
	ftyp, moov bool
	scale      uint32 // units a second, of the film's header
	film       Film
}

// walk goes through the boxes between two places.
func (p *mp4) walk(from, to int64, depth int) error {
	for at := from; at+8 <= to; {
		if p.boxes--; p.boxes < 0 {
			return ErrNotMP4
		}
		head, err := p.read(at, 8)
		if err != nil {
			return err
		}
		size, body := int64(binary.BigEndian.Uint32(head)), at+8
		switch size {
		case 0:
			size = to - at // up to the end
		case 1:
			large, err := p.read(body, 8)
			if err != nil {
				return err
			}
			size, body = int64(min(binary.BigEndian.Uint64(large), 1<<62)), body+8
		}
		if size < body-at || size > to-at {
			return ErrNotMP4
		}
		if err := p.box(string(head[4:]), body, at+size, depth); err != nil {
			return err
		}
		at += size
	}
	return nil
}

// box looks at one box.
func (p *mp4) box(kind string, from, to int64, depth int) error {
	switch kind {
	case "ftyp":
		p.ftyp = true
	case "moov", "trak", "mdia", "mvex":
		p.moov = p.moov || kind == "moov"
		if depth == maxDepth {
			return ErrNotMP4
		}
		return p.walk(from, to, depth+1)
	case "mvhd":
		return p.header(from, to)
	case "mehd": // of a film in fragments, whose header may say 0
		return p.fragments(from, to)
	case "hdlr":
		if to-from < 12 {
			return ErrNotMP4
		}
		b, err := p.read(from, 12)
		if err != nil {
			return err
		}
		p.film.Video = p.film.Video || string(b[8:]) == "vide"
		p.film.Audio = p.film.Audio || string(b[8:]) == "soun"
	}
	return nil
}

// header reads the film's header: version and flags, two times, the scale and
// the duration; in version 1 times and duration are twice as long.
func (p *mp4) header(from, to int64) error {
	version, err := p.version(from, to)
	if err != nil {
		return err
	}
	n := int64(20)
	if version == 1 {
		n = 32
	}
	if to-from < n {
		return ErrNotMP4
	}
	b, err := p.read(from, n)
	if err != nil {
		return err
	}
	if version == 1 {
		p.scale = binary.BigEndian.Uint32(b[20:])
		p.lasts(binary.BigEndian.Uint64(b[24:]), ^uint64(0))
		return nil
	}
	p.scale = binary.BigEndian.Uint32(b[12:])
	p.lasts(uint64(binary.BigEndian.Uint32(b[16:])), uint64(^uint32(0)))
	return nil
}

func (p *mp4) fragments(from, to int64) error {
	version, err := p.version(from, to)
	if err != nil {
		return err
	}
	n := int64(8)
	if version == 1 {
		n = 12
	}
	if to-from < n {
		return ErrNotMP4
	}
	b, err := p.read(from, n)
	if err != nil {
		return err
	}
	if version == 1 {
		p.lasts(binary.BigEndian.Uint64(b[4:]), ^uint64(0))
		return nil
	}
	p.lasts(uint64(binary.BigEndian.Uint32(b[4:])), uint64(^uint32(0)))
	return nil
}

func (p *mp4) version(from, to int64) (byte, error) {
	if to-from < 4 {
		return 0, ErrNotMP4
	}
	b, err := p.read(from, 1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// lasts notes a duration in units of the scale, unless it says that nobody
// knows.
func (p *mp4) lasts(units, unknown uint64) {
	const longest = 1000 * time.Hour
	if p.scale == 0 || units == 0 || units == unknown {
		return
	}
	hi, lo := bits.Mul64(units, uint64(time.Second))
	if hi >= uint64(p.scale) {
		return
	}
	d, _ := bits.Div64(hi, lo, uint64(p.scale))
	if d <= uint64(longest) {
		p.film.Duration = max(p.film.Duration, time.Duration(d))
	}
}

func (p *mp4) read(at, n int64) ([]byte, error) {
	if _, err := p.r.Seek(at, io.SeekStart); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, ErrNotMP4
		}
		return nil, err
	}
	return b, nil
}

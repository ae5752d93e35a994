package media_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/media"
)

// distant is a file of which each read elsewhere is a request.
type distant struct {
	*bytes.Reader
	at       int64
	requests int
}

func (d *distant) Read(p []byte) (int, error) {
	at, err := d.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if at != d.at {
		d.requests++
	}
	n, err := d.Reader.Read(p)
	d.at = at + int64(n)
	return n, err
}

func TestLookingIntoAFileTakesFewRequests(t *testing.T) {
	t.Parallel()
	whole := zeroPNG(t, 300, 300, 8, 6, 0, 4)
	from := bytes.Index(whole, []byte("IDAT")) + 4
	pixels := whole[from : from+int(binary.BigEndian.Uint32(whole[from-8:]))]
	split := append([]byte{}, whole[:from-8]...)
	for len(pixels) > 0 { // as some programs write it
		n := min(len(pixels), 2)
		split, pixels = append(split, chunk("IDAT", pixels[:n])...), pixels[n:]
	}
	picture := &distant{Reader: bytes.NewReader(append(split, chunk("IEND", nil)...))}
	_, err := media.Preview(t.Context(), picture)
	require.NoError(t, err)
	require.LessOrEqual(t, picture.requests, 3)

	film := append(append([]byte{}, sound...), bytes.Repeat(append(box("moof", make([]byte, 100)), box("mdat", make([]byte, 5000))...), 1000)...)
	sounds := &distant{Reader: bytes.NewReader(film)}
	told, err := media.MP4(sounds)
	require.NoError(t, err)
	require.True(t, told.Audio)
	require.LessOrEqual(t, sounds.requests, 3)
}

package media

import (
	"errors"
	"io"
)

// nearby is how far a near reads on in place of moving, in bytes.
const nearby = 128 << 10

// near reads what somebody moves about in. Where a file is behind a network, each
// move is a request: a short way forward it reads on.
type near struct {
	r  io.ReadSeeker
	at int64
}

func (n *near) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	n.at += int64(k)
	return k, err
}

// Seek moves; what is beyond the end is the end.
func (n *near) Seek(offset int64, whence int) (int64, error) {
	switch {
	case whence == io.SeekCurrent:
		return n.Seek(n.at+offset, io.SeekStart)
	case whence == io.SeekStart && offset >= n.at && offset-n.at <= nearby:
		if _, err := io.CopyN(io.Discard, struct{ io.Reader }{n}, offset-n.at); err != nil && !errors.Is(err, io.EOF) {
			return n.at, err
		}
		return n.at, nil
	}
	at, err := n.r.Seek(offset, whence)
	if err == nil {
		n.at = at
	}
	return at, err
}

// Package clamd has files looked at by ClamAV's daemon: it is given their bytes
// and says which malware it takes them for.
//
// Source: https://docs.clamav.net/manual/Usage/Scanning.html and clamd(8), the
// commands PING and INSTREAM
package clamd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// ErrTooLarge is what a file comes to that the daemon does not take, or not look
// at as a whole: its clamd.conf bounds sizes, and what an archive unpacks to.
var ErrTooLarge = errors.New("the file is more than clamd looks at")

// ErrSilent is what a question comes to that the daemon does not answer, as a
// daemon does that hangs.
var ErrSilent = errors.New("clamd says nothing")

// ErrAddress is what an address comes to that New cannot use.
var ErrAddress = errors.New("clamd's address is host:port, or unix: and the path of its socket")

const (
	// chunk is how much of a file is sent at once, in bytes.
	chunk = 64 << 10
	// stall is how long the daemon may take nothing.
	stall = 30 * time.Second
	// verdictTime is how long the daemon may think once it has everything: longer
	// than the two minutes of its MaxScanTime. Each patience it is asked meanwhile
	// whether it is there, and has as long to say so.
	verdictTime, patience = 5 * time.Minute, 5 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 4 << 10
	// exceeded begins what the daemon calls a file of which it has seen a part
	// only, with AlertExceedsMax: it took nothing in it for malware.
	exceeded = "Heuristics.Limits.Exceeded"
)

// Scanner asks a daemon. It is safe for concurrent use: every file has a
// connection of its own, of which the daemon takes MaxThreads.
type Scanner struct {
	network, address string
	dialer           net.Dialer
	patience         time.Duration
}

// New returns the Scanner of the daemon at an address, such as
// clamd.example.com:3310 or unix:/run/clamav/clamd.ctl. It does not reach for it.
func New(address string) (*Scanner, error) {
	s := &Scanner{network: "tcp", address: address, dialer: net.Dialer{Timeout: 5 * time.Second}, patience: patience}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		s.network, s.address = "unix", path
		if !strings.HasPrefix(path, "/") {
			return nil, ErrAddress
		}
		return s, nil
	}
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return nil, ErrAddress
	}
	return s, nil
}

// Ping asks the daemon whether it is there.
func (s *Scanner) Ping(ctx context.Context) error {
	answer, err := s.ask(ctx, "zPING\x00", s.patience, func(net.Conn) error { return nil })
	if err == nil && answer != "PONG" {
		err = fmt.Errorf("clamd answered %q", answer)
	}
	return err
}

// Scan has a file looked at. signature names the malware that it holds, "" when
// it holds none that the daemon knows.
//
// It returns ErrTooLarge, or the error of reading file, or that the daemon did
// not answer or not as it should: then it can be asked again.
func (s *Scanner) Scan(ctx context.Context, file io.Reader) (signature string, err error) {
	var unread error
	answer, err := s.ask(ctx, "zINSTREAM\x00", verdictTime, func(c net.Conn) error {
		unread, err = send(c, file)
		return err
	})
	switch {
	case unread != nil:
		return "", unread
	case answer == "INSTREAM size limit exceeded. ERROR":
		return "", fmt.Errorf("%w (StreamMaxLength)", ErrTooLarge)
	case err != nil:
		return "", err
	}
	said, ok := strings.CutPrefix(answer, "stream: ")
	if ok && said == "OK" {
		return "", nil
	}
	if name, found := strings.CutSuffix(said, " FOUND"); ok && found && name != "" {
		if strings.HasPrefix(name, exceeded) {
			return "", fmt.Errorf("%w (%s)", ErrTooLarge, name)
		}
		return name, nil
	}
	return "", fmt.Errorf("clamd answered %q", answer)
}

// ask sends a command and what belongs to it, and reads the answer. A daemon that
// breaks off may have said why, so the answer is read in that case, too: then
// there are both.
func (s *Scanner) ask(ctx context.Context, command string, wait time.Duration, rest func(net.Conn) error) (answer string, err error) {
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	conn, err := s.dialer.DialContext(ctx, s.network, s.address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // the answer was read, or is not wanted
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(stall)); err != nil {
		return "", err
	}
	_, brokeOff := io.WriteString(conn, command)
	if brokeOff == nil {
		brokeOff = rest(conn)
	}
	if brokeOff != nil {
		wait = time.Second
	}
	answer, err = s.answer(ctx, conn, time.Now().Add(wait))
	if brokeOff != nil {
		return answer, brokeOff
	}
	return answer, err
}

// answer reads the daemon's answer, which ends with a zero.
func (s *Scanner) answer(ctx context.Context, conn net.Conn, until time.Time) (string, error) {
	said := make([]byte, 0, maxAnswer)
	for len(said) < maxAnswer {
		look := time.Now().Add(s.patience)
		if until.Before(look) {
			look = until
		}
		if err := conn.SetDeadline(look); err != nil {
			return string(said), err
		}
		n, err := conn.Read(said[len(said):maxAnswer])
		said = said[:len(said)+n]
		if i := bytes.IndexByte(said, 0); i >= 0 {
			return string(said[:i]), nil
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && look.Before(until):
			if err := s.Ping(ctx); err != nil {
				return string(said), fmt.Errorf("%w while it is waited for: %w", ErrSilent, err)
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return string(said), fmt.Errorf("%w: %w", ErrSilent, err)
		case err != nil:
			return string(said), fmt.Errorf("clamd did not answer: %w", err)
		}
	}
	return string(said), errors.New("clamd's answer is too long")
}

// send sends a file in pieces, each after its length, and a length of 0. unread
// is the error of reading the file.
func send(c net.Conn, file io.Reader) (unread, err error) {
	frame := make([]byte, 4+chunk)
	for {
		n, read := io.ReadFull(file, frame[4:])
		if read != nil && !errors.Is(read, io.EOF) && !errors.Is(read, io.ErrUnexpectedEOF) {
			_ = c.Close() // there is nothing to wait for
			return read, read
		}
		if err := c.SetDeadline(time.Now().Add(stall)); err != nil {
			return nil, err
		}
		binary.BigEndian.PutUint32(frame, uint32(n))
		if _, err := c.Write(frame[:4+n]); err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, nil
		}
	}
}

package clamd_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/clamd"
	"kaiwa/internal/clamd/clamdtest"
)

func scanner(t *testing.T, address string) *clamd.Scanner {
	t.Helper()
	s, err := clamd.New(address)
	require.NoError(t, err)
	return s
}

func TestTheDaemonSaysWhatAFileHolds(t *testing.T) {
	t.Parallel()
	d := clamdtest.Start(t)
	s := scanner(t, d.Address)
	require.NoError(t, s.Ping(t.Context()))
	clean := bytes.Repeat([]byte("nothing to see here. "), 1<<14) // of several pieces
	for _, c := range []struct {
		name      string
		file      []byte
		signature string
		err       error
	}{
		{"clean", clean, "", nil},
		{"empty", nil, "", nil},
		{"EICAR", clamdtest.EICAR(), clamdtest.Signature, nil},
		{"as large as can be", make([]byte, clamdtest.StreamMax), "", nil},
	} {
		signature, err := s.Scan(t.Context(), bytes.NewReader(c.file))
		require.Equal(t, c.err, err, c.name)
		require.Equal(t, c.signature, signature, c.name)
	}
	// What the daemon does not take it says, or it breaks off: then nothing is
	// known of the file, which is an error, too.
	_, err := s.Scan(t.Context(), bytes.NewReader(make([]byte, clamdtest.StreamMax+1)))
	require.ErrorIs(t, err, clamd.ErrTooLarge)
	signature, err := s.Scan(t.Context(), io.LimitReader(zeros{}, 200<<20))
	require.Error(t, err)
	require.Empty(t, signature)
}

func TestWhatTheDaemonHasSeenAPartOfIsNoMalware(t *testing.T) {
	t.Parallel()
	s := scanner(t, clamdtest.Start(t, "MaxFileSize 100K", "MaxScanSize 100K", "AlertExceedsMax yes").Address)
	packed := func(content []byte) []byte {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		w, err := z.Create("a.bin")
		require.NoError(t, err)
		_, err = w.Write(content)
		require.NoError(t, err)
		require.NoError(t, z.Close())
		return out.Bytes()
	}
	for name, file := range map[string][]byte{"a large file": make([]byte, 101<<10), "an archive of one": packed(make([]byte, 10<<20))} {
		signature, err := s.Scan(t.Context(), bytes.NewReader(file))
		require.ErrorIs(t, err, clamd.ErrTooLarge, name)
		require.Empty(t, signature, name)
	}
	signature, err := s.Scan(t.Context(), bytes.NewReader(packed(clamdtest.EICAR())))
	require.NoError(t, err)
	require.Equal(t, clamdtest.Signature, signature, "in an archive")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	_, err = scanner(t, gone.Addr().String()).Scan(t.Context(), strings.NewReader("x"))
	require.Error(t, err, "nobody is there")

	for name, answer := range map[string]string{"nothing": "", "another protocol": "HTTP/1.1 400 Bad Request\r\n\r\n", "an error": "stream: Can't allocate memory ERROR\x00", "a name of nothing": "stream:  FOUND\x00"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Everything is read, so that what is answered arrives.
			b := make([]byte, len("zINSTREAM\x00")+4+1+4)
			_, _ = io.ReadFull(c, b)
			_, _ = io.WriteString(c, answer)
			_ = c.Close()
		}()
		signature, err := scanner(t, l.Addr().String()).Scan(t.Context(), strings.NewReader("x"))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, clamd.ErrTooLarge, name)
		require.Empty(t, signature, name)
	}
}

func TestAFileThatCannotBeReadIsNotTheDaemonsFault(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := scanner(t, clamdtest.Silent(t)).Scan(t.Context(), io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

func TestASilentDaemonIsWaitedForNoLongerThanTheCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	tired := errors.New("tired")
	_, err := scanner(t, clamdtest.Silent(t)).Scan(ctx, &endless{then: func() { cancel(tired) }})
	require.ErrorIs(t, err, tired)
}

func TestADaemonThatHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	d := clamdtest.Start(t)
	s := scanner(t, d.Address).Impatient(50 * time.Millisecond)
	d.Hang()
	_, err := s.Scan(t.Context(), strings.NewReader("x"))
	require.ErrorIs(t, err, clamd.ErrSilent)
	require.ErrorIs(t, s.Ping(t.Context()), clamd.ErrSilent)
}

func TestADaemonThatThinksIsWaitedFor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	enough := make(chan struct{})
	go func() {
		for asked := 0; ; {
			c, err := l.Accept()
			if err != nil {
				return
			}
			command, err := bufio.NewReader(c).ReadString(0)
			if err != nil || command != "zPING\x00" {
				go func() {
					<-enough
					_, _ = io.WriteString(c, "stream: ")
					_, _ = io.WriteString(c, "OK\x00")
				}()
				continue
			}
			_, _ = io.WriteString(c, "PONG\x00")
			if asked++; asked == 3 {
				close(enough)
			}
		}
	}()
	signature, err := scanner(t, l.Addr().String()).Impatient(200*time.Millisecond).Scan(t.Context(), strings.NewReader("x"))
	require.NoError(t, err)
	require.Empty(t, signature)
}

// endless is a file whose end the caller does not wait for.
type endless struct{ then func() }

func (e *endless) Read(p []byte) (int, error) { e.then(); return 0, io.EOF }

func TestAnAddressIsAHostOrASocket(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"clamd:3310", "127.0.0.1:3310", "[::1]:3310", "unix:/run/clamav/clamd.ctl"} {
		_, err := clamd.New(ok)
		require.NoError(t, err, ok)
	}
	for _, wrong := range []string{"clamd", ":3310", "clamd:", "unix:clamd.ctl", "unix:", "http://clamd:3310/"} {
		_, err := clamd.New(wrong)
		require.ErrorIs(t, err, clamd.ErrAddress, wrong)
	}
}

package attachment

import (
	"context"
	"errors"
	"time"

	"kaiwa/internal/blob"
	"kaiwa/internal/clamd"
)

// ErrUnscannable is what a file comes to that the scanner does not take, however
// often it is asked.
var ErrUnscannable = errors.New("the scanner does not take the file")

// ScanOutcome is how one look of the scanner at a file ended.
type ScanOutcome string

// How it ended.
const (
	ScanClean       ScanOutcome = "clean"
	ScanMalware     ScanOutcome = "malware"
	ScanUnscannable ScanOutcome = "unscannable" // it takes no file that large
	ScanFailed      ScanOutcome = "failed"      // it did not answer, or the file could not be read
)

// Scanner has kept files looked at for malware. Nil looks at none.
type Scanner struct {
	daemon  *clamd.Scanner
	observe func(outcome ScanOutcome, took time.Duration)
}

// NewScanner returns the Scanner that asks a daemon. observe, when given, is told
// of each look.
func NewScanner(daemon *clamd.Scanner, observe func(ScanOutcome, time.Duration)) *Scanner {
	if observe == nil {
		observe = func(ScanOutcome, time.Duration) {}
	}
	return &Scanner{daemon, observe}
}

// Scan has a file of the bucket looked at. signature names the malware it holds,
// "" when it holds none that is known.
//
// It returns ErrUnscannable; other errors are those of the bucket and of the
// daemon, and a later call may come through.
func (s *Scanner) Scan(ctx context.Context, bucket *blob.Bucket, key string) (signature string, err error) {
	if s == nil {
		return "", nil
	}
	file, err := bucket.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	began := time.Now()
	signature, err = s.daemon.Scan(ctx, file)
	outcome := ScanClean
	switch {
	case errors.Is(err, clamd.ErrTooLarge):
		outcome, err = ScanUnscannable, errors.Join(ErrUnscannable, err)
	case err != nil:
		outcome = ScanFailed
	case signature != "":
		outcome = ScanMalware
	}
	s.observe(outcome, time.Since(began))
	return signature, err
}

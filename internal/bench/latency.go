package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range of times that are told apart: from a microsecond to ten minutes, to
// three digits.
const (
	shortest = int64(1)
	longest  = int64(10 * time.Minute / time.Microsecond)
	digits   = 3
)

// Latencies collects how long things took. It is safe for concurrent use.
type Latencies struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// NewLatencies returns an empty collection.
func NewLatencies() *Latencies {
	return &Latencies{h: hdrhistogram.New(shortest, longest, digits)}
}

// Record adds one; what is out of range counts as the end of the range.
func (l *Latencies) Record(d time.Duration) {
	us := min(max(int64(d/time.Microsecond), shortest), longest)
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.h.RecordValue(us) // it is within the range
}

// At is the time within which a share of them was done, such as 0.99; 0 when
// there are none.
func (l *Latencies) At(share float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.h.ValueAtQuantile(100*share)) * time.Microsecond
}

// Max is the longest.
func (l *Latencies) Max() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.h.Max()) * time.Microsecond
}

// Count is how many there are.
func (l *Latencies) Count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.TotalCount()
}

// millis is a time as figures have it.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

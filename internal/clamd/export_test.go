package clamd

import "time"

// Impatient has a daemon asked that often whether it is there.
func (s *Scanner) Impatient(each time.Duration) *Scanner {
	s.patience = each
	return s
}

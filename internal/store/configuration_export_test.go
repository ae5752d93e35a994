package store

import "context"

// ExecForTest runs a statement that no method of the store runs.
func (s *Store) ExecForTest(ctx context.Context, q string, args ...any) error {
	_, err := s.write().exec(ctx, q, args...)
	return err
}

// QueryForTest reads one text as it is stored.
func (s *Store) QueryForTest(ctx context.Context, q string, args ...any) (string, error) {
	var text string
	_, err := s.read().get(ctx, &text, q, args...)
	return text, err
}

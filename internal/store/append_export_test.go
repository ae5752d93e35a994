package store

// WebhooksForTest is how many webhooks wait to be stored.
func (s *Store) WebhooksForTest() int {
	s.appends.mu.Lock()
	defer s.appends.mu.Unlock()
	return len(s.appends.waiting)
}

package store

// AtMostForTest bounds the offers of one look.
func (r MatchRequest) AtMostForTest(n int) MatchRequest {
	r.atMost = n
	return r
}

// OverlappingForTest makes a look that does not wait for its turn.
func (r MatchRequest) OverlappingForTest() MatchRequest {
	r.overlaps = true
	return r
}

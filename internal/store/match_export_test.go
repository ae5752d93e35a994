package store

// AtMostForTest bounds the offers of one look.
func (r MatchRequest) AtMostForTest(n int) MatchRequest {
	r.atMost = n
	return r
}

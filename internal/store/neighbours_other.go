//go:build !unix

package store

import "time"

// neighbours has no manners here: SQLite alone decides who writes.
type neighbours struct {
	first, second manners
	patience      time.Duration
}

type manners struct{}

func meetNeighbours(string) (*neighbours, error) { return nil, nil }

func (*neighbours) close() {}

func (manners) take(time.Time) bool { return false }

func (manners) give() {}

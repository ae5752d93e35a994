package feed

import (
	"testing"

	"go.uber.org/goleak"
)

// The scratch server's administrator stays connected until the process ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

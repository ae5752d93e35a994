//go:build !unix

package embedded

// fileLock does nothing where there is no flock: keeping two servers off one
// database is left to their owner.
type fileLock struct{}

func lockFile(string) (*fileLock, error) { return &fileLock{}, nil }

func (*fileLock) release() {}

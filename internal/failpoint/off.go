//go:build !failpoint

package failpoint

// Hit marks an instant. In this build it does nothing.
func Hit(string) {}

package activities

import (
	"errors"

	"kaiwa/internal/store"
)

// fullTries bounds how often a step is decided anew because a queue has become
// full meanwhile: each time somebody else was taken.
const fullTries = 20

// whileFull does a step, and again while a queue becomes full between its being
// decided and its being done.
func whileFull(do func() (store.TransitionResult, error)) (res store.TransitionResult, err error) {
	for range fullTries {
		if res, err = do(); !errors.Is(err, store.ErrQueueFull) {
			break
		}
	}
	return res, err
}

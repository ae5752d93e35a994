package reconcile

import (
	"errors"

	"go.temporal.io/api/serviceerror"
)

func notFound(err error) bool {
	var nf *serviceerror.NotFound
	return errors.As(err, &nf)
}

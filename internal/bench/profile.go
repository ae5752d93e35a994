package bench

import "context"

// profiled runs a scenario, and takes profiles of the processes meanwhile where
// that is asked for.
func (r *run) profiled(ctx context.Context, _ int, do func(*run, context.Context) error) error {
	return do(r, ctx)
}

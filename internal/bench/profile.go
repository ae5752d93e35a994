package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"kaiwa/internal/rig"
)

// profileSeconds is how long one CPU profile takes. A scenario has as many as
// fit; `go tool pprof` puts several together.
const profileSeconds = 10

// profiled runs a scenario, and takes CPU profiles of the processes meanwhile
// where that is asked for.
func (r *run) profiled(ctx context.Context, scenario int, do func(*run, context.Context) error) error {
	if r.o.Profile == "" {
		return do(r, ctx)
	}
	taking, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, p := range []*rig.Process{r.rig.APIs[0], r.rig.Workers[0]} {
		all.Go(func() {
			for n := 1; taking.Err() == nil; n++ {
				file := filepath.Join(r.o.Profile, fmt.Sprintf("%s-%d-%s-%d.pprof", r.report.Store, scenario, p.Name, n))
				if err := r.profile(taking, p, file); err != nil && taking.Err() == nil {
					r.o.Progress("no profile: " + err.Error()) // its process was just killed, perhaps
					_ = sleep(taking, profileSeconds/2*breath)
				}
			}
		})
	}
	err := do(r, ctx)
	stop()
	all.Wait()
	return err
}

// pprofAddress is how a process says where its profiles are.
var pprofAddress = regexp.MustCompile(` pprof=(\S+)`)

// profile takes one profile. One that is cut short leaves no file.
func (r *run) profile(ctx context.Context, p *rig.Process, path string) (err error) {
	said, err := os.ReadFile(p.Log())
	if err != nil {
		return err
	}
	lives := pprofAddress.FindAllSubmatch(said, -1)
	if len(lives) == 0 {
		return fmt.Errorf("%s does not say where its profiles are", p.Name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", lives[len(lives)-1][1], profileSeconds), nil)
	if err != nil {
		return err
	}
	res, err := r.office.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

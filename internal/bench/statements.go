package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrapeTime bounds the reading of one process's metrics.
const scrapeTime = 5 * time.Second

// tally is what Kaiwa's processes have done since they began, as they say in
// their metrics.
type tally struct {
	statements float64 // SQL, BEGIN, COMMIT and ROLLBACK not counted
	looks      float64 // at who waits
	lookTime   time.Duration
}

func (t tally) minus(before tally) tally {
	return tally{t.statements - before.statements, t.looks - before.looks, t.lookTime - before.lookTime}
}

func (r *run) tally(ctx context.Context) (tally, error) {
	var all tally
	for _, p := range slices.Concat(r.rig.APIs, r.rig.Workers) {
		families, err := scrape(ctx, p.URL())
		if err != nil {
			return tally{}, fmt.Errorf("metrics of %s: %w", p.Name, err)
		}
		for _, m := range families["kaiwa_sql_statements_total"].GetMetric() {
			all.statements += m.GetCounter().GetValue()
		}
		for _, m := range families["kaiwa_dispatcher_look_duration_seconds"].GetMetric() {
			all.looks += float64(m.GetHistogram().GetSampleCount())
			all.lookTime += time.Duration(m.GetHistogram().GetSampleSum() * float64(time.Second))
		}
	}
	return all, nil
}

// scrape reads the metrics of one process, which have to be all there.
func scrape(ctx context.Context, url string) (map[string]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"kaiwa_sql_statements_total", "kaiwa_dispatcher_look_duration_seconds"} {
		if families[name] == nil {
			return nil, fmt.Errorf("there is no %s", name)
		}
	}
	return families, nil
}

// counted is a measure whose statements are counted, those of what runs beside
// it included: the numbering of events, streams, leaders.
func (r *run) counted(m measure, per *statementsPer) measure {
	return func(ctx context.Context) (Load, error) {
		before, err := r.tally(ctx)
		if err != nil {
			return Load{}, err
		}
		load, err := m(ctx)
		if err != nil {
			return load, err
		}
		after, err := r.tally(ctx)
		per.statements += after.minus(before).statements
		per.messages += load.Done
		return load, err
	}
}

// statementsPer adds up the statements of several rounds.
type statementsPer struct {
	statements float64
	messages   int
}

// one is how many a message cost.
func (p *statementsPer) one() float64 { return p.statements / float64(max(p.messages, 1)) }

package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrapeTime bounds the reading of one process's metrics.
const scrapeTime = 5 * time.Second

// statements is how many SQL statements Kaiwa's processes have run since they
// began, BEGIN, COMMIT and ROLLBACK not counted, as they say in their metrics.
func (r *run) statements(ctx context.Context) (float64, error) {
	var all float64
	for _, p := range slices.Concat(r.rig.APIs, r.rig.Workers) {
		n, err := statementsOf(ctx, p.URL())
		if err != nil {
			return 0, fmt.Errorf("SQL statements of %s: %w", p.Name, err)
		}
		all += n
	}
	return all, nil
}

func statementsOf(ctx context.Context, url string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("metrics: status %d", res.StatusCode)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return 0, err
	}
	family := families["kaiwa_sql_statements_total"]
	if family == nil {
		return 0, fmt.Errorf("metrics: there is no kaiwa_sql_statements_total")
	}
	var n float64
	for _, m := range family.GetMetric() {
		n += m.GetCounter().GetValue()
	}
	return n, nil
}

// counted is a measure whose statements are counted, those of what runs beside
// it included: the numbering of events, streams, leaders.
func (r *run) counted(m measure, per *statementsPer) measure {
	return func(ctx context.Context) (Load, error) {
		before, err := r.statements(ctx)
		if err != nil {
			return Load{}, err
		}
		load, err := m(ctx)
		if err != nil {
			return load, err
		}
		after, err := r.statements(ctx)
		per.statements += after - before
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

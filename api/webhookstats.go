package api

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// statsEvery is how often a process adds what it counted to the database.
const statsEvery = 5 * time.Second

// What is counted of webhooks, by its name in the database. Durations are counted
// by buckets: their names go on with the bucket's upper end in milliseconds.
const (
	countWebhooks     = "webhooks"
	countEvents       = "events"
	countDuplicates   = "duplicates"
	countRedeliveries = "redeliveries"
	countSignatures   = "refused_signatures"
	countMalformed    = "malformed"
	countRefused      = "refused"
	countNotStored    = "not_stored"
	countAcknowledged = "acknowledged_ms:" // how long LINE waited for its 200
	countAge          = "age_ms:"          // from LINE's timestamp to the receipt
)

// The upper ends of the buckets, in milliseconds; what is longer counts as the
// last. Acknowledgements are of interest up to LINE's 2 s, ages up to a day.
var (
	acknowledgedBuckets = []int64{1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 5000}
	ageBuckets          = []int64{50, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000, 60_000, 300_000, 1_800_000, 3_600_000, 86_400_000}
)

func bucket(of string, ends []int64, d time.Duration) string {
	end := ends[len(ends)-1]
	for _, e := range ends {
		if d <= time.Duration(e)*time.Millisecond {
			end = e
			break
		}
	}
	return of + strconv.FormatInt(end, 10)
}

// webhookStats counts webhooks in memory, by channel and hour, until they are
// added to the database. It is safe for concurrent use.
type webhookStats struct {
	mu     sync.Mutex
	counts map[statsKey]int64
}

type statsKey struct {
	channelID string
	hour      int64 // Unix seconds of its beginning
	name      string
}

func newWebhookStats() *webhookStats { return &webhookStats{counts: map[statsKey]int64{}} }

// add counts, all in the hour of at.
func (w *webhookStats) add(channelID string, at time.Time, counts map[string]int64) {
	hour := at.UTC().Truncate(time.Hour).Unix()
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, n := range counts {
		if n > 0 {
			w.counts[statsKey{channelID, hour, name}] += n
		}
	}
}

// stored counts a webhook that LINE gets its 200 for. events are as they were
// stored, raw as they came, in the same order.
func (w *webhookStats) stored(channelID string, receivedAt time.Time, took time.Duration, raw []line.RawEvent, events []store.InboxEvent) {
	counts := map[string]int64{countWebhooks: 1, countEvents: int64(len(events)), bucket(countAcknowledged, acknowledgedBuckets, took): 1}
	for i, e := range events {
		if e.Duplicate {
			counts[countDuplicates]++
		}
		if raw[i].Malformed != "" {
			counts[countMalformed]++
		}
		switch {
		case raw[i].Redelivery:
			counts[countRedeliveries]++
		case !raw[i].Timestamp.IsZero():
			counts[bucket(countAge, ageBuckets, receivedAt.Sub(raw[i].Timestamp))]++
		}
	}
	w.add(channelID, receivedAt, counts)
}

// ended counts a webhook that was not stored.
func (w *webhookStats) ended(channelID string, receivedAt time.Time, outcome string) {
	name := map[string]string{webhookBadSignature: countSignatures, webhookRefused: countRefused, webhookNotStored: countNotStored}[outcome]
	if name != "" {
		w.add(channelID, receivedAt, map[string]int64{name: 1})
	}
}

// take empties the counters.
func (w *webhookStats) take() []store.WebhookCount {
	w.mu.Lock()
	counts := w.counts
	w.counts = map[statsKey]int64{}
	w.mu.Unlock()
	out := make([]store.WebhookCount, 0, len(counts))
	for k, n := range counts {
		out = append(out, store.WebhookCount{ChannelID: k.channelID, Hour: time.Unix(k.hour, 0).UTC(), Name: k.name, N: n})
	}
	return out
}

// give puts back what could not be added.
func (w *webhookStats) give(counts []store.WebhookCount) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range counts {
		w.counts[statsKey{c.ChannelID, c.Hour.Unix(), c.Name}] += c.N
	}
}

// flushStats adds what was counted to the database, in one statement for all
// channels; nothing counted costs none.
func (s *Server) flushStats(ctx context.Context) error {
	counts := s.stats.take()
	if len(counts) == 0 {
		return nil
	}
	left, err := s.store.AddWebhookCounts(ctx, counts)
	s.stats.give(left)
	return err
}

// runStats flushes until ctx ends, and once more.
func (s *Server) runStats(ctx context.Context) {
	tick := time.NewTicker(statsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), statsEvery)
			defer cancel()
			if err := s.flushStats(last); err != nil {
				s.log.Warn("the last statistics of webhooks were not stored", "error", err)
			}
			return
		case <-tick.C:
		}
		if err := s.flushStats(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("statistics of webhooks were not stored; it is tried again", "error", err)
		}
	}
}

// defaultStatsHours is how much is shown when nobody says how much.
const defaultStatsHours = 24

// GetWebhookStats shows what webhooks a channel got.
func (s *Server) GetWebhookStats(ctx context.Context, r GetWebhookStatsRequestObject) (GetWebhookStatsResponseObject, error) {
	if _, err := s.channel(ctx, r.ID); err != nil {
		return nil, err
	}
	hours := r.Params.Hours
	if hours == 0 {
		hours = defaultStatsHours
	}
	to := time.Now().UTC().Truncate(time.Hour).Add(time.Hour)
	counts, err := s.store.WebhookCounts(ctx, r.ID, to.Add(-time.Duration(hours)*time.Hour), to)
	if err != nil {
		return nil, err
	}
	out := GetWebhookStats200JSONResponse{Hours: []WebhookHour{}}
	total := map[string]int64{}
	for len(counts) > 0 {
		hour, here := counts[0].Hour, map[string]int64{}
		for len(counts) > 0 && counts[0].Hour.Equal(hour) {
			here[counts[0].Name] += counts[0].N
			total[counts[0].Name] += counts[0].N
			counts = counts[1:]
		}
		out.Hours = append(out.Hours, WebhookHour{Hour: Time(hour), Counts: showCounts(here)})
	}
	out.Total = showCounts(total)
	return out, nil
}

func showCounts(n map[string]int64) WebhookCounts {
	return WebhookCounts{
		Webhooks: n[countWebhooks], Events: n[countEvents], Duplicates: n[countDuplicates], Redeliveries: n[countRedeliveries],
		RefusedSignatures: n[countSignatures], Malformed: n[countMalformed], Refused: n[countRefused], NotStored: n[countNotStored],
		AcknowledgementMs: percentiles(n, countAcknowledged, acknowledgedBuckets), EventAgeMs: percentiles(n, countAge, ageBuckets),
	}
}

// percentiles are the upper ends of the buckets in which they lie.
func percentiles(counts map[string]int64, of string, ends []int64) Percentiles {
	var sum int64
	for name, n := range counts {
		if strings.HasPrefix(name, of) {
			sum += n
		}
	}
	at := func(percent int64) *int64 {
		rank, seen := (sum*percent+99)/100, int64(0)
		for _, end := range ends {
			if seen += counts[of+strconv.FormatInt(end, 10)]; seen >= rank && sum > 0 {
				return &end
			}
		}
		return nil
	}
	return Percentiles{P50: at(50), P99: at(99)}
}

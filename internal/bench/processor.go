package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Processor is where the processors' time went while one thing was measured: how
// many of them each part of the machine kept busy, on average. It tells a figure
// that waits for the processor from one that waits for something else.
type Processor struct {
	Scenario int                `json:"scenario"`
	What     string             `json:"what"`
	Seconds  float64            `json:"seconds"`
	Cores    map[string]float64 `json:"cores"` // by part; those of a process that was killed meanwhile are with the others
	// Waiting is how many threads of a part were ready to run and waited for a
	// processor, on average; nothing where the kernel does not count it.
	Waiting map[string]float64 `json:"waiting,omitempty"`
}

// The parts that are not processes of their own.
const (
	partBenchmark = "benchmark" // this process, with the load, the simulator and the baseline's worker, and the one that started it
	partOthers    = "others"    // the kernel's threads, and whatever else runs on the machine
	partIdle      = "idle"
	partStolen    = "stolen" // by other machines of the same host
)

// usage is processor time by part.
type usage struct {
	ticks  map[string]uint64 // used, in hundredths of a second: the unit of Linux's /proc on every processor Go knows
	waited map[string]uint64 // by threads that live, in nanoseconds
}

const ticksPerSecond = 100

// watchProcessor begins to measure where the processors' time goes; what it
// returns ends that. Repeated measurements of one thing add up. It measures
// nothing where there is no /proc.
func (r *run) watchProcessor(scenario int, what string) (done func()) {
	begun := time.Now()
	before, ok := usageOf("/proc", os.Getpid())
	return func() {
		if after, still := usageOf("/proc", os.Getpid()); ok && still {
			r.report.addProcessor(scenario, what, time.Since(begun), before, after)
		}
	}
}

// watched is a measure of which it is told where the processors' time went.
func (r *run) watched(scenario int, what string, m measure) measure {
	return func(ctx context.Context) (Load, error) {
		defer r.watchProcessor(scenario, what)()
		return m(ctx)
	}
}

func (r *Report) addProcessor(scenario int, what string, took time.Duration, before, after usage) {
	i := slices.IndexFunc(r.Processor, func(p Processor) bool { return p.Scenario == scenario && p.What == what })
	if i < 0 {
		i = len(r.Processor)
		r.Processor = append(r.Processor, Processor{Scenario: scenario, What: what, Cores: map[string]float64{}, Waiting: map[string]float64{}})
	}
	p := &r.Processor[i]
	average(p.Cores, p.Seconds, took.Seconds(), before.ticks, after.ticks, ticksPerSecond)
	average(p.Waiting, p.Seconds, took.Seconds(), before.waited, after.waited, float64(time.Second))
	p.Seconds += took.Seconds()
}

// average takes further seconds into averages of some. A part with less than
// before has lost a process, and nothing is known of it.
func average(of map[string]float64, seconds, further float64, before, after map[string]uint64, perSecond float64) {
	for part := range of {
		of[part] *= seconds / (seconds + further)
	}
	for part, n := range after {
		if n >= before[part] {
			of[part] += float64(n-before[part]) / perSecond / (seconds + further)
		}
	}
}

// usageOf reads who used the processors how long so far, and whether the system
// tells.
func usageOf(proc string, self int) (_ usage, ok bool) {
	total, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return usage{}, false
	}
	line, _, _ := strings.Cut(string(total), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	if len(fields) < 9 {
		return usage{}, false
	}
	var n [9]uint64
	for i := 1; i < len(n); i++ {
		if n[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
			return usage{}, false
		}
	}
	u := usage{ticks: map[string]uint64{partIdle: n[4] + n[5], partStolen: n[8]}, waited: map[string]uint64{}}
	busy := n[1] + n[2] + n[3] + n[6] + n[7]
	processes, err := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	if err != nil {
		return usage{}, false
	}
	for _, dir := range processes {
		part, used := partOf(dir, self)
		if part == "" {
			continue
		}
		u.ticks[part] += used
		u.waited[part] += waited(dir)
		busy -= min(busy, used)
	}
	u.ticks[partOthers] = busy
	return u, true
}

// waited is how long a process's threads waited for a processor, in
// nanoseconds; 0 where the kernel does not tell.
func waited(dir string) (total uint64) {
	threads, err := filepath.Glob(filepath.Join(dir, "task", "*", "schedstat"))
	if err != nil {
		return 0
	}
	for _, file := range threads {
		stat, err := os.ReadFile(file)
		if err != nil { // it ended meanwhile
			continue
		}
		if fields := strings.Fields(string(stat)); len(fields) == 3 { // run, waited, how often
			n, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			total += n
		}
	}
	return total
}

// partOf tells which part a process belongs to and its processor time, "" for
// one of the others.
func partOf(dir string, self int) (part string, used uint64) {
	command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil { // it ended meanwhile
		return "", 0
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return "", 0
	}
	words := strings.Split(string(command), "\x00")
	name := filepath.Base(words[0])
	switch {
	case filepath.Base(dir) == strconv.Itoa(self), name == "kaiwa-dev" && len(words) > 1 && words[1] == "bench":
		part = partBenchmark
	case strings.HasPrefix(name, "postgres"):
		part = "postgres"
	case strings.HasPrefix(name, "kaiwa") && len(words) > 1:
		part = words[1] // api, worker, temporal
	default:
		return "", 0
	}
	// What follows the name, which is in parentheses and may contain anything:
	// the 14th and 15th fields of all are the times in the process and in the
	// kernel, the next two those of children that ended.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 15 {
		return "", 0
	}
	fields = fields[11:15]
	if part != "postgres" { // whose connections are processes that come and go
		fields = fields[:2]
	}
	for _, f := range fields {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return "", 0
		}
		used += n
	}
	return part, used
}

// printProcessor writes where the processors' time went.
func (r *Report) printProcessor(w io.Writer) error {
	parts := map[string]bool{}
	for _, p := range r.Processor {
		for part := range p.Cores {
			parts[part] = true
		}
	}
	if len(parts) == 0 {
		return nil
	}
	last := []string{partBenchmark, partOthers, partIdle, partStolen}
	columns := slices.DeleteFunc(slices.Sorted(maps.Keys(parts)), func(part string) bool { return slices.Contains(last, part) })
	columns = append(columns, last...)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "\n\tprocessors busy with, of %d (threads waiting for one)\t%s\n", runtime.NumCPU(), strings.Join(columns, "\t")) // Flush tells
	for _, p := range r.Processor {
		cells := []string{fmt.Sprint(p.Scenario), p.What}
		for _, part := range columns {
			cell := fmt.Sprintf("%.2f", p.Cores[part])
			if n, there := p.Waiting[part]; there {
				cell += fmt.Sprintf(" (%.2f)", n)
			}
			cells = append(cells, cell)
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

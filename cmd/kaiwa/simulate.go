package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/simulate"
	"kaiwa/internal/store"
)

// simulateCommand plays what an office would be like.
type simulateCommand struct {
	Run      simulateRun      `cmd:"" default:"withargs" help:"Play the office that files describe; prints waits, service level and occupancy."`
	Export   simulateExport   `cmd:"" help:"Write calendars, queues, skills, capacity profiles, agents, workstreams and rulesets of the database as such a file."`
	Arrivals simulateArrivals `cmd:"" help:"Write when the conversations of the database came, by queue, as such a file."`
}

type simulateRun struct {
	Files        []string `arg:"" name:"file" help:"YAML or JSON; several are read as one"`
	CSV          string   `name:"csv" placeholder:"FILE" help:"also write every figure there"`
	SVG          string   `name:"svg" placeholder:"FILE" help:"also draw waits and service level by hour there"`
	Seed         uint64   `placeholder:"N" help:"instead of the seed in the files"`
	Replications int      `placeholder:"N" help:"instead of the number in the files"`
}

// Help is what --help adds.
func (*simulateRun) Help() string {
	return "Conversations come, are classified, routed and offered by the rules that Kaiwa itself goes by, in virtual time; the same seed gives " +
		"the same figures. What the files say is told in docs/simulation.md, with an example in docs/examples."
}

// Run plays and prints.
func (c *simulateRun) Run(ctx context.Context, out streams) error {
	var files []simulate.File
	for _, name := range c.Files {
		content, err := os.ReadFile(name)
		if err != nil {
			return usage("%s cannot be read: %s", name, err)
		}
		files = append(files, simulate.File{Name: name, Content: content})
	}
	if c.Replications < 0 {
		return usage("--replications must be at least 1")
	}
	scenario, err := simulate.Load(files, beside(c.Files))
	if err != nil {
		return err
	}
	scenario.Change(c.Seed, c.Replications)
	report, err := simulate.Play(ctx, scenario)
	if err != nil {
		return err
	}
	for _, to := range []struct {
		file  string
		write func(io.Writer) error
	}{{c.CSV, report.CSV}, {c.SVG, report.SVG}} {
		if to.file == "" {
			continue
		}
		var b bytes.Buffer
		if err := to.write(&b); err != nil {
			return err
		}
		if err := os.WriteFile(to.file, b.Bytes(), 0o644); err != nil {
			return usage("%s cannot be written: %s", to.file, err)
		}
	}
	return report.Table(out.Out)
}

// beside reads files as they are named in a document: as seen from there.
func beside(documents []string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if filepath.IsAbs(name) {
			return os.ReadFile(name)
		}
		var first error
		for _, document := range documents {
			content, err := os.ReadFile(filepath.Join(filepath.Dir(document), name))
			if err == nil {
				return content, nil
			}
			if first == nil {
				first = err
			}
		}
		return nil, first
	}
}

type simulateExport struct {
	common
}

// Run writes the configuration.
func (c *simulateExport) Run(ctx context.Context, out streams) error {
	return c.withStore(ctx, out, func(st *store.Store, _ *slog.Logger) error {
		doc, err := configuration(ctx, st)
		if err != nil {
			return err
		}
		return writeDocument(out.Out, "# The configuration, for kaiwa simulate: add kinds and handling here, or in another file.", doc)
	})
}

type simulateArrivals struct {
	common
	Zone string `default:"UTC" placeholder:"ZONE" help:"IANA time zone of hours and days"`
	From string `placeholder:"DATE" help:"the first day; four weeks before --to unless given"`
	To   string `placeholder:"DATE" help:"the day after the last; today unless given"`
	Each string `placeholder:"FILE" help:"write the conversations one by one to this CSV file, instead of their mean by hour of the week"`
}

// Help is what --help adds.
func (*simulateArrivals) Help() string {
	return "The conversations that began on these days and came to wait, by workstream and the queue that was found for them first, with the mean number of " +
		"each hour of the week. Play it with the configuration and a file that says how long they take."
}

// Run writes when conversations came.
func (c *simulateArrivals) Run(ctx context.Context, out streams) error {
	past, err := c.past(time.Now())
	if err != nil {
		return err
	}
	return c.withStore(ctx, out, func(st *store.Store, _ *slog.Logger) error {
		lost, err := cameBefore(ctx, st, past)
		if err != nil {
			return err
		}
		if lost > 0 {
			if _, err := fmt.Fprintf(out.Err, "%d conversations are left out: no queue was found for them, or it is no more, or their workstream is.\n", lost); err != nil {
				return err
			}
		}
		doc := past.Document(c.Each)
		if len(doc.Kinds) == 0 {
			return usage("No conversation came to a queue on these days. Name others by --from and --to")
		}
		if c.Each != "" {
			var b bytes.Buffer
			if err := past.CSV(&b); err != nil {
				return err
			}
			if err := os.WriteFile(c.Each, b.Bytes(), 0o600); err != nil {
				return usage("%s cannot be written: %s", c.Each, err)
			}
		}
		from, to := past.Days()
		return writeDocument(out.Out, fmt.Sprintf("# What came from %s up to %s, for kaiwa simulate: play it with the configuration, and with handling.",
			from.Format(time.DateOnly), to.AddDate(0, 0, -1).Format(time.DateOnly)), doc)
	})
}

// past reads the days.
func (c *simulateArrivals) past(now time.Time) (*simulate.Past, error) {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil || c.Zone == "Local" || c.Zone == "" {
		return nil, usage("%q is no time zone: --zone is an IANA name such as Asia/Tokyo", c.Zone)
	}
	day := func(flag, text string, otherwise time.Time) (time.Time, error) {
		if text == "" {
			return otherwise, nil
		}
		t, err := time.ParseInLocation(time.DateOnly, text, zone)
		if err != nil {
			return t, usage("%q is no date: write %s as 2026-01-05", text, flag)
		}
		return t, nil
	}
	to, err := day("--to", c.To, now.In(zone))
	if err != nil {
		return nil, err
	}
	from, err := day("--from", c.From, to.AddDate(0, 0, -28))
	if err != nil {
		return nil, err
	}
	past, err := simulate.NewPast(zone, from, to)
	if err != nil {
		return nil, usage("%s", err)
	}
	return past, nil
}

// cameBefore adds what came, and returns how many were left out because nothing
// that is there would take them.
func cameBefore(ctx context.Context, st *store.Store, past *simulate.Past) (lost int, err error) {
	queues, err := everything(ctx, st.Queues, func(q store.Queue) store.Cursor { return store.Cursor{At: q.CreatedAt, ID: q.ID} })
	if err != nil {
		return 0, err
	}
	workstreams, err := everything(ctx, st.Workstreams, func(w store.Workstream) store.Cursor { return store.Cursor{At: w.CreatedAt, ID: w.ID} })
	if err != nil {
		return 0, err
	}
	names, there := map[string]string{}, map[string]bool{}
	for _, q := range queues {
		names[q.ID] = q.Name
	}
	for _, w := range workstreams {
		there[w.ID] = true
	}
	const size = 1000
	from, to := past.Days()
	for after := (store.Position{}); ; {
		page, err := st.Arrivals(ctx, from, to, after, size)
		if err != nil {
			return 0, err
		}
		for _, a := range page {
			if name, known := names[a.QueueID]; known && there[a.WorkstreamID] {
				past.Add(a.WorkstreamID, a.QueueID, name, a.At)
			} else {
				lost++
			}
		}
		if len(page) < size {
			return lost, nil
		}
		after = page[len(page)-1].Position
	}
}

// writeDocument writes a document after a line that says what it is.
func writeDocument(w io.Writer, headline string, doc simulate.Document) error {
	if _, err := fmt.Fprintln(w, headline); err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return err
	}
	return e.Close()
}

// configuration reads what routing goes by.
func configuration(ctx context.Context, st *store.Store) (simulate.Document, error) {
	var doc simulate.Document
	skills, err := everything(ctx, st.Skills, func(k store.Skill) store.Cursor { return store.Cursor{At: k.CreatedAt, ID: k.ID} })
	if err != nil {
		return doc, err
	}
	for _, k := range skills {
		doc.Skills = append(doc.Skills, simulate.Skill{ID: k.ID, Name: k.Name})
	}
	calendars, err := everything(ctx, st.Calendars, func(k store.Calendar) store.Cursor { return store.Cursor{At: k.CreatedAt, ID: k.ID} })
	if err != nil {
		return doc, err
	}
	for _, k := range calendars {
		doc.Calendars = append(doc.Calendars, simulate.Calendar{ID: k.ID, Name: k.Name, Calendar: k.Calendar})
	}
	profiles, err := everything(ctx, st.CapacityProfiles, func(p store.CapacityProfile) store.Cursor { return store.Cursor{At: p.CreatedAt, ID: p.ID} })
	if err != nil {
		return doc, err
	}
	for _, p := range profiles {
		doc.Profiles = append(doc.Profiles, simulate.Profile{ID: p.ID, Name: p.Name, LimitDefault: p.LimitDefault, Reset: string(p.Reset), Zone: p.Zone, Blocks: p.Blocks})
	}
	queues, err := everything(ctx, st.Queues, func(q store.Queue) store.Cursor { return store.Cursor{At: q.CreatedAt, ID: q.ID} })
	if err != nil {
		return doc, err
	}
	works := map[string][]string{}
	for _, q := range queues {
		doc.Queues = append(doc.Queues, queueOf(q))
		members, err := everything(ctx, func(ctx context.Context, after store.Cursor, limit int) ([]store.Member, error) {
			return st.Members(ctx, q.ID, after, limit)
		}, func(m store.Member) store.Cursor { return store.Cursor{At: m.Since, ID: m.AgentID} })
		if err != nil {
			return doc, err
		}
		for _, m := range members {
			works[m.AgentID] = append(works[m.AgentID], q.ID)
		}
	}
	agents, err := everything(ctx, st.Agents, func(a store.Agent) store.Cursor { return store.Cursor{At: a.CreatedAt, ID: a.ID} })
	if err != nil {
		return doc, err
	}
	for _, a := range agents {
		if len(works[a.ID]) == 0 {
			continue // nothing is ever offered to them
		}
		made := simulate.Agent{ID: a.ID, Name: a.Name, Capacity: &a.Capacity, Queues: works[a.ID]}
		for _, k := range a.Skills {
			made.Skills = append(made.Skills, simulate.SkillLevel{SkillID: k.SkillID, Level: int(k.Level)})
		}
		for _, p := range a.CapacityProfiles {
			made.Profiles = append(made.Profiles, simulate.ProfileLimit{ProfileID: p.ProfileID, Limit: p.Limit})
		}
		doc.Agents = append(doc.Agents, made)
	}
	workstreams, err := everything(ctx, st.Workstreams, func(w store.Workstream) store.Cursor { return store.Cursor{At: w.CreatedAt, ID: w.ID} })
	if err != nil {
		return doc, err
	}
	rulesets, err := everything(ctx, st.Rulesets, func(r store.Ruleset) store.Cursor { return store.Cursor{At: r.CreatedAt, ID: r.ID} })
	if err != nil {
		return doc, err
	}
	services := map[string]bool{} // are not asked
	for _, set := range rulesets {
		if services[set.ID] = set.Kind == store.RulesetService; !services[set.ID] {
			doc.Rulesets = append(doc.Rulesets, rulesetOf(set))
		}
	}
	for _, w := range workstreams {
		settings, timeout := w.Settings, simulate.Duration(time.Duration(w.Settings.Assignment.OfferTimeoutSeconds)*time.Second)
		doc.Workstreams = append(doc.Workstreams, simulate.Workstream{
			ID: w.ID, Name: w.Name, FallbackQueueID: w.FallbackQueueID,
			ClassificationRulesetIDs: slices.DeleteFunc(slices.Clone(settings.ClassificationRulesetIDs), func(id string) bool { return services[id] }),
			RouteRulesetID:           settings.RouteRulesetID, DefaultPriority: settings.DefaultPriority, CapacityUnits: settings.CapacityUnits,
			SkillMatching: string(settings.Assignment.SkillMatching), OfferTimeout: &timeout, MaxOffers: settings.Assignment.MaxOffers,
			CapacityProfileID: settings.CapacityProfileID, Presences: presencesOf(settings.Assignment.Presences), Affinity: string(settings.Assignment.Affinity),
		})
	}
	return doc, nil
}

func queueOf(q store.Queue) simulate.Queue {
	out := simulate.Queue{
		ID: q.ID, Name: q.Name, Priority: q.Priority, Assignment: string(q.Assignment), Custom: (*simulate.Custom)(q.Custom), CalendarID: q.CalendarID,
		Overflow: simulate.Overflow{MaxWaiting: q.Settings.Overflow.MaxWaiting, MaxWaitSeconds: q.Settings.Overflow.MaxWaitSeconds, Deflection: deflectionOf(q.Settings.Overflow.Deflection)},
	}
	if q.Settings.OutOfHours.On() {
		out.OutOfHours = deflectionOf(q.Settings.OutOfHours)
	}
	return out
}

func deflectionOf(d routing.Deflection) simulate.Deflection {
	return simulate.Deflection{Action: string(d.Action), QueueID: d.QueueID}
}

func presencesOf(list []conversation.Presence) (out []string) {
	for _, p := range list {
		if p != conversation.PresenceOffline { // nobody is there
			out = append(out, string(p))
		}
	}
	return out
}

func rulesetOf(set store.Ruleset) simulate.Ruleset {
	out := simulate.Ruleset{ID: set.ID, Name: set.Name, Kind: set.Kind, Rules: []simulate.Rule{}}
	for _, r := range set.Rules {
		outputs := simulate.Outputs{Attributes: r.Outputs.Attributes, Priority: r.Outputs.Priority, Units: r.Outputs.Units, Language: r.Outputs.Language, CapacityProfileID: r.Outputs.CapacityProfileID}
		for _, k := range r.Outputs.Skills {
			outputs.Skills = append(outputs.Skills, simulate.SkillLevel(k))
		}
		out.Rules = append(out.Rules, simulate.Rule{ID: r.ID, Name: r.Name, Condition: r.Condition, Outputs: &outputs})
	}
	for _, r := range set.RouteRules {
		out.Rules = append(out.Rules, simulate.Rule{ID: r.ID, Name: r.Name, Condition: r.Condition, QueueID: r.QueueID, Split: sharesOf(r.Split)})
	}
	return out
}

func sharesOf(split []routing.Share) (out []simulate.Share) {
	for _, s := range split {
		out = append(out, simulate.Share(s))
	}
	return out
}

// everything reads a list page by page.
func everything[T any](ctx context.Context, page func(context.Context, store.Cursor, int) ([]T, error), place func(T) store.Cursor) ([]T, error) {
	const size = 200
	var all []T
	var after store.Cursor
	for {
		items, err := page(ctx, after, size)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if len(items) < size {
			return all, nil
		}
		after = place(items[len(items)-1])
	}
}

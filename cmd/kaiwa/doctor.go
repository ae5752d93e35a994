package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"kaiwa/cmd/process"
	"kaiwa/internal/accesstoken"
	"kaiwa/internal/clamd"
	"kaiwa/internal/line"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/searchattr"
	"kaiwa/internal/settings"
	"kaiwa/internal/store"
)

const (
	// lookTime bounds each look at LINE, at the database and at Temporal.
	lookTime = 5 * time.Second
	// compareTime bounds the comparison of all open conversations with all runs.
	compareTime = time.Minute
	// endsSoon is before its end when an access token v2.1 should have been replaced
	// for a day: workers do it a week before.
	endsSoon = 6 * 24 * time.Hour
	// channelsAtOnce is how many channels LINE is asked about at once.
	channelsAtOnce = 8
)

// doctorCommand looks whether everything Kaiwa needs is there and agrees. It
// changes nothing and waits for nothing. It exits 1 when something is wrong.
type doctorCommand struct {
	common
	Temporal       settings.Temporal `embed:""`
	LINEAPIURL     string            `name:"line-api-url" aliases:"kaiwa-line-api-url" env:"KAIWA_LINE_API_URL" placeholder:"URL" help:"LINE's API host, if other than the public one"`
	LINEDataAPIURL string            `name:"line-data-api-url" aliases:"kaiwa-line-data-api-url" env:"KAIWA_LINE_DATA_API_URL" placeholder:"URL" help:"LINE's data API host, if other than the public one"`
	PublicURL      string            `name:"public-url" aliases:"kaiwa-public-url" env:"KAIWA_PUBLIC_URL" placeholder:"URL" help:"how LINE reaches the API; without it, the webhook's address is not compared"`
	ClamdAddr      string            `name:"clamd-addr" aliases:"kaiwa-clamd-addr" env:"KAIWA_CLAMD_ADDR" placeholder:"ADDR" help:"ClamAV's daemon, if it looks at files"`
	JSON           bool              `name:"json" help:"print JSON"`
}

// check is one thing the doctor looked at.
type check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, wrong, skipped
	Detail string `json:"detail"`
	Todo   string `json:"todo,omitempty"`
}

const (
	statusOK      = "ok"
	statusWrong   = "wrong"
	statusSkipped = "skipped"
)

func good(name, format string, args ...any) check {
	return check{Name: name, Status: statusOK, Detail: fmt.Sprintf(format, args...)}
}

func skipped(name, why string) check { return check{Name: name, Status: statusSkipped, Detail: why} }

func bad(name, todo, format string, args ...any) check {
	return check{Name: name, Status: statusWrong, Detail: fmt.Sprintf(format, args...), Todo: todo}
}

// diagnosis is all of it.
type diagnosis struct {
	Checks []check
	Report *reconcile.Report // nil when it could not be made
}

func (d *diagnosis) add(c ...check) { d.Checks = append(d.Checks, c...) }

func (d *diagnosis) healthy() bool {
	for _, c := range d.Checks {
		if c.Status == statusWrong {
			return false
		}
	}
	return d.Report != nil && d.Report.Healthy()
}

// Run looks and prints.
func (c *doctorCommand) Run(ctx context.Context, out streams) error {
	outside := settings.Outside{LINEAPIURL: c.LINEAPIURL, LINEDataAPIURL: c.LINEDataAPIURL, PublicURL: cmp.Or(c.PublicURL, "http://127.0.0.1"), BlobURL: "mem://", ClamdAddr: c.ClamdAddr}
	if err := firstWrong(c.common.Check, outside.Check); err != nil {
		return err
	}
	temporal, err := process.NewTemporal(c.Temporal, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer temporal.Close()
	d := &diagnosis{}
	st, usable := c.lookAtDatabase(ctx, d)
	if st != nil {
		defer func() { _ = st.Close() }() // nothing was written
	}
	answers := lookAtTemporal(ctx, d, temporal)
	c.lookAtScanner(ctx, d)
	if usable {
		c.lookAtChannels(ctx, d, st)
	}
	if usable && answers {
		compare(ctx, d, st, temporal)
	}
	show := d.print
	if c.JSON {
		show = d.printJSON
	}
	if err := show(out.Out); err != nil {
		return err
	}
	if !d.healthy() {
		return errReported
	}
	return nil
}

// lookAtDatabase returns the open database, and whether its schema is current.
func (c *doctorCommand) lookAtDatabase(ctx context.Context, d *diagnosis) (*store.Store, bool) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	st, err := process.OpenStore(ctx, c.Common)
	if err != nil {
		d.add(bad("database", "Is it running, and is KAIWA_DATABASE_URL right?", "%s", err))
		return nil, false
	}
	d.add(good("database", "answers"))
	current, err := st.SchemaCurrent(ctx)
	switch {
	case err != nil:
		d.add(bad("schema", "", "%s", err))
	case !current:
		d.add(bad("schema", "Run kaiwa migrate.", "older than this version of Kaiwa"))
	default:
		d.add(good("schema", "current"))
	}
	return st, err == nil && current
}

// lookAtTemporal tells whether the namespace can be asked.
func lookAtTemporal(ctx context.Context, d *diagnosis, t *process.Temporal) bool {
	if err := t.Check(ctx); err != nil {
		todo := "Is it running, and is TEMPORAL_ADDRESS right? Webhooks are stored meanwhile."
		var wrong *settings.Error
		if errors.As(err, &wrong) {
			todo = ""
		}
		d.add(bad("Temporal", todo, "%s", err))
		return false
	}
	d.add(good("Temporal", "answers at %s, namespace %s", t.Address, t.Namespace))
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	names, err := searchattr.Missing(ctx, t.Client, t.Namespace)
	switch {
	case err != nil:
		d.add(bad("search attributes", "", "%s", err))
	case len(names) > 0:
		d.add(bad("search attributes", "Run kaiwa migrate.", "missing: %s", strings.Join(names, ", ")))
	default:
		d.add(good("search attributes", "registered"))
	}
	return true
}

// lookAtScanner asks the malware scanner, where there is one.
func (c *doctorCommand) lookAtScanner(ctx context.Context, d *diagnosis) {
	if c.ClamdAddr == "" {
		d.add(skipped("malware scanner", "KAIWA_CLAMD_ADDR is not set: nobody looks at files"))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	daemon, err := clamd.New(c.ClamdAddr)
	if err == nil {
		err = daemon.Ping(ctx)
	}
	if err != nil {
		d.add(bad("malware scanner", "Is clamd running, and is KAIWA_CLAMD_ADDR right? Customers' files wait meanwhile, and go into quarantine after half an hour.", "%s", err))
		return
	}
	d.add(good("malware scanner", "answers at %s", c.ClamdAddr))
}

// lookAtChannels asks LINE about every channel.
func (c *doctorCommand) lookAtChannels(ctx context.Context, d *diagnosis, st *store.Store) {
	const page = 200
	var after store.Cursor
	tokens := accesstoken.New(line.New(line.Config{APIURL: c.LINEAPIURL, DataAPIURL: c.LINEDataAPIURL}), nil)
	for {
		list, err := st.Channels(ctx, after, page)
		if err != nil {
			d.add(bad("channels", "Does KAIWA_SECRET_KEYS have every key that was ever used?", "%s", err))
			return
		}
		checks := make([]check, len(list))
		var wg sync.WaitGroup
		free := make(chan struct{}, channelsAtOnce)
		for i, ch := range list {
			free <- struct{}{}
			wg.Go(func() {
				checks[i] = c.lookAtChannel(ctx, tokens, ch)
				<-free
			})
			after = store.Cursor{At: ch.CreatedAt, ID: ch.ID}
		}
		wg.Wait()
		d.add(checks...)
		if len(list) < page {
			return
		}
	}
}

func (c *doctorCommand) lookAtChannel(ctx context.Context, tokens *accesstoken.Keeper, ch store.Channel) check {
	name := "channel " + ch.Name + " (" + ch.ID + ")"
	if ch.Status != store.ChannelActive {
		return skipped(name, "it is disabled")
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	client, _, err := tokens.As(ctx, ch)
	var info line.BotInfo
	if err == nil {
		info, err = client.BotInfo(ctx)
	}
	if line.ClassOf(err) == line.ClassUnauthorized {
		return bad(name, "POST /api/v1/channels/{id}/check says what to do; what waits is sent then.", "LINE does not accept its access token")
	}
	if err != nil {
		return bad(name, "Can this machine reach LINE?", "LINE did not answer as it should: %s", err)
	}
	if ch.BotUserID != "" && ch.BotUserID != info.UserID {
		return bad(name, "Give this channel its own access token.", "its access token is of another bot, %s", info.BasicID)
	}
	const connect = "POST /api/v1/channels/{id}/connect sets it."
	at, err := client.WebhookEndpoint(ctx)
	expected := strings.TrimRight(c.PublicURL, "/") + "/webhooks/line/" + ch.ID
	switch {
	case line.ClassOf(err) == line.ClassNotFound:
		return bad(name, connect, "no webhook URL is set at LINE")
	case err != nil:
		return bad(name, "Can this machine reach LINE?", "LINE did not answer as it should: %s", err)
	case c.PublicURL != "" && at.URL != expected:
		return bad(name, connect, "LINE delivers to %s, not to %s", at.URL, expected)
	case !at.Active:
		return bad(name, "Turn on “Use webhook” in the LINE Developers Console.", "LINE delivers nothing: “Use webhook” is off")
	case ch.TokenKind == store.TokenAsserted && time.Until(ch.TokenExpiresAt) < endsSoon:
		return bad(name, "Do workers run? Is its assertion signing key registered in the LINE Developers Console? Workers log what LINE says.",
			"its access token ends at %s, and it has no other yet", ch.TokenExpiresAt.Format(time.RFC3339))
	}
	return good(name, "%s; LINE delivers to %s", info.BasicID, at.URL)
}

// compare looks for conversations and runs that do not agree.
func compare(ctx context.Context, d *diagnosis, st *store.Store, t *process.Temporal) {
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	r := reconcile.Reconciler{Store: st, Temporal: t.Client, Namespace: t.Namespace}
	report, err := r.Reconcile(ctx, false)
	if err != nil {
		d.add(bad("conversations", "", "they could not be compared with Temporal's runs: %s", err))
		return
	}
	d.Report = &report
}

// print writes the diagnosis for people.
func (d *diagnosis) print(w io.Writer) error {
	var b strings.Builder
	for _, c := range d.Checks {
		fmt.Fprintf(&b, "%-8s %s: %s\n", c.Status, c.Name, c.Detail)
		if c.Todo != "" {
			fmt.Fprintf(&b, "         → %s\n", c.Todo)
		}
	}
	b.WriteByte('\n')
	if d.Report != nil {
		d.Report.Print(&b)
	} else {
		b.WriteString("conversations were not compared with Temporal's runs: it takes both, the database and Temporal\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// found is a reconcile.Finding as JSON.
type found struct {
	Count int      `json:"count"`
	IDs   []string `json:"ids"` // at most 20
}

func findings(f reconcile.Finding) found { return found{f.Count, append([]string{}, f.IDs...)} }

// printJSON writes the diagnosis for programs.
func (d *diagnosis) printJSON(w io.Writer) error {
	type conversations struct {
		Open            int        `json:"open"`
		Runs            int        `json:"runs"`
		WithoutRun      found      `json:"without_run"`
		WithoutRow      found      `json:"without_row"`
		Unsaid          found      `json:"unsaid"`
		Unhandled       int        `json:"unhandled_events"`
		OldestUnhandled *time.Time `json:"oldest_unhandled"`
		Waiting         int        `json:"waiting"`
		Overdue         int        `json:"overdue"`
		NoDispatcher    bool       `json:"no_dispatcher"`
	}
	out := struct {
		OK            bool           `json:"ok"`
		Checks        []check        `json:"checks"`
		Conversations *conversations `json:"conversations"` // null when they could not be compared
	}{OK: d.healthy(), Checks: d.Checks}
	if r := d.Report; r != nil {
		out.Conversations = &conversations{
			Open: r.OpenConversations, Runs: r.Runs, WithoutRun: findings(r.WithoutRun), WithoutRow: findings(r.WithoutRow), Unsaid: findings(r.Unsaid), Unhandled: r.Unhandled,
			Waiting: r.Waiting, Overdue: r.Overdue, NoDispatcher: r.NoDispatcher,
		}
		if !r.OldestUnhandled.IsZero() {
			at := r.OldestUnhandled.UTC().Truncate(time.Millisecond)
			out.Conversations.OldestUnhandled = &at
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

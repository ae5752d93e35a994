package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kaiwa/cmd/process"
	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
	"kaiwa/internal/store"
)

// adminCommand does, straight on the database, what takes an administrator
// elsewhere.
type adminCommand struct {
	Create adminCreate `cmd:"" help:"Create an administrator; prints a token, once."`
	Token  adminToken  `cmd:"" help:"Issue a token to somebody who is there; prints it, once."`
}

// byCommand is how the audit log names what is done here.
var byCommand = store.Origin{AgentName: "kaiwa admin"}

// withStore runs f on the database.
func (c common) withStore(ctx context.Context, out streams, f func(*store.Store, *slog.Logger) error) error {
	if err := c.Check(); err != nil {
		return err
	}
	logger, err := process.Logger(out.Err, c.LogLevel)
	if err != nil {
		return err
	}
	st, err := c.openStore(ctx, logger)
	if err != nil {
		return err
	}
	defer closeStore(st, logger)
	current, err := st.SchemaCurrent(ctx)
	if err != nil {
		return fmt.Errorf("the database does not tell its schema: %w", err)
	}
	if !current {
		return fmt.Errorf("the database's schema is older than this version: run kaiwa migrate first")
	}
	return f(st, logger)
}

type adminCreate struct {
	common
	Name   string `required:"" help:"what colleagues see"`
	Email  string `required:"" help:"email address, unique"`
	Locale string `default:"en" help:"language of the console, such as en, ja or zh-TW"`
}

// Run creates an administrator and prints a token without end.
func (c *adminCreate) Run(ctx context.Context, out streams) error {
	email, err := address(c.Email)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(c.Name)
	if name == "" || utf8.RuneCountInString(name) > 100 {
		return usage("--name must have 1 to 100 characters")
	}
	if !locale.Valid(c.Locale) {
		return usage("--locale must be a language tag such as en, ja or zh-TW")
	}
	return c.withStore(ctx, out, func(st *store.Store, _ *slog.Logger) error {
		a, err := st.CreateAgent(ctx, byCommand, store.Agent{Name: name, Email: email, Role: store.RoleAdmin, Locale: c.Locale, Capacity: store.DefaultCapacity})
		if conversation.CodeOf(err) == conversation.CodeConflict {
			return fmt.Errorf("there is somebody with the email address %s already: kaiwa admin token --email %s issues a token", email, email)
		}
		if err != nil {
			return err
		}
		return issue(ctx, out, st, a, store.RoleAdmin, time.Time{})
	})
}

type adminToken struct {
	common
	Email   string `required:"" help:"whose token it is"`
	Role    string `enum:"agent,supervisor,admin," default:"" help:"agent, supervisor or admin, if less than its owner's"`
	Expires string `placeholder:"WHEN" help:"a time such as 12h or 90d from now, or a date such as 2027-01-31 (UTC); never when not given"`
}

// Run issues a token and prints it.
func (c *adminToken) Run(ctx context.Context, out streams) error {
	email, err := address(c.Email)
	if err != nil {
		return err
	}
	expires, err := expiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	return c.withStore(ctx, out, func(st *store.Store, _ *slog.Logger) error {
		a, err := agentByEmail(ctx, st, email)
		if err != nil {
			return err
		}
		role := store.Role(c.Role)
		if role == "" {
			role = a.Role
		}
		if !a.Role.Includes(role) {
			return usage("--role %s is more than the owner has, who is %s", role, a.Role)
		}
		return issue(ctx, out, st, a, role, expires)
	})
}

// issue issues a token and prints its value, alone, to Out.
func issue(ctx context.Context, out streams, st *store.Store, a store.Agent, role store.Role, expires time.Time) error {
	value := store.NewTokenValue()
	if _, err := st.IssueToken(ctx, byCommand, store.Token{AgentID: a.ID, Name: "kaiwa admin", Role: role, ExpiresAt: expires}, value); err != nil {
		return err
	}
	until := "it does not expire"
	if !expires.IsZero() {
		until = "it expires " + expires.UTC().Format(time.RFC3339)
	}
	if _, err := fmt.Fprintf(out.Err, "Token of %s (%s, %s), role %s; %s. It is shown this once:\n", a.Name, a.Email, a.ID, role, until); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out.Out, value)
	return err
}

// agentByEmail looks through everybody: there are hundreds, not millions.
func agentByEmail(ctx context.Context, st *store.Store, email string) (store.Agent, error) {
	const page = 200
	var after store.Cursor
	for {
		list, err := st.Agents(ctx, after, page)
		if err != nil {
			return store.Agent{}, err
		}
		for _, a := range list {
			if a.Email == email {
				return a, nil
			}
			after = store.Cursor{At: a.CreatedAt, ID: a.ID}
		}
		if len(list) < page {
			return store.Agent{}, fmt.Errorf("there is nobody with the email address %s", email)
		}
	}
}

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// emailPattern is what the API accepts too.
var emailPattern = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)

// address is an email address as the database has it.
func address(email string) (string, error) {
	if !emailPattern.MatchString(email) || len(email) > 254 {
		return "", usage("--email must be an email address")
	}
	return strings.ToLower(email), nil
}

// expiry reads when a token expires; "" is never.
func expiry(s string, now time.Time) (time.Time, error) {
	var at time.Time
	if s == "" {
		return at, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 15); err == nil {
			at = now.AddDate(0, 0, int(n))
		}
	} else if d, err := time.ParseDuration(s); err == nil {
		at = now.Add(d)
	} else if t, err := time.Parse(time.DateOnly, s); err == nil {
		at = t
	} else if t, err := time.Parse(time.RFC3339, s); err == nil {
		at = t
	}
	if !at.After(now) {
		return at, usage("--expires must be a time from now such as 12h or 90d, or a date to come such as 2027-01-31")
	}
	return at, nil
}

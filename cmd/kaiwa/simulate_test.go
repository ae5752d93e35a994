package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

const loadOfShop = `
kinds: [{id: k, workstream: %s, per_hour: 20, facts: {texts: [返金]}}]
handling: {csv: times.csv}
run: {replications: 3}
`

func TestTheConfigurationOfADatabaseIsSimulated(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		ctx, db := t.Context(), storetest.Open(t, url)
		skill, err := db.CreateSkill(ctx, store.Origin{}, store.Skill{Name: "日本語"})
		require.NoError(t, err)
		hours, err := db.CreateCalendar(ctx, store.Origin{}, store.Calendar{Name: "Hours", Calendar: calendar.Calendar{
			Zone: "Asia/Tokyo", Hours: []calendar.Span{{Day: calendar.Monday, Opens: "09:00", Closes: "18:00"}}, Holidays: []calendar.Holiday{{Date: "2026-01-05", Name: "x"}},
		}})
		require.NoError(t, err)
		profile, err := db.CreateCapacityProfile(ctx, store.Origin{}, store.CapacityProfile{Name: "Refunds", LimitDefault: 3, Reset: store.ResetImmediate})
		require.NoError(t, err)
		second, err := db.CreateQueue(ctx, store.Origin{}, store.Queue{Name: "Second"})
		require.NoError(t, err)
		queue, err := db.CreateQueue(ctx, store.Origin{}, store.Queue{
			Name: "Refunds: all", Assignment: routing.LongestIdle, Priority: 3, CalendarID: hours.ID,
			Settings: store.QueueSettings{OutOfHours: routing.Deflection{Action: routing.DeflectEnd}, Overflow: store.Overflow{MaxWaiting: 5, Deflection: routing.Deflection{Action: routing.DeflectTransfer, QueueID: second.ID}}},
		})
		require.NoError(t, err)
		for _, name := range []string{"Mai", "Ken"} {
			a, err := db.CreateAgent(ctx, store.Origin{}, store.Agent{
				Name: name, Email: name + "@example.test", Role: store.RoleAdmin, Locale: "ja", Capacity: 2, Skills: []store.AgentSkill{{SkillID: skill.ID, Level: 7}}, CapacityProfiles: []store.AgentCapacityProfile{{ProfileID: profile.ID, Limit: 2}},
			})
			require.NoError(t, err)
			if name == "Mai" {
				require.NoError(t, db.AddMember(ctx, store.Origin{}, queue.ID, a.ID))
			}
		}
		what, err := db.CreateRuleset(ctx, store.Origin{}, store.Ruleset{Name: "what", Kind: store.RulesetClassification, Rules: []routing.Rule{
			{ID: "r", Condition: `message.text.contains("返金")`, Outputs: routing.Outputs{Skills: []conversation.SkillNeed{{SkillID: skill.ID, Level: 5}}}},
		}})
		require.NoError(t, err)
		where, err := db.CreateRuleset(ctx, store.Origin{}, store.Ruleset{Name: "where", Kind: store.RulesetRoute, RouteRules: []routing.RouteRule{
			{ID: "r", Condition: "true", QueueID: queue.ID},
		}})
		require.NoError(t, err)
		shop := store.Workstream{Name: "Shop", Mode: store.ModePush}
		shop.Settings.CapacityProfileID = profile.ID
		shop.Settings.ClassificationRulesetIDs, shop.Settings.RouteRulesetID = []string{what.ID}, where.ID
		shop, err = db.CreateWorkstream(ctx, store.Origin{}, shop)
		require.NoError(t, err)

		code, office, stderr := run(t, complete(t, url), "simulate", "export")
		require.Equal(t, 0, code, stderr)
		require.NotContains(t, office, "@example.test")
		require.NotContains(t, office, "Ken", "who works no queue")
		dir := t.TempDir()
		file := func(name, content string) string {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			return path
		}
		file("times.csv", "seconds\n60\n180\n")
		figures, chart := filepath.Join(dir, "figures.csv"), filepath.Join(dir, "waits.svg")
		args := []string{"simulate", file("office.yaml", office), file("load.yaml", fmt.Sprintf(loadOfShop, shop.ID)), "--csv", figures, "--svg", chart, "--seed", "7"}
		code, table, stderr := run(t, complete(t, url), args...)
		require.Equal(t, 0, code, stderr)
		require.Contains(t, table, "Refunds: all")
		require.Contains(t, table, "3 replications")
		require.Regexp(t, `turned away +[1-9]`, table, "it is open on Mondays only")
		for _, name := range []string{figures, chart} {
			written, err := os.ReadFile(name)
			require.NoError(t, err)
			require.NotEmpty(t, written)
		}
		code, again, _ := run(t, complete(t, url), args...)
		require.Equal(t, 0, code)
		require.Equal(t, table, again)
	})
}

func TestWhatCannotBeSimulatedIsSaidInOneSentence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	office := filepath.Join(dir, "office.yaml")
	require.NoError(t, os.WriteFile(office, []byte("queues: [{id: q}]\nkinds: [{id: k, queue: z, per_hour: 1}]\nhandling: {constant: 1m}\n"), 0o600))
	code, stdout, stderr := run(t, env{}, "simulate", office)
	require.Equal(t, 1, code)
	require.Equal(t, "kaiwa: "+office+", line 2, kinds/0/queue: There is no queue \"z\". Name one of queues.\n", stderr)
	require.Empty(t, stdout)
	code, _, stderr = run(t, env{}, "simulate", filepath.Join(dir, "gone.yaml"))
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "gone.yaml cannot be read")
	code, _, stderr = run(t, env{}, "simulate")
	require.Equal(t, 2, code, stderr)
}

func TestWhatCameIsPlayedAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		shop := storetest.NewShop(t, db)
		shop.Agent("mei")
		now := time.Now()
		for range 5 {
			shop.Waits(now)
		}
		dir := t.TempDir()
		file := func(name, content string) string {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			return path
		}
		arrivals := func(args ...string) (code int, out, stderr string) {
			return run(t, complete(t, url), append([]string{"simulate", "arrivals", "--zone", "Asia/Tokyo"}, args...)...)
		}
		tomorrow := now.AddDate(0, 0, 2).Format(time.DateOnly)
		code, past, stderr := arrivals("--to", tomorrow)
		require.Equal(t, 0, code, stderr)
		require.Empty(t, stderr)
		require.Contains(t, past, "zone: Asia/Tokyo")
		require.Contains(t, past, "1.25", "five in four weeks")
		code, office, stderr := run(t, complete(t, url), "simulate", "export")
		require.Equal(t, 0, code, stderr)
		load := file("load.yaml", "handling: {exponential: 5m}\nrun: {replications: 2}\n")
		code, table, stderr := run(t, env{}, "simulate", file("office.yaml", office), file("past.yaml", past), load)
		require.Equal(t, 0, code, stderr)
		require.Contains(t, table, "Support")

		one := filepath.Join(dir, "past.csv")
		code, past, stderr = arrivals("--to", tomorrow, "--each", one)
		require.Equal(t, 0, code, stderr)
		require.NotContains(t, past, "by_hour")
		code, table, stderr = run(t, env{}, "simulate", file("office.yaml", office), file("past.yaml", past), load)
		require.Equal(t, 0, code, stderr)
		require.Regexp(t, `arrivals +5\.0`, table)

		for _, wrong := range []struct {
			says string
			args []string
		}{
			{"No conversation came", []string{"--to", "2020-01-01"}},
			{`"Mars" is no time zone`, []string{"--zone", "Mars"}},
			{"write --from as 2026-01-05", []string{"--from", "yesterday"}},
			{"fewer than 7 days", []string{"--from", "2026-01-05", "--to", "2026-01-11"}},
		} {
			code, out, stderr := arrivals(wrong.args...)
			require.Equal(t, 2, code, stderr)
			require.Contains(t, stderr, wrong.says)
			require.Empty(t, out)
		}
	})
}

package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestTheFirstAdministratorGetsATokenThatWorks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		e, db := complete(t, url), storetest.Open(t, url)
		code, stdout, stderr := run(t, e, "admin", "create", "--name", "Mai Sato", "--email", "Mai@Example.com", "--locale", "ja")
		require.Equal(t, 0, code, stderr)
		value := strings.TrimSpace(stdout)
		require.Regexp(t, `^kwa_\S+$`, value, "the token, and nothing else, is on standard output")
		require.NotContains(t, stderr, value)
		who, err := db.Authenticate(t.Context(), value)
		require.NoError(t, err)
		require.Equal(t, store.RoleAdmin, who.Role())
		require.Equal(t, "Mai Sato", who.Agent.Name)
		require.Equal(t, "mai@example.com", who.Agent.Email)
		require.Equal(t, "ja", who.Agent.Locale)
		require.True(t, who.Token.ExpiresAt.IsZero())

		code, _, stderr = run(t, e, "admin", "create", "--name", "Mai", "--email", "mai@example.com")
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "kaiwa admin token --email mai@example.com")

		code, stdout, stderr = run(t, e, "admin", "token", "--email", "MAI@example.com", "--role", "agent", "--expires", "30d")
		require.Equal(t, 0, code, stderr)
		who, err = db.Authenticate(t.Context(), strings.TrimSpace(stdout))
		require.NoError(t, err)
		require.Equal(t, store.RoleAgent, who.Role())
		require.WithinDuration(t, time.Now().AddDate(0, 0, 30), who.Token.ExpiresAt, time.Hour)

		log, err := db.AuditLog(t.Context(), store.AuditFilter{}, 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 3)
		require.Equal(t, "kaiwa admin", log[0].By.AgentName)
	})
}

func TestATokenIsForSomebodyWhoIsThereAndNotMoreThanTheyMay(t *testing.T) {
	t.Parallel()
	db, url := storetest.New(t, "sqlite")
	_, err := db.CreateAgent(t.Context(), store.Origin{}, store.Agent{Name: "Ken", Email: "ken@example.com", Role: store.RoleAgent, Locale: "ja"})
	require.NoError(t, err)
	code, _, stderr := run(t, complete(t, url), "admin", "token", "--email", "nobody@example.com")
	require.Equal(t, 1, code)
	require.Equal(t, "kaiwa: there is nobody with the email address nobody@example.com\n", stderr)
	code, stdout, stderr := run(t, complete(t, url), "admin", "token", "--email", "ken@example.com", "--role", "admin")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "--role admin is more than the owner has")
	require.Empty(t, stdout)
}

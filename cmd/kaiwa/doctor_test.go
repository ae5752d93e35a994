package main_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/clamd/clamdtest"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestTheDoctorFindsWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, databaseURL string) {
		temporal := startTemporal(t)
		db := storetest.Open(t, databaseURL)
		channel := withChannel(t, db)
		sim, err := linesim.New(t.Context(), linesim.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sim.Close()) })
		atLINE := linesim.Channel{ID: channel.LINEChannelID, Secret: lineSecret, AccessToken: lineToken, BotUserID: botUserID}
		require.NoError(t, sim.AddChannel(t.Context(), atLINE))
		line := httptest.NewServer(sim.Handler())
		t.Cleanup(line.Close)
		e := complete(t, databaseURL).with("TEMPORAL_ADDRESS", temporal.Addr).with("KAIWA_LINE_API_URL", line.URL).with("KAIWA_PUBLIC_URL", "https://kaiwa.example.com")
		atLINENow := func(change func(*linesim.Channel)) {
			t.Helper()
			require.NoError(t, sim.ChangeChannel(t.Context(), channel.LINEChannelID, change))
		}
		finds := func(code int, words ...string) {
			t.Helper()
			got, stdout, stderr := run(t, e, "doctor")
			for _, w := range words {
				require.Contains(t, stdout, w)
			}
			require.Equal(t, code, got, stdout+stderr)
			require.Empty(t, stderr)
		}

		finds(1, "search attributes: missing: KaiwaChannel", "→ Run kaiwa migrate.", "no webhook URL is set at LINE")
		code, _, stderr := run(t, e, "migrate")
		require.Equal(t, 0, code, stderr)
		atLINENow(func(c *linesim.Channel) { c.WebhookURL = "https://elsewhere.example.com" })
		finds(1, "LINE delivers to https://elsewhere.example.com, not to https://kaiwa.example.com/webhooks/line/"+channel.ID, "/connect sets it")
		atLINENow(func(c *linesim.Channel) { c.WebhookURL = "https://kaiwa.example.com/webhooks/line/" + channel.ID })
		finds(1, "“Use webhook” is off")
		atLINENow(func(c *linesim.Channel) { c.WebhookActive = true })
		finds(0, "ok       channel Shop ("+channel.ID+"): ", "open conversations            0")
		spoken := func(kind string, expires time.Time) {
			t.Helper()
			_, err := db.UpdateChannel(t.Context(), store.Origin{}, channel.ID, store.AnyVersion, func(c *store.Channel) error {
				c.TokenKind, c.TokenExpiresAt = kind, expires
				return nil
			})
			require.NoError(t, err)
		}
		spoken(store.TokenAsserted, time.Now().Add(8*24*time.Hour))
		finds(0, "ok       channel Shop")
		spoken(store.TokenAsserted, time.Now().Add(5*24*time.Hour))
		finds(1, "wrong    channel Shop ("+channel.ID+"): its access token ends at ", "Is its assertion signing key registered")
		spoken(store.TokenLongLived, time.Time{})
		atLINENow(func(c *linesim.Channel) { c.AccessToken = "another" })
		finds(1, "wrong    channel Shop ("+channel.ID+"): LINE does not accept its access token", "→ POST /api/v1/channels/{id}/check says what to do")
		_, err = db.UpdateChannel(t.Context(), store.Origin{}, channel.ID, store.AnyVersion, func(c *store.Channel) error {
			c.Status = store.ChannelDisabled
			return nil
		})
		require.NoError(t, err)
		finds(0, "skipped  channel Shop", "skipped  malware scanner: KAIWA_CLAMD_ADDR is not set")

		scanner := clamdtest.Start(t)
		e = e.with("KAIWA_CLAMD_ADDR", scanner.Address)
		finds(0, "ok       malware scanner: answers at "+scanner.Address)
		scanner.Stop()
		finds(1, "wrong    malware scanner: ", "→ Is clamd running")
	})
}

func TestTheDoctorSpeaksJSON(t *testing.T) {
	t.Parallel()
	_, databaseURL := storetest.New(t, "sqlite")
	e := complete(t, databaseURL)
	var d struct {
		OK     bool
		Checks []struct{ Name, Status, Detail, Todo string }

		Conversations *struct {
			Open       int
			WithoutRun struct{ IDs []string } `json:"without_run"`
		}
	}
	code, stdout, _ := run(t, e, "doctor", "--json")
	require.Equal(t, 1, code)
	require.NoError(t, json.Unmarshal([]byte(stdout), &d))
	require.False(t, d.OK)
	require.Nil(t, d.Conversations)
	require.Equal(t, "Temporal", d.Checks[2].Name)
	require.Equal(t, "wrong", d.Checks[2].Status)

	temporal := startTemporal(t)
	e = e.with("TEMPORAL_ADDRESS", temporal.Addr)
	code, _, stderr := run(t, e, "migrate")
	require.Equal(t, 0, code, stderr)
	code, stdout, _ = run(t, e, "doctor", "--json")
	require.Equal(t, 0, code, stdout)
	require.NoError(t, json.Unmarshal([]byte(stdout), &d))
	require.True(t, d.OK)
	require.NotNil(t, d.Conversations)
	require.NotNil(t, d.Conversations.WithoutRun.IDs, "a list is never null")
}

func TestTheDoctorSaysThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run(t, complete(t, "postgres://127.0.0.1:1/kaiwa?sslmode=disable"), "doctor")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "wrong    database: ")
	require.Contains(t, stdout, "connection refused")
	require.Empty(t, stderr)
}

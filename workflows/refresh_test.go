package workflows_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// ages has LINE's answers about customers be older than any workstream wants.
func (l *life) ages() {
	l.t.Helper()
	db, err := sqlx.Open("sqlite", "file:"+l.url[len("sqlite:"):]+"?_pragma=busy_timeout(60000)")
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, db.Close()) }()
	_, err = db.ExecContext(l.t.Context(), `UPDATE social_profiles SET fetched_at = 1`)
	require.NoError(l.t, err)
}

func (l *life) renames(name string) {
	l.t.Helper()
	require.NoError(l.t, l.sim.AddUser(l.t.Context(), linesim.User{ID: l.user, DisplayName: name, Language: "en"}))
}

func (l *life) askedForProfiles() int {
	return len(l.sim.Calls(linesim.CallFilter{Endpoint: "profile"}))
}

func TestACustomerWithAnotherNameIsKnownByItAfterTheirNextMessage(t *testing.T) {
	t.Parallel()
	l := newLife(t, nil)
	l.write("hello")
	l.at(time.Minute, func() { l.renames("Aoi Yamada"); l.write("fresh") })
	l.at(2*time.Minute, func() {
		require.Equal(t, "Aoi", l.conversations()[0].DisplayName, "nobody has asked")
		require.Equal(t, 1, l.askedForProfiles())
		l.ages()
		l.write("old")
	})
	l.at(3*time.Minute, func() {
		require.Equal(t, "Aoi Yamada", l.conversations()[0].DisplayName)
		require.Equal(t, 2, l.askedForProfiles())
		l.write("fresh again")
	})
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, 2, l.askedForProfiles())
	require.GreaterOrEqual(t, len(l.phone()), 4, "every message is answered")
}

// While LINE tells nothing of people, everything is said all the same, and LINE is
// asked again once a while.
func TestNobodyWaitsForANameThatIsKnown(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, _ *store.Bot) { w.Settings.Courtesies.ProfileSeconds = 60 })
	l.write("hello")
	l.at(time.Minute, func() {
		l.ages()
		_, err := l.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "profile", Status: http.StatusInternalServerError})
		require.NoError(t, err)
		l.write("one")
	})
	answered := 0
	l.env.RegisterDelayedCallback(func() { answered = len(l.phone()) }, time.Minute+time.Second)
	l.at(time.Minute+2*time.Second, func() { l.write("two") })
	asked := 0
	l.env.RegisterDelayedCallback(func() { asked = l.askedForProfiles() }, 2*time.Minute)
	l.at(10*time.Minute, func() {
		l.sim.ResetFaults()
		l.renames("Aoi Yamada")
		l.write("three")
	})
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.GreaterOrEqual(t, answered, 2, "one is answered at once")
	require.Equal(t, 1+3, asked, "one and two have LINE asked once, in three attempts")
	require.Equal(t, "Aoi Yamada", l.conversations()[0].DisplayName)
	require.GreaterOrEqual(t, len(l.phone()), 4)
}

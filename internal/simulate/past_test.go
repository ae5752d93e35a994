package simulate

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const wherePastCame = "queues: [{id: q}]\nagents: [{id: a, queues: [q]}]\nworkstreams: [{id: w}]\nhandling: {constant: 1m}\n"

// In Tokyo it is Monday, 2026-05-04, from 15:00 of the Sunday in UTC on.
func TestWhatCameIsCountedByTheClocksOfItsZone(t *testing.T) {
	t.Parallel()
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	require.NoError(t, err)
	past, err := NewPast(tokyo, time.Date(2026, 5, 3, 15, 0, 0, 0, time.UTC), time.Date(2026, 5, 18, 9, 30, 0, 0, tokyo))
	require.NoError(t, err)
	from, to := past.Days()
	require.Equal(t, "2026-05-04 2026-05-18", from.Format(time.DateOnly)+" "+to.Format(time.DateOnly))
	for _, at := range []string{"2026-05-04T00:30:00Z", "2026-05-04T00:59:59Z", "2026-05-11T00:00:00Z", "2026-05-10T14:59:59Z"} {
		t, _ := time.Parse(time.RFC3339, at)
		past.Add("w", "q", "Queue", t)
	}
	doc := past.Document("")
	require.Len(t, doc.Kinds, 1)
	require.Equal(t, 1.5, doc.Kinds[0].ByHour["monday"][9], "three on two Mondays")
	require.Equal(t, 0.5, doc.Kinds[0].ByHour["sunday"][23])
	var sum float64
	for _, hours := range doc.Kinds[0].ByHour {
		require.Len(t, hours, 24)
		for _, n := range hours {
			sum += n
		}
	}
	require.Equal(t, 2.0, sum)

	written, err := yaml.Marshal(doc)
	require.NoError(t, err)
	s, err := Load([]File{{"past.yaml", written}, {"office.yaml", []byte(wherePastCame)}}, nil)
	require.NoError(t, err)
	require.Equal(t, 1.5, s.kinds[0].rates[time.Monday][9])
	require.Equal(t, tokyo.String(), s.zone.String())
}

func TestWhatCameIsPlayedOneByOneFromTheFirstDayToTheLast(t *testing.T) {
	t.Parallel()
	past, err := NewPast(time.UTC, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	first := time.Date(2026, 5, 6, 8, 0, 0, 0, time.UTC)
	for i := range 20 {
		past.Add("w", "q", "Queue", first.AddDate(0, 0, 19-i))
	}
	var b bytes.Buffer
	require.NoError(t, past.CSV(&b))
	written, err := yaml.Marshal(past.Document("past.csv"))
	require.NoError(t, err)
	s, err := Load([]File{{"past.yaml", written}, {"office.yaml", []byte(wherePastCame)}}, files(map[string]string{"past.csv": b.String()}))
	require.NoError(t, err)
	require.Len(t, s.past, 20)
	require.Equal(t, "2026-05-06", s.start.Format(time.DateOnly))
	require.Equal(t, 3*7*24*time.Hour, s.length, "as many weeks as they came in")
	for i, a := range s.past {
		require.Equal(t, time.Duration(i)*24*time.Hour+8*time.Hour, a.at)
	}
}

func TestArrivalsThatWouldNotBePlayedAreNoScenario(t *testing.T) {
	t.Parallel()
	for run, says := range map[string]string{
		`{start: "2027-01-04"}`: "None of them came in the time that is played, from 2027-01-04 for 1 weeks.",
		`{}`:                    "past.csv: There are no rows.",
	} {
		content := "at,kind\n"
		if run != `{}` {
			content += "2026-05-04 09:00,k\n"
		}
		_, err := Load([]File{{"o", fmt.Appendf(nil, "%skinds: [{id: k, queue: q}]\narrivals: past.csv\nrun: %s\n", wherePastCame, run)}}, files(map[string]string{"past.csv": content}))
		require.ErrorContains(t, err, says)
	}
}

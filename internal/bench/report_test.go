package bench

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFiguresAreJudgedByTheirBars(t *testing.T) {
	t.Parallel()
	var r Report
	for _, f := range []Figure{
		{What: "enough", Value: 70, Baseline: 100, Bar: ratioAtLeast(0.7)},
		{What: "too little", Value: 69, Baseline: 100, Bar: ratioAtLeast(0.7)},
		{What: "quick", Value: 30, Bar: atMost(30)},
		{What: "slow", Value: 30.1, Bar: atMost(30)},
		{What: "no worse", Value: 11, Baseline: 10, Bar: ratioAtMost(1.2)},
		{What: "many", Value: 2000, Bar: atLeast(2000)},
		{What: "no baseline", Value: 1, Bar: ratioAtMost(1.3)},
		{What: "not measured", Value: math.NaN(), Bar: atMost(1)},
		{What: "for information", Value: 1e9},
	} {
		r.Add(f)
	}
	var missed []string
	for _, f := range r.Missed() {
		missed = append(missed, f.What)
	}
	require.Equal(t, []string{"too little", "slow", "no baseline", "not measured"}, missed)
	require.Nil(t, r.Figures[len(r.Figures)-1].Met)
	require.ErrorContains(t, r.AllMet(), "4 of the bars are missed: 0 too little (69 , ≥ 0.70 ×)")
	r.Figures = r.Figures[:1]
	require.NoError(t, r.AllMet())
	require.InDelta(t, 0.7, r.Figures[0].Ratio, 1e-9)
}

func TestTheReportIsATableAndJSON(t *testing.T) {
	t.Parallel()
	r := Report{Seed: 42, Store: "sqlite", Took: "3m0s", Quick: true, Machine: Machine{CPU: "A CPU", Cores: 2, MemoryMB: 8000, Kaiwa: "v1"}}
	r.Add(Figure{Scenario: 1, What: "one at a time", Value: 1234.5, Unit: "messages/s", Baseline: 1500, Bar: ratioAtLeast(0.9), Note: "as it is"})
	r.Add(Figure{Scenario: 4, What: "p99", Value: 12.34, Unit: "ms", Bar: atMost(30), Details: map[string]float64{"p50": 1}})
	var out bytes.Buffer
	require.NoError(t, r.Print(&out))
	for _, want := range []string{"seed 42", "quick", "A CPU, 2 cores, 8 GB", "1,234", "0.82", "≥ 0.90 ×", "MISSED", "12.3", "≤ 30", "met", "1 one at a time: as it is", "1 of the bars"} {
		require.Contains(t, out.String(), want)
	}
	out.Reset()
	require.NoError(t, r.JSON(&out))
	var back Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, r, back)
}

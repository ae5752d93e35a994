package simulate

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Distribution is how long something takes. Exactly one of its fields is set.
type Distribution struct {
	Constant    *Duration  `yaml:"constant,omitempty"`
	Exponential *Duration  `yaml:"exponential,omitempty"` // the mean
	Lognormal   *Lognormal `yaml:"lognormal,omitempty"`
	CSV         string     `yaml:"csv,omitempty"` // a file with a column seconds: one of its rows, each as likely
}

// Lognormal is a lognormal distribution by the moments people know.
type Lognormal struct {
	Mean      Duration `yaml:"mean"`
	Deviation Duration `yaml:"deviation"` // the standard deviation
}

// sampler draws how long something takes.
type sampler func(*rand.Rand) time.Duration

// sampler compiles a distribution; read reads a file it names.
func (d Distribution) sampler(read func(string) ([]byte, error)) (sampler, *Error) {
	given := 0
	for _, is := range []bool{d.Constant != nil, d.Exponential != nil, d.Lognormal != nil, d.CSV != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, &Error{Detail: "Give one of constant, exponential, lognormal and csv."}
	case d.Constant != nil:
		t := time.Duration(*d.Constant)
		return func(*rand.Rand) time.Duration { return t }, nil
	case d.Exponential != nil:
		mean := float64(*d.Exponential)
		if mean <= 0 {
			return nil, &Error{Detail: "The mean has to be longer than nothing."}
		}
		return func(r *rand.Rand) time.Duration { return bounded(mean * r.ExpFloat64()) }, nil
	case d.Lognormal != nil:
		mean, deviation := float64(d.Lognormal.Mean), float64(d.Lognormal.Deviation)
		if mean <= 0 || deviation <= 0 {
			return nil, &Error{Detail: "Mean and deviation have to be longer than nothing."}
		}
		variance := math.Log1p(deviation * deviation / mean / mean)
		mu, sigma := math.Log(mean)-variance/2, math.Sqrt(variance)
		return func(r *rand.Rand) time.Duration { return bounded(math.Exp(mu + sigma*r.NormFloat64())) }, nil
	}
	observed, err := observations(d.CSV, read)
	if err != nil {
		return nil, err
	}
	return func(r *rand.Rand) time.Duration { return observed[r.IntN(len(observed))] }, nil
}

// bounded is a time of so many nanoseconds, a hundred years at most.
func bounded(ns float64) time.Duration { return time.Duration(min(ns, 100*365*24*float64(time.Hour))) }

// observations are the times in the column seconds of a CSV file.
func observations(name string, read func(string) ([]byte, error)) ([]time.Duration, *Error) {
	rows, err := table(name, read, "seconds")
	if err != nil {
		return nil, err
	}
	var out []time.Duration
	for _, row := range rows {
		t, err := row.seconds("seconds")
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, &Error{File: name, Detail: "There are no rows. Give at least one."}
	}
	return out, nil
}

// csvRow is a row of a CSV file with a header.
type csvRow struct {
	file  string
	line  int
	cells map[string]string
}

// seconds reads a cell as a time.
func (r csvRow) seconds(column string) (time.Duration, *Error) {
	s, err := strconv.ParseFloat(strings.TrimSpace(r.cells[column]), 64)
	if err != nil || s < 0 || math.IsInf(s, 0) || math.IsNaN(s) {
		return 0, &Error{File: r.file, Line: r.line, Place: column, Detail: fmt.Sprintf("%q is no number of seconds. Write it as 90 or 90.5.", r.cells[column])}
	}
	return bounded(s * float64(time.Second)), nil
}

// table reads a CSV file whose header has at least the columns.
func table(name string, read func(string) ([]byte, error), columns ...string) ([]csvRow, *Error) {
	content, err := read(name)
	if err != nil {
		return nil, &Error{File: name, Detail: "This file cannot be read: " + err.Error() + ". Name one that is there, as seen from the document that names it."}
	}
	r := csv.NewReader(strings.NewReader(string(content)))
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if err != nil {
		return nil, &Error{File: name, Detail: "This is no CSV file with a header of " + strings.Join(columns, ", ") + "."}
	}
	for i := range header {
		header[i] = strings.TrimSpace(strings.TrimPrefix(header[i], "\ufeff"))
	}
	for _, c := range columns {
		if !slices.Contains(header, c) {
			return nil, &Error{File: name, Line: 1, Detail: fmt.Sprintf("There is no column %q. The first line has to name the columns %s.", c, strings.Join(columns, ", "))}
		}
	}
	var rows []csvRow
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			var wrong *csv.ParseError
			errors.As(err, &wrong)
			return nil, &Error{File: name, Line: wrong.Line, Detail: "This row cannot be read: " + wrong.Err.Error() + ". It needs the columns of the first line."}
		}
		line, _ := r.FieldPos(0)
		row := csvRow{name, line, map[string]string{}}
		for i, c := range cells {
			row.cells[header[i]] = c
		}
		rows = append(rows, row)
	}
}

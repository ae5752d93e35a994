package simulate

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The measures of the chart, in pixels.
const (
	chartWidth   = 1240
	chartHeight  = 560
	chartLeft    = 72
	chartRight   = 24
	waitTop      = 64
	waitBottom   = 300
	levelTop     = 350
	levelBottom  = 500
	chartPerHour = (chartWidth - chartLeft - chartRight) / 168.0
)

// chartStyle has colours that are readable on light and on dark ground.
const chartStyle = `text { font: 12px system-ui, sans-serif; fill: #57606a; }
.title { font-size: 16px; font-weight: 600; }
.grid { stroke: #8b949e; stroke-opacity: .25; }
.day { stroke: #8b949e; stroke-opacity: .6; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.mean { stroke: #2f81f7; } .p90 { stroke: #db6d28; } .level { stroke: #2da44e; }
.arrivals { fill: #8b949e; fill-opacity: .25; }
@media (prefers-color-scheme: dark) { text { fill: #adbac7; } }`

// SVG draws waits and service level by the hour of the week in which customers
// come.
func (r *Report) SVG(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Waits and service level by hour of the week">`+"\n<style>%s</style>\n", chartWidth, chartHeight, chartStyle)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="26">Waits and service level, by the hour in which customers come</text>`+"\n", chartLeft)
	longest, most := 0.0, 0.0
	for _, h := range r.Hours {
		for _, v := range []float64{h.Mean, h.P90} {
			if !math.IsNaN(v) {
				longest = max(longest, v)
			}
		}
		most = max(most, h.Arrivals)
	}
	unit, divisor := "s", 1.0
	if longest > 600 {
		unit, divisor = "min", 60
	}
	top, step := axis(longest / divisor)
	wait := func(v float64) float64 { return waitBottom - v/divisor/top*(waitBottom-waitTop) }
	level := func(v float64) float64 { return levelBottom - v*(levelBottom-levelTop) }

	for v := 0.0; v <= top+step/2; v += step {
		grid(&b, wait(v*divisor), fmt.Sprintf("%g %s", math.Round(v*1000)/1000, unit))
	}
	for v := 0; v <= 100; v += 20 {
		grid(&b, level(float64(v)/100), fmt.Sprintf("%d %%", v))
	}
	for d := range 7 {
		x := chartX(d * 24)
		fmt.Fprintf(&b, `<line class="day" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", x, waitTop, x, levelBottom)
		name := days[(d+1)%7]
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", chartX(d*24+12), levelBottom+34, strings.ToUpper(name[:1])+name[1:])
		for _, h := range []int{6, 12, 18} {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", chartX(d*24+h), levelBottom+16, h)
		}
	}
	for i, h := range r.Hours {
		if h.Arrivals > 0 {
			height := h.Arrivals / most * (levelBottom - levelTop)
			fmt.Fprintf(&b, `<rect class="arrivals" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s %02d:00: %.1f arrivals</title></rect>`+"\n",
				chartX(i)+0.5, levelBottom-height, chartPerHour-1, height, h.Day, h.Hour, h.Arrivals)
		}
	}
	for _, l := range []struct {
		class string
		y     func(Hour) float64
	}{
		{"p90", func(h Hour) float64 { return wait(h.P90) }}, {"mean", func(h Hour) float64 { return wait(h.Mean) }}, {"level", func(h Hour) float64 { return level(h.ServiceLevel) }},
	} {
		r.line(&b, l.class, l.y)
	}
	for _, k := range []struct {
		at          int
		class, text string
	}{
		{0, "mean", "wait, mean"}, {150, "p90", "wait, 90 % of customers at most"}, {440, "level", "served within " + r.Within.String()},
	} {
		x := chartLeft + k.at
		fmt.Fprintf(&b, `<line class="line %s" x1="%d" y1="44" x2="%d" y2="44"/><text x="%d" y="48">%s</text>`+"\n", k.class, x, x+24, x+32, html.EscapeString(k.text))
	}
	x := chartLeft + 660
	fmt.Fprintf(&b, `<rect class="arrivals" x="%d" y="38" width="24" height="12"/><text x="%d" y="48">arrivals, at most %.1f an hour</text>`+"\n</svg>\n", x, x+32, most)
	_, err := w.Write(b.Bytes())
	return err
}

// chartX is where an hour of the week begins.
func chartX(hour int) float64 { return chartLeft + float64(hour)*chartPerHour }

// grid draws a line across, with what it stands for.
func grid(b *bytes.Buffer, y float64, label string) {
	fmt.Fprintf(b, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
		chartLeft, y, chartWidth-chartRight, y, chartLeft-8, y+4, label)
}

// line draws a line through the hours that have a value; where one has none the
// line is interrupted.
func (r *Report) line(b *bytes.Buffer, class string, y func(Hour) float64) {
	var path strings.Builder
	drawing := false
	for i, h := range r.Hours {
		v := y(h)
		if math.IsNaN(v) {
			drawing = false
			continue
		}
		move := "L"
		if !drawing {
			move = "M"
		}
		drawing = true
		// A step an hour, so that one that stands alone is seen.
		fmt.Fprintf(&path, "%s%.1f %.1fH%.1f", move, chartX(i), v, chartX(i+1))
	}
	fmt.Fprintf(b, `<path class="line %s" d="%s"/>`+"\n", class, path.String())
}

// axis is where an axis ends that shows up to a value, and the distance of its
// lines: 1, 2 or 5 times a power of ten.
func axis(longest float64) (top, step float64) {
	if longest <= 0 {
		return 1, 0.5
	}
	step = math.Pow(10, math.Floor(math.Log10(longest/4)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if top = math.Ceil(longest/(step*factor)) * step * factor; top/(step*factor) <= 5 {
			return top, step * factor
		}
	}
	return top, step * 10
}

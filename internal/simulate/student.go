package simulate

import "math"

// Estimate is a mean over replications, with its confidence interval.
type Estimate struct {
	Mean float64
	Half float64 // of the interval's width; NaN with fewer than two values
	N    int     // replications that had a value
}

// Low and High are the ends of the interval.
func (e Estimate) Low() float64  { return e.Mean - e.Half }
func (e Estimate) High() float64 { return e.Mean + e.Half }

// estimate makes an estimate of values, of which NaN is none.
func estimate(values []float64, confidence float64) Estimate {
	var e Estimate
	var mean, squares float64
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		e.N++ // Welford's way, which loses no digits
		delta := v - mean
		mean += delta / float64(e.N)
		squares += delta * (v - mean)
	}
	e.Mean, e.Half = math.NaN(), math.NaN()
	if e.N > 0 {
		e.Mean = mean
	}
	if e.N > 1 {
		deviation := math.Sqrt(squares / float64(e.N-1))
		e.Half = student(1-(1-confidence)/2, e.N-1) * deviation / math.Sqrt(float64(e.N))
	}
	return e
}

// student is the quantile of Student's distribution for a probability above a
// half.
func student(probability float64, freedom int) float64 {
	n := float64(freedom)
	upper := func(t float64) float64 { return incompleteBeta(n/2, 0.5, n/(n+t*t)) / 2 } // P(T > t)
	low, high := 0.0, 1.0
	for upper(high) > 1-probability {
		low, high = high, 2*high
	}
	for range 100 {
		if mid := (low + high) / 2; upper(mid) > 1-probability {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// incompleteBeta is the regularized incomplete beta function, by its continued
// fraction (DLMF 8.17.22), evaluated as Lentz does.
func incompleteBeta(a, b, x float64) float64 {
	if x <= 0 || x >= 1 {
		return min(1, max(0, x))
	}
	if x > (a+1)/(a+b+2) {
		return 1 - incompleteBeta(b, a, 1-x)
	}
	logGamma := func(v float64) float64 { g, _ := math.Lgamma(v); return g }
	front := math.Exp(logGamma(a+b)-logGamma(a)-logGamma(b)+a*math.Log(x)+b*math.Log1p(-x)) / a
	const tiny = 1e-300
	apart := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/apart(1-(a+b)*x/(a+1))
	f := d
	for i := 1; i < 500; i++ {
		m := float64(i)
		for _, numerator := range []float64{
			m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m)),
			-(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1)),
		} {
			d = 1 / apart(1+numerator*d)
			c = apart(1 + numerator/c)
			f *= c * d
		}
		if math.Abs(c*d-1) < 1e-15 {
			break
		}
	}
	return front * f
}

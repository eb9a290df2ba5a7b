package qql

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// numbers compares numbers and times.
func (f Field[T]) numbers(t Term, now time.Time) (func(T) bool, error) {
	var tests []func(int64) bool
	if t.Range != nil {
		low, high, err := f.bounds(t.Range, now)
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(n int64) bool { return low <= n && n <= high })
	}
	for _, v := range t.Any {
		if v.Text == "*" && v.Quote == Bare {
			return f.has, nil
		}
		low, high, err := f.number(v, now)
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(n int64) bool { return low <= n && n <= high })
	}
	return func(v T) bool {
		for _, n := range f.values(v) {
			for _, holds := range tests {
				if holds(n) {
					return true
				}
			}
		}
		return false
	}, nil
}

func (f Field[T]) values(v T) []int64 {
	if f.Nums != nil {
		return f.Nums(v)
	}
	if at := f.Times(v); !at.IsZero() {
		return []int64{at.UnixMilli()}
	}
	return nil
}

// bounds returns the least and the greatest number in a range.
func (f Field[T]) bounds(r *Range, now time.Time) (low, high int64, err error) {
	low, high = math.MinInt64, math.MaxInt64
	if r.From != nil {
		first, last, err := f.number(*r.From, now)
		if err != nil {
			return 0, 0, err
		}
		if low = first; r.FromOpen {
			low = next(last)
		}
	}
	if r.To != nil {
		first, last, err := f.number(*r.To, now)
		if err != nil {
			return 0, 0, err
		}
		if high = last; r.ToOpen {
			high = previous(first)
		}
	}
	return low, high, nil
}

func next(n int64) int64 {
	if n == math.MaxInt64 {
		return n
	}
	return n + 1
}

func previous(n int64) int64 {
	if n == math.MinInt64 {
		return n
	}
	return n - 1
}

// number reads a value: the first and last number it stands for, which differ for a date without a time.
func (f Field[T]) number(v Value, now time.Time) (first, last int64, err error) {
	if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil && (f.Times == nil || len(v.Text) != 4) { // four digits are a year
		return n, n, nil
	}
	if f.Times == nil {
		return 0, 0, fault("%q is not a number, as %s needs", clip(v.Text), f.Name)
	}
	from, to, ok := Moment(v.Text, now)
	if !ok {
		return 0, 0, fault("%q is not a time, as %s needs: milliseconds since 1970, 2026-01-31 or now-7d", clip(v.Text), f.Name)
	}
	return from.UnixMilli(), to.UnixMilli(), nil
}

// dateForms are the ways a date may be written, and how long what it names lasts.
var dateForms = []struct {
	layout string
	end    func(time.Time) time.Time
}{
	{time.RFC3339, func(t time.Time) time.Time { return t }},
	{"2006-01-02T15:04:05", func(t time.Time) time.Time { return t.Add(time.Second) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
}

// Moment reads a time other than milliseconds: a date, now, or now with an offset such as now-7d (s, m, h, d, w, M, y).
// from and to are the first and last millisecond it stands for.
func Moment(text string, now time.Time) (from, to time.Time, ok bool) {
	if rest, found := strings.CutPrefix(strings.ToLower(text), "now"); found {
		at, ok := shift(now, rest, text)
		return at, at, ok
	}
	for _, form := range dateForms {
		if at, err := time.Parse(form.layout, text); err == nil {
			if to = form.end(at); !to.Equal(at) {
				to = to.Add(-time.Millisecond)
			}
			return at, to, true
		}
	}
	return time.Time{}, time.Time{}, false
}

// shift adds an offset such as -7d. The unit's case tells minutes from months, so it is taken from the text as written.
func shift(now time.Time, offset, text string) (time.Time, bool) {
	if offset == "" {
		return now, true
	}
	if len(offset) < 3 || offset[0] != '-' && offset[0] != '+' {
		return now, false
	}
	n, err := strconv.Atoi(offset[:len(offset)-1])
	if err != nil || n > 1_000_000 || n < -1_000_000 {
		return now, false
	}
	switch text[len(text)-1] {
	case 's':
		return now.Add(time.Duration(n) * time.Second), true
	case 'm':
		return now.Add(time.Duration(n) * time.Minute), true
	case 'h':
		return now.Add(time.Duration(n) * time.Hour), true
	case 'd':
		return now.AddDate(0, 0, n), true
	case 'w':
		return now.AddDate(0, 0, 7*n), true
	case 'M':
		return now.AddDate(0, n, 0), true
	case 'y':
		return now.AddDate(n, 0, 0), true
	}
	return now, false
}

// Interval is a row of numbers, both ends included: math.MinInt64 and math.MaxInt64 are open ends.
type Interval struct{ From, To int64 }

// Intervals returns the numbers, or milliseconds since 1970, that fulfil a term of a field with numbers or times; that of "*" is
// all of them. Errors: those of Compile.
func (f Field[T]) Intervals(t Term, now time.Time) ([]Interval, error) {
	if t.Range != nil {
		low, high, err := f.bounds(t.Range, now)
		return []Interval{{low, high}}, err
	}
	var out []Interval
	for _, v := range t.Any {
		if v.Text == "*" && v.Quote == Bare {
			return []Interval{{math.MinInt64, math.MaxInt64}}, nil
		}
		low, high, err := f.number(v, now)
		if err != nil {
			return nil, err
		}
		out = append(out, Interval{low, high})
	}
	return out, nil
}

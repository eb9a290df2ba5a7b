package qql

import (
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Field is one token and where its values come from. Exactly one of the functions is set.
type Field[T any] struct {
	Name  string
	ID    bool                // texts that are compared as a whole, in any case
	Texts func(T) []string    // a text that is empty is no value
	Nums  func(T) []int64     // numbers
	Times func(T) time.Time   // zero is no value
	Clean func(string) string // puts a text asked for into the form Texts has; may be nil
}

// Compile makes a test out of a filter. Errors: ErrInvalid on field "filter" for a token that is not among the fields, or
// a value that its token cannot have.
func Compile[T any](e Expr, fields []Field[T], now time.Time) (func(T) bool, error) {
	switch e := e.(type) {
	case And:
		parts, err := compileAll(e, fields, now)
		return func(v T) bool {
			return !slices.ContainsFunc(parts, func(holds func(T) bool) bool { return !holds(v) })
		}, err
	case Or:
		parts, err := compileAll(e, fields, now)
		return func(v T) bool {
			return slices.ContainsFunc(parts, func(holds func(T) bool) bool { return holds(v) })
		}, err
	case Not:
		holds, err := Compile(e.Expr, fields, now)
		return func(v T) bool { return !holds(v) }, err
	case Term:
		return compileTerm(e, fields, now)
	}
	return nil, fault("the filter cannot be read")
}

func compileAll[T any](list []Expr, fields []Field[T], now time.Time) ([]func(T) bool, error) {
	parts := make([]func(T) bool, len(list))
	for i, e := range list {
		var err error
		if parts[i], err = Compile(e, fields, now); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// find returns the field of a token, whose name counts in any case.
func find[T any](token string, fields []Field[T]) (Field[T], error) {
	var names []string
	for _, f := range fields {
		if strings.EqualFold(f.Name, token) {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Field[T]{}, tidewaiter.Invalid("filter", "unknown token %q", clip(token)).WithFix("known ones: %s", strings.Join(names, ", "))
}

func compileTerm[T any](t Term, fields []Field[T], now time.Time) (func(T) bool, error) {
	f, err := find(t.Token, fields)
	if err != nil {
		return nil, err
	}
	if t.Null {
		return func(v T) bool { return !f.has(v) }, nil
	}
	if f.Texts != nil {
		return f.texts(t)
	}
	return f.numbers(t, now)
}

// has reports whether a record has a value.
func (f Field[T]) has(v T) bool {
	switch {
	case f.Texts != nil:
		return slices.ContainsFunc(f.Texts(v), func(s string) bool { return s != "" })
	case f.Nums != nil:
		return len(f.Nums(v)) > 0
	}
	return !f.Times(v).IsZero()
}

func (f Field[T]) texts(t Term) (func(T) bool, error) {
	if t.Range != nil {
		return nil, fault("%q is a text and has no order", f.Name)
	}
	tests := make([]func(string) bool, len(t.Any))
	for i, v := range t.Any {
		tests[i] = f.text(v)
	}
	return func(v T) bool {
		return slices.ContainsFunc(f.Texts(v), func(s string) bool {
			return s != "" && slices.ContainsFunc(tests, func(holds func(string) bool) bool { return holds(s) })
		})
	}, nil
}

// text compares a text. Qualys: a text is cut into words and each word asked for is the beginning of one of them; in
// backticks it is exactly this. Ours: in double quotes it is the whole text in any case, so that a repository is not taken
// for another whose name begins alike; and without quotes all words have to be there, not any.
func (f Field[T]) text(v Value) func(string) bool {
	want := v.Text
	if f.Clean != nil {
		want = f.Clean(want)
	}
	switch {
	case v.Quote == Backtick:
		return func(s string) bool { return s == want }
	case v.Quote == Bare && strings.Contains(want, "*"):
		return func(s string) bool { return tidewaiter.MatchPattern(want, s) }
	case v.Quote == Double || f.ID:
		return func(s string) bool { return strings.EqualFold(s, want) }
	}
	words := Words(want)
	return func(s string) bool {
		have := Words(s)
		for _, w := range words {
			if !slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, w) }) {
				return false
			}
		}
		return len(words) > 0
	}
}

// Words cuts a text into its words in lower case. Qualys: at spaces, commas, dashes and brackets; a.b.c stays whole.
func Words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" \t\r\n,-_/:@#=()[]{}<>\"'`;", r) })
}

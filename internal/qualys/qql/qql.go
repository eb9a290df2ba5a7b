// Package qql reads the query language of the vendor's filter and sort parameters and applies it to records.
//
// Qualys: token:value; AND, OR, NOT and parentheses; "double quotes", `backticks` for exactly this, or neither; [a .. b]
// with both ends, (a .. b) without; [x,y] for any of these; > >= < <=; "is null"; * for any characters. Times are
// milliseconds since 1970, dates, or now-7d.
package qql

// Expr is a parsed filter: And, Or, Not or Term.
type Expr interface{ expr() }

// And holds when all parts do.
type And []Expr

// Or holds when any part does.
type Or []Expr

// Not holds when the part does not.
type Not struct{ Expr Expr }

// Term compares the values of one token. Exactly one of the comparisons is set.
type Term struct {
	Token string
	Any   []Value // equal to any of these
	Range *Range
	Null  bool // has no value
}

func (And) expr()  {}
func (Or) expr()   {}
func (Not) expr()  {}
func (Term) expr() {}

// Quote says how a value was written.
type Quote byte

// The quotes.
const (
	Bare     Quote = 0
	Double   Quote = '"'
	Backtick Quote = '`'
)

// Value is one value as it was written, without its quotes.
type Value struct {
	Text  string
	Quote Quote
}

// Range is what lies between two values; an end that is nil is open.
type Range struct {
	From, To         *Value
	FromOpen, ToOpen bool // the end itself does not count
}

// The limits of a filter. A longer or deeper one is refused.
const (
	MaxLength = 8 << 10 // bytes
	MaxDepth  = 50      // of parentheses and NOTs
	MaxTerms  = 200     // terms and values of lists
)

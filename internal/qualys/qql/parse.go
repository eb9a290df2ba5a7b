package qql

import "strings"

// Parse reads a filter. An empty one is an And of nothing, which everything fulfils. Errors: ErrInvalid on field "filter".
func Parse(text string) (Expr, error) {
	if len(text) > MaxLength {
		return nil, fault("the filter is longer than %d bytes", MaxLength)
	}
	p := &parser{scanner: scanner{text: text}}
	p.space()
	if p.done() {
		return And{}, nil
	}
	e, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.space(); !p.done() {
		return nil, fault("%q was not expected", clip(p.text[p.at:]))
	}
	return e, nil
}

type parser struct {
	scanner
	terms int
}

func (p *parser) or(depth int) (Expr, error) {
	first, err := p.and(depth)
	if err != nil {
		return nil, err
	}
	any := Or{first}
	for p.space(); p.word("or"); p.space() {
		next, err := p.and(depth)
		if err != nil {
			return nil, err
		}
		any = append(any, next)
	}
	if len(any) == 1 {
		return first, nil
	}
	return any, nil
}

func (p *parser) and(depth int) (Expr, error) {
	first, err := p.unary(depth)
	if err != nil {
		return nil, err
	}
	all := And{first}
	for p.space(); p.word("and"); p.space() {
		next, err := p.unary(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, next)
	}
	if len(all) == 1 {
		return first, nil
	}
	return all, nil
}

func (p *parser) unary(depth int) (Expr, error) {
	if depth > MaxDepth {
		return nil, fault("the filter is nested deeper than %d levels", MaxDepth)
	}
	p.space()
	switch {
	case p.word("not"):
		e, err := p.unary(depth + 1)
		if err != nil {
			return nil, err
		}
		return Not{e}, nil
	case p.take("("):
		e, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.space(); !p.take(")") {
			return nil, fault("a closing parenthesis is missing")
		}
		return e, nil
	}
	return p.term()
}

func (p *parser) term() (Expr, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	name := p.name()
	if name == "" {
		if p.done() {
			return nil, fault("the filter ends where a token should be")
		}
		return nil, fault("%q is not a token", clip(p.text[p.at:]))
	}
	t := Term{Token: name}
	p.space()
	if p.word("is") {
		p.space()
		if !p.word("null") {
			return nil, fault("%q: only null may follow is", name)
		}
		t.Null = true
		return t, nil
	}
	colon := p.take(":")
	if colon {
		p.space()
	}
	for _, op := range []string{">=", "<=", ">", "<"} {
		if p.take(op) {
			return p.comparison(t, op)
		}
	}
	if !colon && !p.take("=") {
		return nil, fault("after %q a colon is missing", clip(name))
	}
	p.space()
	return p.values(t)
}

func (p *parser) comparison(t Term, op string) (Expr, error) {
	p.space()
	v, err := p.value(false)
	if err != nil {
		return nil, err
	}
	r := &Range{}
	if op[0] == '>' {
		r.From, r.FromOpen = &v, op == ">"
	} else {
		r.To, r.ToOpen = &v, op == "<"
	}
	t.Range = r
	return t, nil
}

// values reads what may follow a colon: a value, a list or a range, also in single quotes.
func (p *parser) values(t Term) (Expr, error) {
	switch p.peek() {
	case '\'':
		inner, err := p.quoted('\'')
		if err != nil {
			return nil, err
		}
		in := &parser{scanner: scanner{text: strings.TrimSpace(inner)}, terms: p.terms}
		if strings.HasPrefix(in.text, "'") {
			return nil, fault("a single quote within single quotes")
		}
		e, err := in.values(t)
		if err == nil && !in.done() {
			err = fault("%q was not expected", clip(in.text[in.at:]))
		}
		p.terms = in.terms
		return e, err
	case '[', '(':
		return p.bracket(t)
	}
	v, err := p.value(false)
	if err != nil {
		return nil, err
	}
	t.Any = []Value{v}
	return t, nil
}

// bracket reads [a,b], [a .. b] or (a .. b). Two or three dots make a range.
func (p *parser) bracket(t Term) (Expr, error) {
	r := &Range{FromOpen: p.peek() == '('}
	p.at++
	p.space()
	if !strings.HasPrefix(p.text[p.at:], "..") {
		v, err := p.value(true)
		if err != nil {
			return nil, err
		}
		r.From = &v
		p.space()
	}
	if !p.take("...") && !p.take("..") {
		if r.FromOpen {
			return nil, fault("%q: a range needs two dots", clip(t.Token))
		}
		return p.list(t, *r.From)
	}
	p.space()
	if c := p.peek(); c != ']' && c != ')' {
		v, err := p.value(true)
		if err != nil {
			return nil, err
		}
		r.To = &v
		p.space()
	}
	r.ToOpen = p.peek() == ')'
	if !p.take("]") && !p.take(")") {
		return nil, fault("%q: the range is not closed", clip(t.Token))
	}
	if r.From == nil && r.To == nil {
		return nil, fault("%q: a range needs an end", clip(t.Token))
	}
	t.Range = r
	return t, nil
}

func (p *parser) list(t Term, first Value) (Expr, error) {
	t.Any = []Value{first}
	for p.space(); p.take(","); p.space() {
		p.space()
		if err := p.count(); err != nil {
			return nil, err
		}
		v, err := p.value(true)
		if err != nil {
			return nil, err
		}
		t.Any = append(t.Any, v)
	}
	if !p.take("]") {
		return nil, fault("%q: the list is not closed", clip(t.Token))
	}
	return t, nil
}

func (p *parser) value(inRange bool) (Value, error) {
	switch c := p.peek(); c {
	case '"', '`':
		text, err := p.quoted(c)
		return Value{Text: text, Quote: Quote(c)}, err
	}
	text := p.bare(inRange)
	if text == "" {
		return Value{}, fault("a value is missing before %q", clip(p.text[p.at:]))
	}
	return Value{Text: text}, nil
}

// count bounds how much one filter may ask for.
func (p *parser) count() error {
	if p.terms++; p.terms > MaxTerms {
		return fault("the filter has more than %d terms", MaxTerms)
	}
	return nil
}

// clip shortens what somebody sent before it is shown back.
func clip(s string) string {
	if len(s) <= 40 {
		return s
	}
	return strings.ToValidUTF8(s[:40], "") + "…"
}

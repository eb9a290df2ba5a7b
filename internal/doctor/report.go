package doctor

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Report is what was found out. It holds no secret and no token.
type Report struct {
	At       time.Time               `json:"at"`
	Version  string                  `json:"version,omitempty"`
	URL      string                  `json:"url"`
	Host     string                  `json:"host"`
	Kind     Kind                    `json:"kind"`
	Network  oci.Network             `json:"network"`
	Headers  map[string]string       `json:"headers,omitempty"` // of GET /v2/
	Login    []oci.Challenge         `json:"login,omitempty"`   // the ways to log in that it offers
	As       string                  `json:"as,omitempty"`      // who asked
	Rights   []Right                 `json:"rights,omitempty"`
	Token    *Token                  `json:"token,omitempty"`
	Clock    *Clock                  `json:"clock,omitempty"`
	Limits   []Limit                 `json:"limits,omitempty"`
	Pages    []oci.Pages             `json:"pages,omitempty"` // of the distribution API's lists
	Advice   []string                `json:"advice,omitempty"`
	Requests map[oci.RequestKind]int `json:"requests,omitempty"`
	Asked    []Asked                 `json:"asked,omitempty"` // every request, with what may be secret in it starred out
}

// Kind is what kind of registry it is.
type Kind struct {
	Kind      tidewaiter.RegistryKind `json:"kind,omitempty"` // "" is none that is known
	Title     string                  `json:"title,omitempty"`
	Certainty Certainty               `json:"certainty,omitempty"`
	Because   []string                `json:"because,omitempty"`
	Other     tidewaiter.RegistryKind `json:"looksLike,omitempty"` // what it looks like, where somebody said that it is another
	Claims    tidewaiter.RegistryKind `json:"claims,omitempty"`    // a cloud's kind, at an address that is not the cloud's
}

// Certainty is how sure the kind is.
type Certainty string

// The certainties.
const (
	Certain Certainty = "certain"
	Likely  Certainty = "likely"
	Guess   Certainty = "guess"
)

// Right is one thing somebody may do.
type Right struct {
	Name    string               `json:"name"`
	OK      bool                 `json:"ok"`
	Untried bool                 `json:"untried,omitempty"`
	By      string               `json:"by,omitempty"` // what was asked
	Detail  string               `json:"detail,omitempty"`
	Kind    tidewaiter.ErrorKind `json:"kind,omitempty"`
	Error   string               `json:"error,omitempty"`
	Fix     string               `json:"fix,omitempty"`
	Grant   string               `json:"grant,omitempty"` // how the right is given on a registry of this kind
}

// The rights.
const (
	RightLogin        = "log in"
	RightRepositories = "list repositories"
	RightTags         = "list tags"
	RightPull         = "pull"
)

// Token says how long tokens live.
type Token struct {
	Life time.Duration `json:"life"`
	From string        `json:"from"` // host
}

// Clock says by how much the registry's clock is ahead of ours; less than nothing is behind.
type Clock struct {
	Ahead time.Duration `json:"ahead"`
}

// Limit is what a host says of its limit on requests.
type Limit struct {
	Host    string `json:"host"`
	Refused bool   `json:"refused,omitempty"` // at least one request was
	oci.Rate
}

// Asked is one request.
type Asked struct {
	Method string        `json:"method"`
	URL    string        `json:"url"`
	Status int           `json:"status,omitempty"` // 0 when there was no answer
	Took   time.Duration `json:"took"`
	Error  string        `json:"error,omitempty"`
}

func askedOf(e oci.TraceEntry) Asked {
	return Asked{Method: e.Method, URL: e.URL, Status: e.Status, Took: e.Duration, Error: e.Error}
}

// OK reports whether everything that was tried is allowed.
func (r *Report) OK() bool {
	for _, right := range r.Rights {
		if !right.OK && !right.Untried {
			return false
		}
	}
	return len(r.Rights) > 0
}

// Err returns the error of the first right that is missing, nil when none is.
func (r *Report) Err() error {
	for _, right := range r.Rights {
		if !right.OK && !right.Untried {
			return &tidewaiter.Error{Kind: right.Kind, Msg: right.Name + ": " + right.Error, Fix: right.Fix}
		}
	}
	if len(r.Rights) > 0 {
		return nil
	}
	why := r.Network.Error
	for _, a := range r.Network.Addresses {
		if why == "" {
			why = a.Error
		}
	}
	return tidewaiter.Errorf(tidewaiter.ErrUnreachable, "%s cannot be reached: %s", r.Host, why)
}

func (r *Report) add(right Right, err error, kind tidewaiter.RegistryKind) {
	if right.OK = err == nil; err != nil {
		right.Detail, right.Kind = "", tidewaiter.KindOf(err)
		right.Error, right.Fix = messageOf(err)
		switch right.Kind {
		case tidewaiter.ErrAuth, tidewaiter.ErrDenied, tidewaiter.ErrUnsupported, tidewaiter.ErrGone:
			right.Grant = grantOf(kind, right.Name)
		}
	}
	r.Rights = append(r.Rights, right)
}

// advise says what to do about what was found.
func (r *Report) advise(x *examination) {
	sayf := func(format string, args ...any) { r.Advice = append(r.Advice, fmt.Sprintf(format, args...)) }
	if r.Kind.Claims != "" {
		sayf("it answers as a registry of kind %s does, at an address that is not one of its own: it was treated as any other, and the credential stayed here. A mirror or proxy of one is declared as oci", r.Kind.Claims)
	}
	if r.Kind.Other != "" {
		sayf("it is declared as %s and looks like %s", r.Kind.Kind, r.Kind.Other)
	}
	r.adviseNetwork(sayf, x)
	if c := r.Clock; c != nil && c.Ahead.Abs() > clockTolerance {
		sayf("the clocks differ by %s: tokens and signed requests may be refused as too old or too new (AWS takes five minutes); set this machine's clock by NTP", c.Ahead.Round(time.Second).Abs())
	}
	if t := r.Token; t != nil && t.Life < time.Minute {
		sayf("tokens live for %s only, so that lists take many more of them; let the token server give them for five minutes", t.Life)
	}
	for _, l := range r.Limits {
		switch {
		case l.Refused:
			sayf("%s refused requests as too many; ask at most %s", l.Host, limitText(l.Rate))
		case l.Limit > 0 && l.Remaining >= 0 && l.Remaining*10 < l.Limit:
			sayf("%s has %d of %d requests left", l.Host, l.Remaining, l.Limit)
		}
	}
	for _, right := range r.Rights {
		if right.Grant != "" {
			sayf("to %s: %s", right.Name, right.Grant)
		}
	}
}

const (
	clockTolerance = time.Minute
	expiryWarning  = 30 * 24 * time.Hour
)

func (r *Report) adviseNetwork(sayf func(string, ...any), x *examination) {
	if strings.HasPrefix(r.URL, "http://") {
		sayf("it is asked without TLS: whoever sits between sees the credential and can change the answers")
	}
	if x.registry.TLS.SkipVerify {
		sayf("its certificate is not verified, by choice: give its CA certificate instead")
	}
	works := map[string]bool{}
	for _, a := range r.Network.Addresses {
		works[a.Family] = works[a.Family] || a.Connects
	}
	for _, family := range []string{"IPv4", "IPv6"} {
		if ok, there := works[family]; there && !ok && len(works) > 1 {
			sayf("its name has %s addresses and none accepts a connection from here: each new connection may wait for them first", family)
		}
	}
	s := r.Network.TLS
	if s == nil {
		return
	}
	for _, c := range s.Chain {
		if left := c.NotAfter.Sub(r.At); left < expiryWarning && left > 0 {
			sayf("the certificate of %s expires in %d days, on %s", c.Subject, int(left.Hours()/24), c.NotAfter.Format(time.DateOnly))
		}
	}
}

// scrub takes texts out of everything in the report, whatever they were quoted in.
func (r *Report) scrub(secrets ...string) {
	if len(secrets) == 0 {
		return
	}
	b, err := json.Marshal(r)
	if err != nil {
		return // plain data: it cannot fail
	}
	text := string(b)
	for _, s := range secrets {
		if len(s) < 4 {
			continue // too short to be told from other text
		}
		quoted, err := json.Marshal(s)
		if err == nil {
			text = strings.ReplaceAll(text, string(quoted[1:len(quoted)-1]), "***")
		}
	}
	var clean Report
	if json.Unmarshal([]byte(text), &clean) == nil {
		*r = clean
	}
}

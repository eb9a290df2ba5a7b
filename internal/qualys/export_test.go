package qualys

import (
	"context"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// What the tests look at from outside.
var (
	QIDOf    = qidOf
	QIDsOf   = qidsOf
	LoginsOf = loginsOf
)

// ChosenImages returns the images the database chooses for a filter, those of all that the filter itself holds for, and
// whether the first claims to be the second.
func ChosenImages(ctx context.Context, c *control.Control, now func() time.Time, filter string) (byDatabase, byFilter []int64, exact bool, err error) {
	e, err := qql.Parse(filter)
	if err != nil {
		return nil, nil, false, err
	}
	chosen, err := (&server{control: c, now: now}).choose(ctx, e)
	if err != nil {
		return nil, nil, false, err
	}
	narrowed, _, err := c.Images(ctx, control.ImageFilter{Where: chosen.where, Page: control.Page{Limit: 1000}})
	if err != nil {
		return nil, nil, false, err
	}
	all, _, err := c.Images(ctx, control.ImageFilter{Page: control.Page{Limit: 1000}})
	uris := map[string]string{}
	if err == nil {
		err = (&server{control: c}).eachRegistry(ctx, func(l listing) { uris[l.ID] = trimSlash(l.URL) })
	}
	if err != nil {
		return nil, nil, false, err
	}
	holds, err := qql.Compile(e, imageTokens, now())
	for _, row := range narrowed {
		byDatabase = append(byDatabase, row.ID)
	}
	for _, row := range all {
		if err == nil && holds(seen{row, uris}) {
			byFilter = append(byFilter, row.ID)
		}
	}
	return byDatabase, byFilter, chosen.exact, err
}

// Routes lists the methods and paths of the API.
func Routes() []string {
	var out []string
	for _, r := range (&server{}).routes() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}

// The tables of types and kinds, for the tests.
var (
	KindOf    = kindOf
	TypeOf    = typeOf
	TypeNamed = registryTypeOf
)

// Types lists the registry types with the credential types that go with each.
func Types() map[string][]string {
	out := map[string][]string{}
	for _, k := range kinds {
		if out[k.name] == nil {
			out[k.name] = strings.Fields(k.credentials)
		}
	}
	return out
}

// CredentialKinds lists the credential types with what they mean; "" is anonymous.
func CredentialKinds() map[string]tidewaiter.CredentialKind {
	out := map[string]tidewaiter.CredentialKind{}
	for _, l := range logins {
		out[l.name] = l.kind
	}
	return out
}

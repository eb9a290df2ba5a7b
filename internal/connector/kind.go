package connector

import (
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Capabilities says what a kind of registry is and what its connector can do. Planner, API, command line and forms all
// read this one value.
type Capabilities struct {
	Kind  tidewaiter.RegistryKind `json:"kind"`
	Title string                  `json:"title"`

	URLPattern string `json:"urlPattern,omitempty"` // regular expression a registry's address matches; empty is any
	URLExample string `json:"urlExample"`

	Credentials []CredentialForm `json:"credentials"` // in the order to offer them
	Anonymous   bool             `json:"anonymous"`   // works without a credential, for what is public
	Settings    []Field          `json:"settings,omitempty"`

	Repositories Listing `json:"repositories"` // by what repositories are listed
	Tags         Listing `json:"tags"`
	Needs        string  `json:"needs,omitempty"` // what the kind's own API asks for; without it the lists come from the distribution API

	// What a native listing of tags says without another request. Tags listed by the distribution API say only their names.
	DigestInListing bool     `json:"digestInListing"`
	TimeInListing   TagTime  `json:"timeInListing,omitempty"`
	NewestFirst     bool     `json:"newestFirst"`
	Platforms       bool     `json:"platformsInListing"` // the kind's API names the platforms of an index; the connector's lists do not
	Since           bool     `json:"since"`              // the kind's API can filter by time; the connector's lists are always complete
	PushEvents      []string `json:"pushEvents,omitempty"`

	TokenLife time.Duration `json:"tokenLife,omitempty"` // of what is pulled with, as issued; 0 when it does not expire by itself
}

// Listing says by what API something is listed.
type Listing string

// The ways to list. Catalog and tags of the distribution API are both ListingDistribution.
const (
	ListingNative       Listing = "native"
	ListingDistribution Listing = "distribution"
)

// TagTime says which time a listing shows.
type TagTime string

// The times. A pushed time moves when a tag is pushed again, an updated one when the tag or its manifest changes in any
// way, a created one is when the manifest came to the registry.
const (
	TimePushed  TagTime = "pushed"
	TimeUpdated TagTime = "updated"
	TimeCreated TagTime = "created"
)

// CredentialForm is one way to log in.
type CredentialForm struct {
	Kind   tidewaiter.CredentialKind `json:"kind"`
	Title  string                    `json:"title"`
	Fields []Field                   `json:"fields"`
}

// Field is one thing a user fills in. Key is "username" or "secret" for those parts of a credential, else a key of
// Settings.
type Field struct {
	Key      string   `json:"key"`
	Title    string   `json:"title"`
	Secret   bool     `json:"secret,omitempty"`
	Required bool     `json:"required,omitempty"`
	Values   []string `json:"values,omitempty"` // when only these are allowed
}

// Form returns the form whose required fields are all given, of several the one that requires most, the first of equals.
func (c Capabilities) Form(given func(key string) bool) (best CredentialForm, ok bool) {
	most := -1
	for _, form := range c.Credentials {
		required, missing := 0, false
		for _, f := range form.Fields {
			if f.Required {
				required++
				missing = missing || !given(f.Key)
			}
		}
		if !missing && required > most {
			best, most = form, required
		}
	}
	return best, most >= 0
}

// FormsText says what the kind's credentials need, for a remedy: "give one of basic: username and secret; token: secret".
func (c Capabilities) FormsText() string {
	var forms []string
	for _, form := range c.Credentials {
		var fields []string
		for _, f := range form.Fields {
			if f.Required {
				fields = append(fields, f.Key)
			}
		}
		forms = append(forms, string(form.Kind)+": "+strings.Join(fields, " and "))
	}
	return "give one of " + strings.Join(forms, "; ")
}

// Matches reports whether a registry's address is one of the kind's own; false for kinds that can be anywhere.
func (c Capabilities) Matches(address string) bool {
	pattern, err := regexp.Compile(c.URLPattern)
	return c.URLPattern != "" && err == nil && pattern.MatchString(address)
}

// kind is what the connector knows of one kind of registry.
type kind struct {
	Capabilities

	open func(*opening) (*connection, error)
}

// connection is how a registry is spoken to.
type connection struct {
	endpoint oci.Endpoint
	list     func(*oci.Registry) lister // nil lists by the distribution API
	name     func(string) string        // what the registry calls a repository that a user named; nil is the same
}

// kinds returns every kind, in the order to show them.
func kinds() []kind {
	return []kind{
		distributionKind(), dockerHubKind(), ecrKind(), acrKind(), garKind(), artifactoryKind(), nexusKind(), quayKind(),
		harborKind(), gitLabKind(), ghcrKind(), openShiftKind(), dtrKind(), ibmKind(), ocirKind(),
	}
}

// Kinds returns what every kind of registry can do, in the order to show them.
func Kinds() []Capabilities {
	var out []Capabilities
	for _, k := range kinds() {
		out = append(out, k.Capabilities)
	}
	return out
}

// CapabilitiesOf returns what a kind of registry can do; ok is false for a kind that is not known.
func CapabilitiesOf(of tidewaiter.RegistryKind) (c Capabilities, ok bool) {
	k, ok := kindOf(of)
	return k.Capabilities, ok
}

func kindOf(of tidewaiter.RegistryKind) (kind, bool) {
	for _, k := range kinds() {
		if k.Kind == of {
			return k, true
		}
	}
	return kind{}, false
}

// Forms that several kinds share.

func basicForm(title string) CredentialForm {
	return CredentialForm{Kind: tidewaiter.CredentialBasic, Title: title, Fields: []Field{
		{Key: "username", Title: "User name", Required: true}, {Key: "secret", Title: "Password or token", Secret: true, Required: true},
	}}
}

func tokenForm(title string) CredentialForm {
	return CredentialForm{Kind: tidewaiter.CredentialToken, Title: title, Fields: []Field{
		{Key: "username", Title: "User name, where the registry wants one"}, {Key: "secret", Title: "Token", Secret: true, Required: true},
	}}
}

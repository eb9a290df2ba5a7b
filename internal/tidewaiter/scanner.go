package tidewaiter

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Scanner is a scanner elsewhere that is asked for a second opinion on images: an adapter that speaks Harbor's pluggable scanner
// API. Its address and what it is logged in to with are sealed beside it.
type Scanner struct {
	ID       string       `json:"id"` // UUID
	Name     string       `json:"name"`
	Address  string       `json:"address"` // scheme and host of the URL; the rest may be a secret
	Login    ScannerLogin `json:"login"`
	Username string       `json:"username,omitempty"` // of LoginBasic
	Lend     ScannerLend  `json:"lend"`
	TLS      TLS          `json:"tls,omitzero"`
	Disabled bool         `json:"disabled,omitempty"` // nothing new is asked; what was said stays

	// Which registries' images it is asked about: all of them, or those with these ids, or none.
	AllRegistries bool     `json:"allRegistries,omitempty"`
	Registries    []string `json:"registries,omitempty"` // sorted

	MaxAge   time.Duration `json:"maxAge"`   // an opinion older than this is asked for again when its image is next seen
	Parallel int           `json:"parallel"` // how many images it is asked about at once

	About ScannerAbout `json:"about,omitzero"` // as of the last time it was asked

	PausedUntil time.Time `json:"-"` // it asked for time, or could not be reached
	Sealed      []byte    `json:"-"` // what package opinion calls Secrets
	CreatedAt   time.Time `json:"-"`
	UpdatedAt   time.Time `json:"-"`
}

// ScannerAbout is what a scanner says of itself.
type ScannerAbout struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor,omitempty"`
	Version string `json:"version,omitempty"`

	Consumes []string `json:"consumes,omitempty"` // media types of manifests it takes
	Reports  []string `json:"reports,omitempty"`  // media types of reports on vulnerabilities it writes
	Typed    bool     `json:"typed,omitempty"`    // it names types of capabilities, as of 1.2 of the API
	SBOM     bool     `json:"sbom,omitempty"`     // it makes bills of materials as well

	WantsLogin string    `json:"wantsLogin,omitempty"` // Basic or Bearer: how it wants to log in to registries
	DatabaseAt time.Time `json:"databaseAt,omitzero"`  // when its vulnerability database was updated
	CheckedAt  time.Time `json:"checkedAt,omitzero"`
}

// ScannerLogin says how a scanner is logged in to.
type ScannerLogin string

// The ways, as Harbor has them.
const (
	LoginNone   ScannerLogin = "none"
	LoginBasic  ScannerLogin = "basic"  // user name and password
	LoginBearer ScannerLogin = "bearer" // a token
	LoginAPIKey ScannerLogin = "apikey" // header X-ScannerAdapter-API-Key
)

// ScannerLend says what a scanner is lent to pull an image with.
type ScannerLend string

// The ways. A token reads one repository and ends by itself; where a registry gives none, only the credential is left.
const (
	LendAuto       ScannerLend = "auto"       // a token where the registry gives one, else the credential
	LendToken      ScannerLend = "token"      // never the credential
	LendCredential ScannerLend = "credential" // for scanners that only take a user name and a password, or pull after tokens end
)

// The bounds of a scanner.
const (
	MaxScannerName       = 100
	MaxScannerRegistries = 1000
	MaxScannerParallel   = 64
	DefaultParallel      = 4
	DefaultOpinionAge    = 24 * time.Hour
	MinOpinionAge        = 10 * time.Minute
	MaxOpinionAge        = 365 * 24 * time.Hour
	maxScannerUsername   = 255
)

// Validate brings the scanner into its usual form and reports the first field that cannot be as an ErrInvalid.
func (s *Scanner) Validate() error {
	s.Name = strings.TrimSpace(s.Name)
	if s.Login == "" {
		s.Login = LoginNone
	}
	if s.Lend == "" {
		s.Lend = LendAuto
	}
	if s.MaxAge == 0 {
		s.MaxAge = DefaultOpinionAge
	}
	if s.Parallel == 0 {
		s.Parallel = DefaultParallel
	}
	switch {
	case s.Name == "":
		return Invalid("name", "the scanner needs a name")
	case utf8.RuneCountInString(s.Name) > MaxScannerName:
		return Invalid("name", "the name is longer than %d characters", MaxScannerName)
	case strings.ContainsFunc(s.Name, unprintable):
		return Invalid("name", "the name holds characters that cannot be printed")
	case s.Lend != LendAuto && s.Lend != LendToken && s.Lend != LendCredential:
		return Invalid("lend", "%q is nothing that can be lent", s.Lend).WithFix("one of auto, token, credential")
	case s.MaxAge < MinOpinionAge || s.MaxAge > MaxOpinionAge:
		return Invalid("maxAge", "an opinion cannot be %s old", s.MaxAge).WithFix("between %s and %s", MinOpinionAge, MaxOpinionAge)
	case s.Parallel < 0 || s.Parallel > MaxScannerParallel:
		return Invalid("parallel", "%d images cannot be asked about at once", s.Parallel).WithFix("between 1 and %d", MaxScannerParallel)
	case len(s.Registries) > MaxScannerRegistries:
		return Invalid("registries", "more than %d registries", MaxScannerRegistries).WithFix("set allRegistries")
	case s.AllRegistries && len(s.Registries) > 0:
		return Invalid("registries", "all registries are named, and some").WithFix("leave one of the two out")
	}
	slices.Sort(s.Registries)
	s.Registries = slices.Compact(s.Registries)
	return s.validateLogin()
}

func (s *Scanner) validateLogin() error {
	switch s.Login {
	case LoginBasic:
		if s.Username == "" || len(s.Username) > maxScannerUsername || strings.ContainsFunc(s.Username, unprintable) || strings.Contains(s.Username, ":") {
			return Invalid("username", "basic needs a user name of at most %d characters, without a colon", maxScannerUsername)
		}
	case LoginNone, LoginBearer, LoginAPIKey:
		if s.Username != "" {
			return Invalid("username", "a user name goes with basic only").WithFix("set login to basic, or leave the user name out")
		}
	default:
		return Invalid("login", "%q is no way to log in", s.Login).WithFix("one of none, basic, bearer, apikey")
	}
	return nil
}

func unprintable(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }

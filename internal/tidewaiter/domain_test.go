package tidewaiter_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestKindOf(t *testing.T) {
	cause := errors.New("boom")
	err := fmt.Errorf("list tags: %w", tidewaiter.Errorf(tidewaiter.ErrTransient, "connection cut: %w", cause))
	if tidewaiter.KindOf(err) != tidewaiter.ErrTransient || !errors.Is(err, cause) {
		t.Errorf("%v is of kind %s", err, tidewaiter.KindOf(err))
	}
	if tidewaiter.KindOf(nil) != "" || tidewaiter.KindOf(cause) != tidewaiter.ErrBug {
		t.Error("nil has no kind, a stranger is a bug")
	}
}

func TestCounts(t *testing.T) {
	c := tidewaiter.Counts{Critical: 12, High: 28, Medium: 20}
	if c.RiskScore() != 12_282_000 || c.Total() != 60 || c.Worst() != tidewaiter.SeverityCritical {
		t.Errorf("%+v: %d %d %s", c, c.RiskScore(), c.Total(), c.Worst())
	}
}

func TestPackageKey(t *testing.T) {
	base := tidewaiter.Package{Ecosystem: tidewaiter.EcosystemDeb, Name: "openssl", Version: "3.0.11", Release: "1",
		Distribution: tidewaiter.Distribution{Family: "debian", Release: "12.5"}}
	same := base
	same.Licenses, same.PURL, same.ID, same.Distribution.PrettyName = []string{"Apache-2.0"}, "pkg:deb/x", 7, "Debian"
	if base.Key() != same.Key() {
		t.Error("what only describes a package changes its key")
	}
	for name, change := range map[string]func(*tidewaiter.Package){
		"version": func(p *tidewaiter.Package) { p.Version = "3.0.12" }, "epoch": func(p *tidewaiter.Package) { p.Epoch = 1 },
		"distribution": func(p *tidewaiter.Package) { p.Distribution.Release = "11" }, "source": func(p *tidewaiter.Package) { p.Source = "s" },
		"content sets": func(p *tidewaiter.Package) { p.Distribution.ContentSets = []string{"x"} }, "module": func(p *tidewaiter.Package) { p.Modularity = "m" },
	} {
		other := base
		change(&other)
		if other.Key() == base.Key() {
			t.Errorf("another %s is the same key", name)
		}
	}
}

func TestPlatformMatches(t *testing.T) {
	arm := tidewaiter.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	if !arm.Matches(tidewaiter.Platform{OS: "Linux", Architecture: "arm64"}) || arm.Matches(tidewaiter.Platform{OS: "linux", Architecture: "arm64", Variant: "v7"}) {
		t.Error("a variant counts only when both name one")
	}
}

func TestRoles(t *testing.T) {
	if !tidewaiter.RoleAdmin.May(tidewaiter.MayManageUsers) || tidewaiter.RoleOperator.May(tidewaiter.MayManageUsers) ||
		tidewaiter.RoleAuditor.May(tidewaiter.MayWriteRegistries) || tidewaiter.Role("nobody").May(tidewaiter.MayReadImages) {
		t.Error("a role may what it should not, or may not what it should")
	}
}

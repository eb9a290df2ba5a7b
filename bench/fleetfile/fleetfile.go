// Package fleetfile is how a measure hands the fleet it made to another scanner: as a file of package lists.
package fleetfile

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Fleet is images on one base, each with packages of its own.
type Fleet struct {
	Base   []*tidewaiter.Package
	Images [][]*tidewaiter.Package
}

// Write writes a fleet to a file that is not there yet.
func Write(path string, f *Fleet) error {
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write a fleet: %w", err)
	}
	return os.WriteFile(path, b, 0o600)
}

// Read reads what Write wrote.
func Read(path string) (*Fleet, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &Fleet{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("read the fleet in %s: %w", path, err)
	}
	return f, nil
}

// Path is the file a package is in: each has one of its own.
func Path(p *tidewaiter.Package) string {
	if p.Ecosystem.OS() {
		return "/var/lib/dpkg/status.d/" + p.Name
	}
	return "/srv/" + string(p.Ecosystem) + "/" + p.Name
}

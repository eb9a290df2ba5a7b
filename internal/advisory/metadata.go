package advisory

import (
	"encoding/json"
	"os"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// schemaVersion is the form of database we can read. trivy-db: pkg/db SchemaVersion.
const schemaVersion = 2

// readMetadata returns when a database was built and when the next one was promised. A database of another schema is
// ErrUnsupported.
func readMetadata(root *os.Root) (updated, next time.Time, err error) {
	raw, err := readFile(root, metadataFile, maxMetadata)
	if err != nil {
		return updated, next, onDisk(err)
	}
	var meta struct {
		Version    int
		UpdatedAt  time.Time
		NextUpdate time.Time
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return updated, next, tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s cannot be read: %w", metadataFile, err)
	}
	if meta.Version != schemaVersion {
		return updated, next, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the advisory database has schema version %d, not %d", meta.Version, schemaVersion).
			WithFix("use the tag :%d of the database", schemaVersion)
	}
	return meta.UpdatedAt, meta.NextUpdate, nil
}

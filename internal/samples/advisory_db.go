package samples

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Media types of an advisory database as a registry holds it. Trivy DB: the artifact its project publishes.
const (
	advisoriesType   = "application/vnd.aquasec.trivy.config.v1+json"
	advisoriesLayer  = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
	advisoriesSchema = 2
)

// AdvisoryOptions says which sample database to make.
type AdvisoryOptions struct {
	Edition   Edition
	UpdatedAt time.Time // when it claims to have been built; the zero time means the samples' own date
}

// WriteAdvisories makes the sample advisory database in dir, which has to exist: trivy.db, a bbolt file of schema 2, and
// metadata.json. It opens no database but the one it writes. An existing trivy.db is replaced.
func WriteAdvisories(dir string, o AdvisoryOptions) error {
	list, err := advisories(o.Edition)
	if err != nil {
		return fmt.Errorf("make advisories: %w", err)
	}
	known, err := vulnerabilities()
	if err != nil {
		return fmt.Errorf("make advisories: %w", err)
	}
	if err := writeBolt(filepath.Join(dir, "trivy.db"), list, known); err != nil {
		return fmt.Errorf("make advisories: %w", err)
	}
	updated := o.UpdatedAt.UTC()
	if o.UpdatedAt.IsZero() {
		updated = builtAt()
	}
	meta, err := json.Marshal(struct {
		Version                             int
		NextUpdate, UpdatedAt, DownloadedAt time.Time
	}{Version: advisoriesSchema, NextUpdate: updated.Add(24 * time.Hour), UpdatedAt: updated})
	if err != nil {
		return fmt.Errorf("make advisories: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "metadata.json"), meta, 0o600); err != nil {
		return fmt.Errorf("make advisories: %w", err)
	}
	return nil
}

func writeBolt(path string, list []advisory, known map[string]vulnerabilityJSON) (err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// The page size follows the machine unless it is set, and with it would the digest of the file.
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 4096, NoSync: true, Timeout: 5 * time.Second})
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, a := range list {
		description, ok := known[a.id]
		if !ok {
			return fmt.Errorf("no description of %s", a.id)
		}
		src, err := sourceOf(a.bucket)
		if err != nil {
			return err
		}
		if err := errors.Join(
			put(db, src, a.bucket, "data-source"),
			put(db, a.value, a.id, a.bucket, a.pkg),
			put(db, description, a.id, "vulnerability"),
		); err != nil {
			return fmt.Errorf("store %s: %w", a.id, err)
		}
	}
	return nil
}

// put stores a value under key in a bucket, named from the root down. Each value has a transaction of its own: one that
// changes several buckets writes them in random order, and the file would differ each time.
func put(db *bolt.DB, value any, key string, path ...string) error {
	data, err := json.Marshal(value) // maps in the order of their keys
	if err != nil {
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(path[0]))
		for _, name := range path[1:] {
			if err != nil {
				return err
			}
			b, err = b.CreateBucketIfNotExists([]byte(name))
		}
		if err != nil {
			return err
		}
		return b.Put([]byte(key), data)
	})
}

// PackAdvisories makes the sample advisory database as an OCI artifact of one layer.
func PackAdvisories(o AdvisoryOptions) (m *Manifest, err error) {
	dir, err := os.MkdirTemp("", "advisories-")
	if err != nil {
		return nil, fmt.Errorf("pack advisories: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := WriteAdvisories(dir, o); err != nil {
		return nil, err
	}
	var entries []Entry
	for _, name := range []string{"trivy.db", "metadata.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("pack advisories: %w", err)
		}
		entries = append(entries, Bytes(name, b))
	}
	l, err := NewLayer(Gzip, entries...)
	if err != nil {
		return nil, fmt.Errorf("pack advisories: %w", err)
	}
	layer := NewBlob(advisoriesLayer, l.Data)
	layer.Annotations = map[string]string{"org.opencontainers.image.title": "db.tar.gz"}
	m, err = Artifact(ArtifactSpec{Type: advisoriesType, Layers: []Blob{layer}})
	if err != nil {
		return nil, fmt.Errorf("pack advisories: %w", err)
	}
	return m, nil
}

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// thinEvery says that one advisory in so many is missing from a thinned database.
const thinEvery = 100

// thin copies an advisory database without every hundredth of its advisories: the day before, so to say.
func thin(from, to string) (err error) {
	if err := copyDatabase(from, to); err != nil {
		return err
	}
	db, err := bolt.Open(filepath.Join(to, "trivy.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(tx *bolt.Tx) error {
		seen := 0
		return tx.ForEach(func(_ []byte, source *bolt.Bucket) error {
			return source.ForEachBucket(func(name []byte) error {
				advisories := source.Bucket(name)
				var gone [][]byte
				err := advisories.ForEach(func(id, value []byte) error {
					if seen++; seen%thinEvery == 0 && value != nil {
						gone = append(gone, id)
					}
					return nil
				})
				for _, id := range gone {
					err = errors.Join(err, advisories.Delete(id))
				}
				return err
			})
		})
	})
}

// copyDatabase copies a database into another folder.
func copyDatabase(from, to string) error {
	return errors.Join(os.MkdirAll(to, 0o700), copyFile(filepath.Join(from, "trivy.db"), filepath.Join(to, "trivy.db")))
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// What is in the Keeper's directory: one directory a version, the name of the one in use, and things half made.
const (
	pointerFile = "current"
	versionFile = "advisories.json" // in a version's directory: its tidewaiter.Advisories
	stagingDir  = ".unpacking"
	pointerNext = ".current"
)

var versionDir = regexp.MustCompile(`^[0-9a-f]{16}$`)

// dirOf names a version's directory after the head of its digest.
func dirOf(version string) string { return version[len("sha256:"):][:16] }

// install unpacks a database beside the one in use, opens it, and only then lets go of the other. unpack returns the
// digest of all it read; when adv has no version yet, that becomes it. The caller holds the work token.
func (k *Keeper) install(adv tidewaiter.Advisories, unpack func(*staging) (string, error)) (err error) {
	if err := os.MkdirAll(k.options.Dir, 0o700); err != nil {
		return onDisk(err)
	}
	root, err := os.OpenRoot(k.options.Dir)
	if err != nil {
		return onDisk(err)
	}
	defer root.Close()
	if err := root.RemoveAll(stagingDir); err != nil {
		return onDisk(err)
	}
	defer func() { _ = root.RemoveAll(stagingDir) }() // gone already when all went well
	if adv, err = k.stage(root, adv, unpack); err != nil {
		return err
	}
	dir := dirOf(adv.Version)
	current := k.State().Current
	if current != nil && current.Version == adv.Version {
		return nil // the same file imported again
	}
	if current != nil && dirOf(current.Version) == dir {
		return tidewaiter.Errorf(tidewaiter.ErrBug, "two versions of the advisories have digests that begin alike")
	}
	if err := publish(root, dir); err != nil {
		return err
	}
	if err := k.options.Open(filepath.Join(k.options.Dir, dir), adv); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", errNotOpened, err), root.RemoveAll(dir), root.RemoveAll(pointerNext))
	}
	k.opened(adv)
	if err := root.Rename(pointerNext, pointerFile); err != nil {
		return onDisk(err) // in use now, and fetched again after a restart
	}
	sweep(root, dir)
	return onDisk(syncDir(root))
}

// stage unpacks into the staging directory and completes what is known of the advisories.
func (k *Keeper) stage(root *os.Root, adv tidewaiter.Advisories, unpack func(*staging) (string, error)) (tidewaiter.Advisories, error) {
	if err := root.Mkdir(stagingDir, 0o700); err != nil {
		return adv, onDisk(err)
	}
	inner, err := root.OpenRoot(stagingDir)
	if err != nil {
		return adv, onDisk(err)
	}
	defer inner.Close()
	digest, err := unpack(&staging{root: inner, maxDatabase: k.options.MaxDatabase})
	if err != nil {
		return adv, err
	}
	if adv.Version == "" {
		adv.Version = digest
	}
	if adv.UpdatedAt, adv.NextUpdate, err = readMetadata(inner); err != nil {
		return adv, err
	}
	adv.FetchedAt = k.options.Now().UTC()
	raw, err := json.Marshal(adv)
	if err != nil {
		return adv, err
	}
	if err := writeFile(inner, versionFile, raw); err != nil {
		return adv, err
	}
	return adv, onDisk(syncDir(inner))
}

// publish gives the staged database its name, and writes the pointer to it beside the old one, so that moving the
// pointer later needs no room on the disk.
func publish(root *os.Root, dir string) error {
	if err := root.RemoveAll(dir); err != nil { // left over: it is not the one in use
		return onDisk(err)
	}
	if err := root.RemoveAll(pointerNext); err != nil {
		return onDisk(err)
	}
	if err := writeFile(root, pointerNext, []byte(dir+"\n")); err != nil {
		return err
	}
	if err := root.Rename(stagingDir, dir); err != nil {
		return onDisk(err)
	}
	return onDisk(syncDir(root))
}

// sweep removes every version but one, and what was left half made. Files it does not know stay.
func sweep(root *os.Root, keep string) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		if name := e.Name(); name != keep && versionDir.MatchString(name) || name == stagingDir || name == pointerNext {
			_ = root.RemoveAll(name) // tried again next time
		}
	}
}

// Restore takes the advisories that are on disk into use. There being none is no error; that they cannot be used is, and
// is in State too.
func (k *Keeper) Restore() error {
	<-k.work
	defer func() { k.work <- struct{}{} }()
	err := k.restore()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.LastError = err
	if adv := k.state.Current; adv != nil {
		now := k.options.Now()
		k.state.Next = now.Add(k.jitter(k.nextWait(minTime(adv.FetchedAt, now), now)))
	}
	return err
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (k *Keeper) restore() error {
	root, err := os.OpenRoot(k.options.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return onDisk(err)
	}
	defer root.Close()
	pointer, err := readFile(root, pointerFile, 64)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return onDisk(err)
	}
	dir := string(pointer[:max(0, len(pointer)-1)])
	if !versionDir.MatchString(dir) {
		return damaged("the name of the advisories in use is damaged", nil)
	}
	raw, err := readFile(root, filepath.Join(dir, versionFile), maxMetadata)
	if err != nil {
		return damaged("the advisories in use are gone", err)
	}
	var adv tidewaiter.Advisories
	if err := json.Unmarshal(raw, &adv); err != nil || !sha256Digest.MatchString(adv.Version) || dirOf(adv.Version) != dir {
		return damaged("the version of the advisories in use is damaged", err)
	}
	if err := k.options.Open(filepath.Join(k.options.Dir, dir), adv); err != nil {
		return fmt.Errorf("restore advisories: %w", err)
	}
	k.opened(adv)
	sweep(root, dir)
	return nil
}

func damaged(what string, cause error) error {
	return &tidewaiter.Error{Kind: tidewaiter.ErrMalformed, Err: cause, Msg: "restore advisories: " + what,
		Fix: "the next update fetches them again; without a network, import them"}
}

func (k *Keeper) opened(adv tidewaiter.Advisories) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Current, k.state.Since = &adv, k.options.Now()
}

func writeFile(root *os.Root, name string, content []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return onDisk(err)
	}
	_, err = f.Write(content)
	return onDisk(errors.Join(err, f.Sync(), f.Close()))
}

func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

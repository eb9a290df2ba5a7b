package advisory

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// keptFeed is what lies beside a feed's file, which is named after the version. Replacing it is what replaces the feed.
type keptFeed struct {
	Feed tidewaiter.Feed `json:"feed"`
	Seen seen            `json:"seen"`
}

func pointerOf(kind tidewaiter.FeedKind) string { return string(kind) + ".json" }

func dataOf(kind tidewaiter.FeedKind, version string) string {
	return string(kind) + "-" + dirOf(version) + ".data"
}

// shown is a source without a password.
func shown(source string) string {
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		return u.Redacted()
	}
	return source
}

// kept reads what is known of the feed on disk; nil when there is none.
func (f *Feeds) kept(kind tidewaiter.FeedKind) (*keptFeed, error) {
	root, err := os.OpenRoot(f.options.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, onDisk(err)
	}
	defer root.Close()
	raw, err := readFile(root, pointerOf(kind), maxMetadata)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, onDisk(err)
	}
	var k keptFeed
	if err := json.Unmarshal(raw, &k); err != nil || !sha256Digest.MatchString(k.Feed.Version) {
		return nil, damaged("what is known of the feed "+string(kind)+" is damaged", err)
	}
	return &k, nil
}

// replace fetches a feed, checks it and puts it in the place of the one on disk, then takes it into use.
func (f *Feeds) replace(ctx context.Context, kind tidewaiter.FeedKind, source string, before seen, older bool) (changed bool, err error) {
	select {
	case <-f.work:
		defer func() { f.work <- struct{}{} }()
	case <-ctx.Done():
		return false, canceled(ctx.Err())
	}
	changed, err = f.fetchAndKeep(ctx, kind, source, before, older)
	if err != nil {
		return false, fmt.Errorf("feed %s: %w", kind, err)
	}
	return changed, f.takeHeld(ctx, kind)
}

func (f *Feeds) fetchAndKeep(ctx context.Context, kind tidewaiter.FeedKind, source string, before seen, older bool) (changed bool, err error) {
	var body io.ReadCloser
	now := seen{Source: source}
	if file, ok := strings.CutPrefix(source, "file:"); ok {
		body, err = openFile(file)
	} else {
		body, now, err = f.fetchFeed(ctx, source, before)
	}
	if err != nil || body == nil {
		return false, err
	}
	defer body.Close()
	if err := os.MkdirAll(f.options.Dir, 0o700); err != nil {
		return false, onDisk(err)
	}
	root, err := os.OpenRoot(f.options.Dir)
	if err != nil {
		return false, onDisk(err)
	}
	defer root.Close()
	next := fmt.Sprintf(".%s.next.%d", kind, os.Getpid())
	defer func() { _ = root.Remove(next) }() // it has another name when all went well
	feed, err := f.stage(ctx, root, kind, next, body)
	if err != nil {
		return false, err
	}
	feed.Source, feed.FetchedAt = now.Source, f.options.Now().UTC()
	current, err := f.kept(kind)
	if err != nil {
		current = nil // damaged: anything is better
	}
	if current != nil && !older && feed.Date.Before(current.Feed.Date) {
		return false, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the source has a feed of %s, older than the one of %s in use",
			feed.Date.Format("2006-01-02"), current.Feed.Date.Format("2006-01-02")).WithFix("import the file to go back to it")
	}
	changed = current == nil || current.Feed.Version != feed.Version
	return changed, f.publish(root, kind, next, keptFeed{feed, now}, current)
}

// stage writes what comes to disk and reads it to its end as what it should be.
func (f *Feeds) stage(ctx context.Context, root *os.Root, kind tidewaiter.FeedKind, name string, body io.Reader) (feed tidewaiter.Feed, err error) {
	file, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return feed, onDisk(err)
	}
	defer func() { err = errors.Join(err, onDisk(file.Close())) }()
	content := newMeter(ctx, body, f.options.MaxFile)
	if _, err := io.Copy(&diskWriter{file}, content); err != nil {
		if _, known := errors.AsType[*tidewaiter.Error](err); !known {
			err = tidewaiter.Errorf(tidewaiter.ErrTransient, "the transfer was cut short: %w", err)
		}
		return feed, err
	}
	if err := file.Sync(); err != nil {
		return feed, onDisk(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return feed, onDisk(err)
	}
	digest, err := content.digest()
	if err != nil {
		return feed, err
	}
	text, err := f.text(ctx, file)
	if err != nil {
		return feed, err
	}
	if kind == tidewaiter.FeedKEV {
		if _, feed, err = readKEV(text); err == nil {
			_, err = io.Copy(io.Discard, text) // to its checksum
		}
	} else {
		var scores *epssFeed
		if scores, feed, err = openEPSS(text); err == nil {
			for _, err = range scores.scores() {
				if err != nil {
					break
				}
				feed.Entries++
			}
		}
	}
	feed.Version = digest
	if err != nil {
		err = broken("is cut short or damaged", err)
	}
	return feed, err
}

// text unpacks a file that is gzipped and bounds what comes out.
func (f *Feeds) text(ctx context.Context, file io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(file, 64<<10)
	head, err := in.Peek(2)
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the file is empty")
	}
	if !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return newMeter(ctx, in, f.options.MaxText), nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, broken("is not gzipped", err)
	}
	return newMeter(ctx, z, f.options.MaxText), nil
}

// publish gives the staged file its name, then points to it, then removes the one before.
func (f *Feeds) publish(root *os.Root, kind tidewaiter.FeedKind, staged string, k keptFeed, before *keptFeed) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return err
	}
	data, pointer := dataOf(kind, k.Feed.Version), pointerOf(kind)
	if err := root.Rename(staged, data); err != nil {
		return onDisk(err)
	}
	if err := root.RemoveAll("." + pointer); err != nil {
		return onDisk(err)
	}
	if err := writeFile(root, "."+pointer, raw); err != nil {
		return err
	}
	if err := root.Rename("."+pointer, pointer); err != nil {
		return onDisk(err)
	}
	if before != nil && before.Feed.Version != k.Feed.Version {
		_ = root.Remove(dataOf(kind, before.Feed.Version)) // of use to nobody; it takes little room
	}
	return onDisk(syncDir(root))
}

// take takes what is on disk into use unless it is. Another process may have put it there.
func (f *Feeds) take(ctx context.Context, kind tidewaiter.FeedKind) error {
	select {
	case <-f.work:
		defer func() { f.work <- struct{}{} }()
	case <-ctx.Done():
		return canceled(ctx.Err())
	}
	return f.takeHeld(ctx, kind)
}

func (f *Feeds) takeHeld(ctx context.Context, kind tidewaiter.FeedKind) error {
	k, err := f.kept(kind)
	if err == nil && k != nil {
		s := f.State(kind)
		if s.Taken && s.Current != nil && s.Current.Version == k.Feed.Version {
			f.note(kind, k, true, nil)
			return nil
		}
		if f.options.Taker != nil {
			err = f.hand(ctx, kind, k.Feed)
		}
	}
	if err != nil {
		err = fmt.Errorf("take feed %s into use: %w", kind, err)
	}
	f.note(kind, k, err == nil && k != nil && f.options.Taker != nil, err)
	return err
}

func (f *Feeds) note(kind tidewaiter.FeedKind, k *keptFeed, taken bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.states[kind]
	if k != nil {
		s.Current, s.seen = &k.Feed, k.Seen
	}
	if s.Taken = taken; err != nil {
		s.LastError = err
	}
	if tidewaiter.KindOf(err) == tidewaiter.ErrMalformed {
		s.seen = seen{} // what the source has is wanted, though it is what we had
	}
}

// hand reads the feed on disk and hands it over.
func (f *Feeds) hand(ctx context.Context, kind tidewaiter.FeedKind, feed tidewaiter.Feed) error {
	root, err := os.OpenRoot(f.options.Dir)
	if err != nil {
		return onDisk(err)
	}
	defer root.Close()
	file, err := root.Open(dataOf(kind, feed.Version))
	if err != nil {
		return damaged("the feed in use is gone", err)
	}
	defer file.Close()
	text, err := f.text(ctx, file)
	if err != nil {
		return err
	}
	if kind == tidewaiter.FeedKEV {
		catalog, _, err := readKEV(text)
		if err != nil {
			return err
		}
		return f.options.Taker.TakeKEV(ctx, feed, catalog)
	}
	scores, _, err := openEPSS(text)
	if err != nil {
		return err
	}
	return f.options.Taker.TakeEPSS(ctx, feed, scores.scores())
}

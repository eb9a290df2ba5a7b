package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// StoredContent is an image's content as it is stored: packages by number only.
type StoredContent struct {
	Distribution *tidewaiter.Distribution
	Installed    []InstalledRef
	Secrets      []tidewaiter.Secret
	SetID        []tidewaiter.SetIDFile
	Notices      []tidewaiter.Notice
	Checks       []tidewaiter.Check
}

// InstalledRef is one occurrence of a package in an image.
type InstalledRef struct {
	PackageID int64
	Layer     int
	Path      string
}

// contentRest is all of a content but its packages.
type contentRest struct {
	Distribution *tidewaiter.Distribution `json:"distribution,omitempty"`
	Secrets      []tidewaiter.Secret      `json:"secrets,omitempty"`
	SetID        []tidewaiter.SetIDFile   `json:"setID,omitempty"`
	Notices      []tidewaiter.Notice      `json:"notices,omitempty"`
	Checks       []tidewaiter.Check       `json:"checks,omitempty"`
}

// contentVersion is the first byte of an encoded content. Another version is another format.
const contentVersion = 1

// EncodeContent writes a content as a version byte, the distinct paths, the packages with the difference of each number
// to the one before, its layer and its path's index, and the rest as JSON. Equal contents give equal bytes.
func EncodeContent(c *StoredContent) ([]byte, error) {
	rest, err := json.Marshal(contentRest{c.Distribution, c.Secrets, c.SetID, c.Notices, c.Checks})
	if err != nil {
		return nil, fmt.Errorf("write a content: %w", err)
	}
	var paths []string
	index := map[string]uint64{}
	for _, in := range c.Installed {
		if _, ok := index[in.Path]; !ok {
			index[in.Path] = uint64(len(paths))
			paths = append(paths, in.Path)
		}
	}
	b := append(make([]byte, 0, 8*len(c.Installed)+len(rest)+64), contentVersion)
	b = binary.AppendUvarint(b, uint64(len(paths)))
	for _, p := range paths {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Installed)))
	last := int64(0)
	for _, in := range c.Installed {
		b = binary.AppendVarint(b, in.PackageID-last)
		b = binary.AppendUvarint(b, uint64(max(in.Layer, 0)))
		b = binary.AppendUvarint(b, index[in.Path])
		last = in.PackageID
	}
	return append(b, rest...), nil
}

// DecodeContent reads what EncodeContent wrote. Anything else is ErrMalformed.
func DecodeContent(b []byte) (*StoredContent, error) {
	d := contentDecoder{b: b}
	c := d.content()
	if d.bad {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "a stored content is damaged")
	}
	return c, nil
}

type contentDecoder struct {
	b   []byte
	bad bool
}

func (d *contentDecoder) content() *StoredContent {
	if len(d.b) == 0 || d.b[0] != contentVersion {
		d.bad = true
		return nil
	}
	d.b = d.b[1:]
	paths := make([]string, d.count(1))
	all := string(d.b) // in one piece: an image has hundreds of paths
	for i := range paths {
		n := d.count(1)
		at := len(all) - len(d.b)
		paths[i], d.b = all[at:at+n], d.b[n:]
	}
	// Every entry takes at least three bytes, which bounds what a damaged count can make us allocate.
	c := &StoredContent{}
	if n := d.count(3); n > 0 {
		c.Installed = make([]InstalledRef, n)
	}
	last := int64(0)
	for i := range c.Installed {
		last += d.varint()
		layer, path := d.uvarint(), d.uvarint()
		if d.bad || layer > 1<<20 || path >= uint64(len(paths)) {
			d.bad = true
			return nil
		}
		c.Installed[i] = InstalledRef{PackageID: last, Layer: int(layer), Path: paths[path]}
	}
	var rest contentRest
	if d.bad || json.Unmarshal(d.b, &rest) != nil {
		d.bad = true
		return nil
	}
	c.Distribution, c.Secrets, c.SetID, c.Notices, c.Checks = rest.Distribution, rest.Secrets, rest.SetID, rest.Notices, rest.Checks
	return c
}

// count reads a number of things that take at least size bytes each, and refuses one the rest has no room for.
func (d *contentDecoder) count(size int) int {
	n := d.uvarint()
	if d.bad || n > uint64(len(d.b)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *contentDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	d.skip(n)
	return v
}

func (d *contentDecoder) varint() int64 {
	v, n := binary.Varint(d.b)
	d.skip(n)
	return v
}

func (d *contentDecoder) skip(n int) {
	if n <= 0 {
		d.bad = true
		return
	}
	d.b = d.b[n:]
}

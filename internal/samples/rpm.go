package samples

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite", whose connections can hand out a database as bytes
)

// RPM is one installed package of an rpm database.
type RPM struct {
	Name, Version, Release, Arch string
	Epoch                        int // negative: the package has none
	SourceRPM                    string
	Module                       string // "name:stream:version:context"; "" for packages outside modules
	Vendor, License              string
	Files                        []string // absolute paths
}

// RPMDatabase returns the content of /var/lib/rpm/rpmdb.sqlite with packages, as rpm 4.16 and later keep it.
func RPMDatabase(ctx context.Context, packages ...RPM) (content []byte, err error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("open rpm database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx) // a database in memory belongs to its connection
	if err != nil {
		return nil, fmt.Errorf("open rpm database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)`); err != nil {
		return nil, fmt.Errorf("create rpm database: %w", err)
	}
	for _, p := range packages {
		if _, err := conn.ExecContext(ctx, `INSERT INTO Packages (blob) VALUES (?)`, p.header()); err != nil {
			return nil, fmt.Errorf("store package %s: %w", p.Name, err)
		}
	}
	err = conn.Raw(func(driverConn any) error {
		s, ok := driverConn.(interface{ Serialize() ([]byte, error) })
		if !ok {
			return errors.New("the sqlite driver cannot hand out a database as bytes")
		}
		content, err = s.Serialize()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rpm database: %w", err)
	}
	return content, nil
}

// rpm's data types. rpm: rpmTagType in rpmtag.h.
const (
	rpmInt32       = 4
	rpmString      = 6
	rpmBinary      = 7
	rpmStringArray = 8
)

// rpmTag is one value of a header.
type rpmTag struct {
	tag, kind, count uint32
	data             []byte
}

func stringTag(tag uint32, s string) rpmTag { return rpmTag{tag, rpmString, 1, append([]byte(s), 0)} }

func stringsTag(tag uint32, list []string) rpmTag {
	t := rpmTag{tag: tag, kind: rpmStringArray, count: uint32(len(list))}
	for _, s := range list {
		t.data = append(append(t.data, s...), 0)
	}
	return t
}

func int32Tag(tag uint32, list ...int32) rpmTag {
	t := rpmTag{tag: tag, kind: rpmInt32, count: uint32(len(list))}
	for _, n := range list {
		t.data = binary.BigEndian.AppendUint32(t.data, uint32(n))
	}
	return t
}

// header encodes the package as rpm does: the number of index entries and of data bytes, the index sorted by tag, the
// data. Everything lies in one immutable region, which has the first index entry and a trailer at the end of the data.
func (p RPM) header() []byte {
	tags := p.tags()
	slices.SortFunc(tags, func(a, b rpmTag) int { return int(a.tag) - int(b.tag) })

	var index, data bytes.Buffer
	put := func(w *bytes.Buffer, values ...uint32) {
		for _, v := range values {
			w.Write(binary.BigEndian.AppendUint32(nil, v))
		}
	}
	for _, t := range tags {
		if t.kind == rpmInt32 {
			data.Write(make([]byte, -data.Len()&3))
		}
		put(&index, t.tag, t.kind, uint32(data.Len()), t.count)
		data.Write(t.data)
	}
	const region, entrySize = 63, 16
	entries := uint32(len(tags) + 1)
	trailerAt := uint32(data.Len())
	put(&data, region, rpmBinary, -entries*entrySize, entrySize)

	var out bytes.Buffer
	put(&out, entries, uint32(data.Len()), region, rpmBinary, trailerAt, entrySize)
	out.Write(index.Bytes())
	out.Write(data.Bytes())
	return out.Bytes()
}

// tags lists the header's values. rpm: rpmTag in rpmtag.h.
func (p RPM) tags() []rpmTag {
	tags := []rpmTag{
		stringTag(1000, p.Name), stringTag(1001, p.Version), stringTag(1002, p.Release),
		int32Tag(1008, int32(builtAt().Unix())), int32Tag(1009, 4096),
		stringTag(1011, p.Vendor), stringTag(1014, p.License), stringTag(1022, p.Arch),
	}
	if p.Epoch >= 0 {
		tags = append(tags, int32Tag(1003, int32(p.Epoch)))
	}
	if p.SourceRPM != "" {
		tags = append(tags, stringTag(1044, p.SourceRPM))
	}
	if p.Module != "" {
		tags = append(tags, stringTag(5096, p.Module))
	}
	if len(p.Files) == 0 {
		return tags
	}
	var dirs, bases []string
	var dirOf []int32
	for _, f := range p.Files {
		cut := strings.LastIndexByte(f, '/') + 1
		at := slices.Index(dirs, f[:cut])
		if at < 0 {
			at = len(dirs)
			dirs = append(dirs, f[:cut])
		}
		dirOf = append(dirOf, int32(at))
		bases = append(bases, f[cut:])
	}
	return append(tags, int32Tag(1116, dirOf...), stringsTag(1117, bases), stringsTag(1118, dirs))
}

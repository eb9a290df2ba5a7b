package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"strings"
)

// The tags of a package's header that are read (rpm: include/rpm/rpmtag.h).
const (
	tagName       = 1000
	tagVersion    = 1001
	tagRelease    = 1002
	tagEpoch      = 1003
	tagVendor     = 1011
	tagLicense    = 1014
	tagArch       = 1022
	tagSourceRPM  = 1044
	tagDirIndexes = 1116
	tagBaseNames  = 1117
	tagDirNames   = 1118
	tagModularity = 5096
)

const rpmNone = "(none)" // how rpm writes a string that is not there

// rpmHeader is what is read of a package's header. The file lists point into the header's bytes.
type rpmHeader struct {
	name, version, release, arch, vendor, license, source, modularity string
	epoch                                                             int
	dirIndexes, baseNames, dirNames                                   []byte
}

var errRPMHeader = errors.New("broken rpm header")

// parseRPMHeader reads a header: the number of index entries and of data bytes, the entries (tag, type, offset, count:
// 32 bits each, big-endian), the data. rpm: docs/manual/hregions.md and format_header.md.
func parseRPMHeader(b []byte) (*rpmHeader, error) {
	if len(b) < 8 {
		return nil, errRPMHeader
	}
	entries, size := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	if entries < 1 || 8+16*entries+size > int64(len(b)) {
		return nil, errRPMHeader
	}
	data := b[8+16*entries:][:size]
	h := new(rpmHeader)
	for i := range entries {
		e := b[8+16*i:]
		tag, offset, count := binary.BigEndian.Uint32(e), binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		if int64(offset) > size { // a region's trailer may lie anywhere; it is not read
			continue
		}
		if !h.set(tag, data[offset:], int64(count)) {
			return nil, errRPMHeader
		}
	}
	if h.name == "" || h.version == "" {
		return nil, errRPMHeader
	}
	return h, nil
}

// set takes a tag's value out of the data it begins; false when the data is too short for it.
func (h *rpmHeader) set(tag uint32, data []byte, count int64) bool {
	switch tag {
	case tagEpoch:
		if len(data) < 4 {
			return false
		}
		h.epoch = int(int32(binary.BigEndian.Uint32(data)))
		return true
	case tagDirIndexes:
		if int64(len(data)) < 4*count {
			return false
		}
		h.dirIndexes = data[:4*count]
		return true
	case tagBaseNames:
		h.baseNames = data
		return true
	case tagDirNames:
		h.dirNames = data
		return true
	}
	target := map[uint32]*string{
		tagName: &h.name, tagVersion: &h.version, tagRelease: &h.release, tagArch: &h.arch, tagVendor: &h.vendor,
		tagLicense: &h.license, tagSourceRPM: &h.source, tagModularity: &h.modularity,
	}[tag]
	if target == nil {
		return true
	}
	text, _, ended := bytes.Cut(data, []byte{0})
	if !ended {
		return false
	}
	if *target = strings.ToValidUTF8(string(text), "\uFFFD"); *target == rpmNone {
		*target = ""
	}
	return true
}

// files yields the paths of the package's files: each base name with the directory its index points to. A list that
// contradicts itself ends early.
func (h *rpmHeader) files() iter.Seq[string] {
	return func(yield func(string) bool) {
		highest := -1
		for i := 0; i+4 <= len(h.dirIndexes); i += 4 {
			highest = max(highest, int(int32(binary.BigEndian.Uint32(h.dirIndexes[i:]))))
		}
		if highest < 0 || highest >= len(h.dirIndexes)/4 {
			return
		}
		dirs := make([]string, 0, highest+1)
		for rest := h.dirNames; len(dirs) <= highest; {
			dir, after, ok := bytes.Cut(rest, []byte{0})
			if !ok {
				return
			}
			dirs, rest = append(dirs, string(dir)), after
		}
		names := h.baseNames
		for i := 0; i+4 <= len(h.dirIndexes); i += 4 {
			name, after, ok := bytes.Cut(names, []byte{0})
			index := int(int32(binary.BigEndian.Uint32(h.dirIndexes[i:])))
			if !ok || index < 0 || !yield(dirs[index]+string(name)) {
				return
			}
			names = after
		}
	}
}

package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
)

// rpm's own "ndb" format (rpm: lib/backend/ndb/rpmpkg.c), little-endian: a header of 32 bytes, then slots of 16 bytes on
// pages of 4096 (magic, package, offset in blocks of 16 bytes, blocks), and blobs with a header of 16 bytes (magic,
// package, checksum, length).
const (
	ndbMagic  = "RpmP"
	slotMagic = "Slot"
	blobMagic = "BlbS"
	ndbBlock  = 16
	ndbPage   = 4096
	ndbPages  = 2048 // of slots; rpm itself makes no more than a few
)

var errNDB = errors.New("broken ndb database")

// eachNDBValue yields the package headers of an ndb database. The slice is valid until the next.
func eachNDBValue(ctx context.Context, r io.ReaderAt, size int64, yield func([]byte) error) error {
	var head [32]byte
	if _, err := r.ReadAt(head[:], 0); err != nil || string(head[:4]) != ndbMagic || binary.LittleEndian.Uint32(head[4:]) != 0 {
		return errNDB
	}
	pages := int64(binary.LittleEndian.Uint32(head[12:]))
	if pages == 0 || pages > ndbPages || pages*ndbPage > size {
		return errNDB
	}
	slots := make([]byte, pages*ndbPage-2*ndbBlock)
	if _, err := r.ReadAt(slots, 2*ndbBlock); err != nil {
		return errNDB
	}
	var value []byte
	for budget := size; len(slots) >= ndbBlock; slots = slots[ndbBlock:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if string(slots[:4]) != slotMagic {
			return errNDB
		}
		index, offset := binary.LittleEndian.Uint32(slots[4:]), int64(binary.LittleEndian.Uint32(slots[8:]))*ndbBlock
		if index == 0 {
			continue
		}
		var blob [ndbBlock]byte
		if _, err := r.ReadAt(blob[:], offset); err != nil {
			return errNDB
		}
		length := int64(binary.LittleEndian.Uint32(blob[12:]))
		// Blobs do not overlap: together they are no longer than the file.
		if budget -= length; string(blob[:4]) != blobMagic || binary.LittleEndian.Uint32(blob[4:]) != index || budget < 0 {
			return errNDB
		}
		if int64(cap(value)) < length {
			value = make([]byte, length)
		}
		if _, err := r.ReadAt(value[:length], offset+ndbBlock); err != nil {
			return errNDB
		}
		if err := yield(value[:length]); err != nil {
			return err
		}
	}
	return nil
}

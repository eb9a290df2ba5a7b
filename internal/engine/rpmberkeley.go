package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Berkeley DB hash files (libdb: src/dbinc/db_page.h). Only what rpm's Packages needs is read: headers are so large that
// they lie outside of the hash pages, in chains of overflow pages.
const (
	bdbMagic        = 0x061561
	bdbHashUnsorted = 2
	bdbOffPage      = 3
	bdbOverflow     = 7
	bdbHashMeta     = 8
	bdbHash         = 13
	bdbHeader       = 26 // bytes of a page's header
	bdbOffPageEntry = 12
)

var errBerkeley = errors.New("broken Berkeley DB")

type berkeley struct {
	r     io.ReaderAt
	order binary.ByteOrder
	page  int64  // bytes of a page
	pages int64  // in the file
	seen  []bool // overflow pages already used: each belongs to one value, a second use is a loop
}

// eachBerkeleyValue yields the values that lie outside of the hash pages. The slice is valid until the next.
func eachBerkeleyValue(ctx context.Context, r io.ReaderAt, size int64, yield func([]byte) error) error {
	db, err := openBerkeley(r, size)
	if err != nil {
		return err
	}
	page, value := make([]byte, db.page), []byte(nil)
	for n := int64(1); n < db.pages; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := db.read(n, page); err != nil {
			return err
		}
		if t := page[25]; t != bdbHash && t != bdbHashUnsorted {
			continue
		}
		for _, first := range db.offPages(page) {
			if value, err = db.chain(first, value[:0]); err != nil {
				return err
			}
			if err := yield(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func openBerkeley(r io.ReaderAt, size int64) (*berkeley, error) {
	var meta [72]byte
	if _, err := r.ReadAt(meta[:], 0); err != nil {
		return nil, errBerkeley
	}
	db := &berkeley{r: r, order: binary.LittleEndian}
	if binary.BigEndian.Uint32(meta[12:]) == bdbMagic {
		db.order = binary.BigEndian
	} else if binary.LittleEndian.Uint32(meta[12:]) != bdbMagic {
		return nil, errBerkeley
	}
	db.page = int64(db.order.Uint32(meta[20:]))
	if meta[24] != 0 || meta[25] != bdbHashMeta || db.page < 512 || db.page > 64<<10 || db.page&(db.page-1) != 0 {
		return nil, fmt.Errorf("%w: encrypted, not a hash, or pages of %d bytes", errBerkeley, db.page)
	}
	last := int64(db.order.Uint32(meta[32:]))
	if db.pages = size / db.page; last >= db.pages {
		return nil, fmt.Errorf("%w: %d pages of %d", errBerkeley, db.pages, last+1)
	}
	db.pages = last + 1
	db.seen = make([]bool, db.pages)
	return db, nil
}

func (db *berkeley) read(n int64, page []byte) error {
	if n <= 0 || n >= db.pages {
		return errBerkeley
	}
	_, err := db.r.ReadAt(page, n*db.page)
	return err
}

// offPages returns the first overflow page of each value on a hash page. Entries are pairs: a key, then its value.
func (db *berkeley) offPages(page []byte) (first []int64) {
	entries := int(db.order.Uint16(page[20:]))
	for i := 1; i < entries; i += 2 {
		at := bdbHeader + 2*i
		if at+2 > len(page) {
			return first
		}
		if entry := int(db.order.Uint16(page[at:])); entry+bdbOffPageEntry <= len(page) && page[entry] == bdbOffPage {
			first = append(first, int64(db.order.Uint32(page[entry+4:])))
		}
	}
	return first
}

// chain puts the overflow pages that begin with n one after another.
func (db *berkeley) chain(n int64, value []byte) ([]byte, error) {
	page := make([]byte, db.page)
	for n != 0 {
		if err := db.read(n, page); err != nil {
			return nil, err
		}
		if db.seen[n] || page[25] != bdbOverflow {
			return nil, errBerkeley
		}
		db.seen[n] = true
		next, used := int64(db.order.Uint32(page[16:])), int64(db.order.Uint16(page[22:]))
		if next != 0 {
			used = db.page - bdbHeader
		}
		if used > db.page-bdbHeader {
			return nil, errBerkeley
		}
		value = append(value, page[bdbHeader:bdbHeader+used]...)
		n = next
	}
	return value, nil
}

package engine

import (
	"cmp"
	"time"
)

// Limits bound what one layer may cost. A zero field means its default. A layer that reaches a limit of the whole layer
// (LayerBytes, Ratio, Entries, Document) is refused with ErrTooLarge; a file that reaches a limit of a file is left out
// and named in a Notice.
type Limits struct {
	LayerBytes int64 // uncompressed bytes; 20 GiB
	// Ratio is how many times larger than its blob a layer may be, looked at once it is larger than RatioFrom; 200. Real
	// layers compress 2 to 20 times, a gzip bomb a thousand times.
	Ratio     int64
	RatioFrom int64 // uncompressed bytes; 1 GiB
	Entries   int64 // tar entries; 2,000,000

	Path     int           // bytes of an entry's name; 4096, as in Linux
	File     int64         // bytes of an executable, archive or package database that is read; 1 GiB
	Text     int64         // bytes of a manifest or other text that is parsed; 16 MiB
	Secrets  int64         // bytes of a file looked at for secrets; 256 MiB
	Memory   int64         // bytes of a file held in memory, a larger one is spooled to disk; 64 MiB
	FileTime time.Duration // to parse one file; 30 s

	Packages int // in a layer; 50,000
	Notices  int // in a layer; 200
	Findings int // secrets in a layer; 10,000, of which 100 in a file
	Document int // bytes of text a layer's analysis may hold; 64 MiB
}

func (l Limits) withDefaults() Limits {
	l.LayerBytes = cmp.Or(l.LayerBytes, 20<<30)
	l.Ratio = cmp.Or(l.Ratio, 200)
	l.RatioFrom = cmp.Or(l.RatioFrom, 1<<30)
	l.Entries = cmp.Or(l.Entries, 2_000_000)
	l.Path = cmp.Or(l.Path, 4096)
	l.File = cmp.Or(l.File, 1<<30)
	l.Text = cmp.Or(l.Text, 16<<20)
	l.Secrets = cmp.Or(l.Secrets, 256<<20)
	l.Memory = cmp.Or(l.Memory, 64<<20)
	l.FileTime = cmp.Or(l.FileTime, 30*time.Second)
	l.Packages = cmp.Or(l.Packages, 50_000)
	l.Notices = cmp.Or(l.Notices, 200)
	l.Findings = cmp.Or(l.Findings, 10_000)
	l.Document = cmp.Or(l.Document, 64<<20)
	return l
}

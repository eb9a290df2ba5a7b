package samples

import (
	"archive/tar"
	"path"
	"time"
)

// builtAt is when everything in the samples was made, unless something says otherwise. A fixed moment keeps digests the
// same from run to run.
func builtAt() time.Time { return time.Date(2024, time.March, 1, 12, 0, 0, 0, time.UTC) }

// Entry is one entry of a layer's tar archive. Its name goes into the archive as it is, so that tests can write names no
// honest tool would.
type Entry struct {
	header  tar.Header
	content []byte
}

// File is a regular file of mode 0644 that belongs to root.
func File(name, content string) Entry { return Bytes(name, []byte(content)) }

// Bytes is File for content that is no text.
func Bytes(name string, content []byte) Entry {
	return Entry{
		header:  tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644, ModTime: builtAt()},
		content: content,
	}
}

// Program is a regular file of mode 0755.
func Program(name string, content []byte) Entry { return Bytes(name, content).Mode(0o755) }

// Dir is a directory of mode 0755.
func Dir(name string) Entry { return Special(tar.TypeDir, name+"/", "").Mode(0o755) }

// Symlink is a symbolic link to target.
func Symlink(name, target string) Entry { return Special(tar.TypeSymlink, name, target).Mode(0o777) }

// Hardlink is another name of the file target, which is named as in the archive.
func Hardlink(name, target string) Entry { return Special(tar.TypeLink, name, target) }

// Special is an entry of any type without content: a device, a pipe, a type nobody has heard of.
func Special(typeflag byte, name, linkname string) Entry {
	return Entry{header: tar.Header{Typeflag: typeflag, Name: name, Linkname: linkname, Mode: 0o644, ModTime: builtAt()}}
}

// Whiteout removes name, a file or a whole directory, as far as lower layers have it.
// OCI image-spec, "Whiteouts": an empty file whose name is that of the path it hides with .wh. before it.
func Whiteout(name string) Entry {
	return File(path.Join(path.Dir(name), ".wh."+path.Base(name)), "")
}

// Opaque hides everything lower layers have in the directory. OCI image-spec, "Opaque Whiteout".
func Opaque(dir string) Entry { return File(path.Join(dir, ".wh..wh..opq"), "") }

// Mode returns the entry with other permission bits: 04000 is setuid, 02000 setgid, 01000 sticky.
func (e Entry) Mode(mode int64) Entry {
	e.header.Mode = mode
	return e
}

// Owner returns the entry as another user's.
func (e Entry) Owner(uid, gid int) Entry {
	e.header.Uid, e.header.Gid = uid, gid
	return e
}

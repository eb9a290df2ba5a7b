package samples

import (
	"crypto/sha1" //nolint:gosec // apk's own choice of hash; a label here, no protection
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// alpineRelease is what identifies the distribution.
func alpineRelease() []Entry {
	return []Entry{
		Dir("etc"),
		File("etc/alpine-release", "3.19.1\n"),
		File("etc/os-release", `NAME="Alpine Linux"
ID=alpine
VERSION_ID=3.19.1
PRETTY_NAME="Alpine Linux v3.19"
HOME_URL="https://alpinelinux.org/"
`),
		Dir("etc/apk"),
		File("etc/apk/repositories",
			"https://dl-cdn.alpinelinux.org/alpine/v3.19/main\nhttps://dl-cdn.alpinelinux.org/alpine/v3.19/community\n"),
	}
}

// apk makes the database of the packages in the given sets.
func apk(names ...string) (packages, error) {
	rows, err := sets("alpine-3.19.txt", names...)
	if err != nil {
		return packages{}, err
	}
	var p packages
	var db strings.Builder
	for _, r := range rows {
		name, version := r.col(1), r.col(2)
		sum := sha1.Sum([]byte(name + "-" + version)) //nolint:gosec // see the import
		fmt.Fprintf(&db, "C:Q1%s\nP:%s\nV:%s\nA:x86_64\nS:4096\nI:8192\nT:sample of %s\nU:https://alpinelinux.org\nL:%s\no:%s\n"+
			"m:Alpine Maintainers <alpine-devel@lists.alpinelinux.org>\nt:%d\nF:usr/lib\nR:%s.so\na:0:0:755\n\n",
			base64.StdEncoding.EncodeToString(sum[:]), name, version, name, r.col(4), r.col(3), builtAt().Unix(), name)
		p.declared = append(p.declared, Package{tidewaiter.EcosystemAPK, name, version})
	}
	p.entries = []Entry{Dir("lib/apk"), Dir("lib/apk/db"), File("lib/apk/db/installed", db.String())}
	return p, nil
}

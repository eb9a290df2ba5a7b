package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maker makes files that cost a scanner what real ones do: text that compresses four times, of which some speaks of keys and
// tokens, and binaries that compress to a half. The same seed makes the same files.
type maker struct {
	*rand.Rand
	text   []byte
	touchy []byte // text that speaks of keys and tokens, so that many rules for secrets look closely
	binary []byte
}

// corpus is how much text and how many binary bytes files are cut from.
const corpus = 8 << 20

func newMaker(seed uint64) *maker {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // the same each time is the point
	m.text, m.touchy, m.binary = m.source(corpus, plainWords), m.source(corpus, plainWords+touchyWords), m.machineCode(corpus)
	return m
}

// What program text is made of.
const (
	plainWords = `abort accept accessor adapter argument array assert async attribute await binding body boundary buffer bundle
		cache callback chunk client codec column compile connect context counter cursor debug decode default delegate depth
		descriptor dispatch document domain emitter encode entry error escape event expire export factory fallback field filter
		flush format frame handler header hook host import index input instance interval iterator label layout length level
		library limit listener loader locale lookup mapping marker matcher merge message method middleware module mutation name
		node normalize notify number object observer offset option origin output parameter parent parse path pattern pipeline
		plugin pointer policy pool prefix process profile promise property proxy query queue random range reader record redirect
		reference release render request resolve resource response result retry router runtime sample schedule schema scope
		script section segment selector serialize server setting snapshot socket source stack state status storage stream string
		suffix symbol system table target template timeout tracker transform tree trigger type update upload user validate value
		variable vector version view watch widget window worker wrapper `
	touchyWords = `account accessKey apiKey auth credential gateway key keystore login password private secret session signature
		token`
)

// source is program text of words.
func (m *maker) source(size int, vocabulary string) []byte {
	words := strings.Fields(vocabulary)
	word := func() string { return words[m.IntN(len(words))] }
	var b strings.Builder
	b.Grow(size + 256)
	for b.Len() < size {
		switch m.IntN(8) {
		case 0:
			fmt.Fprintf(&b, "const %s = require('./%s/%s');\n", word(), word(), word())
		case 1:
			fmt.Fprintf(&b, "  // the %s of a %s is its %s, unless %s says otherwise\n", word(), word(), word(), word())
		case 2:
			fmt.Fprintf(&b, "function %s%d(%s, %s) {\n", word(), m.IntN(1000), word(), word())
		case 3:
			fmt.Fprintf(&b, "  if (%s.%s === undefined) { throw new Error('%s has no %s'); }\n", word(), word(), word(), word())
		case 4:
			fmt.Fprintf(&b, "  return this.%s.%s(%s, { %s: %d, %s: '%s' });\n}\n\n", word(), word(), word(), word(), m.IntN(1e6), word(), word())
		default:
			fmt.Fprintf(&b, "  let %s = %s.%s(%d) || options.%s;\n", word(), word(), word(), m.IntN(5000), word())
		}
	}
	return []byte(b.String()[:size])
}

// machineCode is runs of random bytes between runs of few values.
func (m *maker) machineCode(size int) []byte {
	b := make([]byte, 0, size+64)
	for len(b) < size {
		for range 24 {
			b = append(b, byte(m.Uint32()))
		}
		for range 24 {
			b = append(b, byte(m.Uint32())&3)
		}
	}
	return b[:size]
}

// cut returns size bytes from a random place, which the caller must not change. size is at most corpus/2.
func (m *maker) cut(from []byte, size int) []byte {
	at := m.IntN(len(from) - size)
	return from[at : at+size]
}

// modules adds npm packages below dir until they take size bytes.
func (m *maker) modules(l *layer, dir string, size int64) {
	for end, i := l.size+size, 0; l.size < end && l.err == nil; i++ {
		name := fmt.Sprintf("%s-%s-%d", m.word(), m.word(), i)
		root := dir + "/node_modules/" + name
		l.file(root+"/package.json", 0o644, fmt.Appendf(nil, `{"name": %q, "version": "%d.%d.%d", "license": "MIT", "main": "lib/index.js"}`,
			name, m.IntN(9), m.IntN(20), m.IntN(30)))
		l.file(root+"/README.md", 0o644, m.cut(m.text, 1000+m.IntN(6000)))
		for f := range 5 + m.IntN(90) {
			l.file(fmt.Sprintf("%s/lib/%s%d.js", root, m.word(), f), 0o644, m.cut(m.text, 500+m.IntN(9000)))
		}
	}
}

// sources adds program text below dir until it takes size bytes: what is looked at for secrets, unlike npm packages. Every
// tenth file speaks of keys and tokens.
func (m *maker) sources(l *layer, dir string, size int64) {
	endings := []string{"js", "ts", "py", "json", "yaml", "properties"}
	for end, i := l.size+size, 0; l.size < end && l.err == nil; i++ {
		text := m.text
		if m.IntN(10) == 0 {
			text = m.touchy
		}
		l.file(fmt.Sprintf("%s/%s/%s%d.%s", dir, m.word(), m.word(), i, endings[i%len(endings)]), 0o644, m.cut(text, 500+m.IntN(20_000)))
	}
}

// word is a name for something.
func (m *maker) word() string {
	return strings.Fields("amber birch cedar delta ember fjord grove heron inlet jetty kelp lagoon marsh north ocean pier quay reef shoal tide")[m.IntN(20)]
}

// libraries adds binaries below dir until they take size bytes; every third may be run.
func (m *maker) libraries(l *layer, dir string, size int64) {
	for end, i := l.size+size, 0; l.size < end && l.err == nil; i++ {
		n := min(int(end-l.size), 100_000+m.IntN(3_000_000))
		name, mode := fmt.Sprintf("%s/lib%s%d.so.%d", dir, m.word(), i, m.IntN(9)), int64(0o644)
		if i%3 == 0 {
			name, mode = fmt.Sprintf("usr/bin/%s%d", m.word(), i), 0o755
		}
		l.file(name, mode, m.cut(m.binary, n))
	}
}

// documents adds texts below dir until they take size bytes.
func (m *maker) documents(l *layer, dir string, size int64) {
	for end, i := l.size+size, 0; l.size < end && l.err == nil; i++ {
		l.file(fmt.Sprintf("%s/%s-%d/%s.txt", dir, m.word(), i, m.word()), 0o644, m.cut(m.text, 2000+m.IntN(40_000)))
	}
}

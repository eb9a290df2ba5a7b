package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"time"
)

// Media types. OCI image-spec, "Media Types"; Docker: "Image Manifest Version 2, Schema 2".
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociEmpty       = "application/vnd.oci.empty.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	helmConfig     = "application/vnd.cncf.helm.config.v1+json"
	helmContent    = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	signatureType  = "application/vnd.dev.cosign.artifact.sig.v1+json"
)

// object is a manifest with what it points to.
type object struct {
	mediaType, digest string
	data              []byte

	artifactType string // what a manifest that is no image holds
	architecture string // of an image
	created      time.Time
	configType   string
	config       []byte
	configDigest string
	layers       []*layer
	children     []*object // of an index
	size         int64     // of all it leads to, packed
}

// children is how many manifests a manifest leads to.
func (f *fleet) children(k key) int {
	if f.isIndex(k) {
		return 2
	}
	return 0
}

func (f *fleet) isArtifact(k key) bool {
	return f.o.Artifacts > 0 && k.number%f.o.Artifacts == f.o.Artifacts-1
}

func (f *fleet) isIndex(k key) bool {
	return f.o.Indexes > 0 && !f.isArtifact(k) && k.number%f.o.Indexes == f.o.Indexes-1
}

// object makes the content of a key. It costs some microseconds and is the same every time.
func (f *fleet) object(k key) *object {
	var o *object
	switch {
	case f.isArtifact(k):
		o = f.chart(k)
	case f.isIndex(k):
		o = f.index(k)
	default:
		o = f.image(k, "amd64")
	}
	f.seen.put(o.digest, k)
	return o
}

// docker reports whether a repository's images are in Docker's format.
func (f *fleet) docker(repo int) bool { return repo%2 == 1 }

func (f *fleet) image(k key, architecture string) *object {
	o := &object{mediaType: ociManifest, configType: ociConfig, architecture: architecture}
	layerType := ociLayer
	if f.docker(k.repo) {
		o.mediaType, o.configType, layerType = dockerManifest, dockerConfig, dockerLayer
	}
	upper := (uint64(k.repo)*31 + uint64(k.number)*7 + uint64(k.revision)*13 + f.o.Seed) % uint64(f.o.Layers)
	o.layers = []*layer{&f.layers[k.repo%bases], &f.layers[bases+int(upper)]}
	o.created = f.o.Newest.Add(-time.Duration(f.o.Tags-k.number) * f.o.Step).UTC()
	o.config = f.configOf(k, o)
	o.configDigest = digestOf(o.config)
	b := make([]byte, 0, 800)
	b = append(b, `{"schemaVersion":2,"mediaType":"`+o.mediaType+`","config":`...)
	b = appendDescriptor(b, o.configType, o.configDigest, len(o.config))
	b = append(b, `,"layers":[`...)
	for i, l := range o.layers {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDescriptor(b, layerType, l.digest, len(l.data))
		o.size += int64(len(l.data))
	}
	o.finish(append(b, `]}`...))
	return o
}

// configOf writes an image's configuration. Seed, name, number and revision make it one of a kind.
func (f *fleet) configOf(k key, o *object) []byte {
	at := o.created.Format(time.RFC3339)
	b := make([]byte, 0, 800)
	b = append(b, `{"created":"`+at+`","architecture":"`+o.architecture+`","os":"linux","config":{"User":"1000","Cmd":["node","/srv"],"Labels":{`...)
	b = append(b, `"org.opencontainers.image.title":"`+f.name(k.repo)+`","org.opencontainers.image.version":"`...)
	b = strconv.AppendInt(b, int64(k.number), 10)
	b = append(b, `","org.opencontainers.image.revision":"`...)
	b = strconv.AppendUint(b, f.o.Seed, 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(k.revision), 10)
	b = append(b, `"}},"rootfs":{"type":"layers","diff_ids":["`+o.layers[0].diffID+`","`+o.layers[1].diffID+`"]},"history":[`...)
	for i, l := range o.layers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"created":"`+at+`","created_by":"`+l.by+`"}`...)
	}
	return append(b, `]}`...)
}

func (f *fleet) index(k key) *object {
	o := &object{mediaType: ociIndex}
	if f.docker(k.repo) {
		o.mediaType = dockerList
	}
	b := make([]byte, 0, 800)
	b = append(b, `{"schemaVersion":2,"mediaType":"`+o.mediaType+`","manifests":[`...)
	for i, architecture := range []string{"amd64", "arm64"} {
		child := f.image(k, architecture)
		o.children = append(o.children, child)
		o.created = child.created
		o.size += child.size
		f.seen.put(child.digest, k)
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDescriptor(b, child.mediaType, child.digest, len(child.data))
		b = append(b[:len(b)-1], `,"platform":{"architecture":"`+architecture+`","os":"linux"}}`...)
	}
	o.finish(append(b, `]}`...))
	return o
}

// chart is a Helm chart's manifest. Helm: "Use OCI-based registries".
func (f *fleet) chart(k key) *object {
	o := &object{mediaType: ociManifest, configType: helmConfig, artifactType: helmConfig}
	o.created = f.o.Newest.Add(-time.Duration(f.o.Tags-k.number) * f.o.Step).UTC()
	o.config = []byte(`{"name":"` + f.short(k.repo) + `","version":"0.` + strconv.Itoa(k.number) + `.` + strconv.Itoa(k.revision) +
		`","description":"` + strconv.FormatUint(f.o.Seed, 10) + `","apiVersion":"v2","type":"application"}`)
	o.configDigest = digestOf(o.config)
	l := &f.layers[bases]
	o.layers, o.size = []*layer{l}, int64(len(l.data))
	b := []byte(`{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":`)
	b = appendDescriptor(b, helmConfig, o.configDigest, len(o.config))
	b = append(b, `,"layers":[`...)
	b = appendDescriptor(b, helmContent, l.digest, len(l.data))
	o.finish(append(b, `]}`...))
	return o
}

// signature is the manifest that refers to an index. OCI distribution-spec, "Listing Referrers".
func (f *fleet) signature(subject *object) *object {
	o := &object{mediaType: ociManifest, configType: ociEmpty, artifactType: signatureType, config: []byte(`{}`)}
	o.configDigest = digestOf(o.config)
	b := []byte(`{"schemaVersion":2,"mediaType":"` + ociManifest + `","artifactType":"` + signatureType + `","config":`)
	b = appendDescriptor(b, ociEmpty, o.configDigest, len(o.config))
	b = append(b, `,"layers":[`...)
	b = appendDescriptor(b, ociEmpty, o.configDigest, len(o.config))
	b = append(b, `],"subject":`...)
	b = appendDescriptor(b, subject.mediaType, subject.digest, len(subject.data))
	o.finish(append(b, `}`...))
	return o
}

func (o *object) finish(data []byte) {
	o.data, o.digest = data, digestOf(data)
	o.size += int64(len(data) + len(o.config))
}

// members returns the object and all manifests it leads to.
func (o *object) members() []*object { return append([]*object{o}, o.children...) }

func appendDescriptor(b []byte, mediaType, digest string, size int) []byte {
	b = append(b, `{"mediaType":"`+mediaType+`","digest":"`+digest+`","size":`...)
	b = strconv.AppendInt(b, int64(size), 10)
	return append(b, '}')
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	var out [7 + 2*sha256.Size]byte
	copy(out[:], "sha256:")
	hex.Encode(out[7:], sum[:])
	return string(out[:])
}

// digests remembers where digests belong: enough that a client that asks for what it was just told is answered at once.
type digests struct {
	mu    sync.Mutex
	known map[string]key
}

const maxDigests = 1 << 15

func (d *digests) put(digest string, k key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxDigests {
		d.known = map[string]key{}
	}
	d.known[digest] = k
}

func (d *digests) get(digest string) (key, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.known[digest]
	return k, ok
}

// keys yields the content keys of a repository, those tags pointed to earlier included.
func (f *fleet) keys(repo int, yield func(key) bool) {
	f.mu.RLock()
	var changed []key
	for number, c := range f.changes[repo] {
		for revision := 1; revision <= c.revision; revision++ {
			changed = append(changed, key{repo, number, revision})
		}
	}
	f.mu.RUnlock()
	for _, k := range changed {
		if !yield(k) {
			return
		}
	}
	for number := range f.o.Tags {
		if !yield(key{repo, number, 0}) {
			return
		}
	}
}

// look finds the first content of a repository that match accepts, trying where digest was last seen before reading all.
func (f *fleet) look(repo int, digest string, match func(*object) bool) {
	if k, ok := f.seen.get(digest); ok && k.repo == repo && match(f.object(k)) {
		return
	}
	f.keys(repo, func(k key) bool { return !match(f.object(k)) })
}

// manifest finds a manifest by its digest.
func (f *fleet) manifest(repo int, digest string) (found *object) {
	f.look(repo, digest, func(o *object) bool {
		all := o.members()
		if len(o.children) > 0 {
			all = append(all, f.signature(o))
		}
		for _, m := range all {
			if m.digest == digest {
				found = m
			}
		}
		return found != nil
	})
	return found
}

// blob finds a config or layer by its digest; nil without one.
func (f *fleet) blob(repo int, digest string) (found []byte) {
	for _, l := range f.layers {
		if l.digest == digest {
			return l.data
		}
	}
	if digest == digestOf([]byte(`{}`)) {
		return []byte(`{}`)
	}
	f.look(repo, digest, func(o *object) bool {
		for _, m := range o.members() {
			if m.configDigest == digest {
				found = m.config
			}
		}
		return found != nil
	})
	return found
}

package emulator_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

type descriptor struct {
	MediaType, Digest string
	Size              int
}

type manifest struct {
	MediaType string
	Config    descriptor
	Layers    []descriptor
	Manifests []descriptor
	Subject   *descriptor
}

// pull gets a manifest and all it leads to, checks every digest, and returns the names of the files in its layers.
func pull(t *testing.T, c *client, base, reference string) map[string]bool {
	t.Helper()
	a := c.get(base + "/manifests/" + reference)
	var m manifest
	a.decode(t, &m)
	if got := digestOf(a.body); got != a.header.Get("Docker-Content-Digest") || a.header.Get("Content-Type") != m.MediaType {
		t.Errorf("%s is %s of type %s", a.header.Get("Docker-Content-Digest"), got, a.header.Get("Content-Type"))
	}
	files := map[string]bool{}
	for _, child := range m.Manifests {
		for name := range pull(t, c, base, child.Digest) {
			files[name] = true
		}
	}
	if len(m.Manifests) > 0 {
		return files
	}
	blob := func(d descriptor) []byte {
		b := c.get(base + "/blobs/" + d.Digest)
		if b.status != http.StatusOK || digestOf(b.body) != d.Digest || len(b.body) != d.Size {
			t.Fatalf("blob %s: status %d, %d bytes", d.Digest, b.status, len(b.body))
		}
		return b.body
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(blob(m.Config), &config); err != nil || len(config.RootFS.DiffIDs) != len(m.Layers) {
		t.Fatalf("config %+v, %v", config, err)
	}
	for i, d := range m.Layers {
		z, err := gzip.NewReader(bytes.NewReader(blob(d)))
		if err != nil {
			t.Fatal(err)
		}
		archive, err := io.ReadAll(z)
		if err != nil || digestOf(archive) != config.RootFS.DiffIDs[i] {
			t.Fatalf("layer %d unpacks to %s, %v", i, digestOf(archive), err)
		}
		for r := tar.NewReader(bytes.NewReader(archive)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			files[h.Name] = true
		}
	}
	return files
}

func TestImagesArePulledThroughTheKindsLogin(t *testing.T) {
	for name, k := range kinds() {
		t.Run(string(name), func(t *testing.T) {
			e := start(t, emulator.Options{Kind: name})
			user, password := k.docker(t, e)
			base := e.URL + "/v2/" + e.Repositories()[2]
			if _, status := registryToken(t, e, base+"/tags/list", user, password+"x"); status == http.StatusOK {
				t.Error("a wrong password was taken")
			}
			c, status := registryToken(t, e, base+"/tags/list", user, password)
			if status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			for _, tag := range []string{"1.1000.100", "1.1000.107"} { // an image, an index
				files := pull(t, c, base, tag)
				if !files["srv/node_modules/lodash/package.json"] || !files["var/lib/dpkg/status"] {
					t.Errorf("%s holds %v", tag, files)
				}
			}
			e.ExpireTokens()
			if a := c.get(base + "/tags/list"); a.status != http.StatusUnauthorized && c.header.Get("Authorization")[:5] != "Basic" && name != emulator.OpenShift {
				t.Errorf("with an expired token: status %d", a.status)
			}
		})
	}
}

func TestTokensAreForOneRepository(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.OCI})
	l := e.Login()
	c, _ := registryToken(t, e, e.URL+"/v2/acme/app-00001/tags/list", l.Username, l.Password)
	for path, want := range map[string]int{"/v2/acme/app-00001/tags/list": 200, "/v2/acme/app-00002/tags/list": 401, "/v2/_catalog": 401} {
		if a := c.get(e.URL + path); a.status != want {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
	if got := c.get(e.URL + "/v2/_catalog").header.Get("WWW-Authenticate"); !strings.Contains(got, `scope="registry:catalog:*"`) || !strings.Contains(got, "insufficient_scope") {
		t.Error(got)
	}
}

// TestPullTokensOpenNothingElse has each kind's token service give a token for one repository.
func TestPullTokensOpenNothingElse(t *testing.T) {
	tokens := 0
	for name, k := range kinds() {
		if name == emulator.OpenShift {
			continue // its login is a bearer token itself, and good for everything
		}
		e := start(t, emulator.Options{Kind: name})
		user, password := k.docker(t, e)
		names := e.Repositories()
		c, status := registryToken(t, e, e.URL+"/v2/"+names[1]+"/tags/list", user, password)
		if status != http.StatusOK || !strings.HasPrefix(c.header.Get("Authorization"), "Bearer ") {
			continue // it takes passwords alone
		}
		tokens++
		for path, want := range map[string]int{"/tags/list": 200, "/manifests/latest": 200} {
			if a := c.get(e.URL + "/v2/" + names[1] + path); a.status != want {
				t.Errorf("%s: %s of its own repository: status %d", name, path, a.status)
			}
			if a := c.get(e.URL + "/v2/" + names[2] + path); a.status != http.StatusUnauthorized {
				t.Errorf("%s: %s of another repository: status %d", name, path, a.status)
			}
		}
		if a := c.get(e.URL + "/v2/" + names[2] + "/blobs/" + e.Digest(names[2], "latest")); a.status != http.StatusUnauthorized {
			t.Errorf("%s: a blob of another repository: status %d", name, a.status)
		}
	}
	if tokens < 8 {
		t.Errorf("only %d kinds gave a token", tokens)
	}
}

func TestEqualSeedsMakeEqualContent(t *testing.T) {
	digest := func(seed uint64) string {
		e := start(t, emulator.Options{Kind: emulator.Harbor, Seed: seed})
		return e.Digest("acme/app-00001", "1.1000.107")
	}
	if a, b, c := digest(1), digest(1), digest(2); a != b || a == c || a == "" {
		t.Errorf("%s, %s, %s", a, b, c)
	}
}

func TestDigestsAreFoundAfterARestart(t *testing.T) {
	first := start(t, emulator.Options{Kind: emulator.OCI, Anonymous: true})
	digest := first.Digest("acme/app-00001", "1.1000.120")
	e := start(t, emulator.Options{Kind: emulator.OCI, Anonymous: true})
	pull(t, newClient(t, e), e.URL+"/v2/acme/app-00001", digest)
	if a := newClient(t, e).get(e.URL + "/v2/acme/app-00002/manifests/" + digest); a.status != http.StatusNotFound {
		t.Errorf("in another repository: status %d", a.status)
	}
	if _, err := e.Move("acme/app-00001", "1.1000.120"); err != nil {
		t.Fatal(err)
	}
	pull(t, newClient(t, e), e.URL+"/v2/acme/app-00001", digest) // what a tag has left is still there
}

func TestReferrersLeadToASignature(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.OCI, Anonymous: true})
	c, base := newClient(t, e), e.URL+"/v2/acme/app-00001"
	index := e.Digest("acme/app-00001", "1.1000.107")
	var list manifest
	c.json(base+"/referrers/"+index, &list)
	if len(list.Manifests) != 1 {
		t.Fatalf("%+v", list)
	}
	var signature manifest
	c.json(base+"/manifests/"+list.Manifests[0].Digest, &signature)
	if signature.Subject == nil || signature.Subject.Digest != index {
		t.Errorf("%+v", signature)
	}
	if a := c.get(base + "/blobs/" + signature.Layers[0].Digest); a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
	c.json(base+"/referrers/"+e.Digest("acme/app-00001", "1.1000.100"), &list)
	if len(list.Manifests) != 0 {
		t.Errorf("an image without a signature has %+v", list)
	}
}

func TestBlobsComeInParts(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.OCI, Anonymous: true})
	base := e.URL + "/v2/acme/app-00001"
	var m manifest
	newClient(t, e).json(base+"/manifests/latest", &m)
	whole := newClient(t, e).get(base + "/blobs/" + m.Layers[0].Digest)
	part := newClient(t, e, "Range", "bytes=10-").get(base + "/blobs/" + m.Layers[0].Digest)
	if part.status != http.StatusPartialContent || !bytes.Equal(part.body, whole.body[10:]) {
		t.Errorf("status %d, %d bytes", part.status, len(part.body))
	}
}

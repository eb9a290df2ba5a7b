package oci_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// subjectIn pushes an image and returns its descriptor.
func subjectIn(t *testing.T, url string) tidewaiter.Descriptor {
	t.Helper()
	push(t, strings.TrimPrefix(url, "http://")+"/team/app:v1", mustImage(t), nil)
	d, err := open(t, local(t), oci.Endpoint{URL: url}).Head(t.Context(), "team/app", "v1")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(512, 1)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func sbom(text string) oci.Artifact {
	return oci.Artifact{Type: "application/spdx+json", Content: []byte(text), Annotations: map[string]string{"io.example.by": "us"}}
}

func byUs(r oci.Referrer) bool { return r.Annotations["io.example.by"] == "us" }

// recorder notes the requests that write.
type recorder struct {
	mu     sync.Mutex
	writes []string
}

func (c *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		c.mu.Lock()
		c.writes = append(c.writes, r.Method+" "+r.URL.Path)
		c.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (c *recorder) count(part string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.writes {
		if strings.Contains(w, part) {
			n++
		}
	}
	return n
}

// through returns a client that sends through rt.
func through(t *testing.T, rt http.RoundTripper) *oci.Client {
	t.Helper()
	c := oci.New(oci.Options{AllowLoopback: true, Transport: rt, Backoff: time.Nanosecond})
	t.Cleanup(c.Close)
	return c
}

// wellListed has a registry say of referrers what the specification asks for: type and annotations of each, and OCI-Subject when one
// is pushed.
func wellListed(t *testing.T, next http.Handler) http.Handler {
	ask := func(r *http.Request) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		return rec
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
		rec := ask(r)
		answer := rec.Body.Bytes()
		repository, _, listing := strings.Cut(r.URL.Path, "/referrers/")
		var pushed struct {
			Subject *tidewaiter.Descriptor `json:"subject"`
		}
		if listing && rec.Code == http.StatusOK {
			var index struct {
				SchemaVersion int                     `json:"schemaVersion"`
				MediaType     string                  `json:"mediaType"`
				Manifests     []tidewaiter.Descriptor `json:"manifests"`
			}
			if err := json.Unmarshal(answer, &index); err != nil {
				t.Error(err)
			}
			for i := range index.Manifests {
				of := httptest.NewRequestWithContext(r.Context(), http.MethodGet, repository+"/manifests/"+index.Manifests[i].Digest, http.NoBody)
				if err := json.Unmarshal(ask(of).Body.Bytes(), &index.Manifests[i]); err != nil {
					t.Error(err)
				}
			}
			answer, _ = json.Marshal(index)
		}
		if r.Method == http.MethodPut && json.Unmarshal(sent, &pushed) == nil && pushed.Subject != nil {
			w.Header().Set("Oci-Subject", pushed.Subject.Digest)
		}
		for key := range rec.Header() {
			if key != "Content-Length" {
				w.Header().Set(key, rec.Header().Get(key))
			}
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(answer)
	})
}

// TestAttach pushes an artifact, another in its place, and the same again, to a registry that keeps no list of referrers and to
// one that does.
func TestAttach(t *testing.T) {
	listing := httptest.NewServer(registry.New(registry.Logger(quiet()), registry.WithReferrersSupport(true)))
	t.Cleanup(listing.Close)
	well := httptest.NewServer(wellListed(t, registry.New(registry.Logger(quiet()), registry.WithReferrersSupport(true))))
	t.Cleanup(well.Close)
	for name, url := range map[string]string{
		"tag": testkit.Registry(t, testkit.Options{Delete: true}).URL, "api": well.URL, "api without types": listing.URL,
	} {
		t.Run(name, func(t *testing.T) {
			subject, sent := subjectIn(t, url), &recorder{}
			r := open(t, through(t, sent), oci.Endpoint{URL: url})
			attach := func(a ...oci.Artifact) []string {
				t.Helper()
				digests, err := r.Attach(t.Context(), "team/app", subject, a, byUs)
				if err != nil {
					t.Fatal(err)
				}
				return digests
			}
			other := oci.Artifact{Type: "application/spdx+json", Content: []byte("theirs")}
			theirs := attach(other)[0]
			first := attach(sbom("one"))[0]
			second := attach(sbom("two"))[0]
			all, err := r.Referrers(t.Context(), "team/app", subject.Digest)
			if err != nil {
				t.Fatal(err)
			}
			var listed []string
			for _, ref := range all {
				listed = append(listed, ref.Digest)
				if name == "api without types" {
					continue
				}
				if ref.ArtifactType != "application/spdx+json" || ref.Digest == second && ref.Annotations["io.example.by"] != "us" {
					t.Errorf("%+v", ref)
				}
			}
			if len(listed) != 2 || !slices.Contains(listed, theirs) || !slices.Contains(listed, second) {
				t.Errorf("listed are %q, want %s and %s", listed, theirs, second)
			}
			_, _, err = r.Manifest(t.Context(), "team/app", first)
			wantKind(t, err, tidewaiter.ErrGone)
			m, _, err := r.Manifest(t.Context(), "team/app", second)
			if err != nil || m.Kind != tidewaiter.ManifestArtifact || m.ArtifactType != "application/spdx+json" || len(m.Layers) != 1 {
				t.Errorf("%+v %v", m, err)
			}
			indexes, blobs := sent.count("PUT /v2/team/app/manifests/sha256-"), sent.count("/blobs/uploads/")
			if again := attach(sbom("two"))[0]; again != second {
				t.Errorf("the same artifact got digest %s, and before %s", again, second)
			}
			if sent.count("PUT /v2/team/app/manifests/sha256-") != indexes || sent.count("/blobs/uploads/") != blobs {
				t.Errorf("what is there was pushed again: %q", sent.writes)
			}
			if (name == "tag") != (indexes > 0) {
				t.Errorf("%d indexes were written", indexes)
			}
		})
	}
}

// together lets two clients write an index only after both have read it, and go on only after both have written.
type together struct {
	read, written sync.WaitGroup
}

type oneOfTwo struct {
	*together
	once sync.Once
}

func (o *oneOfTwo) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/sha256-") {
		return http.DefaultTransport.RoundTrip(r)
	}
	first := false
	o.once.Do(func() { first = true })
	if first {
		o.read.Done()
		o.read.Wait()
	}
	resp, err = http.DefaultTransport.RoundTrip(r)
	if first {
		o.written.Done()
		o.written.Wait()
	}
	return resp, err
}

// TestTwoWhoAttachAtOnce has two publishers overwrite each other's index. Each finds its own entry in the end.
func TestTwoWhoAttachAtOnce(t *testing.T) {
	url := testkit.Registry(t, testkit.Options{}).URL
	subject, both := subjectIn(t, url), &together{}
	both.read.Add(2)
	both.written.Add(2)
	var done sync.WaitGroup
	want := make([]string, 2)
	for i, text := range []string{"a", "b"} {
		r := open(t, through(t, &oneOfTwo{together: both}), oci.Endpoint{URL: url})
		done.Go(func() {
			digests, err := r.Attach(t.Context(), "team/app", subject, []oci.Artifact{sbom(text)}, func(oci.Referrer) bool { return false })
			if err != nil {
				t.Error(err)
				return
			}
			want[i] = digests[0]
		})
	}
	done.Wait()
	all, err := open(t, local(t), oci.Endpoint{URL: url}).Referrers(t.Context(), "team/app", subject.Digest)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	for _, digest := range want {
		if !slices.ContainsFunc(all, func(r oci.Referrer) bool { return r.Digest == digest }) {
			t.Errorf("%s is lost: %+v", digest, all)
		}
	}
}

// TestOthersEntriesStayAsWritten merges into an index with fields nobody here knows.
func TestOthersEntriesStayAsWritten(t *testing.T) {
	url := testkit.Registry(t, testkit.Options{}).URL
	subject := subjectIn(t, url)
	tag := strings.Replace(subject.Digest, ":", "-", 1)
	entry := `{"mediaType":"` + subject.MediaType + `","digest":"` + subject.Digest + `","size":` + jsonOf(t, subject.Size) + `,"x-new":{"a":[1]}}`
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + entry + `],"x-more":true}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/v2/team/app/manifests/"+tag, strings.NewReader(index))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	r := open(t, local(t), oci.Endpoint{URL: url})
	if _, err := r.Attach(t.Context(), "team/app", subject, []oci.Artifact{sbom("ours")}, byUs); err != nil {
		t.Fatal(err)
	}
	_, raw, err := r.Manifest(t.Context(), "team/app", tag)
	if err != nil || !strings.Contains(string(raw), entry) || !strings.Contains(string(raw), `"x-more":true`) || !strings.Contains(string(raw), "application/spdx+json") {
		t.Errorf("%s %v", raw, err)
	}
	other := subjectIn(t, url)
	push(t, strings.TrimPrefix(url, "http://")+"/team/app:"+strings.Replace(other.Digest, ":", "-", 1), mustImage(t), nil)
	_, err = r.Attach(t.Context(), "team/app", other, []oci.Artifact{sbom("ours")}, byUs)
	wantKind(t, err, tidewaiter.ErrConflict, "left alone")
}

// TestNothingElseIsDeleted has an index claim that the image itself is an artifact of ours.
func TestNothingElseIsDeleted(t *testing.T) {
	url := testkit.Registry(t, testkit.Options{Delete: true}).URL
	subject := subjectIn(t, url)
	r := open(t, local(t), oci.Endpoint{URL: url})
	lie := subject
	lie.ArtifactType, lie.Annotations = "application/spdx+json", map[string]string{"io.example.by": "us"}
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + jsonOf(t, lie) + `]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/v2/team/app/manifests/"+strings.Replace(subject.Digest, ":", "-", 1), strings.NewReader(index))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	if _, err := r.Attach(t.Context(), "team/app", subject, []oci.Artifact{sbom("ours")}, byUs); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Manifest(t.Context(), "team/app", subject.Digest); err != nil {
		t.Errorf("the image is gone: %v", err)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestOnlyWhoAttachesAsksToPush looks at what a token server is asked for.
func TestOnlyWhoAttachesAsksToPush(t *testing.T) {
	s := testkit.Registry(t, testkit.Options{Username: "u", Password: "p", TokenAuth: true})
	r := open(t, local(t), oci.Endpoint{URL: s.URL, Auth: oci.Basic("u", "p")})
	subject := tidewaiter.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: "sha256:" + strings.Repeat("a", 64), Size: 7}
	if _, err := r.Referrers(t.Context(), "team/app", subject.Digest); err != nil {
		t.Fatal(err)
	}
	if asked := strings.Join(s.Token.Scopes(), "\n"); strings.Contains(asked, "push") {
		t.Errorf("to read it asks for %q", asked)
	}
	if _, err := r.Attach(t.Context(), "team/app", subject, []oci.Artifact{sbom("x")}, byUs); err != nil {
		t.Fatal(err)
	}
	before := len(s.Token.Scopes())
	if asked := strings.Join(s.Token.Scopes(), "\n"); !strings.Contains(asked, "repository:team/app:pull,push") || strings.Contains(asked, "delete") {
		t.Errorf("to push it asks for %q", asked)
	}
	if _, err := r.Referrers(t.Context(), "team/app", subject.Digest); err != nil {
		t.Fatal(err)
	}
	if asked := strings.Join(s.Token.Scopes()[before:], "\n"); strings.Contains(asked, "push") {
		t.Errorf("to read after that it asks for %q", asked)
	}
}

// TestUploadsStayAtTheRegistry has a registry send uploads elsewhere.
func TestUploadsStayAtTheRegistry(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a stranger was asked") }))
	defer stranger.Close()
	redirect := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			if _, _, ok := r.BasicAuth(); !ok {
				w.WriteHeader(http.StatusUnauthorized)
			}
		case r.Method == http.MethodPost && redirect:
			http.Redirect(w, r, stranger.URL+"/v2/team/app/blobs/uploads/1", http.StatusTemporaryRedirect)
		case r.Method == http.MethodPost:
			w.Header().Set("Location", stranger.URL+"/v2/team/app/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	subject := tidewaiter.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: "sha256:" + strings.Repeat("a", 64), Size: 7}
	r := open(t, local(t), oci.Endpoint{URL: s.URL, Auth: oci.Basic("u", "p")})
	for _, redirect = range []bool{false, true} {
		_, err := r.Attach(t.Context(), "team/app", subject, []oci.Artifact{sbom("x")}, byUs)
		wantKind(t, err, tidewaiter.ErrUnsupported)
	}
}

// TestWhoMayNotPush is told so, and nothing is left half done.
func TestWhoMayNotPush(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"read only"}]}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	subject := tidewaiter.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: "sha256:" + strings.Repeat("a", 64), Size: 7}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := open(t, local(t), oci.Endpoint{URL: s.URL}).Attach(ctx, "team/app", subject, []oci.Artifact{sbom("x")}, byUs)
	wantKind(t, err, tidewaiter.ErrDenied, "DENIED", "push")
}

package control_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const analyzer = "analyzer-1"

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// platformImage is an image of one platform without layers.
func platformImage(c, architecture string) *tidewaiter.Image {
	return &tidewaiter.Image{Digest: digest(c), ConfigDigest: digest(c), Platform: tidewaiter.Platform{OS: "linux", Architecture: architecture}}
}

// points has a tag of a declared registry point to images, as a scan does, and returns its id.
func (h *house) points(t *testing.T, r *tidewaiter.Registry, repository, tag, to string, images ...*tidewaiter.Image) (tagID int64) {
	t.Helper()
	err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		ids, err := tx.RecordRepositories(t.Context(), r.ID, "scan", r.Host(), []store.RepositoryDecision{
			{Name: repository, Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
		if err != nil {
			return err
		}
		recorded, err := tx.RecordTags(t.Context(), store.RecordTags{RegistryID: r.ID, ScanID: "scan", RepositoryID: ids[repository],
			Tags: []tidewaiter.ListedTag{{Name: tag, Digest: to}}, Analyzer: analyzer, Now: h.now})
		if err != nil {
			return err
		}
		tagID = recorded[0].TagID
		_, err = tx.IndexTag(t.Context(), store.IndexTag{TagID: tagID, Digest: to, Images: images, Analyzer: analyzer, Now: h.now,
			Source: store.Source{RegistryID: r.ID, Repository: repository}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tagID
}

func (h *house) judge(t *testing.T, img *tidewaiter.Image, effect tidewaiter.Effect, advisories string) {
	t.Helper()
	err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.SaveJudgement(t.Context(), store.SaveJudgement{ImageID: img.ID, Content: &tidewaiter.Content{}, Now: h.now,
			Judgement: &tidewaiter.Judgement{Advisories: advisories, Analyzer: analyzer, JudgedAt: h.now, Verdict: tidewaiter.Verdict{Effect: effect}}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ask wants an answer that is no error.
func (h *house) ask(t *testing.T, q control.VerdictQuery) *control.ImageVerdict {
	t.Helper()
	v, err := h.Verdict(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (h *house) unknown(t *testing.T, q control.VerdictQuery, want control.UnknownReason) *control.UnknownVerdict {
	t.Helper()
	v := h.ask(t, q)
	if v.Unknown == nil || v.Unknown.Reason != want || v.Unknown.Detail == "" || v.Effect != "" || len(v.Platforms) != 0 {
		t.Fatalf("%+v: %+v with %+v, want %s", q, v, v.Unknown, want)
	}
	return v.Unknown
}

func TestVerdictIsTheWorstOfThePlatforms(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("docker.io", "library/shop", 0))[0]
	amd, arm := platformImage("a", "amd64"), platformImage("b", "arm64")
	h.points(t, r, "library/shop", "v1", digest("1"), amd, arm)
	h.unknown(t, control.VerdictQuery{Image: "shop:v1"}, control.UnknownNotScanned)
	h.judge(t, amd, tidewaiter.EffectAlert, "adv")
	err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutManifest(t.Context(), &tidewaiter.Manifest{Kind: tidewaiter.ManifestIndex, Digest: digest("1"),
			Manifests: []tidewaiter.Descriptor{{Digest: amd.Digest}, {Digest: arm.Digest}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop:v1", "shop@" + digest("1")} { // the other half may be worse
		h.unknown(t, control.VerdictQuery{Image: name}, control.UnknownNotScanned)
	}
	h.judge(t, arm, tidewaiter.EffectBlock, "adv")
	h.now = h.now.Add(time.Hour)

	v := h.ask(t, control.VerdictQuery{Image: "shop:v1"})
	if v.Effect != tidewaiter.EffectBlock || v.Reference != "docker.io/library/shop:v1" || v.Digest != digest("1") || !v.Current ||
		len(v.Platforms) != 2 || v.Platforms[0].Digest != arm.Digest || v.Platforms[0].Age != time.Hour || !v.SeenAt.Equal(h.now.Add(-time.Hour)) {
		t.Errorf("%+v", v)
	}
	for _, name := range []string{"docker.io/library/shop:v1", "index.docker.io/library/shop:v1", "shop@" + amd.Digest, amd.Digest} {
		v := h.ask(t, control.VerdictQuery{Image: name, Platform: "linux/amd64"})
		if v.Effect != tidewaiter.EffectAlert || len(v.Platforms) != 1 || v.Platforms[0].Digest != amd.Digest {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if u := h.unknown(t, control.VerdictQuery{Image: "shop:v1", Platform: "windows/amd64"}, control.UnknownNoPlatform); !strings.Contains(u.Detail, "linux/arm64") {
		t.Errorf("what there is instead is not said: %s", u.Detail)
	}
}

func TestVerdictOfATagThatMoved(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("r.example", "shop", 0))[0]
	before, after := platformImage("a", "amd64"), platformImage("b", "amd64")
	h.points(t, r, "shop", "latest", before.Digest, before)
	h.judge(t, before, tidewaiter.EffectIgnore, "adv")
	h.points(t, r, "shop", "latest", after.Digest, after)
	if v := h.ask(t, control.VerdictQuery{Image: "r.example/shop"}); v.Current || v.Unknown != nil || v.Digest != after.Digest || v.Platforms[0].Digest != before.Digest {
		t.Errorf("while the new image is not judged: %+v", v)
	}
	h.judge(t, after, tidewaiter.EffectBlock, "adv")
	if v := h.ask(t, control.VerdictQuery{Image: "r.example/shop"}); !v.Current || v.Effect != tidewaiter.EffectBlock {
		t.Errorf("once it is: %+v", v)
	}
}

func TestVerdictSaysWhyThereIsNone(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("r.example", "shop", 0))[0]
	ask := func(image string) control.VerdictQuery { return control.VerdictQuery{Image: image} }
	h.unknown(t, ask("other.example/shop"), control.UnknownNotDeclared)
	h.unknown(t, ask("r.example/other"), control.UnknownNotInScope)
	h.unknown(t, ask("r.example/shop"), control.UnknownNotScanned)
	h.unknown(t, ask(digest("f")), control.UnknownNotScanned)

	img := platformImage("a", "amd64")
	h.points(t, r, "shop", "v1", img.Digest, img)
	h.judge(t, img, tidewaiter.EffectIgnore, "")
	h.unknown(t, ask("r.example/shop:v1"), control.UnknownNoAdvisories)

	broken := h.points(t, r, "shop", "broken", digest("b"), platformImage("b", "amd64"))
	chart := h.points(t, r, "shop", "chart", digest("c"))
	err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.TagFailed(t.Context(), broken, tidewaiter.ErrDenied, "not for you", h.now); err != nil {
			return err
		}
		_, err := tx.TagNotScanned(t.Context(), chart, digest("c"), tidewaiter.Decision{Reason: tidewaiter.ReasonNotAnImage}, h.now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if u := h.unknown(t, ask("r.example/shop:broken"), control.UnknownFailed); u.Kind != tidewaiter.ErrDenied || !strings.Contains(u.Detail, "not for you") {
		t.Errorf("%+v", u)
	}
	h.unknown(t, ask("r.example/shop:chart"), control.UnknownNoImage)

	for _, q := range []control.VerdictQuery{{}, {Image: "No Image"}, {Image: "x", Platform: "amd64"}, {Image: "x", Wait: time.Hour}, {Image: "x", MaxAge: -1}} {
		if _, err := h.Verdict(t.Context(), q); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestManyWaitersCauseOneScan(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("r.example", "shop", 0))[0]
	const n = 20
	answers := make(chan *control.ImageVerdict, n)
	var asking sync.WaitGroup
	for range n {
		asking.Go(func() {
			v, err := h.Verdict(context.WithoutCancel(t.Context()), control.VerdictQuery{Image: "r.example/shop:v1", Wait: control.MaxVerdictWait})
			if err != nil {
				t.Error(err)
			}
			answers <- v
		})
	}
	scan := h.underWay(t, r)
	img := platformImage("a", "amd64")
	h.points(t, r, "shop", "v1", img.Digest, img)
	h.judge(t, img, tidewaiter.EffectBlock, "adv")
	h.end(t, scan, nil)
	asking.Wait()
	close(answers)
	for v := range answers {
		if v == nil || v.Unknown != nil || v.Effect != tidewaiter.EffectBlock {
			t.Errorf("%+v", v)
		}
	}
	if len(h.jobs.jobs) != 1 {
		t.Errorf("%d scans for one image", len(h.jobs.jobs))
	}
	// What was looked at a moment ago is not looked at again; later it is.
	h.ask(t, control.VerdictQuery{Image: "r.example/shop:v1", Wait: time.Second})
	h.ask(t, control.VerdictQuery{Image: "r.example/shop@" + img.Digest, Wait: time.Second})
	if h.now = h.now.Add(time.Hour); len(h.jobs.jobs) != 1 {
		t.Errorf("%d scans", len(h.jobs.jobs))
	}
	h.ask(t, control.VerdictQuery{Image: "r.example/shop:v1", Wait: time.Millisecond, MaxAge: 2 * time.Hour})
	if len(h.jobs.jobs) != 1 {
		t.Error("scanned although it is young enough")
	}
}

func TestWaitingTellsOfTheFailure(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("r.example", "shop", 0))[0]
	got := make(chan *control.ImageVerdict)
	ask := func(image string) {
		v, err := h.Verdict(context.WithoutCancel(t.Context()), control.VerdictQuery{Image: image, Wait: control.MaxVerdictWait})
		if err != nil {
			t.Error(err)
		}
		got <- v
	}
	go ask("r.example/shop:v1")
	h.end(t, h.underWay(t, r), &tidewaiter.ScanError{Kind: tidewaiter.ErrAuth, Text: "the registry refused the credential"})
	if v := <-got; v.Unknown == nil || v.Unknown.Reason != control.UnknownFailed || v.Unknown.Kind != tidewaiter.ErrAuth {
		t.Errorf("%+v", v.Unknown)
	}
	img := platformImage("a", "amd64")
	h.points(t, r, "shop", "v1", img.Digest, img)
	h.judge(t, img, tidewaiter.EffectIgnore, "adv")
	h.now = h.now.Add(time.Hour)
	go ask("r.example/shop:v1")
	h.end(t, h.underWay(t, r), &tidewaiter.ScanError{Kind: tidewaiter.ErrGone, Text: "does not have it"})
	if v := <-got; v.Unknown == nil || v.Unknown.Reason != control.UnknownGone || v.Effect != "" {
		t.Errorf("a tag that is gone: %+v", v)
	}
	// Nothing to scan: the answer comes at once.
	h.unknown(t, control.VerdictQuery{Image: "other.example/x", Wait: control.MaxVerdictWait}, control.UnknownNotDeclared)
}

// underWay waits until a scan of a single image has been started.
func (h *house) underWay(t *testing.T, r *tidewaiter.Registry) *tidewaiter.Scan {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		scans, _, err := h.Scans(t.Context(), control.ScanFilter{RegistryIDs: []string{r.ID}, Unfinished: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scans {
			if s.Target != nil {
				return s
			}
		}
	}
	t.Fatal("no scan was started")
	return nil
}

// end ends a scan as the pipeline does.
func (h *house) end(t *testing.T, s *tidewaiter.Scan, failure *tidewaiter.ScanError) {
	t.Helper()
	err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		s, err := tx.Scan(t.Context(), s.ID)
		if err != nil {
			return err
		}
		s.State, s.ListedAt = tidewaiter.ScanScanning, h.now
		if failure != nil {
			s.Error = failure.Text
			if err := tx.AddScanError(t.Context(), s.ID, *failure); err != nil {
				return err
			}
		}
		if err := tx.UpdateScan(t.Context(), s); err != nil {
			return err
		}
		_, err = tx.FinishScanIfDone(t.Context(), s.ID, h.now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

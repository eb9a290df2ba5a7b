// Package publish pushes what is known of an image into the registry that holds it, as documents that refer to the image, where
// a registry's settings ask for it.
//
// What is to be pushed is never queued for good: a sweep compares what was pushed with what changed for the images and makes jobs
// of the difference, so that an image that gets a second name, a setting that is turned on later and a job that was lost all end
// the same way. A failure is stored beside the image and never fails a scan.
package publish

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The kinds of job.
const (
	JobPublish tidewaiter.JobKind = "publish"       // pushes the documents about one image into one registry
	JobSweep   tidewaiter.JobKind = "publish-sweep" // finds what is to be pushed
)

// Enqueuer puts jobs on the queue inside a transaction of the store.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *store.Tx, jobs ...tidewaiter.Job) error
}

// Registry is what is pushed into.
type Registry interface {
	// Head asks what a digest leads to.
	Head(ctx context.Context, repository, reference string) (tidewaiter.Descriptor, error)
	// Attach pushes artifacts that refer to subject: see oci.Registry.
	Attach(ctx context.Context, repository string, subject tidewaiter.Descriptor, artifacts []oci.Artifact, replaced func(oci.Referrer) bool) ([]string, error)
}

// Config is what a Publisher works with. Every field is required.
type Config struct {
	Store *store.DB
	Jobs  Enqueuer
	Open  func(ctx context.Context, registryID string) (Registry, error)
	Now   func() time.Time
	Log   *slog.Logger
}

// Publisher does the jobs of this package. It is safe for concurrent use.
type Publisher struct{ Config }

// New returns a Publisher.
func New(c Config) *Publisher { return &Publisher{c} }

const (
	sweepPage = 500
	sweepMost = 5000 // images of one registry that one sweep makes jobs of; the next sweep goes on
)

// Sweep does the job JobSweep: it makes jobs of the images whose documents are missing, old or due again.
func (p *Publisher) Sweep(ctx context.Context, _ tidewaiter.JobRun) error {
	registries, err := p.Store.PublishingRegistries(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, r := range registries {
		kinds, err := r.Publications()
		if err != nil {
			p.Log.Warn("results are not pushed", "registry", r.ID, "err", err) // a surface that does not check let it in
			continue
		}
		if len(kinds) == 0 || !r.PausedAt.IsZero() {
			continue
		}
		if err := p.sweep(ctx, r, kinds); err != nil {
			failed = errors.Join(failed, err) // and the others get theirs
		}
	}
	return failed
}

func (p *Publisher) sweep(ctx context.Context, r *tidewaiter.Registry, kinds []tidewaiter.PublicationKind) error {
	mended, err := p.mended(ctx, r)
	if err != nil {
		return err
	}
	u := store.Unpublished{RegistryID: r.ID, Kinds: kinds, Mended: mended, Now: p.Now(), Limit: sweepPage}
	for range sweepMost / sweepPage {
		ids, err := p.Store.UnpublishedImages(ctx, u)
		if err != nil || len(ids) == 0 {
			return err
		}
		jobs := make([]tidewaiter.Job, len(ids))
		for i, id := range ids {
			jobs[i] = job(r.ID, id)
		}
		if err := p.Store.Update(ctx, func(tx *store.Tx) error { return p.Jobs.Enqueue(ctx, tx, jobs...) }); err != nil {
			return err
		}
		if u.After = ids[len(ids)-1]; len(ids) < sweepPage {
			return nil
		}
	}
	return nil
}

// saveTime bounds storing what became of a push.
const saveTime = 10 * time.Second

// Args names an image and the registry that documents about it are pushed into.
type Args struct {
	RegistryID string `json:"registryID"`
	ImageID    int64  `json:"imageID"`
}

func job(registryID string, imageID int64) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobPublish, Lane: tidewaiter.LaneSystem, Args: Args{registryID, imageID}, RegistryID: registryID,
		Reach: tidewaiter.ReachList, UniqueKey: registryID + "/" + strconv.FormatInt(imageID, 10)}
}

// mended returns when a registry's declaration or credential was last changed.
func (p *Publisher) mended(ctx context.Context, r *tidewaiter.Registry) (time.Time, error) {
	at := r.UpdatedAt
	if r.CredentialID == "" {
		return at, nil
	}
	c, err := p.Store.Credential(ctx, r.CredentialID)
	if err == nil && c.UpdatedAt.After(at) {
		at = c.UpdatedAt
	}
	return at, err
}

// Publish does the job JobPublish. That a registry refuses something is stored and is no error of the job.
func (p *Publisher) Publish(ctx context.Context, run tidewaiter.JobRun) error {
	var a Args
	if err := json.Unmarshal(run.Args, &a); err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrBug, "the arguments of job %d cannot be read: %w", run.ID, err)
	}
	r, err := p.Store.Registry(ctx, a.RegistryID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	kinds, err := r.Publications()
	if err != nil || len(kinds) == 0 {
		return nil //nolint:nilerr // turned off meanwhile
	}
	w, err := p.look(ctx, r, a.ImageID)
	if err != nil || w == nil {
		return err
	}
	repositories, err := p.Store.PublishTo(ctx, r.ID, a.ImageID)
	if err != nil {
		return err
	}
	for _, repository := range repositories {
		var due []*tidewaiter.Publication
		for _, k := range kinds {
			if state := w.state(repository, k); state.Due(w.change, w.mended, p.Now()) {
				due = append(due, state)
			}
		}
		if len(due) == 0 {
			continue
		}
		if err := w.publish(ctx, repository, due); err != nil {
			return err
		}
	}
	return nil
}

// work is what is known of an image that documents are pushed about.
type work struct {
	*Publisher
	registry *tidewaiter.Registry
	change   int64 // read before the result: what comes later makes another job
	mended   time.Time
	result   *tidewaiter.Result
	before   []tidewaiter.Publication
}

// look reads what is known of an image; nil when there is nothing to be pushed about it.
func (p *Publisher) look(ctx context.Context, r *tidewaiter.Registry, imageID int64) (*work, error) {
	w := &work{Publisher: p, registry: r}
	var err error
	if w.mended, err = p.mended(ctx, r); err != nil {
		return nil, err
	}
	if w.change, err = p.Store.LastChangeOf(ctx, imageID); err != nil {
		return nil, err
	}
	if w.before, err = p.Store.PublicationsOf(ctx, imageID); err != nil {
		return nil, err
	}
	w.result, err = p.Store.Result(ctx, imageID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && w.result.Image.Judgement == nil {
		return nil, nil
	}
	return w, err
}

// state returns what became of a document before.
func (w *work) state(repository tidewaiter.Repository, kind tidewaiter.PublicationKind) *tidewaiter.Publication {
	for _, b := range w.before {
		if b.RegistryID == w.registry.ID && b.RepositoryID == repository.ID && b.Kind == kind {
			return &b
		}
	}
	return &tidewaiter.Publication{ImageID: w.result.Image.ID, RegistryID: w.registry.ID, RepositoryID: repository.ID, Kind: kind}
}

// publish pushes the documents that are due into one repository and stores what became of each.
func (w *work) publish(ctx context.Context, repository tidewaiter.Repository, due []*tidewaiter.Publication) error {
	var documents []written
	var pushed []*tidewaiter.Publication
	for _, state := range due {
		if state.Change != w.change || state.TriedAt.Before(w.mended) {
			state.Change, state.Attempts = w.change, 0
		}
		made, same, err := document(w.result, repository, state)
		switch {
		case err != nil:
			state.Failed(err, w.Now())
		case same && state.Error == "":
			state.Succeeded(state.Digest, w.Now()) // pushed already: something else changed
		default:
			documents, pushed = append(documents, made), append(pushed, state)
		}
	}
	if len(documents) > 0 {
		digests, err := w.attach(ctx, repository, documents)
		interrupted := ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded)
		if err != nil && (interrupted || tidewaiter.KindOf(err) == tidewaiter.ErrLimit) {
			return err // nothing is wrong with the document or the registry: the queue brings the job back
		}
		if err != nil {
			w.Log.Warn("results not pushed", "registry", w.registry.ID, "repository", repository.Name, "image", w.result.Image.Digest, "err", err)
		}
		for i, state := range pushed {
			if err != nil {
				state.Failed(err, w.Now())
				continue
			}
			state.Document, state.JudgedAt, state.Advisories = documents[i].Annotations[documentKey], documents[i].judgedAt, documents[i].advisories
			state.Succeeded(digests[i], w.Now())
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime) // what took too long is to be seen as well
	defer cancel()
	return w.Store.Update(ctx, func(tx *store.Tx) error {
		for _, state := range due {
			if err := tx.SavePublication(ctx, state); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *work) attach(ctx context.Context, repository tidewaiter.Repository, documents []written) ([]string, error) {
	registry, err := w.Open(ctx, w.registry.ID)
	if err != nil {
		return nil, err
	}
	subject, err := registry.Head(ctx, repository.Name, w.result.Image.Digest)
	if err != nil {
		return nil, err
	}
	if subject.MediaType == "" {
		subject.MediaType = w.result.Image.MediaType
	}
	if subject.Size <= 0 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the registry does not say how long the manifest of %s@%s is", repository.Name, subject.Digest)
	}
	artifacts := make([]oci.Artifact, len(documents))
	for i, d := range documents {
		artifacts[i] = d.Artifact
	}
	return registry.Attach(ctx, repository.Name, subject, artifacts, ours)
}

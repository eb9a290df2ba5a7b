package opinion

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// step is what is known when the next step about an image is taken.
type step struct {
	*Asker
	opinion *tidewaiter.Opinion
	scanner *tidewaiter.Scanner
	client  *client
	asking  bool // the scanner is being asked to take a scan: what goes wrong now is its fault
}

// houseError is an error of our own store: nothing is wrong with the scanner or the registry.
type houseError struct{ error }

func (e houseError) Unwrap() error { return e.error }

func house(err error) error {
	if err == nil {
		return nil
	}
	return houseError{err}
}

// Step does the job JobStep: it asks the scanner about the image, or looks for the report. That the scanner or the registry refuses
// something is stored and is no error of the job.
func (a *Asker) Step(ctx context.Context, run tidewaiter.JobRun) error {
	var args Args
	if err := json.Unmarshal(run.Args, &args); err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrBug, "the arguments of job %d cannot be read: %w", run.ID, err)
	}
	if !a.turn.TryLock() {
		return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "another question is being asked", RetryAfter: nextTurn}
	}
	defer a.turn.Unlock()
	s, err := a.take(ctx, args, run.ID)
	if err != nil || s == nil {
		return err
	}
	secrets, err := OpenSecrets(a.Keyring, s.scanner)
	if err == nil {
		s.client, err = a.client(s.scanner, secrets)
	}
	if err == nil && s.opinion.Scan == "" {
		err = s.ask(ctx)
	} else if err == nil {
		err = s.look(ctx)
	}
	if err != nil && s.comesBack(ctx, err) {
		return err
	}
	ended := s.opinion.State != tidewaiter.OpinionAsking
	if err != nil {
		if ended, err = s.fail(ctx, err); err != nil {
			return err
		}
	}
	if ended {
		return a.Start(ctx, s.scanner.ID) // there is room for another
	}
	return nil
}

// comesBack reports whether the queue is to bring the job back, as nothing is wrong with the scanner or the registry.
func (s *step) comesBack(ctx context.Context, err error) bool {
	_, ours := errors.AsType[houseError](err)
	interrupted := ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded)
	budget := !s.asking && s.opinion.Scan == "" && tidewaiter.KindOf(err) == tidewaiter.ErrLimit // of requests to the registry
	return ours || interrupted || budget
}

// take claims the step for a job; nil when there is none to take: another job has it, or it is no longer wanted.
func (a *Asker) take(ctx context.Context, args Args, jobID int64) (taken *step, err error) {
	err = a.Store.Update(ctx, func(tx *store.Tx) error {
		taken = nil
		s, err := tx.Scanner(ctx, args.ScannerID)
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
			return nil // removed meanwhile, with everything it said
		}
		if err != nil {
			return err
		}
		o, err := tx.LockOpinion(ctx, args.ImageID, args.ScannerID)
		if err != nil || o == nil || o.State != tidewaiter.OpinionAsking || o.JobID != jobID && o.NextAt.After(a.Now()) {
			return err
		}
		if s.Disabled && o.Scan == "" {
			o.State, o.NextAt, o.JobID = tidewaiter.OpinionWaiting, a.Now(), 0
			return tx.SaveOpinion(ctx, o)
		}
		o.JobID, o.NextAt = jobID, a.Now().Add(hold)
		taken = &step{Asker: a, opinion: o, scanner: s}
		return tx.SaveOpinion(ctx, o)
	})
	return taken, err
}

// save stores what became of the step, unless somebody else has taken it meanwhile, and makes the job of the next one.
func (s *step) save(ctx context.Context, also func(tx *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime) // what took too long is to be seen as well
	defer cancel()
	mine := s.opinion.JobID
	next := *s.opinion
	next.JobID = 0
	return house(s.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LockOpinion(ctx, next.ImageID, next.ScannerID)
		if err != nil || now == nil || now.State != tidewaiter.OpinionAsking || now.JobID != mine {
			return err
		}
		if err := tx.SaveOpinion(ctx, &next); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		if next.State != tidewaiter.OpinionAsking {
			return nil
		}
		return s.Jobs.Enqueue(ctx, tx, job(next.ImageID, next.ScannerID, next.RegistryID, next.NextAt))
	}))
}

// ask has the scanner look at the image.
func (s *step) ask(ctx context.Context) error {
	s.asking = true
	about, err := s.client.metadata(ctx)
	if err != nil {
		return err
	}
	reportType, _ := reportOf(about) // metadata makes sure that there is one
	s.asking = false
	of, err := s.subject(ctx, about)
	if err != nil || of == nil {
		return err
	}
	s.asking = true
	id, err := s.client.scan(ctx, about, reportType, *of)
	if err != nil {
		return s.wanting(about, err)
	}
	o := s.opinion
	o.Scan, o.ReportType, o.AskedAt, o.NextAt, o.Faults = id, reportType, s.Now(), s.Now().Add(firstLook), 0
	return s.save(ctx, func(tx *store.Tx) error { return tx.SaveScannerAbout(ctx, s.scanner.ID, about) })
}

// subject says what the scanner is asked about; nil when the image cannot be pulled from a registry it is asked about, which is stored.
func (s *step) subject(ctx context.Context, about tidewaiter.ScannerAbout) (*subject, error) {
	o := s.opinion
	place, err := s.Store.OpinionPlaceOf(ctx, s.scanner.ID, o.ImageID)
	switch {
	case err != nil:
		return nil, house(err)
	case place == nil:
		o.State = tidewaiter.OpinionDone
		return nil, house(s.Store.Update(ctx, func(tx *store.Tx) error { return tx.ForgetOpinion(ctx, o.ImageID, o.ScannerID) }))
	case place.Paused:
		o.State, o.NextAt = tidewaiter.OpinionWaiting, s.Now().Add(pause)
		return nil, s.save(ctx, nil)
	}
	o.RegistryID = place.RegistryID
	image, err := s.image(ctx)
	if err != nil {
		return nil, err
	}
	if len(about.Consumes) > 0 && image.MediaType != "" && !has(about.Consumes, image.MediaType) {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the scanner does not take manifests of type %s", image.MediaType)
	}
	loan, err := s.Lend(ctx, place.RegistryID, place.Repository, s.scanner.Lend)
	if err != nil {
		return nil, err
	}
	return &subject{loan: loan, tag: place.Tag, digest: image.Digest, mediaType: image.MediaType}, nil
}

func (s *step) image(ctx context.Context) (*tidewaiter.Image, error) {
	found, err := s.Store.ImagesByID(ctx, []int64{s.opinion.ImageID})
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "the image was removed meanwhile")
	}
	if err != nil {
		return nil, house(err)
	}
	return found[0], nil
}

// wanting adds the likeliest remedy where a scanner refuses a token and says that it wants something else.
func (s *step) wanting(about tidewaiter.ScannerAbout, err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if ok && about.WantsLogin == "Basic" && s.scanner.Lend != tidewaiter.LendCredential && e.Kind == tidewaiter.ErrUnsupported {
		e.Fix = "the scanner wants a user name and a password for the registry: lend it the credential"
	}
	return err
}

// look looks for the report.
func (s *step) look(ctx context.Context) error {
	o := s.opinion
	body, wait, err := s.client.report(ctx, o.Scan, o.ReportType)
	if err != nil {
		return err
	}
	if body == nil {
		if s.Now().Sub(o.AskedAt) >= maxWait {
			return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the scanner made no report within %s", maxWait).
				WithFix("see whether the scanner is at work, and ask about fewer images at once")
		}
		// Who has taken long takes longer still: looks become fewer, whatever is asked for.
		wait = max(wait, min(s.Now().Sub(o.AskedAt)/10, maxLook))
		o.NextAt, o.Faults = s.Now().Add(wait), 0
		return s.save(ctx, nil)
	}
	image, err := s.image(ctx)
	if err != nil {
		return err
	}
	report, found, err := parseReport(body, image.Digest, s.Now())
	if err != nil {
		return err
	}
	report.DatabaseAt = s.scanner.About.DatabaseAt // as it was when it was asked, or later
	mine := o.JobID
	o.Succeeded(report, s.Now())
	o.JobID = mine
	return s.save(ctx, func(tx *store.Tx) error { return tx.SaveOpinionFindings(ctx, o.ImageID, o.ScannerID, found) })
}

// fail stores that a step went wrong. While the scanner is at work, some faults are forgiven: it may have been started anew, or something in
// between may. ended says that the scan is over.
func (s *step) fail(ctx context.Context, cause error) (ended bool, err error) {
	o, mine, now := s.opinion, s.opinion.JobID, s.Now()
	kind := tidewaiter.KindOf(cause)
	if o.Scan != "" && kind.Retryable() && o.Faults+1 < maxFaults && now.Sub(o.AskedAt) < maxWait {
		o.Faults++
		o.NextAt = now.Add(max(minRefresh<<(2*o.Faults), asked(cause)))
		return false, s.save(ctx, nil)
	}
	s.Log.Warn("no second opinion", "scanner", s.scanner.Name, "image", o.ImageID, "err", cause)
	o.Failed(cause, now)
	o.JobID = mine
	return true, s.save(ctx, func(tx *store.Tx) error {
		if !s.asking || !kind.Retryable() {
			return nil // it answers, or it is the registry that does not
		}
		return tx.PauseScanner(ctx, s.scanner.ID, now.Add(max(pause, asked(cause))))
	})
}

// asked is how long the other side asked us to wait.
func asked(err error) time.Duration {
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return min(e.RetryAfter, maxPause)
	}
	return 0
}

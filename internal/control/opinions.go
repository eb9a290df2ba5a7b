package control

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/opinion"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// OpinionDifference is what another scanner makes of an image beside what we do.
type OpinionDifference struct {
	opinion.Difference

	Opinion tidewaiter.Opinion
	Image   *tidewaiter.Image
}

// OwnFinding is one of our findings in a difference.
type OwnFinding = opinion.Own

// OpinionsOf returns the opinions on an image by the scanners' names.
func (c *Control) OpinionsOf(ctx context.Context, imageID int64) ([]tidewaiter.Opinion, error) {
	return c.store.OpinionsOf(ctx, imageID)
}

// Opinion returns what a scanner, by id or else by name, said of an image, or ErrNotFound.
func (c *Control) Opinion(ctx context.Context, imageID int64, scanner string) (*tidewaiter.Opinion, error) {
	list, err := c.store.OpinionsOf(ctx, imageID)
	if err != nil {
		return nil, err
	}
	for _, known := range []func(o *tidewaiter.Opinion) bool{
		func(o *tidewaiter.Opinion) bool { return o.ScannerID == scanner },
		func(o *tidewaiter.Opinion) bool { return o.Scanner == scanner },
	} {
		for i := range list {
			if known(&list[i]) {
				return &list[i], nil
			}
		}
	}
	return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no opinion of a scanner %q on this image", scanner).
		WithFix("see the scanners, and whether the image is in a registry they are asked about")
}

// OpinionFindings returns what a scanner found on an image, the worst first.
func (c *Control) OpinionFindings(ctx context.Context, o *tidewaiter.Opinion) ([]tidewaiter.OpinionFinding, error) {
	return c.store.OpinionFindings(ctx, o.ImageID, o.ScannerID)
}

// OpinionDifference compares what a scanner said last of an image with what we find on it now. Errors: ErrNotFound; ErrConflict when either
// has said nothing yet.
func (c *Control) OpinionDifference(ctx context.Context, imageID int64, scanner string) (*OpinionDifference, error) {
	o, err := c.Opinion(ctx, imageID, scanner)
	if err != nil {
		return nil, err
	}
	if o.Report.ReadAt.IsZero() {
		e := tidewaiter.Errorf(tidewaiter.ErrConflict, "the scanner %s has said nothing of this image yet", o.Scanner)
		if o.Error != "" {
			e.Msg += ": " + o.Error
		}
		return nil, e
	}
	found, err := c.store.OpinionFindings(ctx, imageID, o.ScannerID)
	if err != nil {
		return nil, err
	}
	r, err := c.store.Result(ctx, imageID)
	if err != nil {
		return nil, err
	}
	if r.Image.Judgement == nil || r.Image.Judgement.Advisories == "" {
		return nil, tidewaiter.Errorf(tidewaiter.ErrConflict, "the image is not judged here yet")
	}
	return &OpinionDifference{Difference: opinion.Compare(r, found), Opinion: *o, Image: r.Image}, nil
}

// AskScanner has a scanner asked anew: about one image, ahead of others that wait, or, with image 0, about every image it was asked about. It
// returns how many images that are. What is being asked already goes on. Errors: ErrNotFound; ErrConflict for a scanner that is
// disabled, or an image in no registry it is asked about.
func (c *Control) AskScanner(ctx context.Context, scannerID string, imageID int64) (queued int, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Scanner(ctx, scannerID)
		if err != nil {
			return err
		}
		if s.Disabled {
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "the scanner %s is disabled", s.Name).WithFix("enable it first")
		}
		queued, err = c.queueOpinions(ctx, tx, s, imageID)
		if err != nil {
			return err
		}
		return c.audit(ctx, tx, "scanner.ask", s.ID, s.Name)
	})
	if err != nil {
		return 0, err
	}
	return queued, c.asker.Start(ctx, scannerID)
}

func (c *Control) queueOpinions(ctx context.Context, tx *store.Tx, s *tidewaiter.Scanner, imageID int64) (int, error) {
	if imageID == 0 {
		return tx.QueueAllOpinions(ctx, s.ID, c.now())
	}
	place, err := tx.OpinionPlaceOf(ctx, s.ID, imageID)
	if err != nil {
		return 0, err
	}
	if place == nil {
		return 0, tidewaiter.Errorf(tidewaiter.ErrConflict, "the image is in no registry that the scanner %s is asked about", s.Name).
			WithFix("add a registry that shows it to the scanner")
	}
	return tx.QueueOpinions(ctx, s.ID, []int64{imageID}, time.Unix(1, 0)) // before all others
}

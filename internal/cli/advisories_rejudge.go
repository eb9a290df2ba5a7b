package cli

import (
	"context"
	"encoding/json"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type advisoriesRejudge struct {
	Force   bool          `help:"Match every package and judge every image, whatever seems to have changed."`
	Wait    bool          `help:"Wait until all images are judged, and show how far it is." default:"true" negatable:""`
	Timeout time.Duration `help:"How long to wait at most; the server goes on." default:"1h"`
	remoteFlags
}

// Run asks for it and waits. That it takes longer than we wait is an error.
func (c advisoriesRejudge) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	r, err := server.Rejudge(ctx, client.RejudgeRequest{Force: c.Force})
	if err != nil {
		return refused(err)
	}
	if c.Wait {
		if r, err = c.watch(ctx, s, server, r); err != nil {
			return err
		}
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(r)
	}
	if r.Done {
		sayf(s.out, "%d images are judged by advisories %s\n", r.Images, report.Visible(r.Advisories))
		return nil
	}
	sayf(s.out, "%d packages are to be matched, %d of %d images to be judged by advisories %s\n", r.PackagesLeft, r.ImagesLeft, r.Images, report.Visible(r.Advisories))
	return nil
}

// watch shows how far it is until it is done.
func (c advisoriesRejudge) watch(ctx context.Context, s streams, server *client.Client, r *client.Rejudging) (*client.Rejudging, error) {
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription("images judged"),
		progressbar.OptionShowCount(), progressbar.OptionSetWidth(40), progressbar.OptionSetVisibility(isTerminal(s.err)))
	for deadline := time.Now().Add(c.Timeout); !r.Done; {
		bar.ChangeMax(max(r.Images, 1))
		_ = bar.Set(r.Images - r.ImagesLeft) // a bar that cannot be drawn is no reason to stop
		if time.Now().After(deadline) {
			return nil, tidewaiter.Errorf(tidewaiter.ErrTransient, "after %s %d of %d images are still to be judged", c.Timeout, r.ImagesLeft, r.Images).
				WithFix("the server goes on; ask again, or give a longer --timeout")
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
		var err error
		if r, err = server.Rejudging(ctx); err != nil {
			return nil, refused(err)
		}
	}
	_ = bar.Finish()
	return r, nil
}

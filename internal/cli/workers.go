package cli

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

type workersCommand struct {
	List   workersListCommand `cmd:"" help:"List the processes that work on jobs."`
	Lanes  lanesListCommand   `cmd:"" help:"List the lanes jobs wait in."`
	Pause  lanePauseCommand   `cmd:"" help:"Begin no other job of a lane, anywhere. Jobs that run go on."`
	Resume laneResumeCommand  `cmd:"" help:"Begin jobs of a lane again."`
	Cancel laneCancelCommand  `cmd:"" help:"End the scans that are on their way in a lane."`
}

type workersListCommand struct{ remoteFlags }

// Run lists workers.
func (c workersListCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	page, err := server.Workers(ctx)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(page.Items)
	}
	t := newColumns("WORKER", "STATE", "HEARTBEAT", "RUNNING", "LANES", "LABELS", "VERSION")
	for _, w := range page.Items {
		state := "away"
		if w.Alive {
			state = "alive"
		}
		var lanes []string
		for _, name := range slices.Sorted(maps.Keys(w.Lanes)) {
			lanes = append(lanes, name+"="+strconv.Itoa(w.Lanes[name]))
		}
		t.row(w.ID, state, w.Heartbeat.Format(time.DateTime), strconv.Itoa(w.Running), strings.Join(lanes, ","), strings.Join(w.Labels, ","), w.Version)
	}
	return t.write(s.out)
}

type lanesListCommand struct{ remoteFlags }

// Run lists lanes.
func (c lanesListCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	page, err := server.Lanes(ctx)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(page.Items)
	}
	t := newColumns("LANE", "STATE", "RUNNING", "WAITING", "LATER", "OLDEST")
	for _, l := range page.Items {
		state, oldest := "open", ""
		if l.Paused {
			state = "paused"
		}
		if !l.Oldest.IsZero() {
			oldest = l.Oldest.Format(time.DateTime)
		}
		t.row(l.Name, state, strconv.Itoa(l.Running), strconv.Itoa(l.Waiting), strconv.Itoa(l.Later), oldest)
	}
	return t.write(s.out)
}

// laneArgument names a lane.
type laneArgument struct {
	Lane string `arg:"" help:"${enum}." enum:"interactive,event,fresh,rescan,system"`
	remoteFlags
}

type lanePauseCommand struct{ laneArgument }

// Run pauses a lane.
func (c lanePauseCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	return refused(server.PauseLane(ctx, c.Lane))
}

type laneResumeCommand struct{ laneArgument }

// Run resumes a lane.
func (c laneResumeCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	return refused(server.ResumeLane(ctx, c.Lane))
}

type laneCancelCommand struct{ laneArgument }

// Run ends the scans of a lane and says how many there were.
func (c laneCancelCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	out, err := server.CancelLane(ctx, c.Lane)
	if err != nil {
		return refused(err)
	}
	sayf(s.out, "%d scans ended\n", out.Scans)
	return nil
}

package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// JobTotals counts how many images have each vulnerability. It takes no arguments.
const JobTotals tidewaiter.JobKind = "totals"

// The filters and rows of lists of vulnerabilities, so that surfaces need not know the store.
type (
	VulnerabilityFilter = store.VulnerabilityFilter
	VulnerabilitySort   = store.VulnerabilitySort
	FleetVulnerability  = store.FleetVulnerability
)

// settingTotals is the setting that says when vulnerabilities were last counted.
const settingTotals = "totals.counted"

// counted is what that setting holds.
type counted struct {
	Mark string        `json:"mark"` // what the fleet looked like
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took"` // nanoseconds
}

const (
	totalsAtOnce = 700 * time.Millisecond // counting that takes no longer is done for whoever looks
	totalsShare  = 20                     // counting may take this part of the time, one in
	totalsOldest = time.Hour              // counted after that whatever seems to have changed
)

func (c *Control) counted(ctx context.Context) (last counted, err error) {
	value, err := c.store.Setting(ctx, settingTotals)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return last, nil
	}
	if err == nil && json.Unmarshal([]byte(value), &last) != nil {
		last = counted{} // counted anew
	}
	return last, err
}

// CountVulnerabilities counts how many images have each vulnerability and says when it did. It reads every finding: seconds in
// a large fleet. Two that count at the same time write the same.
func (c *Control) CountVulnerabilities(ctx context.Context) (time.Time, error) {
	began := c.now()
	mark, err := c.store.TotalsMark(ctx)
	if err == nil {
		err = c.store.CountVulnerabilities(ctx)
	}
	if err != nil {
		return time.Time{}, err
	}
	value, err := json.Marshal(counted{Mark: mark, At: began, Took: c.now().Sub(began)})
	if err != nil {
		return time.Time{}, err
	}
	return began, c.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(ctx, settingTotals, string(value), began) })
}

// WorkTotals does the job JobTotals: it counts when something has changed and counting has not taken too large a part of the
// time.
func (c *Control) WorkTotals(ctx context.Context, _ tidewaiter.JobRun) error {
	last, err := c.counted(ctx)
	if err != nil {
		return err
	}
	age := c.now().Sub(last.At)
	if age < totalsShare*last.Took {
		return nil
	}
	mark, err := c.store.TotalsMark(ctx)
	if err != nil || mark == last.Mark && age < totalsOldest {
		return err
	}
	_, err = c.CountVulnerabilities(ctx)
	return err
}

// freshTotals returns when vulnerabilities were last counted. Where counting is quick, or nobody has counted yet, they are
// counted now if something changed; in a large fleet the numbers are minutes old.
func (c *Control) freshTotals(ctx context.Context) (time.Time, error) {
	last, err := c.counted(ctx)
	if err != nil || !last.At.IsZero() && last.Took > totalsAtOnce {
		return last.At, err
	}
	mark, err := c.store.TotalsMark(ctx)
	if err != nil || !last.At.IsZero() && mark == last.Mark {
		return last.At, err
	}
	return c.CountVulnerabilities(ctx)
}

// FleetVulnerabilities returns a page of the vulnerabilities images have, the cursor of the next page, and when the images
// were counted. Threats are what is known now.
func (c *Control) FleetVulnerabilities(ctx context.Context, f VulnerabilityFilter) (list []FleetVulnerability, next string, counted time.Time, err error) {
	if counted, err = c.freshTotals(ctx); err != nil {
		return nil, "", counted, err
	}
	list, next, err = c.store.FleetVulnerabilities(ctx, f)
	return list, next, counted, err
}

// CountFleetVulnerabilities returns how many vulnerabilities the filter chooses, whatever its page.
func (c *Control) CountFleetVulnerabilities(ctx context.Context, f VulnerabilityFilter) (int, error) {
	return c.store.CountFleetVulnerabilities(ctx, f)
}

// FleetVulnerability returns one vulnerability with its totals, what advisories say of it (nil when they say nothing), and the
// packages it is found in. One that no image has is ErrNotFound.
func (c *Control) FleetVulnerability(ctx context.Context, name string) (*FleetVulnerability, *tidewaiter.Vulnerability, []VulnerablePackage, error) {
	if _, err := c.freshTotals(ctx); err != nil {
		return nil, nil, nil, err
	}
	v, err := c.store.FleetVulnerability(ctx, name)
	if err != nil {
		return nil, nil, nil, err
	}
	details, err := c.store.Vulnerabilities(ctx, []string{name})
	if err != nil {
		return nil, nil, nil, err
	}
	packages, err := c.store.VulnerablePackages(ctx, []string{name})
	return v, details[name], packages[name], err
}

// ImagesWithVulnerability returns a page of the images that have a vulnerability, oldest in the inventory first, and the cursor
// of the next page.
func (c *Control) ImagesWithVulnerability(ctx context.Context, name string, p Page) ([]*ImageRow, string, error) {
	return c.store.ImagesWithVulnerability(ctx, name, p)
}

package store

import (
	"context"
	"time"
)

// RejudgeLeft is what is left of bringing the fleet to a version of the advisories.
type RejudgeLeft struct {
	Packages int // to look up
	Images   int // to judge
	Judged   int // images that have a judgement, by whatever
}

// RejudgeLeft counts what is left: packages that were matched by other advisories, and images that others judged or, where a
// time is given, that were judged before it. It reads by index where it can: call it every second, not with every request.
func (r *Reader) RejudgeLeft(ctx context.Context, advisories string, since time.Time) (RejudgeLeft, error) {
	before := int64(0)
	if !since.IsZero() {
		before = micros(since)
	}
	found, err := rows[RejudgeLeft](ctx, r, `select
		(select count(*) from packages where matched <> '' and matched <> ?) as packages,
		(select count(*) from images where state = 'judged' and (advisories <> ? or judged_at < ?)) as images,
		(select count(*) from images where state = 'judged') as judged`, advisories, advisories, before)
	if err != nil {
		return RejudgeLeft{}, fail(err, "count what is left to judge")
	}
	return found[0], nil
}

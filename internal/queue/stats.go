package queue

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Stats is how much there is to do in a lane.
type Stats struct {
	Waiting int       // could run now, or within seconds
	Later   int       // have a time to wait for: to be tried again, asked to wait, or scheduled
	Running int       // in all processes
	Oldest  time.Time // since when the first in line could have been running; zero when none waits
}

// Stats counts jobs by lane; every lane is there. It reads one index, of which it needs 100 ms or so for a million jobs.
func (q *Queue) Stats(ctx context.Context) (map[tidewaiter.Lane]Stats, error) {
	stats := map[tidewaiter.Lane]Stats{}
	for _, lane := range tidewaiter.Lanes() {
		stats[lane] = Stats{}
	}
	rows, err := q.cfg.DB.Writer().QueryContext(ctx, `select queue, state, count(*), cast(`+
		q.dialect(`unixepoch(min(scheduled_at), 'subsec') * 1000`, `extract(epoch from min(scheduled_at)) * 1000`)+` as bigint)
		from river_job where state in ('available', 'retryable', 'running', 'scheduled') group by queue, state`)
	if err != nil {
		return nil, unavailable("count jobs", err)
	}
	defer rows.Close()
	for rows.Next() {
		var lane tidewaiter.Lane
		var state string
		var count int
		var oldest int64
		if err := rows.Scan(&lane, &state, &count, &oldest); err != nil {
			return nil, unavailable("count jobs", err)
		}
		s := stats[lane]
		switch state {
		case "available":
			s.Waiting, s.Oldest = count, time.UnixMilli(oldest).UTC()
		case "running":
			s.Running = count
		default:
			s.Later += count
		}
		stats[lane] = s
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("count jobs", err)
	}
	return stats, nil
}

package queue

import "time"

// pulse tells the dead from the living by whether their heartbeat changes, timed by this process's own clock. What the
// heartbeat says is not compared with any clock, so it does not matter how well those of the machines agree.
type pulse struct {
	after    time.Duration // without change is dead
	looked   time.Time
	seen     map[string]sighting
	homeless map[int64]time.Time // jobs said to run here that do not, since when
}

type sighting struct{ beat, at time.Time }

func newPulse(after time.Duration) *pulse {
	return &pulse{after: after, seen: map[string]sighting{}, homeless: map[int64]time.Time{}}
}

// observe takes in the present heartbeats by worker and returns the workers that are dead. After a gap in which this
// process could not look, it gives everybody time again: the others may have been unable to write as well.
func (p *pulse) observe(beats map[string]time.Time, now time.Time) map[string]bool {
	gap := now.Sub(p.looked) > p.after*2/3
	p.looked = now
	dead := map[string]bool{}
	seen := make(map[string]sighting, len(beats))
	for id, beat := range beats {
		s, ok := p.seen[id]
		if !ok || gap || !s.beat.Equal(beat) {
			s = sighting{beat: beat, at: now}
		}
		seen[id] = s
		if now.Sub(s.at) >= p.after {
			dead[id] = true
		}
	}
	p.seen = seen
	return dead
}

// lost returns the jobs that this process has claimed, by the database, and has not been running for a while: the answer
// to the claim, or the note that the job ended, did not come through.
func (p *pulse) lost(claimed []claim, self string, running func(id int64) bool, now time.Time) (ids []int64) {
	homeless := map[int64]time.Time{}
	for _, c := range claimed {
		if c.owner != self || running(c.id) {
			continue
		}
		since, ok := p.homeless[c.id]
		if !ok {
			since = now
		}
		homeless[c.id] = since
		if now.Sub(since) >= p.after {
			ids = append(ids, c.id)
		}
	}
	p.homeless = homeless
	return ids
}

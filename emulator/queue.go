package emulator

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// messageQueue holds messages until they are taken off. One that was given out is hidden for a while, and given out again
// when it was not taken off by then.
type messageQueue struct {
	mu       sync.Mutex
	messages []*message
	changed  chan struct{} // closed when a message comes in
	given    int
}

type message struct {
	id      string
	body    string
	at      time.Time
	handle  string // of the last time it was given out
	visible time.Time
}

func newMessageQueue() *messageQueue { return &messageQueue{changed: make(chan struct{})} }

func (q *messageQueue) send(body string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = append(q.messages, &message{id: rand.Text(), body: body, at: now})
	close(q.changed)
	q.changed = make(chan struct{})
}

// take gives out at most n messages. It waits for the first until ctx ends, or not at all where wait is 0.
func (q *messageQueue) take(ctx context.Context, n int, hidden, wait time.Duration, now func() time.Time) []message {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		q.mu.Lock()
		var out []message
		for _, m := range q.messages {
			if len(out) < n && !m.visible.After(now()) {
				m.handle, m.visible = rand.Text(), now().Add(hidden)
				out = append(out, *m)
				q.given++
			}
		}
		changed := q.changed
		q.mu.Unlock()
		if len(out) > 0 {
			return out
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// remove takes a message off by the handle it was last given out with, and reports whether there was one.
func (q *messageQueue) remove(handle string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.messages, func(m *message) bool { return m.handle == handle && handle != "" })
	if i >= 0 {
		q.messages = slices.Delete(q.messages, i, i+1)
	}
	return i >= 0
}

// Send puts a message on the queue beside the registry: SQS for ECR, Pub/Sub for GAR. For SQS it is the body, for Pub/Sub
// the data.
func (e *Emulator) Send(body string) { e.queue.send(body, e.now()) }

// Waiting returns how many messages are on the queue, those that were given out and not taken off included, and how often
// one was given out so far.
func (e *Emulator) Waiting() (messages, given int) {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	return len(e.queue.messages), e.queue.given
}

// Queue returns the name of that queue: a URL of SQS, or a subscription of Pub/Sub. "" for other kinds.
func (e *Emulator) Queue() string {
	switch l := e.Login(); e.o.Kind {
	case ECR:
		return e.API + "/" + l.Account + "/" + queueName
	case GAR:
		return "projects/" + l.Project + "/subscriptions/" + queueName
	}
	return ""
}

const queueName = "registry-events"

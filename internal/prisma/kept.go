package prisma

import (
	"context"
	"sync"
	"time"
)

// kept keeps answers that read the whole fleet. An answer is good for twenty times as long as it took to make, at least ten
// seconds and at most a day: a small installation is always up to date, a large one is not slowed down by its statistics.
type kept[T any] struct {
	now func() time.Time

	mu      sync.Mutex
	answers map[string]keptAnswer[T]
}

type keptAnswer[T any] struct {
	value T
	until time.Time
}

// maxKept bounds how many answers are kept.
const maxKept = 16

// get returns the answer for a question, made now when there is none that is good, or when fresh asks for it. One is made at
// a time: who comes meanwhile waits for it.
func (k *kept[T]) get(ctx context.Context, question string, fresh bool, answer func(context.Context) (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	began := k.now()
	if a, ok := k.answers[question]; ok && !fresh && began.Before(a.until) {
		return a.value, nil
	}
	value, err := answer(ctx)
	if err != nil {
		return value, err
	}
	if k.answers == nil || len(k.answers) >= maxKept {
		k.answers = map[string]keptAnswer[T]{}
	}
	ended := k.now()
	k.answers[question] = keptAnswer[T]{value, ended.Add(min(max(20*ended.Sub(began), 10*time.Second), 24*time.Hour))}
	return value, nil
}

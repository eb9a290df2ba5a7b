package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sayAgain is how long the same message of River's is kept back. While a database is away each lane would repeat its
// complaint several times a second.
const sayAgain = 10 * time.Second

// riverLog passes on what River says at level warn and above, each message at most once in sayAgain.
func riverLog(log *slog.Logger, now func() time.Time) *slog.Logger {
	return slog.New(&quietHandler{Handler: log.Handler(), said: &said{now: now, at: map[string]time.Time{}}})
}

type quietHandler struct {
	slog.Handler
	said *said
}

type said struct {
	now func() time.Time
	mu  sync.Mutex
	at  map[string]time.Time // by message; River has a fixed set of them
}

func (h *quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h *quietHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.said.may(r.Message) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quietHandler{Handler: h.Handler.WithAttrs(attrs), said: h.said}
}

func (h *quietHandler) WithGroup(name string) slog.Handler {
	return &quietHandler{Handler: h.Handler.WithGroup(name), said: h.said}
}

func (s *said) may(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if last, ok := s.at[message]; ok && now.Sub(last) < sayAgain {
		return false
	}
	if len(s.at) > 1000 {
		clear(s.at)
	}
	s.at[message] = now
	return true
}

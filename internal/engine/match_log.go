package engine

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime"
	"strings"

	tdblog "github.com/aquasecurity/trivy-db/pkg/log"
)

// QuietTrivy returns a handler that drops what Trivy says and passes on everything else. Trivy has no logger of its own:
// it speaks through slog.Default, several lines a package. A program that calls slog.SetDefault after NewMatcher wraps
// its handler with this.
func QuietTrivy(next slog.Handler) slog.Handler { return quietTrivy{next} }

type quietTrivy struct{ next slog.Handler }

func (q quietTrivy) Enabled(ctx context.Context, l slog.Level) bool { return q.next.Enabled(ctx, l) }

func (q quietTrivy) Handle(ctx context.Context, r slog.Record) error {
	frame, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
	if strings.HasPrefix(frame.Function, "github.com/aquasecurity/") {
		return nil
	}
	return q.next.Handle(ctx, r)
}

func (q quietTrivy) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietTrivy{q.next.WithAttrs(attrs)}
}
func (q quietTrivy) WithGroup(name string) slog.Handler { return quietTrivy{q.next.WithGroup(name)} }

// silenceTrivy puts QuietTrivy before the default handler.
func silenceTrivy() {
	tdblog.SetLogger(slog.New(slog.DiscardHandler))
	h := slog.Default().Handler()
	if _, quiet := h.(quietTrivy); quiet {
		return
	}
	if fmt.Sprintf("%T", h) == "*slog.defaultHandler" {
		// The built-in handler writes through package log, which SetDefault would send back to it: they would wait for
		// each other for ever.
		h = slog.NewTextHandler(os.Stderr, nil)
	}
	out, flags := log.Writer(), log.Flags()
	slog.SetDefault(slog.New(QuietTrivy(h)))
	log.SetOutput(out) // package log goes on as before
	log.SetFlags(flags)
}

package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"
	"go.yaml.in/yaml/v3"
)

// maxSettingsBytes bounds the settings file.
const maxSettingsBytes = 1 << 20

// yamlSettings reads tidewaiter.yaml. Its keys are the names of the flags, lists and all.
func yamlSettings(r io.Reader) (kong.Resolver, error) {
	settings := map[string]any{}
	err := yaml.NewDecoder(io.LimitReader(r, maxSettingsBytes)).Decode(&settings)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	var resolve kong.ResolverFunc = func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		value, ok := settings[flag.Name]
		if !ok {
			return nil, nil
		}
		if list, ok := value.([]any); ok {
			words := make([]string, len(list))
			for i, v := range list {
				words[i] = fmt.Sprint(v)
			}
			return strings.Join(words, ","), nil
		}
		return fmt.Sprint(value), nil
	}
	return resolve, nil
}

func newLogger(w io.Writer, level string, asJSON bool) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
	}
	return slog.New(tint.NewHandler(w, &tint.Options{Level: l, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w)}))
}

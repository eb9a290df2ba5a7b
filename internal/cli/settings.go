package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"
	"go.yaml.in/yaml/v3"
)

// maxSettingsBytes bounds the settings file.
const maxSettingsBytes = 1 << 20

// settingsFile is tidewaiter.yaml. Its keys are the names of the flags, lists and all.
type settingsFile map[string]any

func yamlSettings(r io.Reader) (kong.Resolver, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSettingsBytes+1))
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	if len(b) > maxSettingsBytes {
		return nil, fmt.Errorf("settings file: it is larger than %d bytes", maxSettingsBytes)
	}
	var settings map[string]any
	if err := yaml.Unmarshal(b, &settings); err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	return settingsFile(settings), nil
}

// Validate refuses keys that no command has a flag for: a misspelt setting would have no effect and nobody would know.
func (s settingsFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	flagNames(app.Node, known)
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if !known[key] {
			return fmt.Errorf("settings file: there is no setting %q (its keys are the names of the flags, without the dashes)", key)
		}
	}
	return nil
}

func flagNames(n *kong.Node, into map[string]bool) {
	for _, f := range n.Flags {
		into[f.Name] = true
	}
	for _, child := range n.Children {
		flagNames(child, into)
	}
}

// Resolve returns the value of a flag that was not given. A variable in the environment goes before the file.
func (s settingsFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	value, ok := s[flag.Name]
	if !ok || value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return scalar(value)
	}
	words := make([]string, len(list))
	for i, v := range list {
		word, err := scalar(v)
		if err != nil {
			return nil, err
		}
		words[i] = word
	}
	return strings.Join(words, ","), nil
}

func scalar(v any) (string, error) {
	switch v.(type) {
	case map[string]any, []any, nil:
		return "", errors.New("settings file: a single value is wanted")
	}
	return fmt.Sprint(v), nil
}

func newLogger(w io.Writer, level string, asJSON bool) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: l, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w)}))
}

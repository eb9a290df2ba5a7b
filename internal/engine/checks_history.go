package engine

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// step is one instruction of the Dockerfile as the history tells it.
type step struct {
	word string // RUN, ADD, COPY, …; "" for what no Dockerfile instruction made
	rest string
}

var nopPrefix = regexp.MustCompile(`^/bin/sh -c #\(nop\)\s*`)

// instructions reads a history. Docker's old builder writes "/bin/sh -c #(nop) ADD file:… in / " and "/bin/sh -c apt-get
// update", BuildKit "ADD rootfs.tar / # buildkit" and "RUN /bin/sh -c apt-get update # buildkit". None is returned for
// histories of builders that write something else (kaniko's is like BuildKit's, ko's and Bazel's tell nothing).
func instructions(history []tidewaiter.HistoryEntry) (steps []step) {
	for _, h := range history {
		text := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(h.CreatedBy), "# buildkit"))
		if s, ok := readStep(text); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

var words = []string{
	"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN",
	"SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}

func readStep(text string) (step, bool) {
	if nop := nopPrefix.FindString(text); nop != "" {
		text = text[len(nop):]
	} else if strings.HasPrefix(text, "/bin/sh -c ") || shellWithArgs.MatchString(text) {
		return step{"RUN", text}, true
	}
	word, rest, _ := strings.Cut(text, " ")
	if word = strings.ToUpper(word); !slices.Contains(words, word) {
		return step{}, false
	}
	return step{word, strings.TrimSpace(rest)}, true
}

// shellWithArgs is how build arguments are written before a command: |2 A=1 B=2 /bin/sh -c …
var shellWithArgs = regexp.MustCompile(`^\|\d+ .*/bin/(ba)?sh `)

var (
	packageUpdate  = regexp.MustCompile(`\b(apt-get|apt|apk|yum|dnf|microdnf|zypper)\b(\s+-\S+)*\s+(update|refresh|makecache|check-update)\b`)
	packageInstall = regexp.MustCompile(`\b(apt-get|apt|apk|aptitude|yum|dnf|microdnf|zypper)\b(\s+-\S+)*\s+(install|add|upgrade|dist-upgrade|full-upgrade|build-dep|in|dup|up|patch|groupinstall|localinstall|reinstall|--no-cache)\b`)
	updateInstalls = regexp.MustCompile(`\b(yum|dnf|microdnf)\b(\s+-\S+)*\s+update\b`) // upgrades, with these
)

// updateAlone finds instructions that only refresh the package lists: their layer is cached, and a later install works
// with old lists. CIS Docker 4.7.
func updateAlone(steps []step) tidewaiter.Check {
	cause := ""
	for _, s := range steps {
		if s.word == "RUN" && packageUpdate.MatchString(s.rest) && !packageInstall.MatchString(s.rest) && !updateInstalls.MatchString(s.rest) {
			cause = "An instruction updates the package lists and installs nothing: " + packageUpdate.FindString(s.rest)
			break
		}
	}
	return settle(tidewaiter.Check{
		ID: checkUpdateAlone, Section: "4.7", Severity: tidewaiter.SeverityLow,
		Title: "Ensure update instructions are not used alone in Dockerfiles",
	}, cause, "Update the package lists and install packages in the same RUN instruction")
}

// baseArchive is the ADD that puts an operating system into an empty image, which nothing else can do.
var baseArchive = regexp.MustCompile(`^(file:[0-9a-f]{64} in / ?|\S+\.tar(\.\w+)? /)$`)

// addInstead finds ADD where COPY would do. CIS Docker 4.9. The first instruction is allowed to be the base archive.
func addInstead(steps []step) tidewaiter.Check {
	cause := ""
	for i, s := range steps {
		if s.word == "ADD" && (i > 0 || !baseArchive.MatchString(s.rest)) {
			cause = "The image was built with an ADD instruction"
			break
		}
	}
	return settle(tidewaiter.Check{
		ID: checkAdd, Section: "4.9", Severity: tidewaiter.SeverityLow,
		Title: "Ensure that COPY is used instead of ADD in Dockerfiles",
	}, cause, "Use COPY for local files; fetch and verify remote ones in a RUN instruction")
}

// configPath is the Path of secrets in the image's configuration.
const configPath = "config"

func configSecrets(c *tidewaiter.Content) (found []tidewaiter.Secret) {
	if c == nil {
		return nil
	}
	for _, s := range c.Secrets {
		if s.Path == configPath {
			found = append(found, s)
		}
	}
	return found
}

// secretHistory finds secrets the Dockerfile left in the configuration: in variables, arguments or commands. CIS Docker
// 4.10. The content's secrets are asked for those of the configuration, when the caller put them there.
func secretHistory(cfg *tidewaiter.ImageConfig, c *tidewaiter.Content) tidewaiter.Check {
	var in []string
	if names := sensitiveEnv(cfg.Env); len(names) > 0 {
		in = append(in, "the environment variables "+strings.Join(names, ","))
	}
	if names := sensitiveArgs(cfg.History); len(names) > 0 {
		in = append(in, "the build arguments "+strings.Join(names, ","))
	}
	if found := configSecrets(c); len(found) > 0 {
		in = append(in, "the image configuration ("+found[0].Title+")")
	}
	cause := ""
	if len(in) > 0 {
		cause = "Secrets in " + strings.Join(in, " and ")
	}
	return settle(tidewaiter.Check{
		ID: checkSecretHistory, Section: "4.10", Severity: tidewaiter.SeverityHigh,
		Title: "Ensure secrets are not stored in Dockerfiles",
	}, cause, "Use build secrets (RUN --mount=type=secret), and replace those that were in the image")
}

var argsPrefix = regexp.MustCompile(`^(?:RUN )?\|\d+ (.*?) (?:/bin/|# )`)

// sensitiveArgs returns the names of build arguments whose values the history shows.
func sensitiveArgs(history []tidewaiter.HistoryEntry) []string {
	var args []string
	for _, h := range history {
		if m := argsPrefix.FindStringSubmatch(h.CreatedBy); m != nil {
			for word := range strings.FieldsSeq(m[1]) {
				if strings.Contains(word, "=") {
					args = append(args, word)
				}
			}
		}
	}
	return sensitiveEnv(args)
}

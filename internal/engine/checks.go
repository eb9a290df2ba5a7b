package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Checks Prisma numbers, by its numbers, and others under numbers of our own: 9400 plus the section's second part for
// CIS Docker's section 4, 9450 and up for what no benchmark has. Prisma: numbers from 9000 are custom checks.
//
// Not here, since neither layers nor configuration tell: 422 and 455 (malware), 423 (trust), 426 (crypto miners) and 448
// (altered package binaries) of Prisma, 4.2, 4.3, 4.5, 4.11 and 4.12 of CIS (trust, necessity and validity of packages).
// 4.4 (security patches) is what findings are for.
const (
	checkNonRoot       = 41
	checkHealth        = 406
	checkSecretEnv     = 424
	checkPrivateKeys   = 425
	checkSecretFiles   = 456
	checkUpdateAlone   = 9407
	checkSetID         = 9408
	checkAdd           = 9409
	checkSecretHistory = 9410
	checkSSHPort       = 9450
	checkSudo          = 9451
)

const (
	cisDocker      = "CIS_Docker_v1.5.0"
	twistlockLabs  = "Twistlock Labs"
	categoryDocker = "Docker"
)

// Checks judges an image's configuration and content. A check that cannot be decided (history that the builder did not
// write, content that is not there) is not returned; every other one is, passed or not. They come sorted by number.
func Checks(img *tidewaiter.Image, c *tidewaiter.Content) []tidewaiter.Check {
	cfg := &img.Config
	checks := []tidewaiter.Check{
		nonRoot(cfg), health(cfg), secretEnv(cfg), sshPort(cfg),
	}
	if c != nil {
		checks = append(checks, privateKeys(c), secretFiles(c), setIDFiles(c), sudo(c))
	}
	if steps := instructions(cfg.History); len(steps) > 0 {
		checks = append(checks, updateAlone(steps), addInstead(steps), secretHistory(cfg, c))
	} else if len(cfg.Env) > 0 || configSecrets(c) != nil {
		checks = append(checks, secretHistory(cfg, c))
	}
	slices.SortFunc(checks, func(a, b tidewaiter.Check) int { return a.ID - b.ID })
	return checks
}

// settle fills in the outcome: passed when there is no cause.
func settle(c tidewaiter.Check, cause, detail string) tidewaiter.Check {
	c.Category = categoryDocker
	if c.Benchmark == "" {
		c.Benchmark = cisDocker
	}
	c.Cause = cause
	if c.Passed = cause == ""; !c.Passed {
		c.Detail = detail
	}
	return c
}

func nonRoot(cfg *tidewaiter.ImageConfig) tidewaiter.Check {
	cause := ""
	switch user, _, _ := strings.Cut(strings.TrimSpace(cfg.User), ":"); {
	case user == "":
		cause = "The image sets no user and runs as root"
	case user == "root" || isZero(user):
		cause = "The image sets root as its user"
	}
	return settle(tidewaiter.Check{
		ID: checkNonRoot, Section: "4.1", Severity: tidewaiter.SeverityHigh,
		Title: "Image should be created with a non-root user",
	}, cause, "Add a USER instruction with a user other than root to the image's Dockerfile")
}

func isZero(user string) bool {
	n, err := strconv.ParseUint(user, 10, 64)
	return err == nil && n == 0
}

func health(cfg *tidewaiter.ImageConfig) tidewaiter.Check {
	cause := ""
	if len(cfg.Healthcheck) == 0 || cfg.Healthcheck[0] == "NONE" {
		cause = "The image has no health check"
	}
	return settle(tidewaiter.Check{
		ID: checkHealth, Section: "4.6", Severity: tidewaiter.SeverityMedium,
		Title: "Add HEALTHCHECK instruction to the container image",
	}, cause, "Add a HEALTHCHECK instruction to the image's Dockerfile")
}

func secretEnv(cfg *tidewaiter.ImageConfig) tidewaiter.Check {
	cause := ""
	if names := sensitiveEnv(cfg.Env); len(names) > 0 {
		cause = fmt.Sprintf("The environment variables %s contain sensitive data", strings.Join(names, ","))
	}
	return settle(tidewaiter.Check{
		ID: checkSecretEnv, Benchmark: twistlockLabs, Severity: tidewaiter.SeverityHigh,
		Title: "Sensitive information provided in environment variables",
	}, cause, "Give secrets to the container when it runs, and replace those that were in the image")
}

func sshPort(cfg *tidewaiter.ImageConfig) tidewaiter.Check {
	cause := ""
	if slices.ContainsFunc(cfg.ExposedPorts, func(p string) bool { return p == "22" || p == "22/tcp" }) {
		cause = "The image exposes port 22"
	}
	return settle(tidewaiter.Check{
		ID: checkSSHPort, Benchmark: "Tidewaiter", Severity: tidewaiter.SeverityMedium,
		Title: "Image should not expose the SSH port",
	}, cause, "Remove the EXPOSE instruction and the SSH server: use the runtime's exec instead")
}

func privateKeys(c *tidewaiter.Content) tidewaiter.Check {
	return settle(tidewaiter.Check{
		ID: checkPrivateKeys, Benchmark: twistlockLabs, Severity: tidewaiter.SeverityHigh,
		Title: "Private keys stored in image",
	}, foundAt(secretPaths(c, isPrivateKey)), "Keep private keys out of the image, in all its layers, and replace those that were in it")
}

func secretFiles(c *tidewaiter.Content) tidewaiter.Check {
	return settle(tidewaiter.Check{
		ID: checkSecretFiles, Benchmark: twistlockLabs, Severity: tidewaiter.SeverityHigh,
		Title: "Secrets in the image filesystem",
	}, foundAt(secretPaths(c, func(s *tidewaiter.Secret) bool { return !isPrivateKey(s) })),
		"Keep secrets out of the image, in all its layers, and replace those that were in it")
}

func isPrivateKey(s *tidewaiter.Secret) bool {
	return s.Rule == "private-key" || s.Category == "AsymmetricPrivateKey"
}

func secretPaths(c *tidewaiter.Content, want func(*tidewaiter.Secret) bool) (paths []string) {
	for i := range c.Secrets {
		if s := &c.Secrets[i]; s.Path != configPath && want(s) {
			paths = append(paths, s.Path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// maxCausePaths bounds how many paths a cause names.
const maxCausePaths = 20

func foundAt(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	more := ""
	if n := len(paths) - maxCausePaths; n > 0 {
		paths, more = paths[:maxCausePaths], fmt.Sprintf(" and %d more", n)
	}
	return "Found: " + strings.Join(paths, ", ") + more
}

func setIDFiles(c *tidewaiter.Content) tidewaiter.Check {
	var paths []string
	for _, f := range c.SetID {
		paths = append(paths, f.Path)
	}
	return settle(tidewaiter.Check{
		ID: checkSetID, Section: "4.8", Severity: tidewaiter.SeverityMedium,
		Title: "Ensure setuid and setgid permissions are removed in the images",
	}, foundAt(paths), "Remove the files, or their set-id bits with: chmod a-s")
}

func sudo(c *tidewaiter.Content) tidewaiter.Check {
	cause := ""
	for _, in := range c.Installed {
		if p := in.Package; p.Ecosystem.OS() && (p.Name == "sudo" || p.Name == "sudo-ldap" || p.Name == "sudo-rs") {
			cause = "The package " + p.Name + " is installed"
			break
		}
	}
	return settle(tidewaiter.Check{
		ID: checkSudo, Benchmark: "Tidewaiter", Severity: tidewaiter.SeverityMedium,
		Title: "Image should not contain sudo",
	}, cause, "Remove sudo: a container's process should neither be root nor able to become it")
}

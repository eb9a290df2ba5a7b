package engine

import (
	"regexp"
	"slices"
	"strings"
)

// sensitiveName are the names variables with secrets usually have, whole words between underscores: a DATABASE_PASSWORD is
// one, a KEYBOARD is none.
var sensitiveName = regexp.MustCompile(`(?i)(^|_)(PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|SECRETS?|TOKEN|APIKEY|API_KEY|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY|ENCRYPTION_KEY|SIGNING_KEY|CREDENTIALS?|AUTH_KEY|ACCOUNT_KEY)(_|$)`)

// harmlessName are names that look sensitive and are not: where a secret is to be found, public keys of packages, the
// current directory, a limit.
var harmlessName = regexp.MustCompile(`(?i)(^(OLD)?PWD$|_FILE$|_PATH$|_DIR$|_URL$|_URI$|_NAME$|_ID$|_TTL$|_LENGTH$|_TYPE$|_HEADER$|_EXPIRY$|_EXPIRATION$|_ENABLED$|_POLICY$|GPG_KEYS?|PUBLIC)`)

// identifyingName are names the rule on harmless ends does not hold for: an access key's id is half of it.
var identifyingName = regexp.MustCompile(`(?i)(^|_)ACCESS_KEY_ID$`)

// sensitiveEnv returns the names of the variables that hold something that must not be in an image: by their name, or
// because a secret rule knows the value. Empty values and references are nothing.
func sensitiveEnv(env []string) (names []string) {
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if isSensitive(name, value) {
			names = append(names, clip(name, 100))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxCausePaths)]
}

func isSensitive(name, value string) bool {
	value = strings.TrimSpace(value)
	switch strings.ToLower(value) {
	case "", "true", "false", "yes", "no", "none", "null", "0", "1":
		return false
	}
	if strings.HasPrefix(value, "/") || strings.HasPrefix(value, "$") || strings.HasPrefix(value, "file:") {
		return secretValue(name, value)
	}
	if identifyingName.MatchString(name) || sensitiveName.MatchString(name) && !harmlessName.MatchString(name) {
		return true
	}
	return secretValue(name, value)
}

// secretValue asks the secret rules. They look at the assignment as it would stand in a file.
func secretValue(name, value string) bool {
	if len(value) < 8 {
		return false
	}
	found := false
	if recovered(func() error {
		found = len(newSecretScanner().scan("config.json", strings.NewReader(name+"="+clip(value, 64<<10)+"\n"), false)) > 0
		return nil
	}) != nil {
		return false
	}
	return found
}

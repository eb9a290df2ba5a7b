package tidewaiter

import "strings"

// ParsePlatform reads a platform as Platform.String writes it: os/architecture, or os/architecture/variant. Anything else is
// an ErrInvalid on field "platform".
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" || len(s) > 128 {
		return Platform{}, Invalid("platform", "%q is not a platform", s).WithFix("write it as linux/arm64 or linux/arm/v7")
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

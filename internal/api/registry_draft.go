package api

import (
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// registryFrom reads a declaration.
func registryFrom(d client.RegistryDraft) (*tidewaiter.Registry, error) {
	scope, err := scopeFrom(d.Scope)
	if err != nil {
		return nil, err
	}
	schedule, err := scheduleFrom(d.Schedule)
	if err != nil {
		return nil, err
	}
	return &tidewaiter.Registry{
		Name: d.Name, Kind: tidewaiter.RegistryKind(d.Kind), URL: d.URL, CredentialID: d.Credential, TLS: tidewaiter.TLS(d.TLS),
		Scope: scope, Schedule: schedule, Parallel: d.Parallel, Labels: d.Labels, Settings: d.Settings,
	}, nil
}

func draftOf(r *tidewaiter.Registry) client.RegistryDraft {
	return client.RegistryDraft{
		Name: r.Name, Kind: string(r.Kind), URL: r.URL, Credential: r.CredentialID, TLS: client.RegistryTLS(r.TLS),
		Scope: scopeOf(r.Scope), Schedule: scheduleOf(r.Schedule), Parallel: r.Parallel, Labels: r.Labels, Settings: r.Settings,
	}
}

func scopeFrom(s client.Scope) (tidewaiter.Scope, error) {
	out := tidewaiter.Scope{ExcludeRepositories: s.ExcludeRepositories, ExcludeTags: s.ExcludeTags, Newest: s.Newest,
		VersionPattern: s.VersionPattern, MaxAgeDays: s.MaxAgeDays}
	for _, sel := range s.Select {
		out.Select = append(out.Select, tidewaiter.Selector(sel))
	}
	for _, text := range s.Platforms {
		parts := strings.Split(text, "/")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
			return out, tidewaiter.Invalid("scope.platforms", "%q is not a platform", text).WithFix("write it as linux/arm64 or linux/arm/v7")
		}
		p := tidewaiter.Platform{OS: parts[0], Architecture: parts[1]}
		if len(parts) == 3 {
			p.Variant = parts[2]
		}
		out.Platforms = append(out.Platforms, p)
	}
	return out, nil
}

func scopeOf(s tidewaiter.Scope) client.Scope {
	out := client.Scope{ExcludeRepositories: s.ExcludeRepositories, ExcludeTags: s.ExcludeTags, Newest: s.Newest,
		VersionPattern: s.VersionPattern, MaxAgeDays: s.MaxAgeDays}
	for _, sel := range s.Select {
		out.Select = append(out.Select, client.Selector(sel))
	}
	for _, p := range s.Platforms {
		out.Platforms = append(out.Platforms, p.String())
	}
	return out
}

func scheduleFrom(s client.Schedule) (tidewaiter.Schedule, error) {
	out := tidewaiter.Schedule{At: s.At}
	if s.Every != "" {
		every, err := time.ParseDuration(s.Every)
		if err != nil {
			return out, tidewaiter.Invalid("schedule.every", "%q is not a time", s.Every).WithFix("write it as 24h")
		}
		out.Every = every
	}
	if s.Weekday != "" {
		for day := time.Sunday; day <= time.Saturday; day++ {
			if strings.EqualFold(day.String(), s.Weekday) {
				out.Weekday = &day
			}
		}
		if out.Weekday == nil {
			return out, tidewaiter.Invalid("schedule.weekday", "%q is not a day of the week", s.Weekday)
		}
	}
	return out, nil
}

func scheduleOf(s tidewaiter.Schedule) client.Schedule {
	out := client.Schedule{At: s.At}
	if s.Every > 0 {
		out.Every = s.Every.String()
	}
	if s.Weekday != nil {
		out.Weekday = strings.ToLower(s.Weekday.String())
	}
	return out
}

func decisionOf(d tidewaiter.Decision) client.Decision {
	return client.Decision{Included: d.Included, Reason: string(d.Reason), Detail: d.Detail}
}

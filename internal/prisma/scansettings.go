package prisma

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scanSettings is Prisma's ScanSettings. The period and the retention of registry scans act; the others are kept.
type scanSettings struct {
	AgentlessScanPeriodMS         int64 `json:"agentlessScanPeriodMs"`
	CloudPlatformsScanPeriodMS    int64 `json:"cloudPlatformsScanPeriodMs"`
	ContainersScanPeriodMS        int64 `json:"containersScanPeriodMs"`
	ExtractArchive                bool  `json:"extractArchive"`
	ImagesScanPeriodMS            int64 `json:"imagesScanPeriodMs"`
	IncludeJSDependencies         bool  `json:"includeJsDependencies"`
	RegistryScanPeriodMS          int64 `json:"registryScanPeriodMs"`
	RegistryScanRetentionDays     int   `json:"registryScanRetentionDays"`
	ScanRunningImages             bool  `json:"scanRunningImages"`
	ServerlessScanPeriodMS        int64 `json:"serverlessScanPeriodMs"`
	ShowInfraContainers           bool  `json:"showInfraContainers"`
	ShowNegligibleVulnerabilities bool  `json:"showNegligibleVulnerabilities"`
	SystemScanPeriodMS            int64 `json:"systemScanPeriodMs"`
	TASDropletsScanPeriodMS       int64 `json:"tasDropletsScanPeriodMs"`
	VMScanPeriodMS                int64 `json:"vmScanPeriodMs"`
}

// defaultScanSettings are those of a fresh console: once a day.
func defaultScanSettings() scanSettings {
	const day = 86_400_000
	return scanSettings{
		AgentlessScanPeriodMS: day, CloudPlatformsScanPeriodMS: day, ContainersScanPeriodMS: day, ImagesScanPeriodMS: day,
		RegistryScanPeriodMS: day, ServerlessScanPeriodMS: day, SystemScanPeriodMS: day, TASDropletsScanPeriodMS: day,
		VMScanPeriodMS: day, ShowNegligibleVulnerabilities: true,
	}
}

// maxRetentionDays bounds how long gone images are kept.
const maxRetentionDays = 3650

// check holds Prisma's rule: a period is at least an hour, or 0 for never.
func (c *scanSettings) check() error {
	const hour, longest = 3_600_000, 365 * 86_400_000
	for name, period := range map[string]int64{
		"agentlessScanPeriodMs": c.AgentlessScanPeriodMS, "cloudPlatformsScanPeriodMs": c.CloudPlatformsScanPeriodMS,
		"containersScanPeriodMs": c.ContainersScanPeriodMS, "imagesScanPeriodMs": c.ImagesScanPeriodMS,
		"registryScanPeriodMs": c.RegistryScanPeriodMS, "serverlessScanPeriodMs": c.ServerlessScanPeriodMS,
		"systemScanPeriodMs": c.SystemScanPeriodMS, "tasDropletsScanPeriodMs": c.TASDropletsScanPeriodMS,
		"vmScanPeriodMs": c.VMScanPeriodMS,
	} {
		if period != 0 && (period < hour || period > longest) {
			return tidewaiter.Invalid(name, "the period must be an hour to a year").WithFix("0 means never, otherwise 3600000 or more")
		}
	}
	if d := c.RegistryScanRetentionDays; d < 0 || d > maxRetentionDays {
		return tidewaiter.Invalid("registryScanRetentionDays", "the retention must be 0 to %d days", maxRetentionDays)
	}
	return nil
}

func (s *server) getScanSettings(w http.ResponseWriter, r *http.Request) error {
	settings, err := s.scanSettings(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, settings)
	return nil
}

// postScanSettings stores what was sent; what was left out stays. A new period goes to every registry of this API.
func (s *server) postScanSettings(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	settings, err := s.scanSettings(ctx)
	if err != nil {
		return err
	}
	before := settings.period()
	if err := decodeBody(w, r, &settings); err != nil {
		return err
	}
	if err := settings.check(); err != nil {
		return err
	}
	b, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	if err := s.control.PutSetting(ctx, control.SettingPrismaScan, string(b)); err != nil {
		return err
	}
	if err := s.control.PutSetting(ctx, control.SettingRetentionDays, strconv.Itoa(settings.RegistryScanRetentionDays)); err != nil {
		return err
	}
	if settings.period() == before {
		return nil
	}
	return s.control.Reschedule(ctx, tidewaiter.OriginPrisma, tidewaiter.Schedule{Every: settings.period()})
}

func (s *server) scanSettings(ctx context.Context) (scanSettings, error) {
	out := defaultScanSettings()
	text, err := s.control.Setting(ctx, control.SettingPrismaScan)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && text == "" {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return out, tidewaiter.Errorf(tidewaiter.ErrBug, "stored scan settings: %w", err)
	}
	return out, nil
}

// period returns how often registries are scanned; 0 is never.
func (c *scanSettings) period() time.Duration {
	return time.Duration(c.RegistryScanPeriodMS) * time.Millisecond
}

func (s *server) scanPeriod(ctx context.Context) (time.Duration, error) {
	settings, err := s.scanSettings(ctx)
	return settings.period(), err
}

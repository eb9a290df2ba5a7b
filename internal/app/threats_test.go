package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	inTheWild = "Exploit exists - in the wild"
	attacked  = "CVE-2021-44906" // of minimist in attackedIn
)

const attackedIn = "shop/frontend:1.4.1"

// catalogOf is CISA's catalog of exploited vulnerabilities, as it is published.
func catalogOf(cves ...string) string {
	entries := make([]string, len(cves))
	for i, cve := range cves {
		entries[i] = fmt.Sprintf(`{"cveID":%q,"vendorProject":"x","dateAdded":"2026-03-01","dueDate":"2026-03-22","knownRansomwareCampaignUse":"Known"}`, cve)
	}
	return fmt.Sprintf(`{"catalogVersion":"2026.03.%02d","dateReleased":"2026-03-%02dT14:00:00.0000Z","count":%d,"vulnerabilities":[%s]}`,
		len(cves), len(cves), len(cves), strings.Join(entries, ","))
}

// TestWhatIsAttackedIsTold loads EPSS scores from a file and the catalog of exploited vulnerabilities over HTTP, and reads what
// they say of one vulnerability of one image through all three APIs. When the catalog comes to list it, a policy on that risk
// factor blocks the image, and nothing is asked of the registry.
func TestWhatIsAttackedIsTold(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		var catalog atomic.Value
		catalog.Store(catalogOf("CVE-1999-0001"))
		feed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(catalog.Load().(string))) }))
		t.Cleanup(feed.Close)
		scores := filepath.Join(t.TempDir(), "epss.csv")
		text := "#model_version:v2025.03.14,score_date:2026-03-01T00:00:00+0000\ncve,epss,percentile\nCVE-1999-0001,0.01,0.1\n" + attacked + ",0.91234,0.99876\n"
		if err := os.WriteFile(scores, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		registry := sampleRegistry(t)
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry), EPSS: scores, KEV: feed.URL, AdvisoryPeriod: time.Second}).withAdvisories(t)
		api := vendor{s.URL()}
		rule := map[string]any{"name": "attacked", "collections": []any{map[string]any{"name": "All"}}, "effect": "alert",
			"alertThreshold": map[string]any{"value": 1}, "riskFactorsEffects": []any{map[string]any{"riskFactor": inTheWild, "effect": "block"}}}
		api.write(t, http.MethodPut, "/api/v1/policies/vulnerability/images", map[string]any{"rules": []any{rule}})
		s.declare(t, registry.URL)
		s.finished(t)
		own, err := client.New(s.URL(), client.Basic("admin", adminPassword))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "both feeds in use", func() bool {
			status, err := own.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return len(status.Feeds) == 2
		})
		image := s.results(t)[attackedIn].Image
		told := s.threatsTold(t, own, image)
		if told.epss != "0.91234 0.99876 0.91234" || told.kev || told.inTheWild || told.activeAttacks || told.ransomware || !told.easyExploit {
			t.Errorf("before it is attacked: %+v", told)
		}
		if image.Judgement.Verdict.Effect != tidewaiter.EffectAlert {
			t.Errorf("before it is attacked: %+v", image.Judgement.Verdict)
		}

		pulled := s.metric(t, "tidewaiter_layer_bytes_pulled_total")
		catalog.Store(catalogOf("CVE-1999-0001", attacked))
		eventually(t, "the image is blocked", func() bool {
			image = s.results(t)[attackedIn].Image
			return image.Judgement.Verdict.Effect == tidewaiter.EffectBlock
		})
		if r := image.Judgement.Verdict.Reasons[0]; r.Vulnerability != attacked || r.Rule != "attacked" || !strings.Contains(r.Why, inTheWild) {
			t.Errorf("blocked for %+v", r)
		}
		if told := s.threatsTold(t, own, image); !told.kev || !told.inTheWild || !told.activeAttacks || !told.ransomware || !told.easyExploit {
			t.Errorf("once it is attacked: %+v", told)
		}
		if list, err := own.Vulnerabilities(t.Context(), client.VulnerabilityQuery{KEV: true}); err != nil || len(list.Items) != 1 || list.Items[0].Name != attacked {
			t.Errorf("exploited vulnerabilities: %+v, %v", list, err)
		}
		if got := s.metric(t, "tidewaiter_layer_bytes_pulled_total"); got != pulled {
			t.Errorf("%v bytes were pulled", got-pulled)
		}

		catalog.Store(catalogOf("CVE-1999-0001", "CVE-1999-0002", "CVE-1999-0003"))
		eventually(t, "the image is no longer blocked", func() bool {
			return s.results(t)[attackedIn].Image.Judgement.Verdict.Effect == tidewaiter.EffectAlert
		})
	})
}

// threats is what the APIs tell of attacks on one vulnerability.
type threats struct {
	epss                                   string // at the image, its percentile, at the vulnerability
	kev, inTheWild                         bool   // our own API and Prisma's
	activeAttacks, ransomware, easyExploit bool   // Qualys'
}

func (s *server) threatsTold(t *testing.T, own *client.Client, image *tidewaiter.Image) (out threats) {
	t.Helper()
	details, err := own.Image(t.Context(), image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	known, err := own.Vulnerability(t.Context(), attacked, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range details.Findings {
		if f.Vulnerability == attacked && f.EPSS != nil && known.EPSS != nil {
			out.epss = fmt.Sprint(f.EPSS.Score, f.EPSS.Percentile, known.EPSS.Score)
			out.kev = f.KEV != nil && known.KEV != nil && f.KEV.Ransomware && f.KEV.Added.Equal(known.KEV.Added)
		}
	}
	var results []struct {
		ID              string `json:"id"`
		Vulnerabilities []struct {
			CVE         string              `json:"cve"`
			Exploit     string              `json:"exploit"`
			RiskFactors map[string]struct{} `json:"riskFactors"`
		} `json:"vulnerabilities"`
	}
	api := vendor{s.URL()}
	api.read(t, "/api/v1/registry?limit=250", &results)
	for _, r := range results {
		for _, v := range r.Vulnerabilities {
			if _, is := v.RiskFactors[inTheWild]; r.ID == image.ConfigDigest && v.CVE == attacked {
				out.inTheWild = is && v.Exploit == "cisa-kev"
			}
		}
	}
	var found struct {
		Details []struct {
			CVEIDs []string `json:"cveids"`
			Intel  struct {
				ActiveAttacks, PublicExploit, EasyExploit, Malware bool
			} `json:"threatIntel"`
		} `json:"details"`
	}
	api.read(t, "/csapi/v1.3/images/"+strings.TrimPrefix(image.ConfigDigest, "sha256:")+"/vuln", &found)
	for _, v := range found.Details {
		if len(v.CVEIDs) == 1 && v.CVEIDs[0] == attacked {
			out.activeAttacks, out.ransomware, out.easyExploit = v.Intel.ActiveAttacks && v.Intel.PublicExploit, v.Intel.Malware, v.Intel.EasyExploit
		}
	}
	return out
}

package qualys_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// The fleet the lists are measured with.
const (
	fleetRegistries = 10_000
	fleetImages     = 100_000
)

// BenchmarkList measures lists and filtered lists of a large fleet on SQLite, over HTTP with login. What counts is p95-ms: the
// target is 200.
func BenchmarkList(b *testing.B) {
	c := start(b)
	id := fleet(c)
	sha := fmt.Sprintf("%064x", 50_000)
	for _, list := range []struct{ name, path string }{
		{"registries", "/registry?pageSize=50"},
		{"registries last page", "/registry?pageSize=50&pageNumber=200"},
		{"registries by name", "/registry?filter=" + `registryName:"fleet-04999"`},
		{"registries by uri", "/registry?filter=" + `registryUri:"https://r04999.example.com"`},
		{"registries sorted", "/registry?sort=created:desc"},
		{"schedules", "/registry/" + id + "/schedule"},
		{"repositories", "/registry/" + id + "/repository"},
		{"images", "/images"},
		{"images last page", "/images?pageNumber=2000"},
		{"images by repository", "/images?filter=" + `repo.repository:"team/app-04999"`},
		{"images by a part of it", "/images?filter=repo.repository:team/app-0499*"},
		{"images by registry uri", "/images?filter=" + `registryUri:"https://r04999.example.com"`},
		{"images by registry", "/images?filter=registryUuid:" + id},
		{"images by sha", "/images?filter=sha:" + sha},
		{"images by severity", "/images?filter=vulnerabilities.severity:5"},
		{"images by time", "/images?filter=" + "not lastScanned is null AND updated>1571077800000"},
		{"images just scanned", "/images?filter=" + "lastScanned:[now-1h ... now]"},
		{"images list", "/images/list?limit=250"},
		{"images list since", "/images/list?limit=250&filter=" + "updated:[1700000000 ..]"},
		{"image", "/images/" + sha},
	} {
		path := strings.NewReplacer(" ", "%20", `"`, "%22", ">", "%3E").Replace(list.path)
		b.Run(strings.ReplaceAll(list.name, " ", "-"), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if a := c.call("GET", path, "", unchecked); a.status != 200 {
					b.Fatalf("%d %.300s", a.status, a.body)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}

// fleet fills the database, in bulk: what it would take hours to bring about the usual way. It returns the id of one registry.
func fleet(c *console) string {
	c.Helper()
	first := c.create(private("first", "https://r.example.com", "u", "p"))
	now := c.clock.Now()
	numbers := func(n int) string {
		return fmt.Sprintf("with recursive n(i) as (select 0 union all select i + 1 from n where i < %d) ", n-1)
	}
	verdict := strings.Repeat(`{"rule":"default","effect":"alert","why":"severity"},`, 8)
	for _, insert := range []string{
		numbers(fleetRegistries) + `insert into registries (id, name, kind, url, host, origin, position, credential_id, tls, scope, schedule, scheduled, parallel, settings,
				declaration, declaration_hash, created_at, updated_at)
			select printf('00000000-0000-4000-9000-%012d', n.i), printf('fleet-%05d', n.i), r.kind, printf('https://r%05d.example.com', n.i), printf('r%05d.example.com', n.i),
				r.origin, n.i + 1, r.credential_id, r.tls, r.scope, r.schedule, r.scheduled, r.parallel, r.settings, replace(r.declaration, 'r.example.com', printf('r%05d.example.com', n.i)),
				r.declaration_hash, r.created_at + n.i, r.updated_at + n.i from n, registries r`,
		numbers(3*fleetRegistries) + `insert into scans (id, registry_id, state, lane, on_demand, force, scope, target, partial, hidden, name, schedule_id, errors, error, complete,
				created_at, started_at, listed_at, ended_at, updated_at)
			select 'scan-' || i, printf('00000000-0000-4000-9000-%012d', i / 3), 'completed', 'fresh', true, false, '{}', '', false, false, 'scan', '', '[]', '', true, 1 + i, 1 + i, 2 + i, 3 + i, 4 + i from n`,
		numbers(fleetRegistries) + "insert into repositories (id, host, name) select i + 1, printf('r%05d.example.com', i), printf('team/app-%05d', i) from n",
		numbers(fleetRegistries) + `insert into registry_repositories (registry_id, repository_id, name, included, reason, detail, scan_id)
			select printf('00000000-0000-4000-9000-%012d', i), i + 1, printf('team/app-%05d', i), true, 'selected', '', '' from n`,
		numbers(fleetImages) + fmt.Sprintf(`insert into tags (id, repository_id, name, reference, digest, updated_at, first_seen, last_seen, changed_at, gone_at, error_kind, error, error_at)
			select i + 1, i %% %d + 1, 'v' || i, printf('r%%05d.example.com/team/app-%%05d:v%%d', i %% %[1]d, i %% %[1]d, i), printf('sha256:%%064x', i + 1000000), 0, 1, 1, 0, 0, '', '', 0 from n`, fleetRegistries),
		numbers(fleetImages) + fmt.Sprintf(`insert into images (id, digest, config_digest, media_type, os, architecture, variant, os_version, size, created_at, doc, state, error_kind, error,
				first_seen, updated_at, judged_at, vuln_risk, check_risk, worst, analyzer, advisories, vuln_critical, vuln_high, vuln_low, distro_name, distro_family, distro_release, judgement)
			select i + 1, printf('sha256:%%064x', i + 1000000), printf('sha256:%%064x', i), 'm', 'linux', 'amd64', '', '', i, %d - i * 1000000, '', 'judged', '', '', 1, %[1]d - i * 1000000, %[1]d - i * 1000000,
				(i * 7919) %% 1000, i %% 13, i %% 6, 'a', 'b', max(0, i %% 10 - 7), i %% 3, i %% 2, 'Debian GNU/Linux 12 (bookworm)', 'debian', '12.5', '{"verdict":{"findings":[%s{}]}}' from n`, now.UnixMicro(), verdict),
		"insert into tag_images (tag_id, image_id, digest, shown) select t.id as tag, t.id as image, digest, true from tags t",
		fmt.Sprintf("insert into registry_tags (registry_id, tag_id, scan_id) select printf('00000000-0000-4000-9000-%%012d', (id - 1) %% %d), id, 'scan' from tags", fleetRegistries),
	} {
		c.must(c.store.Update(c.Context(), func(tx *store.Tx) error {
			_, err := tx.SQL().ExecContext(c.Context(), insert)
			return err
		}))
	}
	c.must(c.control.DeleteRegistries(c.Context(), first))
	return fmt.Sprintf("00000000-0000-4000-9000-%012d", 4999)
}

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const benchAnalyzer = "bench"

// store brings one tag of each application about the usual way: recorded, indexed, its layers analysed, judged.
func (f *filler) store(ctx context.Context) error {
	const atOnce = 25
	for from := 0; from < f.applications; from += atOnce {
		err := f.db.Update(ctx, func(tx *store.Tx) error {
			for a := from; a < min(from+atOnce, f.applications); a++ {
				if err := f.application(ctx, tx, a); err != nil {
					return fmt.Errorf("application %d: %w", a, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) application(ctx context.Context, tx *store.Tx, a int) error {
	r := a % f.registries
	name := fmt.Sprintf("team-%03d/app-%05d", a%97, a)
	repositories, err := tx.RecordRepositories(ctx, registryID(r), "scan", registryHost(r), []store.RepositoryDecision{
		{Name: name, Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
	if err != nil {
		return err
	}
	tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: registryID(r), ScanID: "scan", RepositoryID: repositories[name], Now: f.now,
		Tags: []tidewaiter.ListedTag{{Name: "v0"}}, Analyzer: benchAnalyzer})
	if err != nil {
		return err
	}
	image, content := f.image(a)
	out, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: image.Digest, Images: []*tidewaiter.Image{image},
		Source: store.Source{RegistryID: registryID(r), Repository: name}, Analyzer: benchAnalyzer, Now: f.now})
	if err != nil {
		return err
	}
	byLayer := map[int][]*tidewaiter.Package{}
	for _, in := range content.Installed {
		byLayer[in.Layer] = append(byLayer[in.Layer], in.Package)
	}
	position := map[string]int{}
	for i, l := range image.Layers {
		position[l.DiffID] = i
	}
	for _, l := range out.MissingLayers {
		if _, err := tx.LayerDone(ctx, l.DiffID, benchAnalyzer, analysis(l.DiffID, byLayer[position[l.DiffID]]), f.now); err != nil {
			return err
		}
	}
	judgement := &tidewaiter.Judgement{Advisories: "bench", Analyzer: benchAnalyzer, JudgedAt: f.now, Distribution: content.Distribution, Packages: len(content.Installed),
		Verdict: tidewaiter.Verdict{Effect: tidewaiter.EffectAlert, Rules: []string{"Default - alert all components"}}}
	for _, in := range content.Installed {
		for _, found := range f.weight[in.Package.ID] {
			judgement.Vulnerabilities.Add(found.Severity)
			if found.FixedIn != "" {
				judgement.Fixable++
			}
			if len(judgement.Verdict.Reasons) < tidewaiter.MaxVerdictReasons {
				judgement.Verdict.Reasons = append(judgement.Verdict.Reasons, tidewaiter.VerdictReason{Effect: tidewaiter.EffectAlert, Rule: "Default - alert all components",
					Vulnerability: found.Vulnerability, Package: in.Package.Name, Severity: found.Severity, Why: "severity is low or above"})
			}
			judgement.Verdict.Alerts++
		}
	}
	_, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: image.ID, Content: content, Judgement: judgement, Now: f.now})
	return err
}

// image makes the image of an application, its packages spread over its layers.
func (f *filler) image(a int) (*tidewaiter.Image, *tidewaiter.Content) {
	stack := a % baseStacks
	image := &tidewaiter.Image{Digest: digest(fmt.Sprint("bench image ", a)), ConfigDigest: digest(fmt.Sprint("bench config ", a)),
		MediaType: "application/vnd.oci.image.manifest.v1+json", Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}, Size: 120 << 20,
		CreatedAt: f.now.Add(-time.Duration(a) * time.Minute), Config: tidewaiter.ImageConfig{User: "app", Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
			Labels: map[string]string{"org.opencontainers.image.source": fmt.Sprintf("https://git.example.com/team/app-%d", a)}}}
	for i := range baseLayers + ownLayers {
		of := fmt.Sprint("bench stack ", stack, " ", i)
		if i >= baseLayers {
			of = fmt.Sprint("bench application ", a, " ", i)
		}
		image.Layers = append(image.Layers, tidewaiter.LayerRef{Digest: digest("blob " + of), DiffID: digest(of), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
			Size: 6 << 20, CreatedAt: image.CreatedAt, CreatedBy: "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends something"})
	}
	content := &tidewaiter.Content{Distribution: &tidewaiter.Distribution{Family: "debian", Release: "12.5", PrettyName: "Debian GNU/Linux 12 (bookworm)"}}
	for i, p := range f.stacks[stack] {
		content.Installed = append(content.Installed, tidewaiter.Installed{Package: p, Layer: i * baseLayers / len(f.stacks[stack]), Path: "/var/lib/dpkg/status"})
	}
	pool := f.packages[baseStacks*len(f.stacks[0]):]
	own := f.inventory.packages - len(f.stacks[0])
	for i, n := range f.Perm(len(pool))[:min(own, len(pool))] {
		content.Installed = append(content.Installed, tidewaiter.Installed{Package: pool[n], Layer: baseLayers + i*ownLayers/own, Path: "/srv/node_modules/" + pool[n].Name})
	}
	return image, content
}

// The columns that are copied from one image or layer to another as they are.
const (
	copiedOfImages = `media_type, os, architecture, variant, os_version, size, doc, state, error_kind, error, first_seen, waiting, first_judged, advisories, analyzer,
		distro_family, distro_release, distro_name, end_of_life, packages, vuln_critical, vuln_high, vuln_medium, vuln_low, vuln_negligible, vuln_unknown,
		fixable, secrets, check_critical, check_high, check_medium, check_low, check_negligible, check_unknown, check_risk, worst, verdict, alerts, blocks, incomplete, judgement`
	copiedOfLayers = "analyzer, state, analysis, files, bytes, error_kind, error, owner, lease_until, created_at, analyzed_at"
)

// copyTags makes the other tags of each application inside the database.
func (f *filler) copyTags(ctx context.Context) error {
	hex := func(prefix, n string) string { return fmt.Sprintf("'sha256:%s' || printf('%%060x', %s)", prefix, n) }
	if f.db.Dialect() == store.Postgres {
		hex = func(prefix, n string) string {
			return fmt.Sprintf("'sha256:%s' || lpad(to_hex(%s), 60, '0')", prefix, n)
		}
	}
	others := fmt.Sprintf("with recursive n(i) as (select cast(%d as bigint) union all select i + 1 from n where i < %d) ", f.applications+1, f.images)
	of := fmt.Sprintf("(n.i - 1) %% %d + 1", f.applications)
	each := func(list string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(list, ",", ", s.")), " ")
	}
	statements := []string{
		others + "insert into tags (id, repository_id, name, reference, digest, updated_at, first_seen, last_seen, changed_at, gone_at, error_kind, error, error_at) " +
			"select n.i, s.repository_id, 'v' || n.i, substr(s.reference, 1, length(s.reference) - 2) || 'v' || n.i, " + hex("a000", "n.i") +
			", s.updated_at, s.first_seen, s.last_seen, s.changed_at, 0, '', '', 0 from n join tags s on s.id = " + of,
		others + "insert into registry_tags (registry_id, tag_id, scan_id) select s.registry_id, n.i, s.scan_id from n join registry_tags s on s.tag_id = " + of,
		others + "insert into images (id, digest, config_digest, created_at, updated_at, judged_at, vuln_risk, " + copiedOfImages + ") select n.i, " + hex("a000", "n.i") + ", " +
			hex("b000", "n.i") + ", s.created_at - n.i * 1000000, s.updated_at - n.i * 1000, s.judged_at - n.i * 1000, s.vuln_risk + n.i % 977, s." + each(copiedOfImages) +
			" from n join images s on s.id = " + of,
		others + "insert into tag_images (tag_id, image_id, digest, shown) select n.i, n.i, " + hex("a000", "n.i") + ", true from n",
		others + "insert into image_contents (image_id, doc) select n.i, s.doc from n join image_contents s on s.image_id = " + of,
		others + fmt.Sprintf("insert into image_layers (image_id, position, diff_id) select n.i, s.position, case when s.position < %d then s.diff_id else %s end from n join image_layers s on s.image_id = %s",
			baseLayers, hex("c000", "n.i * 32 + s.position"), of),
		others + fmt.Sprintf("insert into layers (diff_id, %s) select %s, s.%s from n join image_layers l on l.image_id = %s and l.position >= %d join layers s on s.diff_id = l.diff_id",
			copiedOfLayers, hex("c000", "n.i * 32 + l.position"), each(copiedOfLayers), of, baseLayers),
	}
	postings := fmt.Sprintf(`insert into package_images (package_id, image_id) select s.package_id, i.id from images i
		join package_images s on s.image_id = (i.id - 1) %% %d + 1 where i.id > %[1]d and s.image_id <= %[1]d`, f.applications)
	if f.db.Dialect() == store.SQLite {
		return f.run(ctx, append(statements, postings))
	}
	// What refers to what is not looked at row by row, and the indexes are made anew afterwards: that is much quicker, and as large.
	return f.run(ctx, append(append([]string{"set local session_replication_role = replica", "set local work_mem = '256MB'", "set local maintenance_work_mem = '1GB'"}, statements...),
		"alter table package_images drop constraint package_images_pkey", "drop index package_images_image", postings,
		"alter table package_images add primary key (package_id, image_id)", "create index package_images_image on package_images (image_id)"))
}

// run runs statements in one transaction.
func (f *filler) run(ctx context.Context, statements []string) error {
	return f.db.Update(ctx, func(tx *store.Tx) (err error) {
		for _, sql := range statements {
			if tx.Pgx() != nil {
				_, err = tx.Pgx().Exec(ctx, sql)
			} else {
				_, err = tx.SQL().ExecContext(ctx, sql)
			}
			if err != nil {
				return fmt.Errorf("%.90s: %w", sql, err)
			}
		}
		return nil
	})
}

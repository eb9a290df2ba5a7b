package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type findingRow struct {
	bun.BaseModel `bun:"table:findings,alias:f"`

	PackageID       int64
	VulnerabilityID int64
	Vulnerability   string `bun:",scanonly"`
	Severity        int
	Source          string
	Status          string
	FixedIn         string
	URL             string `bun:"url"`
	Advisories      string
	FoundAt         int64
}

func (row *findingRow) finding() tidewaiter.Finding {
	f := tidewaiter.Finding{
		PackageID: row.PackageID, Vulnerability: row.Vulnerability, Severity: tidewaiter.Severity(row.Severity),
		Source: row.Source, Status: row.Status, FixedIn: row.FixedIn, URL: row.URL,
	}
	if row.Advisories != "" {
		f.Advisories = strings.Split(row.Advisories, "\n")
	}
	return f
}

func (row findingRow) says(other findingRow) bool {
	row.FoundAt, other.FoundAt = 0, 0
	row.Vulnerability, other.Vulnerability = "", ""
	return row == other
}

type vulnerabilityRow struct {
	bun.BaseModel `bun:"table:vulnerabilities,alias:v"`

	ID          int64 `bun:",pk,nullzero"`
	Name        string
	Severity    int
	Score       float64
	PublishedAt int64
	Doc         []byte
}

// SaveFindings replaces the findings of packages by those under a version of the advisories: each key of findings is
// matched from now on, with what its list says, which may be nothing. Only differences are written; a finding that stays
// keeps the time it was first found at. Vulnerabilities are stored or brought up to date; one a finding names without
// being given here or stored before is stored by name and severity alone.
func (tx *Tx) SaveFindings(ctx context.Context, advisories string, findings map[int64][]tidewaiter.Finding,
	vulnerabilities map[string]*tidewaiter.Vulnerability, now time.Time,
) error {
	numbers, weighty, err := tx.saveVulnerabilities(ctx, findings, vulnerabilities)
	if err != nil {
		return fail(err, "store vulnerabilities")
	}
	packages := slices.Sorted(maps.Keys(findings))
	log := &changeLog{known: make(map[int64]bool, len(packages)), changed: map[int64]map[string]*ChangedFinding{}}
	if err := tx.lockPackages(ctx, packages, log.known); err != nil {
		return fail(err, "store findings")
	}
	if err := inChunks(packages, func(part []int64) error {
		return tx.saveFindings(ctx, advisories, part, findings, numbers, log, micros(now))
	}); err != nil {
		return fail(err, "store findings")
	}
	if err := tx.touchDetails(ctx, log, weighty); err != nil {
		return fail(err, "store findings")
	}
	return fail(tx.saveChanges(ctx, log, now), "store changes of findings")
}

// lockPackages locks the packages' rows, in the order of ids: two that match the same package come one after the other. It
// sets which of them were matched before.
func (tx *Tx) lockPackages(ctx context.Context, packages []int64, matched map[int64]bool) error {
	return inChunks(packages, func(part []int64) error {
		type row struct {
			ID      int64
			Matched bool
		}
		found, err := rows[row](ctx, tx.Reader, "select id, matched <> '' as matched from packages where id in (?) order by id"+tx.forUpdate(), bun.List(part))
		for _, r := range found {
			matched[r.ID] = r.Matched
		}
		return err
	})
}

func (tx *Tx) saveFindings(ctx context.Context, advisories string, packages []int64, findings map[int64][]tidewaiter.Finding,
	numbers map[string]int64, log *changeLog, now int64,
) error {
	stored, err := rows[findingRow](ctx, tx.Reader, `select f.*, v.name as vulnerability from findings f
		join vulnerabilities v on v.id = f.vulnerability_id where f.package_id in (?)`, bun.List(packages))
	if err != nil {
		return err
	}
	type key struct{ pkg, vulnerability int64 }
	old := make(map[key]findingRow, len(stored))
	for _, row := range stored {
		old[key{row.PackageID, row.VulnerabilityID}] = row
	}
	var put []findingRow
	for _, pkg := range packages {
		for _, f := range findings[pkg] {
			row := findingRow{
				PackageID: pkg, VulnerabilityID: numbers[text(f.Vulnerability)], Severity: int(f.Severity), Source: text(f.Source),
				Status: text(f.Status), FixedIn: text(f.FixedIn), URL: text(f.URL), Advisories: text(strings.Join(f.Advisories, "\n")),
				FoundAt: now,
			}
			k := key{pkg, row.VulnerabilityID}
			was, had := old[k]
			switch {
			case !had:
				put = append(put, row)
				log.note(pkg, text(f.Vulnerability), nil, &row)
			case was.VulnerabilityID != 0 && !was.says(row):
				put = append(put, row)
				log.note(pkg, text(f.Vulnerability), &was, &row)
			}
			old[k] = findingRow{} // seen: neither removed nor written again
		}
	}
	for k, row := range old {
		if row.VulnerabilityID == 0 {
			continue
		}
		if _, err := tx.exec(ctx, "delete from findings where package_id = ? and vulnerability_id = ?", k.pkg, k.vulnerability); err != nil {
			return err
		}
		log.note(k.pkg, row.Vulnerability, &row, nil)
	}
	if err := tx.putFindings(ctx, put); err != nil {
		return err
	}
	_, err = tx.exec(ctx, "update packages set matched = ? where id in (?)", advisories, bun.List(packages))
	return err
}

func (tx *Tx) putFindings(ctx context.Context, put []findingRow) error {
	return inChunks(put, func(part []findingRow) error {
		q := tx.insert(&part).On("conflict (package_id, vulnerability_id) do update")
		for _, column := range []string{"severity", "source", "status", "fixed_in", "url", "advisories"} {
			q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
		}
		_, err := q.Exec(ctx)
		return err
	})
}

// saveVulnerabilities stores the vulnerabilities that are new or have changed. It returns the numbers of all by name, and of
// which of them something is known now that verdicts may depend on.
func (tx *Tx) saveVulnerabilities(ctx context.Context, findings map[int64][]tidewaiter.Finding, given map[string]*tidewaiter.Vulnerability) (numbers map[string]int64, weighty []int64, err error) {
	all := make(map[string]*tidewaiter.Vulnerability, len(given))
	worst := map[string]tidewaiter.Severity{}
	for _, list := range findings {
		for _, f := range list {
			name := text(f.Vulnerability)
			if worst[name] = max(worst[name], f.Severity); all[name] == nil {
				all[name] = &tidewaiter.Vulnerability{ID: name}
			}
		}
	}
	for name, v := range given {
		if v != nil {
			all[text(name)] = v
		}
	}
	numbers = make(map[string]int64, len(all))
	err = inChunks(slices.Sorted(maps.Keys(all)), func(part []string) error {
		stored, err := rows[vulnerabilityRow](ctx, tx.Reader, "select * from vulnerabilities where name in (?)", bun.List(part))
		if err != nil {
			return err
		}
		for _, row := range stored {
			numbers[row.Name] = row.ID
		}
		put, heavy, err := tx.changedVulnerabilities(part, all, given, worst, stored)
		weighty = append(weighty, heavy...)
		if err != nil || len(put) == 0 {
			return err
		}
		if _, err := tx.insert(&put).On("conflict (name) do update").Set("severity = excluded.severity").Set("score = excluded.score").
			Set("published_at = excluded.published_at").Set("doc = excluded.doc").Returning("NULL").Exec(ctx); err != nil {
			return err
		}
		stored, err = rows[vulnerabilityRow](ctx, tx.Reader, "select id, name from vulnerabilities where name in (?)", bun.List(part))
		for _, row := range stored {
			numbers[row.Name] = row.ID
		}
		return err
	})
	return numbers, weighty, err
}

// changedVulnerabilities returns the rows to write. One the advisories do not describe is listed by the worst severity of its
// findings; what is known of it says none, so that the verdict on another package does not depend on which came first.
func (tx *Tx) changedVulnerabilities(names []string, all, given map[string]*tidewaiter.Vulnerability, worst map[string]tidewaiter.Severity, stored []vulnerabilityRow) (put []vulnerabilityRow, weighty []int64, err error) {
	old := make(map[string]vulnerabilityRow, len(stored))
	for _, row := range stored {
		old[row.Name] = row
	}
	for _, name := range names {
		was, had := old[name]
		if _, is := given[name]; had && !is {
			continue // known better than by what the finding says
		}
		v := all[name]
		doc, err := tx.codec.packJSON(v)
		if err != nil {
			return nil, nil, err
		}
		if had && string(was.Doc) == string(doc) {
			continue
		}
		if had {
			var old tidewaiter.Vulnerability
			if err := tx.codec.unpackJSON(was.Doc, &old); err != nil || !old.WeighsLike(v) {
				weighty = append(weighty, was.ID) // a damaged document is replaced
			}
		}
		severity := v.Severity
		if given[name] == nil {
			severity = worst[name]
		}
		put = append(put, vulnerabilityRow{
			Name: name, Severity: int(severity), Score: v.Score, PublishedAt: micros(v.Published), Doc: doc,
		})
	}
	slices.SortFunc(put, func(a, b vulnerabilityRow) int { return cmp.Compare(a.Name, b.Name) })
	return put, weighty, nil
}

// Findings returns the findings of packages by package, each list by vulnerability. Packages without any are left out.
func (r *Reader) Findings(ctx context.Context, packageIDs []int64) (map[int64][]tidewaiter.Finding, error) {
	out := make(map[int64][]tidewaiter.Finding, len(packageIDs))
	err := r.eachFinding(ctx, packageIDs, func(row *findingRow) {
		out[row.PackageID] = append(out[row.PackageID], row.finding())
	})
	return out, err
}

func (r *Reader) eachFinding(ctx context.Context, packageIDs []int64, fn func(*findingRow)) error {
	return fail(inChunks(distinct(packageIDs), func(part []int64) error {
		found, err := rows[findingRow](ctx, r, `select f.*, v.name as vulnerability from findings f
			join vulnerabilities v on v.id = f.vulnerability_id where f.package_id in (?) order by f.package_id, v.name`, bun.List(part))
		for i := range found {
			fn(&found[i])
		}
		return err
	}), "read findings")
}

// Vulnerabilities returns what is known of vulnerabilities by name. Names nothing is known of are left out.
func (r *Reader) Vulnerabilities(ctx context.Context, names []string) (map[string]*tidewaiter.Vulnerability, error) {
	out := make(map[string]*tidewaiter.Vulnerability, len(names))
	err := inChunks(distinct(names), func(part []string) error {
		found, err := rows[vulnerabilityRow](ctx, r, "select name, doc from vulnerabilities where name in (?)", bun.List(part))
		for _, row := range found {
			v := new(tidewaiter.Vulnerability)
			if err := r.codec.unpackJSON(row.Doc, v); err != nil {
				return err
			}
			out[row.Name] = v
		}
		return err
	})
	return out, fail(err, "read vulnerabilities")
}

package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// findingsKey is the setting that counts the changes of findings. Findings belong to packages, so a change is stored once,
// with the package, under its count: its generation. An image keeps the generation its findings were read at; what changed
// for it since then is what changed for its packages in later ones.
const findingsKey = "findings.generation"

// FindingsGeneration returns how far findings have changed, 1 in the beginning. Whoever reads findings after that sees at
// least all changes up to it.
func (r *Reader) FindingsGeneration(ctx context.Context) (int64, error) {
	n, err := r.Generation(ctx, findingsKey)
	return n + 1, err
}

// PackageChange is what one generation changed of one package's findings.
type PackageChange struct {
	PackageID  int64
	Generation int64
	Findings   []ChangedFinding // empty when only what is known of a vulnerability changed, or what nobody is told of
}

// ChangedFinding is a finding of a known package before and after.
type ChangedFinding struct {
	Vulnerability string                   `json:"v"`
	Before        *tidewaiter.FindingState `json:"b,omitempty"`
	After         *tidewaiter.FindingState `json:"a,omitempty"`
}

type findingChangeRow struct {
	bun.BaseModel `bun:"table:finding_changes"`

	PackageID  int64
	Generation int64
	Doc        string
}

func (row *findingChangeRow) change() (PackageChange, error) {
	c := PackageChange{PackageID: row.PackageID, Generation: row.Generation}
	return c, fromText(row.Doc, &c.Findings)
}

// FindingChanges returns by package what changed of packages' findings in the generations after one up to another, each list
// in ascending order. Packages nothing changed for are left out.
func (r *Reader) FindingChanges(ctx context.Context, packageIDs []int64, after, upTo int64) (map[int64][]PackageChange, error) {
	out := map[int64][]PackageChange{}
	if after >= upTo {
		return out, nil
	}
	err := inChunks(distinct(packageIDs), func(part []int64) error {
		found, err := rows[findingChangeRow](ctx, r, `select package_id, generation, doc from finding_changes
			where package_id in (?) and generation > ? and generation <= ? order by package_id, generation`, bun.List(part), after, upTo)
		for i := range found {
			c, err := found[i].change()
			if err != nil {
				return err
			}
			out[c.PackageID] = append(out[c.PackageID], c)
		}
		return err
	})
	return out, fail(err, "read changes of findings")
}

// changeLog gathers, within one SaveFindings, what becomes of the findings of packages that were matched before. Those of
// a package matched for the first time are news to nobody.
type changeLog struct {
	known   map[int64]bool                       // packages that were matched before
	changed map[int64]map[string]*ChangedFinding // by package and vulnerability; an empty map when something else changed
}

func (l *changeLog) touch(pkg int64) map[string]*ChangedFinding {
	if l.changed[pkg] == nil {
		l.changed[pkg] = map[string]*ChangedFinding{}
	}
	return l.changed[pkg]
}

// note takes down a finding that is written or removed; nil is none.
func (l *changeLog) note(pkg int64, vulnerability string, before, after *findingRow) {
	if !l.known[pkg] {
		return
	}
	c := ChangedFinding{Vulnerability: vulnerability, Before: before.state(), After: after.state()}
	change := tidewaiter.FindingChange{Before: c.Before, After: c.After}
	list := l.touch(pkg)
	if change.Kind() != "" {
		list[vulnerability] = &c
	}
}

func (row *findingRow) state() *tidewaiter.FindingState {
	if row == nil {
		return nil
	}
	return &tidewaiter.FindingState{Severity: tidewaiter.Severity(row.Severity), FixedIn: row.FixedIn, Status: row.Status}
}

// touchDetails takes down the packages with a finding of vulnerabilities of which something else is known now.
func (tx *Tx) touchDetails(ctx context.Context, log *changeLog, vulnerabilities []int64) error {
	return inChunks(distinct(vulnerabilities), func(part []int64) error {
		found, err := rows[int64](ctx, tx.Reader, "select distinct package_id from findings where vulnerability_id in (?)", bun.List(part))
		for _, id := range found {
			log.touch(id)
		}
		return err
	})
}

// saveChanges stores what was taken down, as one generation. Counting it is a lock: generations become visible in order.
func (tx *Tx) saveChanges(ctx context.Context, log *changeLog, now time.Time) error {
	if len(log.changed) == 0 {
		return nil
	}
	counted, err := tx.NextGeneration(ctx, findingsKey, now)
	if err != nil {
		return err
	}
	generation := counted + 1
	list := make([]findingChangeRow, 0, len(log.changed))
	for _, pkg := range slices.Sorted(maps.Keys(log.changed)) {
		row := findingChangeRow{PackageID: pkg, Generation: generation}
		if changed := log.changed[pkg]; len(changed) > 0 {
			findings := make([]*ChangedFinding, 0, len(changed))
			for _, name := range slices.Sorted(maps.Keys(changed)) {
				findings = append(findings, changed[name])
			}
			doc, err := json.Marshal(findings)
			if err != nil {
				return err
			}
			row.Doc = text(string(doc))
		}
		list = append(list, row)
	}
	return inChunks(list, func(part []findingChangeRow) error {
		_, err := tx.insert(&part).Exec(ctx)
		return err
	})
}

// PurgeFindingChanges removes, at most limit at a time, the changes every judged image has seen, and returns how many.
func (tx *Tx) PurgeFindingChanges(ctx context.Context, limit int) (int, error) {
	seen, err := scalar[*int64](ctx, tx.Reader, "select min(findings_seen) from images where state = 'judged'")
	if err != nil {
		return 0, fail(err, "purge changes of findings")
	}
	query := "delete from finding_changes where (package_id, generation) in (select package_id, generation from finding_changes"
	args := []any{}
	if seen != nil {
		query += " where generation <= ?"
		args = append(args, *seen)
	}
	n, err := tx.exec(ctx, query+" order by generation, package_id limit ?)", append(args, limit)...)
	return int(n), fail(err, "purge changes of findings")
}

// Collapse makes one list of what several generations changed of one package: each finding before the first and after the
// last of them.
func Collapse(changes []PackageChange) []ChangedFinding {
	if len(changes) == 1 {
		return changes[0].Findings
	}
	var out []ChangedFinding
	at := map[string]int{}
	for _, c := range changes {
		for _, f := range c.Findings {
			i, seen := at[f.Vulnerability]
			if !seen {
				at[f.Vulnerability] = len(out)
				out = append(out, f)
				continue
			}
			out[i].After = f.After
		}
	}
	return out
}

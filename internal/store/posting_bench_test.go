package store_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// The size of the fleet whose posting lists are measured: 2.8 million postings.
const (
	postingImages   = 10_000
	postingPackages = 280 // of an image, of which half are a base that all share
	postingDistinct = 5000
)

// posting is one form of the lists from package to images.
type posting struct {
	name, create string
	// fill stores the lists of a fleet, add another image, read calls fn with the images that hold a package.
	fill func(*bulk, [][]int64)
	add  func(context.Context, *sql.Tx, func(string) string, int64, []int64) error
	read func(context.Context, *sql.DB, string, func(int64)) error
}

// bulk writes many rows.
type bulk struct {
	b   *testing.B
	tx  *sql.Tx
	sql func(string) string
}

func (w *bulk) exec(query string, args ...any) {
	if _, err := w.tx.ExecContext(context.Background(), w.sql(query), args...); err != nil {
		w.b.Fatal(err)
	}
}

func packed(ids []int64) []byte {
	var out []byte
	last := int64(0)
	for _, id := range ids {
		out = binary.AppendUvarint(out, uint64(id-last))
		last = id
	}
	return out
}

func unpacked(b []byte, fn func(int64)) (last int64) {
	for len(b) > 0 {
		d, n := binary.Uvarint(b)
		last += int64(d)
		fn(last)
		b = b[n:]
	}
	return last
}

func appended(b []byte, id int64) []byte {
	return binary.AppendUvarint(b, uint64(id-unpacked(b, func(int64) {})))
}

const chunkBits = 11 // 2,048 images a chunk

func postings() []posting {
	table := func(name, create string) posting {
		return posting{name: name, create: create,
			fill: func(w *bulk, lists [][]int64) {
				for pkg, images := range lists {
					for part := range slices.Chunk(images, 500) {
						var values []string
						for _, id := range part {
							values = append(values, fmt.Sprintf("(%d,%d)", pkg, id))
						}
						w.exec("insert into t (package_id, image_id) values " + strings.Join(values, ","))
					}
				}
			},
			add: func(ctx context.Context, tx *sql.Tx, _ func(string) string, image int64, packages []int64) error {
				var values []string
				for _, pkg := range packages {
					values = append(values, fmt.Sprintf("(%d,%d)", pkg, image))
				}
				_, err := tx.ExecContext(ctx, "insert into t (package_id, image_id) values "+strings.Join(values, ","))
				return err
			},
			read: func(ctx context.Context, db *sql.DB, in string, fn func(int64)) error {
				return each(ctx, db, "select image_id from t where package_id in ("+in+")", func(rows *sql.Rows) error {
					var id int64
					err := rows.Scan(&id)
					fn(id)
					return err
				})
			}}
	}
	blobs := func(name string, bits uint) posting {
		return posting{name: name, create: "create table t (package_id bigint, chunk bigint, images bytea, primary key (package_id, chunk))",
			fill: func(w *bulk, lists [][]int64) {
				for pkg, images := range lists {
					for len(images) > 0 {
						chunk := images[0] >> bits
						n := slices.IndexFunc(images, func(id int64) bool { return id>>bits != chunk })
						if n < 0 {
							n = len(images)
						}
						w.exec("insert into t values (?, ?, ?)", pkg, chunk, packed(images[:n]))
						images = images[n:]
					}
				}
			},
			add: func(ctx context.Context, tx *sql.Tx, q func(string) string, image int64, packages []int64) error {
				for _, pkg := range packages {
					var b []byte
					err := tx.QueryRowContext(ctx, q("select images from t where package_id = ? and chunk = ?"), pkg, image>>bits).Scan(&b)
					if err != nil && err != sql.ErrNoRows {
						return err
					}
					if _, err := tx.ExecContext(ctx, q("insert into t values (?, ?, ?) on conflict (package_id, chunk) do update set images = excluded.images"),
						pkg, image>>bits, appended(b, image)); err != nil {
						return err
					}
				}
				return nil
			},
			read: func(ctx context.Context, db *sql.DB, in string, fn func(int64)) error {
				return each(ctx, db, "select images from t where package_id in ("+in+")", func(rows *sql.Rows) error {
					var b []byte
					err := rows.Scan(&b)
					unpacked(b, fn)
					return err
				})
			}}
	}
	const columns = "create table t (package_id bigint not null, image_id bigint not null, primary key (package_id, image_id))"
	return []posting{
		table("table", columns+"; create index t_image on t (image_id)"),
		table("table without rowid", columns+" without rowid; create index t_image on t (image_id)"),
		blobs("list per package", 62), blobs("list per package and chunk", chunkBits),
	}
}

func each(ctx context.Context, db *sql.DB, query string, fn func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// BenchmarkPostings measures, for each form on each database: bytes a posting takes, storing one more image, the images of
// one package of the base, and those of a day's 13 changed packages.
func BenchmarkPostings(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1)) // the same each time is the point
	lists := make([][]int64, postingDistinct)
	held := func() []int64 {
		out := make([]int64, 0, postingPackages)
		for i := range postingPackages / 2 {
			out = append(out, int64(i))
		}
		for _, i := range random.Perm(postingDistinct - postingPackages/2)[:postingPackages/2] {
			out = append(out, int64(i+postingPackages/2))
		}
		return out
	}
	for image := int64(1); image <= postingImages; image++ {
		for _, pkg := range held() {
			lists[pkg] = append(lists[pkg], image)
		}
	}
	more := held()
	for _, database := range []string{"sqlite", "postgres"} {
		for _, form := range postings() {
			if database == "postgres" && strings.Contains(form.name, "rowid") {
				continue
			}
			b.Run(database+"/"+form.name, func(b *testing.B) { benchmarkPosting(b, database, form, lists, more) })
		}
	}
}

func benchmarkPosting(b *testing.B, database string, form posting, lists [][]int64, more []int64) {
	url := filepath.Join(b.TempDir(), "p.db")
	if database == "postgres" {
		url = testkit.Postgres(b)
	}
	db := open(b, url)
	before, err := db.Size(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	query := func(q string) string {
		if database == "postgres" {
			for i := 1; strings.Contains(q, "?"); i++ {
				q = strings.Replace(q, "?", fmt.Sprintf("$%d", i), 1)
			}
		}
		return q
	}
	inTx(b, db, func(tx *sql.Tx) error {
		w := &bulk{b: b, tx: tx, sql: query}
		for statement := range strings.SplitSeq(form.create, ";") {
			w.exec(statement)
		}
		form.fill(w, lists)
		return nil
	})
	after, err := db.Size(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	postings := 0
	for _, l := range lists {
		postings += len(l)
	}
	changed := make([]string, 13)
	for i := range changed {
		changed[i] = fmt.Sprint(1000 + 17*i)
	}
	var add, base, rare time.Duration
	n := 0
	for b.Loop() {
		n++
		began := time.Now()
		inTx(b, db, func(tx *sql.Tx) error { return form.add(b.Context(), tx, query, int64(postingImages+n), more) })
		add += time.Since(began)
		for _, read := range []struct {
			in  string
			sum *time.Duration
		}{{"7", &base}, {strings.Join(changed, ","), &rare}} {
			began, found := time.Now(), 0
			if err := form.read(b.Context(), db.Writer(), read.in, func(int64) { found++ }); err != nil || found == 0 {
				b.Fatal(found, err)
			}
			*read.sum += time.Since(began)
		}
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(n) }
	b.ReportMetric(float64(after-before)/float64(postings), "bytes/posting")
	b.ReportMetric(ms(add), "ms/image-added")
	b.ReportMetric(ms(base), "ms/base-package")
	b.ReportMetric(ms(rare), "ms/13-packages")
	b.ReportMetric(0, "ns/op")
}

func inTx(b *testing.B, db *store.DB, fn func(*sql.Tx) error) {
	b.Helper()
	tx, err := db.Writer().BeginTx(b.Context(), nil)
	if err == nil {
		if err = fn(tx); err == nil {
			err = tx.Commit()
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

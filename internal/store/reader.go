package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// Reader holds everything that only reads. A DB reads from its pool, a Tx inside its transaction.
type Reader struct {
	bun     *bun.DB
	conn    bun.IConn
	dialect Dialect
	codec   *codec
	now     func() time.Time
}

func (r *Reader) selectFrom(model any) *bun.SelectQuery {
	return r.bun.NewSelect().Conn(r.conn).Model(model)
}

func (r *Reader) raw(query string, args ...any) *bun.RawQuery {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = text(s)
		}
	}
	return r.bun.NewRaw(query, args...).Conn(r.conn)
}

// rows runs a query of our own writing and scans its rows.
func rows[T any](ctx context.Context, r *Reader, query string, args ...any) ([]T, error) {
	var out []T
	err := r.raw(query, args...).Scan(ctx, &out)
	return out, err
}

// scalar runs a query that yields one value.
func scalar[T any](ctx context.Context, r *Reader, query string, args ...any) (T, error) {
	var out T
	err := r.raw(query, args...).Scan(ctx, &out)
	return out, err
}

func (tx *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.raw(query, args...).Exec(ctx)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (tx *Tx) insert(model any) *bun.InsertQuery {
	return tx.bun.NewInsert().Conn(tx.conn).Model(model)
}

func (tx *Tx) update(model any) *bun.UpdateQuery {
	return tx.bun.NewUpdate().Conn(tx.conn).Model(model)
}

// forUpdate ends a query that locks the rows it reads. SQLite's single writer needs no row locks and knows no such words.
func (r *Reader) forUpdate() string {
	if r.dialect == Postgres {
		return " for update"
	}
	return ""
}

// chunkSize is how many rows or ids one statement carries: large enough to spread its cost, small enough to keep the
// text of a statement within a few hundred kilobytes.
const chunkSize = 1000

// inChunks calls fn with consecutive parts of items until one fails.
func inChunks[T any](items []T, fn func([]T) error) error {
	for part := range slices.Chunk(items, chunkSize) {
		if err := fn(part); err != nil {
			return err
		}
	}
	return nil
}

// distinct returns the items sorted, each once. Locks and inserts go by this order.
func distinct[T ~int64 | ~string](items []T) []T {
	out := slices.Clone(items)
	slices.Sort(out)
	return slices.Compact(out)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// text makes a string from outside storable: PostgreSQL refuses NUL bytes and text that is not UTF-8.
func text[S ~string](s S) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(s), "\x00", ""), "\uFFFD")
}

// containing is the pattern, for "lower(x) like ? escape '\'", of everything that contains s in any case.
func containing(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(text(s))) + "%"
}

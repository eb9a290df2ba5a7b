package store

import (
	"database/sql"
	"net/url"
	"runtime"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openSQLite opens the file twice: a single connection that writes, so that writers queue up in Go instead of meeting
// SQLITE_BUSY, and a pool that reads beside it, which the write-ahead log makes possible.
//
// Caches are small. All connections share one, under one lock, and every write empties what a reader has of it: giving back tens
// of megabytes held up all others for a tenth of a second, and of some megabytes still costs a call of the system for each few
// pages. The system keeps the file in memory anyway.
func (db *DB) openSQLite(path string) error {
	if path == "" || strings.Contains(path, ":memory:") {
		return tidewaiter.Invalid("database", "the database has to be a file").WithFix("write the path of a file")
	}
	writer, err := sql.Open("sqlite", sqliteDSN(path, "synchronous(normal)", "cache_size(-512)"))
	if err != nil {
		return err
	}
	writer.SetMaxOpenConns(1)
	readers, err := sql.Open("sqlite", sqliteDSN(path, "query_only(1)", "cache_size(-256)"))
	if err != nil {
		return err
	}
	n := max(4, runtime.NumCPU())
	readers.SetMaxOpenConns(n)
	readers.SetMaxIdleConns(n)
	db.dialect, db.writer, db.readers, db.endings = SQLite, writer, readers, newEndings(nil)
	db.bun = bun.NewDB(writer, sqlitedialect.New(), bun.WithDiscardUnknownColumns())
	db.Reader = &Reader{bun: db.bun, conn: readers, dialect: SQLite, codec: newCodec(), now: db.now}
	return nil
}

func sqliteDSN(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range append([]string{
		"busy_timeout(10000)", "journal_mode(wal)", "foreign_keys(1)", "temp_store(memory)", "journal_size_limit(67108864)",
	}, pragmas...) {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// maxRPMHeader is the largest package header that is read: the kernel's, with all its files, takes 3 MiB.
const maxRPMHeader = 32 << 20

// eachSQLiteValue yields the package headers of an rpmdb.sqlite. The database comes out of an image: it is opened
// read-only and trusted with nothing, and only a plain table is read, since a view could compute for ever.
func eachSQLiteValue(ctx context.Context, name string, yield func([]byte) error) (err error) {
	dsn := url.URL{Scheme: "file", Path: name, RawQuery: url.Values{
		"mode": {"ro"}, "immutable": {"1"},
		"_pragma": {"query_only(1)", "trusted_schema(0)", "cell_size_check(1)", "mmap_size(0)"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return fmt.Errorf("open rpmdb.sqlite: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)

	var kind string
	row := db.QueryRowContext(ctx, `SELECT type FROM sqlite_master WHERE name = 'Packages' AND sql NOT LIKE '%VIRTUAL%' AND sql NOT LIKE '%GENERATED%'`)
	if err := row.Scan(&kind); err != nil || kind != "table" {
		return fmt.Errorf("rpmdb.sqlite has no table of packages: %w", err)
	}
	rows, err := db.QueryContext(ctx, `SELECT blob FROM Packages WHERE length(blob) <= ?`, maxRPMHeader)
	if err != nil {
		return fmt.Errorf("read rpmdb.sqlite: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var header sql.RawBytes
		if err := rows.Scan(&header); err != nil {
			return fmt.Errorf("read rpmdb.sqlite: %w", err)
		}
		if err := yield(header); err != nil {
			return err
		}
	}
	return rows.Err()
}

package store

import (
	"context"
	"errors"
)

// Upkeep has SQLite look at what is in its tables, so that it chooses the right index. It takes a moment: no more than a
// thousand rows of each index are looked at. PostgreSQL does so by itself.
func (db *DB) Upkeep(ctx context.Context) error {
	if db.dialect != SQLite {
		return nil
	}
	// One connection writes, so both statements are on the same. 0x10002 looks at tables nobody has queried yet, too.
	_, limit := db.writer.ExecContext(ctx, "pragma analysis_limit = 1000")
	_, optimize := db.writer.ExecContext(ctx, "pragma optimize = 0x10002")
	return fail(errors.Join(limit, optimize), "look at the tables")
}

package testkit_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

func TestPostgresGivesEachTestItsOwnDatabase(t *testing.T) {
	for range 2 {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), testkit.Postgres(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(t.Context()) })
			if _, err := conn.Exec(t.Context(), `CREATE TABLE mine (name text); INSERT INTO mine VALUES ('ä')`); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM mine WHERE length(name) = 1`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
}

package queue

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// exec runs a statement inside a store transaction on whichever database it is and returns how many rows it changed.
func (q *Queue) exec(ctx context.Context, tx *store.Tx, query string, args ...any) (int64, error) {
	if q.sqlite {
		res, err := tx.SQL().ExecContext(ctx, query, args...)
		if err != nil {
			return 0, err
		}
		return res.RowsAffected()
	}
	tag, err := tx.Pgx().Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

// ids returns the first column of a query inside a store transaction.
func (q *Queue) ids(ctx context.Context, tx *store.Tx, query string, args ...any) ([]int64, error) {
	if !q.sqlite {
		rows, err := tx.Pgx().Query(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	rows, err := tx.SQL().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// dialect picks the text for the database at hand.
func (q *Queue) dialect(sqlite, postgres string) string {
	if q.sqlite {
		return sqlite
	}
	return postgres
}

// timestamp writes a time as River's columns hold it: SQLite compares text, so the form is exact; "" stands for now.
func (q *Queue) timestamp(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case q.sqlite:
		return t.UTC().Round(time.Millisecond).Format("2006-01-02 15:04:05.000")
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// unavailable is the error of a read that the database did not answer.
func unavailable(doing string, err error) error {
	if tidewaiter.KindOf(err) != tidewaiter.ErrBug {
		return err
	}
	return &tidewaiter.Error{Kind: tidewaiter.ErrTransient, Msg: doing + ": the database did not answer", Err: err}
}

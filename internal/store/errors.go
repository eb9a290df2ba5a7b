package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// fail gives an error of the database a kind and says what was being done. Errors that have a kind keep it.
func fail(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	doing := fmt.Sprintf(format, args...)
	if _, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	kind, msg := classify(err)
	if kind == "" {
		return fmt.Errorf("%s: %w", doing, err)
	}
	e := &tidewaiter.Error{Kind: kind, Msg: doing + ": " + msg, Err: err}
	if kind == tidewaiter.ErrTransient && away(err) {
		e.RetryAfter = awayAgain
	}
	return e
}

// awayAgain is when to ask a database again that is away. Jobs that are told to wait lose no attempt: that it is away says
// nothing about them.
const awayAgain = 2 * time.Second

func classify(err error) (kind tidewaiter.ErrorKind, msg string) {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return tidewaiter.ErrNotFound, "not found"
	case errors.Is(err, context.Canceled):
		return tidewaiter.ErrCanceled, "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return tidewaiter.ErrTransient, "the database took too long"
	case retryable(err):
		return tidewaiter.ErrTransient, "the database is busy"
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return classifyPostgres(e)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return classifySQLite(e)
	}
	if away(err) {
		return tidewaiter.ErrTransient, "the database is away"
	}
	return "", ""
}

// classifyPostgres reads the error classes of PostgreSQL's appendix A.
func classifyPostgres(e *pgconn.PgError) (tidewaiter.ErrorKind, string) {
	switch {
	case e.Code == "23505":
		return tidewaiter.ErrConflict, "it exists already"
	case e.Code == "23503":
		return tidewaiter.ErrConflict, "what it refers to is missing, or it is still referred to"
	case awayCode(e.Code):
		return tidewaiter.ErrTransient, "the database is away or out of resources"
	case e.Code == "57014": // statement_timeout, or canceled by an administrator
		return tidewaiter.ErrTransient, "the database took too long"
	}
	return "", ""
}

func awayCode(code string) bool {
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") || strings.HasPrefix(code, "57P")
}

func classifySQLite(e *sqlite.Error) (tidewaiter.ErrorKind, string) {
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return tidewaiter.ErrConflict, "it exists already"
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return tidewaiter.ErrConflict, "what it refers to is missing, or it is still referred to"
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return tidewaiter.ErrTransient, "the disk is full"
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM:
		return tidewaiter.ErrTransient, "the database file cannot be read or written"
	case sqlite3.SQLITE_INTERRUPT:
		return tidewaiter.ErrCanceled, "canceled"
	}
	return "", ""
}

// away reports whether the connection rather than the statement failed. Pools say that they are closed in words only.
func away(err error) bool {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return awayCode(e.Code)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	s := err.Error()
	return strings.Contains(s, "closed pool") || strings.Contains(s, "database is closed") || strings.Contains(s, "conn closed")
}

// retryable reports whether the same transaction, run again at once, is likely to succeed: it lost a deadlock or a race.
func retryable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01" || e.Code == "55P03"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED
	}
	return false
}

// one turns "no row was changed" into ErrNotFound.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return sql.ErrNoRows
}

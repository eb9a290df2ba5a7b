package tidewaiter

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind says what an error means for whoever has to act on it. Every surface maps kinds to its own status codes in
// one table, and the queue decides from the kind whether trying again can help.
type ErrorKind string

// The kinds of error. The first group is about what a caller asked for, the second about what a registry answered, the
// third about content that was read.
const (
	ErrInvalid      ErrorKind = "invalid"      // the request is wrong; Field names the part
	ErrNotFound     ErrorKind = "not_found"    // no such thing here
	ErrConflict     ErrorKind = "conflict"     // it exists already, or is in use, or is busy
	ErrUnauthorized ErrorKind = "unauthorized" // who are you?
	ErrForbidden    ErrorKind = "forbidden"    // you may not

	ErrAuth        ErrorKind = "auth"        // the registry refused the credential
	ErrDenied      ErrorKind = "denied"      // the registry knows the credential but forbids this
	ErrUnreachable ErrorKind = "unreachable" // no such host, refused, no route, blocked by the dial guard
	ErrTLS         ErrorKind = "tls"         // the certificate cannot be trusted
	ErrLimit       ErrorKind = "limit"       // 429, or our own budget is spent; RetryAfter may say until when
	ErrTransient   ErrorKind = "transient"   // 5xx, timeout, cut connection: trying again may help
	ErrGone        ErrorKind = "gone"        // the registry no longer has the tag, manifest or blob
	ErrUnsupported ErrorKind = "unsupported" // well-formed, but not something we can read

	ErrMalformed ErrorKind = "malformed" // content that breaks its format or its digest
	ErrTooLarge  ErrorKind = "too_large" // a limit of ours was reached
	ErrCanceled  ErrorKind = "canceled"  // somebody asked us to stop
	ErrBug       ErrorKind = "bug"       // none of the above: ours to mend
)

// Retryable reports whether doing the same again later may succeed without anybody changing anything.
func (k ErrorKind) Retryable() bool { return k == ErrLimit || k == ErrTransient || k == ErrUnreachable }

// Error is an error with a meaning. Msg is one sentence a user can read; Fix, when set, says what to do about it.
// Neither ever holds a secret.
type Error struct {
	Kind  ErrorKind
	Field string // the part of the request that is wrong, in the words of our own API
	Msg   string // lower case, no trailing stop
	Fix   string // what would mend it
	// RetryAfter says, of an ErrLimit, how long the other side asked us to wait; 0 when it did not say. Of an ErrAuth it says
	// when the credential, which was let in before, may have been replaced.
	RetryAfter time.Duration
	Err        error // the cause, if any
}

// Error returns the sentence and, when there is one, the remedy. The text of the cause belongs into Msg.
func (e *Error) Error() string {
	if e.Fix != "" {
		return e.Msg + " (" + e.Fix + ")"
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind; %w keeps the cause in the chain as fmt.Errorf does.
func Errorf(kind ErrorKind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// Invalid makes an ErrInvalid that names the field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Kind: ErrInvalid, Field: field, Msg: fmt.Sprintf(format, args...)}
}

// WithFix adds the remedy and returns the error.
func (e *Error) WithFix(format string, args ...any) *Error {
	e.Fix = fmt.Sprintf(format, args...)
	return e
}

// KindOf returns the kind of the first Error in the chain: ErrBug when there is none, "" for nil.
func KindOf(err error) ErrorKind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ErrBug
}

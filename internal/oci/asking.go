package oci

import (
	"context"
	"maps"
)

// RequestKind says what a request is made for, so that what something costs can be told apart.
type RequestKind string

// The kinds. What nobody named is other.
const (
	RequestLogin        RequestKind = "login" // learning how to log in, tokens, passwords, roles
	RequestRepositories RequestKind = "repositories"
	RequestTags         RequestKind = "tags"
	RequestDigest       RequestKind = "digest" // where a tag points
	RequestManifest     RequestKind = "manifest"
	RequestConfig       RequestKind = "config"
	RequestBlob         RequestKind = "blob"
	RequestReferrers    RequestKind = "referrers"
	RequestPublish      RequestKind = "publish" // whatever pushing results into a registry takes
	RequestOther        RequestKind = "other"
)

type askingKey struct{}

// Asking says what the requests made with a context are for. The innermost word counts: a token fetched for a list of
// tags is a login.
func Asking(ctx context.Context, kind RequestKind) context.Context {
	return context.WithValue(ctx, askingKey{}, kind)
}

func askedFor(ctx context.Context) RequestKind {
	if kind, ok := ctx.Value(askingKey{}).(RequestKind); ok {
		return kind
	}
	return RequestOther
}

// Requests returns how many requests were sent so far, by what they were for. Repeated tries count each.
func (t *Trace) Requests() map[RequestKind]int {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.sent)
}

func (t *Trace) count(kind RequestKind) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent == nil {
		t.sent = map[RequestKind]int{}
	}
	t.sent[kind]++
}

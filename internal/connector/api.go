package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	maxAnswer  = 32 << 20
	maxStream  = 1 << 30
	maxRefusal = 64 << 10
	// answerTime bounds one request, from asking to the last byte of the answer.
	answerTime = 10 * time.Minute
)

// api speaks to one API at one host. Every request goes to base and nowhere else, so the credential does too.
type api struct {
	base   *url.URL
	client *http.Client
	now    func() time.Time

	login   func(context.Context, *http.Request) error // adds the credential; nil is anonymous
	refused func()                                     // told of a 401, so that login may come up with something new; may be nil
	secrets []string                                   // never quoted in errors
	// explain gives a refusal its meaning where the vendor has ways of its own; nil for the usual one.
	explain func(status int, h http.Header, body []byte) error
}

func (a *api) basic(username, password string) {
	a.secrets = append(a.secrets, password)
	a.login = func(_ context.Context, r *http.Request) error {
		r.SetBasicAuth(username, password)
		return nil
	}
}

func (a *api) bearer(token string) { a.header("Authorization", "Bearer ", token) }

func (a *api) header(name, prefix, token string) {
	a.secrets = append(a.secrets, token)
	a.login = func(_ context.Context, r *http.Request) error {
		r.Header.Set(name, prefix+token)
		return nil
	}
}

// bearerFrom sends a token that is kept and renewed.
func (a *api) bearerFrom(k *kept[string]) {
	a.refused = k.drop
	a.login = func(ctx context.Context, r *http.Request) error {
		token, err := k.get(ctx)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return err
	}
}

// request is one thing asked of an API.
type request struct {
	method string // "" is GET
	path   string // below the base, escaped, with a leading slash
	query  string // raw
	header http.Header
	body   []byte
	form   url.Values // in place of body
	json   any        // in place of body
}

// get reads a JSON document into a value.
func (a *api) get(ctx context.Context, path string, query url.Values, into any) (http.Header, error) {
	return a.do(ctx, request{path: path, query: query.Encode()}, into)
}

// do sends a request and reads the JSON of a 2xx into a value, at most 32 MiB. Any other answer is an error.
func (a *api) do(ctx context.Context, q request, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	resp, err := a.answer(ctx, q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, a.cut(ctx, err)
	case len(body) > maxAnswer:
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s answers more than %d MiB at once", a.base.Host, maxAnswer>>20)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, oci.Undecodable(body, err)
	}
	return resp.Header, nil
}

// stream sends a request and lets read take the answer apart as it comes, up to 1 GiB: for lists without pages.
func (a *api) stream(ctx context.Context, q request, read func(*json.Decoder) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	resp, err := a.answer(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := &io.LimitedReader{R: resp.Body, N: maxStream}
	err = read(json.NewDecoder(body))
	if _, syntax := errors.AsType[*json.SyntaxError](err); syntax {
		return oci.Undecodable(nil, err)
	}
	if _, kind := errors.AsType[*json.UnmarshalTypeError](err); kind {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s answers something else than a list", a.base.Host)
	}
	switch {
	case err == nil:
		return nil
	case body.N <= 0:
		return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s answers more than %d MiB at once", a.base.Host, maxStream>>20)
	}
	return a.cut(ctx, err)
}

// cut gives the error of a body that ended too soon its meaning.
func (a *api) cut(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return oci.NetError(err, a.base.Host)
}

// answer sends a request and returns a 2xx. After a 401 it tries once more, should login have something new.
func (a *api) answer(ctx context.Context, q request) (*http.Response, error) {
	resp, err := a.send(ctx, q)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && a.refused != nil {
		resp.Body.Close()
		a.refused()
		resp, err = a.send(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, a.refusal(resp)
	}
	return resp, nil
}

func (a *api) send(ctx context.Context, q request) (*http.Response, error) {
	req, err := a.request(ctx, q)
	if err != nil {
		return nil, err
	}
	if a.login != nil {
		if err := a.login(oci.Asking(ctx, oci.RequestLogin), req); err != nil {
			return nil, err
		}
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, a.cut(ctx, err)
	}
	return resp, nil
}

func (a *api) request(ctx context.Context, q request) (*http.Request, error) {
	u, err := url.Parse(a.base.Scheme + "://" + a.base.Host + a.base.EscapedPath() + q.path)
	if err != nil || u.Host != a.base.Host || len(q.query) > 16<<10 {
		return nil, tidewaiter.Invalid("reference", "not a valid request to %s", a.base.Host)
	}
	u.RawQuery = q.query
	method, contentType := q.method, ""
	if method == "" {
		method = http.MethodGet
	}
	switch {
	case q.form != nil:
		q.body, contentType = []byte(q.form.Encode()), "application/x-www-form-urlencoded"
	case q.json != nil:
		contentType = "application/json"
		if q.body, err = json.Marshal(q.json); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(q.body))
	if err != nil {
		return nil, tidewaiter.Invalid("reference", "not a valid request to %s", a.base.Host)
	}
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	maps.Copy(req.Header, q.header)
	return req, nil
}

func (a *api) refusal(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // a body cut short changes nothing about the status
	resp.Body.Close()
	if a.explain != nil {
		if err := a.explain(resp.StatusCode, resp.Header, body); err != nil {
			return err
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return oci.Refused(resp, "ask its API", a.login == nil, a.now(), a.secrets...)
}

// escape makes one segment of a path of a name that may hold slashes.
func escape(name string) string { return url.PathEscape(name) }

// escapeEach escapes a name and keeps its slashes.
func escapeEach(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// firstQuery returns the query to ask with: the one a cursor holds, else the first page's.
func firstQuery(cursor string, first url.Values) string {
	if cursor != "" {
		return cursor
	}
	return first.Encode()
}

// pageNumber reads a cursor that is the number of a page; "" is page 1.
func pageNumber(cursor string) (int, error) {
	if cursor == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(cursor)
	if err != nil || n < 1 || n > maxPages {
		return 0, badCursor()
	}
	return n, nil
}

// inParts lists several lists as one, part after part. Its cursor names the part, so that a change of the parts in between
// is noticed.
func inParts[T any](parts []string, cursor string, list func(part, cursor string) ([]T, string, error)) ([]T, string, error) {
	if len(parts) == 0 {
		return nil, "", nil
	}
	at, inner := 0, ""
	if cursor != "" {
		name, rest, ok := strings.Cut(cursor, "|")
		part, err := url.QueryUnescape(name)
		at = -1
		for i, p := range parts {
			if ok && err == nil && p == part {
				at = i
			}
		}
		if inner = rest; at < 0 {
			return nil, "", badCursor()
		}
	}
	items, next, err := list(parts[at], inner)
	if err != nil {
		return nil, "", err
	}
	switch {
	case next != "":
		next = url.QueryEscape(parts[at]) + "|" + next
	case at+1 < len(parts):
		next = url.QueryEscape(parts[at+1]) + "|"
	}
	return items, next, nil
}

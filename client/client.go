// Package client speaks to a Tidewaiter server over its own API, /tidewaiter/v1. The types in it are the API's shapes: the
// server answers with them.
//
//	c, err := client.New("https://tidewaiter.example.com", client.Basic("ci", password))
//	page, err := c.Images(ctx, client.ImageQuery{Repository: "team/app"})
//
// A Client is safe for concurrent use.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	prefix    = "/tidewaiter/v1"
	maxAnswer = 256 << 20 // bytes of one answer
)

// Client speaks to one server.
type Client struct {
	base  *url.URL
	login func(*http.Request)
	http  *http.Client
}

// Option changes how a Client speaks.
type Option func(*Client)

// Basic logs in with a user name and a password.
func Basic(user, password string) Option {
	return func(c *Client) { c.login = func(r *http.Request) { r.SetBasicAuth(user, password) } }
}

// Bearer logs in with a token.
func Bearer(token string) Option {
	return func(c *Client) { c.login = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) } }
}

// HTTP has requests made by h. Redirects are not followed whatever it says: they would take the login elsewhere.
func HTTP(h *http.Client) Option { return func(c *Client) { c.http = h } }

// New returns a client of the server at an address such as https://tidewaiter.example.com.
func New(server string, options ...Option) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("the server's address %q is not of the form https://host[:port]", server)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	c := &Client{base: base, http: &http.Client{Timeout: 5 * time.Minute}}
	for _, o := range options {
		o(c)
	}
	own := *c.http
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &own
	return c, nil
}

// Error is what the server answered instead of a result.
type Error struct {
	Status     int           // HTTP
	Type       string        // urn:tidewaiter:<kind of error>
	Detail     string        // a sentence
	Fix        string        // what would mend it; may be empty
	RetryAfter time.Duration // how long the server asks to wait; 0 when it does not
}

// Error returns the sentence and the remedy.
func (e *Error) Error() string {
	if e.Fix != "" {
		return e.Detail + " (" + e.Fix + ")"
	}
	return e.Detail
}

// Page is one page of a list. Next is the cursor of the next page, empty on the last.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// do sends one request and reads the answer into out, which may be nil. The path is below /tidewaiter/v1 and escaped.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	target := *c.base
	raw := target.EscapedPath() + prefix + path
	unescaped, err := url.PathUnescape(raw)
	if err != nil {
		return err
	}
	target.Path, target.RawPath, target.RawQuery = unescaped, raw, query.Encode()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json")
	if c.login != nil {
		c.login(r)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.base.Host, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return errorOf(answer)
	}
	if out == nil || answer.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	return nil
}

func errorOf(answer *http.Response) error {
	e := &Error{Status: answer.StatusCode}
	if kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && strings.HasSuffix(kind, "json") {
		var told struct {
			Type, Detail, Fix string
			Errors            []struct{ Message, Location string }
		}
		if json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&told) == nil {
			e.Type, e.Detail, e.Fix = told.Type, told.Detail, told.Fix
			for _, one := range told.Errors {
				if one.Location != "" && !strings.Contains(e.Detail, one.Message) {
					e.Detail += "; " + one.Location + ": " + one.Message
				}
			}
		}
	}
	if e.Detail == "" {
		e.Detail = "the server answered " + answer.Status
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// values collects the parameters of a query, leaving out what is not set.
type values struct{ url.Values }

func (v values) set(name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

func (v values) page(limit int, after string) {
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	v.set("after", after)
}

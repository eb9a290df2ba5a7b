package oci

import (
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const maxRedirects = 5

// redirectPolicy follows redirects without what belongs to the first origin: once a chain has left it, the
// Authorization header is gone for good, and no Referer tells the next host a signed URL. net/http itself keeps the
// header when only the port or scheme changes. Leaving https for http is allowed only for content that is verified by
// digest.
func redirectPolicy(downgrade bool) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		req.Header.Del("Referer")
		if len(via) > maxRedirects {
			return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s redirects more than %d times", via[0].URL.Host, maxRedirects)
		}
		first := via[0].URL
		left := !sameOrigin(first, req.URL)
		for _, r := range via[1:] {
			left = left || !sameOrigin(first, r.URL)
		}
		if left {
			req.Header.Del("Authorization")
		}
		switch {
		case req.URL.Scheme != "https" && req.URL.Scheme != "http":
			return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s redirects to an address that is neither http nor https", first.Host)
		case !downgrade && req.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
			return tidewaiter.Errorf(tidewaiter.ErrTLS, "%s redirects from https to plain http at %s", first.Host, clip(plainText(req.URL.Host), 200)).
				WithFix("mend the registry's own address in its configuration, often called external URL")
		}
		return nil
	}
}

// stayPolicy follows redirects within one origin only: a token request carries the credential, perhaps in its body.
func stayPolicy(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects || !sameOrigin(via[0].URL, req.URL) {
		return http.ErrUseLastResponse
	}
	req.Header.Del("Referer")
	return nil
}

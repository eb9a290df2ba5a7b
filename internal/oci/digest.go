package oci

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// newHash returns the hash of a digest's algorithm: sha256 or sha512 (OCI image-spec "Digests", registered algorithms).
func newHash(digest string) (hash.Hash, error) {
	if !digestGrammar.MatchString(digest) {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "%q is not a sha256 or sha512 digest", clip(plainText(digest), 160))
	}
	if strings.HasPrefix(digest, "sha512:") {
		return sha512.New(), nil
	}
	return sha256.New(), nil
}

func digestOf(algorithm string, h hash.Hash) string {
	return algorithm + ":" + hex.EncodeToString(h.Sum(nil))
}

// digestLike returns content's digest with the algorithm of the given one, which is valid; sha256 for "".
func digestLike(digest string, content []byte) string {
	algorithm, _, _ := strings.Cut(digest, ":")
	h := sha256.New()
	if algorithm == "sha512" {
		h = sha512.New()
	} else {
		algorithm = "sha256"
	}
	h.Write(content)
	return digestOf(algorithm, h)
}

// verify returns ErrMalformed when content is not what the digest names.
func verify(digest string, content []byte) error {
	if _, err := newHash(digest); err != nil {
		return err
	}
	if got := digestLike(digest, content); got != digest {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the content has digest %s, not %s", got, digest)
	}
	return nil
}

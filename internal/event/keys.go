package event

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	keysTime  = 5 * time.Second  // of one request for keys
	keysPause = 30 * time.Second // between two requests at least, whatever the tokens name
	keysAgain = 5 * time.Second  // the same after a request that failed
	keysLife  = time.Hour        // of keys, where the answer does not say
	maxKeys   = 256 << 10        // bytes of an answer
)

// Keys holds the public keys of an issuer of tokens: fetched when first needed, again when they are old, and when a token
// names one that is not among them. It is safe for concurrent use; the fields are set before.
type Keys struct {
	URL    string // of a JSON Web Key Set
	Client *http.Client
	Now    func() time.Time

	mu      sync.Mutex
	keys    map[string]*rsa.PublicKey
	asked   time.Time // last request
	expires time.Time
	failure error // of the last request
}

// key returns a key by its id.
func (k *Keys) key(ctx context.Context, id string) (*rsa.PublicKey, error) {
	k.mu.Lock() // held while fetching: everybody else would only ask for the same
	defer k.mu.Unlock()
	now := k.Now()
	known := k.keys[id]
	if known != nil && now.Before(k.expires) {
		return known, nil
	}
	pause := keysPause
	if k.failure != nil {
		pause = keysAgain
	}
	if since := now.Sub(k.asked); since < 0 || since >= pause {
		k.asked = now
		k.failure = k.fetch(context.WithoutCancel(ctx), now) // for all, though the one who asks may go away
	}
	// Keys that are old are better than none: Google announces new ones days before it signs with them.
	if known = k.keys[id]; known != nil {
		return known, nil
	}
	if k.failure != nil {
		return nil, k.failure
	}
	return nil, forbidden("no such key")
}

func (k *Keys) fetch(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	unreachable := tidewaiter.Errorf(tidewaiter.ErrTransient, "the keys of the token's issuer cannot be fetched")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.URL, nil)
	if err != nil {
		return unreachable
	}
	resp, err := k.Client.Do(req)
	if err != nil {
		return unreachable
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys+1))
	if err != nil || len(body) > maxKeys || resp.StatusCode != http.StatusOK {
		return unreachable
	}
	keys, ok := readKeys(body)
	if !ok {
		return unreachable
	}
	k.keys, k.expires = keys, now.Add(lifeOf(resp.Header.Get("Cache-Control")))
	return nil
}

// readKeys reads the RSA keys for signatures out of a JSON Web Key Set. RFC 7517; RFC 7518, section 6.3.
func readKeys(body []byte) (map[string]*rsa.PublicKey, bool) {
	var set struct {
		Keys []struct {
			ID       string `json:"kid"`
			Type     string `json:"kty"`
			Use      string `json:"use"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		} `json:"keys"`
	}
	if depth(body) > MaxDepth || json.Unmarshal(body, &set) != nil {
		return nil, false
	}
	out := map[string]*rsa.PublicKey{}
	for _, key := range set.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(key.Modulus)
		e, errE := base64.RawURLEncoding.DecodeString(key.Exponent)
		if key.Type != "RSA" || key.Use != "" && key.Use != "sig" || key.ID == "" || errN != nil || errE != nil ||
			len(n) < 256 || len(n) > 1024 || len(e) == 0 || len(e) > 4 {
			continue
		}
		out[key.ID] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return out, len(out) > 0
}

var maxAge = regexp.MustCompile(`max-age=([0-9]{1,9})`)

// lifeOf reads how long keys may be kept: between five minutes and a day.
func lifeOf(cacheControl string) time.Duration {
	life := keysLife
	if m := maxAge.FindStringSubmatch(cacheControl); m != nil {
		seconds, err := strconv.Atoi(m[1])
		if err == nil {
			life = time.Duration(seconds) * time.Second
		}
	}
	return min(max(life, 5*time.Minute), 24*time.Hour)
}

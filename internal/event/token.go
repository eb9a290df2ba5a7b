package event

import (
	"context"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// GoogleKeysURL is where Google publishes the keys its tokens are signed with.
const GoogleKeysURL = "https://www.googleapis.com/oauth2/v3/certs"

// tokenSkew is how far the clocks of Google and of this machine may be apart.
const tokenSkew = time.Minute

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

// pushClaims is what a token of Pub/Sub says.
type pushClaims struct {
	jwt.RegisteredClaims
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
}

// VerifyPush checks the token that Pub/Sub sends along with a push: signed by Google with RS256, made out to the audience
// and in the name of the service account, and in time. Google: "Authentication for push subscriptions". Errors:
// ErrForbidden says what is wrong, without the token; ErrTransient while Google's keys cannot be had.
func (k *Keys) VerifyPush(ctx context.Context, token, audience, email string) error {
	if len(token) > maxToken {
		return forbidden("the token is longer than %d bytes", maxToken)
	}
	var claims pushClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		id, ok := t.Header["kid"].(string)
		if !ok || id == "" || len(id) > maxText {
			return nil, errors.New("it names no key")
		}
		return k.key(ctx, id)
	}, jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(tokenSkew), jwt.WithTimeFunc(k.Now))
	if tidewaiter.KindOf(err).Retryable() {
		return err
	}
	switch {
	case err != nil:
		return forbidden("the token is not valid: %s", reasonOf(err))
	case claims.Issuer != "https://accounts.google.com" && claims.Issuer != "accounts.google.com":
		return forbidden("the token is not of Google")
	case !same([]byte(claims.Email), []byte(email)) || !claims.Verified:
		return forbidden("the token is not of the service account that is to send")
	}
	return nil
}

// reasonOf words what is wrong with a token in words of our own: the library's may quote it.
func reasonOf(err error) string {
	for _, c := range []struct {
		is   error
		text string
	}{
		{jwt.ErrTokenExpired, "it has expired"}, {jwt.ErrTokenUsedBeforeIssued, "it was issued in the future"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"}, {jwt.ErrTokenInvalidAudience, "it is made out to another audience"},
		{jwt.ErrTokenRequiredClaimMissing, "it lacks what it has to say"},
		{jwt.ErrTokenSignatureInvalid, "its signature is wrong"}, {jwt.ErrTokenUnverifiable, "its key is not known"},
	} {
		if errors.Is(err, c.is) {
			return c.text
		}
	}
	return "it cannot be read"
}

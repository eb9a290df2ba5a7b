package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// How long tokens live. Prisma: 30 minutes; Qualys: 4 hours.
const (
	PrismaTokenLife = 30 * time.Minute
	QualysTokenLife = 4 * time.Hour
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 8 << 10

// tokenStyle is one of the two forms of token. Each has a signing method and a key of its own, so that a token of the one
// can never pass for one of the other.
type tokenStyle struct {
	method  *jwt.SigningMethodHMAC
	issuer  string
	purpose string // what the key is derived for
	keySize int
}

var (
	prismaStyle = tokenStyle{jwt.SigningMethodHS256, "twistlock", "token/prisma", 32}
	qualysStyle = tokenStyle{jwt.SigningMethodHS512, "qas", "token/qualys", 64}
)

func (s *Service) signingKey(style tokenStyle) ([]byte, error) {
	return s.keys.Derive(style.purpose, style.keySize)
}

// prismaClaims are the claims of a Prisma token. Prisma: the names; clients do not look inside.
type prismaClaims struct {
	User              string                  `json:"user"`
	Role              tidewaiter.Role         `json:"role"`
	Groups            []string                `json:"groups"`
	RolePerms         []tidewaiter.Permission `json:"rolePerms"`
	Permissions       []prismaPermission      `json:"permissions"`
	SessionTimeoutSec int                     `json:"sessionTimeoutSec"`
	Exp               int64                   `json:"exp"`
	Iss               string                  `json:"iss"`
	Credential        string                  `json:"cred"` // ours: fingerprint of the password it was issued for
}

type prismaPermission struct {
	Project string `json:"project"`
}

// IssuePrisma returns a token for the user as Prisma's authenticate call gives it.
func (s *Service) IssuePrisma(u tidewaiter.User) (string, error) {
	key, err := s.signingKey(prismaStyle)
	if err != nil {
		return "", err
	}
	return sign(prismaStyle.method, key, prismaClaims{
		User: u.Name, Role: u.Role, Groups: []string{}, RolePerms: u.Role.Permissions(),
		Permissions:       []prismaPermission{{Project: "Central Console"}},
		SessionTimeoutSec: int(PrismaTokenLife / time.Second),
		Exp:               s.now().Add(PrismaTokenLife).Unix(), Iss: prismaStyle.issuer, Credential: credentialMark(key, &u),
	})
}

// qualysClaims are the claims of a Qualys token. Qualys: the names; a client of theirs refuses a token whose
// modulesAllowed lacks "CS".
type qualysClaims struct {
	Sub             string   `json:"sub"`
	LoginResponse   string   `json:"loginResponse"`
	Handlers        []string `json:"successfulAuthenticationHandlers"`
	Iss             string   `json:"iss"`
	Aud             string   `json:"aud"`
	IPAddress       string   `json:"ipAddress"`
	PortalUserID    int      `json:"portalUserId"`
	QWebUserID      int      `json:"qwebUserId"`
	UserType        string   `json:"usertype"`
	CredentialType  string   `json:"credentialType"`
	ModulesAllowed  []string `json:"modulesAllowed"`
	Iat             int64    `json:"iat"`
	Exp             int64    `json:"exp"`
	CredentialPrint string   `json:"cred"` // ours: fingerprint of the password it was issued for
}

// IssueQualys returns a token for the user as Qualys' gateway gives it. Remote is the address it was asked for from.
func (s *Service) IssueQualys(u tidewaiter.User, remote string) (string, error) {
	key, err := s.signingKey(qualysStyle)
	if err != nil {
		return "", err
	}
	now := s.now()
	id := userNumber(u.Name)
	return sign(qualysStyle.method, key, qualysClaims{
		Sub: u.Name, LoginResponse: "SUCCESSFUL", Handlers: []string{"FOUserAuthenticationHandler"},
		Iss: qualysStyle.issuer, Aud: qualysStyle.issuer, IPAddress: host(remote), PortalUserID: id, QWebUserID: id,
		UserType: "fo", CredentialType: "UsernamePasswordCredential",
		ModulesAllowed: []string{"ADMIN", "ASSET INVENTORY", "CS"},
		Iat:            now.Unix(), Exp: now.Add(QualysTokenLife).Unix(), CredentialPrint: credentialMark(key, &u),
	})
}

// userNumber returns a number for a user, who has none with us: positive, and always the same.
func userNumber(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32()&0x3fffffff) + 1
}

// credentialMark returns a fingerprint of the user's present password. A token carries the one it was issued for.
func credentialMark(key []byte, u *tidewaiter.User) string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "credential\x00%s\x00%s", u.Name, u.PasswordHash) // a hash takes whatever is written
	return hex.EncodeToString(mac.Sum(nil)[:12])
}

// readClaims are the claims Verify reads, of either style.
type readClaims struct {
	User       string `json:"user"`
	Credential string `json:"cred"`
	jwt.RegisteredClaims
}

// Verify returns the user a token of either style belongs to. Whatever is wrong with it gives ErrUnauthorized; the
// message of an expired one contains "JWT expired" (Qualys: its clients look for that). A token ends with the user, the
// user's password, and the key it was signed with.
func (s *Service) Verify(ctx context.Context, token string) (tidewaiter.User, error) {
	if len(token) > maxToken {
		return tidewaiter.User{}, errToken()
	}
	var style tokenStyle
	var key []byte
	parser := jwt.NewParser(jwt.WithValidMethods([]string{prismaStyle.method.Alg(), qualysStyle.method.Alg()}),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.now))
	var claims readClaims
	_, err := parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		style = prismaStyle
		if t.Method.Alg() == qualysStyle.method.Alg() {
			style = qualysStyle
		}
		var err error
		key, err = s.signingKey(style)
		return key, err
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return tidewaiter.User{}, tidewaiter.Errorf(tidewaiter.ErrUnauthorized, "JWT expired").WithFix("log in again")
	case err != nil || claims.Issuer != style.issuer:
		return tidewaiter.User{}, errToken()
	}
	name := claims.User
	if style == qualysStyle {
		name = claims.Subject
	}
	u, err := s.users.User(ctx, name)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return tidewaiter.User{}, errToken()
	}
	if err != nil {
		return tidewaiter.User{}, fmt.Errorf("look up the user: %w", err)
	}
	if !hmac.Equal([]byte(claims.Credential), []byte(credentialMark(key, u))) {
		return tidewaiter.User{}, errToken()
	}
	return *u, nil
}

func errToken() error {
	return tidewaiter.Errorf(tidewaiter.ErrUnauthorized, "the token is not valid").WithFix("log in again")
}

package auth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf16"

	"github.com/golang-jwt/jwt/v5"
)

// sign makes a token whose payload reads the same in the standard base64 alphabet and in the URL-safe one that JWT asks
// for, with and without padding. (Qualys: a client of theirs decodes it with the standard alphabet.)
//
// The two alphabets differ in the digits 62 and 63. In ASCII text only the low six bits of ">", "?", "~" and DEL give
// those, and in JSON such characters occur in strings only, where they can be escaped. Spaces make the length a multiple
// of three, which needs no padding.
func sign(method *jwt.SigningMethodHMAC, key []byte, claims any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": method.Alg(), "typ": "JWT"})
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	payload = plainASCII(payload)
	for len(payload)%3 != 0 {
		payload = append(payload, ' ')
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := method.Sign(signed, key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// plainASCII escapes what is not ASCII in a JSON text, and the four ASCII characters that sign cannot have.
func plainASCII(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	for _, r := range string(text) {
		switch {
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		case r >= 0x7f, r == '>', r == '?', r == '~':
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, byte(r))
		}
	}
	return out
}

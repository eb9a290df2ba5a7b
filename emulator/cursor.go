package emulator

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// token makes a page token of a number; offset reads it. Tokens show that they are not to be made up, and one that was is
// refused.
func (e *Emulator) token(offset int) string {
	text := strconv.Itoa(offset)
	return base64.RawURLEncoding.EncodeToString([]byte(text + "." + string(mac(e.keys.token[:], text)[:9])))
}

func (e *Emulator) offset(token string) (int, bool) {
	if token == "" {
		return 0, true
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	text, _, _ := strings.Cut(string(b), ".")
	n, err := strconv.Atoi(text)
	return n, err == nil && e.token(n) == token
}

// placeToken makes a page token of a place; place reads it.
func (e *Emulator) placeToken(p place) string { return e.token(p.repo) + "." + e.token(p.offset) }

func (e *Emulator) place(token string) (place, bool) {
	if token == "" {
		return place{}, true
	}
	a, b, _ := strings.Cut(token, ".")
	repo, ok := e.offset(a)
	offset, fine := e.offset(b)
	return place{repo, offset}, ok && fine && a != "" && b != ""
}

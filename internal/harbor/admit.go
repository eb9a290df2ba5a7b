package harbor

import (
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// admit lets in whoever shows the key, in any of the ways Harbor can be told to; everybody when there is none. Harbor:
// "Basic", "Bearer" and "APIKey" in a scanner's registration.
func (s *server) admit(w http.ResponseWriter, r *http.Request) error {
	key, err := s.control.HarborKey(r.Context())
	if err != nil || key.IsZero() {
		return err
	}
	shown := r.Header.Get("X-Scanneradapter-Api-Key")
	if _, password, ok := r.BasicAuth(); ok {
		shown = password
	} else if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		shown = strings.TrimSpace(token)
	}
	if shown == "" || !key.Equal(secret.New(shown)) {
		w.Header().Add("WWW-Authenticate", `Basic realm="tidewaiter"`)
		return &statusError{http.StatusUnauthorized, "the key that is set for this scanner is missing or wrong"}
	}
	return nil
}

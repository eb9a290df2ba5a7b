package emulator

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a thumbprint that names a certificate
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// entra serves Microsoft's Entra ID, and the metadata service of a machine with a managed identity. Microsoft: "OAuth 2.0
// client credentials flow", "How managed identities work with virtual machines".
func (e *Emulator) entra(api *http.ServeMux) {
	api.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		tenant := r.PathValue("tenant")
		writeJSON(w, r, http.StatusOK, document{
			"token_endpoint": base(r) + "/" + tenant + "/oauth2/v2.0/token", "authorization_endpoint": base(r) + "/" + tenant + "/oauth2/v2.0/authorize",
			"issuer": base(r) + "/" + tenant + "/v2.0", "jwks_uri": base(r) + "/" + tenant + "/discovery/v2.0/keys",
			"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
		})
	})
	api.HandleFunc("GET /common/discovery/instance", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, document{
			"tenant_discovery_endpoint": base(r) + "/" + e.Login().TenantID + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
			"metadata": []document{{"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host}}},
		})
	})
	api.HandleFunc("POST /{tenant}/oauth2/v2.0/token", e.entraToken)
	api.HandleFunc("GET /metadata/identity/oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata") != "true" {
			writeJSON(w, r, http.StatusBadRequest, document{"error": "invalid_request", "error_description": "Required metadata header not specified"})
			return
		}
		resource := r.URL.Query().Get("resource")
		e.entraGrant(w, r, resource)
	})
}

// entraToken is the client credentials grant, by secret or by an assertion signed with the certificate's key.
func (e *Emulator) entraToken(w http.ResponseWriter, r *http.Request) {
	label(r, e, "POST /{tenant}/oauth2/v2.0/token")
	l := e.Login()
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "client_credentials" {
		entraError(w, r, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.", 70003)
		return
	}
	if r.PathValue("tenant") != l.TenantID {
		entraError(w, r, "invalid_request", "AADSTS90002: Tenant '"+r.PathValue("tenant")+"' not found.", 90002)
		return
	}
	if r.PostForm.Get("client_id") != l.ClientID {
		entraError(w, r, "unauthorized_client", "AADSTS700016: Application with identifier '"+r.PostForm.Get("client_id")+"' was not found in the directory.", 700016)
		return
	}
	if r.PostForm.Get("client_assertion_type") == assertionType {
		if err := e.checkAssertion(r.PostForm.Get("client_assertion"), l.ClientID, base(r)+r.URL.Path); err != nil {
			entraError(w, r, "invalid_client", "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered "+
				"on application, or the assertion is not valid.", 700027)
			return
		}
	} else if !same(r.PostForm.Get("client_secret"), l.ClientSecret) {
		entraError(w, r, "invalid_client", "AADSTS7000215: Invalid client secret provided.", 7000215)
		return
	}
	scope := r.PostForm.Get("scope")
	for s := range strings.FieldsSeq(scope) {
		if resource, ok := strings.CutSuffix(s, "/.default"); ok {
			e.entraGrant(w, r, resource)
			return
		}
	}
	entraError(w, r, "invalid_scope", "AADSTS1002012: The provided value for scope is not valid.", 1002012)
}

// entraGrant issues a token for the registry service or, which the registries take too, for Azure's resource manager.
func (e *Emulator) entraGrant(w http.ResponseWriter, r *http.Request, resource string) {
	resource = strings.TrimRight(resource, "/")
	if resource != "https://containerregistry.azure.net" && !strings.HasPrefix(resource, "https://management.") {
		entraError(w, r, "invalid_resource", "AADSTS500011: The resource principal named "+resource+" was not found in the tenant.", 500011)
		return
	}
	life := e.life(time.Hour)
	writeJSON(w, r, http.StatusOK, document{
		"token_type": "Bearer", "expires_in": int(life / time.Second), "ext_expires_in": int(life / time.Second), "resource": resource,
		"expires_on": e.now().Add(life).Unix(), "access_token": e.issue("entra", e.Login().ClientID, nil, life),
	})
}

// checkAssertion verifies a client assertion: the signature by the registered certificate, its thumbprint, and who it is
// for. Microsoft: "Application authentication certificate credentials".
func (e *Emulator) checkAssertion(text, client, audience string) error {
	e.mu.RLock()
	certificate := e.keys.azure
	e.mu.RUnlock()
	_, err := jwt.Parse(text, func(t *jwt.Token) (any, error) {
		short, long := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw) //nolint:gosec // see the import
		if !thumbprint(t.Header["x5t"], short[:]) && !thumbprint(t.Header["x5t#S256"], long[:]) {
			return nil, errToken
		}
		public, ok := certificate.PublicKey.(*rsa.PublicKey)
		if !ok {
			return nil, errToken
		}
		return public, nil
	}, jwt.WithValidMethods([]string{"RS256", "PS256"}), jwt.WithTimeFunc(e.now), jwt.WithExpirationRequired(),
		jwt.WithIssuer(client), jwt.WithSubject(client), jwt.WithAudience(audience))
	return err
}

// thumbprint reports whether a field of a header holds a sum, in either alphabet of base64: libraries differ.
func thumbprint(field any, sum []byte) bool {
	text, _ := field.(string)
	return text == base64.RawURLEncoding.EncodeToString(sum) || text == base64.StdEncoding.EncodeToString(sum)
}

func entraError(w http.ResponseWriter, r *http.Request, code, description string, number int) {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	b, err := json.Marshal(document{
		"error": code, "error_description": description, "error_codes": []int{number}, "timestamp": "2026-01-01 00:00:00Z",
		"trace_id": "00000000-0000-0000-0000-000000000001", "correlation_id": "00000000-0000-0000-0000-000000000002",
	})
	if err != nil {
		status = http.StatusInternalServerError
	}
	writeBody(w, r, status, "application/json; charset=utf-8", b)
}

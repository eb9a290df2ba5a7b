package qualys

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// declared is what of a request is kept with the registry to show it again. It holds no secret.
type declared struct {
	RegistryType   string           `json:"registryType"`
	RegistryURI    string           `json:"registryUri"` // as it was sent
	CredentialType string           `json:"credentialType,omitempty"`
	DockerHubOrg   string           `json:"dockerHubOrg,omitempty"`
	AWS            *awsRequest      `json:"aws,omitempty"`
	GCP            *gcpRequest      `json:"gcp,omitempty"`
	GCAR           *artifactRequest `json:"gcar,omitempty"`
}

// declaredOf reads what is kept with a registry; one that was declared elsewhere is described by what is known of it.
func declaredOf(r *tidewaiter.Registry) (declared, error) {
	d := declared{RegistryType: typeOf(r), RegistryURI: r.URL}
	if r.Origin != tidewaiter.OriginQualys || len(r.Declaration) == 0 {
		return d, nil
	}
	if err := json.Unmarshal(r.Declaration, &d); err != nil {
		return d, tidewaiter.Errorf(tidewaiter.ErrBug, "declaration of registry %s: %w", r.ID, err)
	}
	return d, nil
}

// draft is a request on its way into the store: the registry, and what it logs in with.
type draft struct {
	registry *tidewaiter.Registry

	own    *tidewaiter.Credential // a login of the registry's own; nil when it has none or keeps the stored one
	secret *secret.Value          // of own; nil keeps the stored one

	connector    *tidewaiter.Credential // the shared login the registry uses; nil when it has none
	newConnector bool                   // it is not stored yet
}

// draftOf translates a checked request. old is the registry it changes, nil for a new one. Errors: ErrInvalid for an
// unknown connector, or for a change of what cannot be changed.
func (s *server) draftOf(ctx context.Context, q *registryRequest, old *tidewaiter.Registry) (*draft, error) {
	url, err := tidewaiter.ParseRegistryURL(q.RegistryURI)
	if err != nil {
		return nil, named("registryUri", err)
	}
	if !hostGoesWith(q.RegistryType, url) && !s.replaced(kindOf(q.RegistryType)) {
		return nil, tidewaiter.Invalid("registryUri", "it is not the address of an %s registry", q.RegistryType)
	}
	r := &tidewaiter.Registry{Origin: tidewaiter.OriginQualys, Kind: kindOf(q.RegistryType)}
	if old != nil {
		copied := *old
		r = &copied
		if err := unchangeable(q, url, old); err != nil {
			return nil, err
		}
	}
	if q.RegistryName != "" {
		r.Name = q.RegistryName
	}
	r.URL, r.Scope, r.Settings = url, q.scope(), q.settings()
	d := &draft{registry: r}
	if err := s.connect(ctx, q, d); err != nil {
		return nil, err
	}
	if d.connector == nil {
		if err := q.login(d, old); err != nil {
			return nil, err
		}
	}
	kept := declared{RegistryType: q.RegistryType, RegistryURI: q.RegistryURI, CredentialType: q.CredentialType,
		DockerHubOrg: q.DockerHubOrgName, AWS: q.AWS, GCP: q.GCP, GCAR: q.GCAR}
	r.Declaration, err = json.Marshal(kept)
	return d, err
}

// unchangeable reports a change of the type or the URL. Qualys: both are required and cannot be updated.
func unchangeable(q *registryRequest, url string, old *tidewaiter.Registry) error {
	was, err := declaredOf(old)
	switch {
	case err != nil:
		return err
	case was.RegistryType != q.RegistryType:
		return tidewaiter.Invalid("registryType", "it cannot be changed from %s to %s", was.RegistryType, q.RegistryType).
			WithFix("delete the registry and create it anew")
	case old.URL != url:
		return tidewaiter.Invalid("registryUri", "it cannot be changed").WithFix("delete the registry and create it anew")
	}
	return nil
}

// scope says which repositories count: all, but for registries that are declared in part.
func (q *registryRequest) scope() tidewaiter.Scope {
	pattern := ""
	switch {
	case q.RegistryType == typeDockerHub && q.DockerHubOrgName != "":
		pattern = strings.ToLower(q.DockerHubOrgName) + "/*"
	case q.RegistryType == typeGCP:
		pattern = q.GCP.ProjectID + "/*"
	case q.RegistryType == typeGAR && q.GCAR.Registry != "":
		pattern = q.GCAR.ProjectID + "/" + q.GCAR.Registry + "/*"
	case q.RegistryType == typeGAR:
		pattern = q.GCAR.ProjectID + "/*"
	}
	if pattern == "" {
		return tidewaiter.Scope{}
	}
	return tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: pattern}}}
}

// settings are what only one kind of registry knows, under the keys package connector documents.
func (q *registryRequest) settings() map[string]string {
	switch {
	case q.RegistryType == typeAWS:
		return map[string]string{"accountId": q.AWS.AccountID, "region": q.AWS.Region}
	case q.RegistryType == typeGCP:
		return map[string]string{"projectId": q.GCP.ProjectID, "location": q.GCP.Location}
	case q.RegistryType == typeGAR && q.GCAR.Registry != "":
		return map[string]string{"projectId": q.GCAR.ProjectID, "repository": q.GCAR.Registry}
	case q.RegistryType == typeGAR:
		return map[string]string{"projectId": q.GCAR.ProjectID}
	case q.DockerHubOrgName != "":
		return map[string]string{"organization": q.DockerHubOrgName}
	}
	return nil
}

// login finds the registry's own login in the request. Qualys: on update an omitted credential keeps the stored one.
func (q *registryRequest) login(d *draft, old *tidewaiter.Registry) error {
	given := q.token() != "" || q.Credential != nil && q.Credential.Username+q.Credential.Password != ""
	if !given && old != nil && q.CredentialType != "None" {
		if was, err := declaredOf(old); err == nil && q.CredentialType == "" {
			q.CredentialType = was.CredentialType
		}
		if old.CredentialID != "" || q.CredentialType == "" {
			return nil
		}
	}
	kind := q.CredentialType
	if kind == "" {
		switch {
		case q.token() != "":
			kind = "Token"
		case given:
			kind = "BasicAuth"
		default:
			kind = "None"
		}
		q.CredentialType = kind
	}
	switch {
	case kind == "None":
		d.registry.CredentialID = ""
		return nil
	case q.token() != "", kind == "Token":
		return q.tokenLogin(d)
	}
	return q.basicLogin(d, old)
}

// tokenLogin makes a login of an access token. Qualys: accessToken is JFrog's and as it is; ours: without it the password is
// the token, and a user name goes along where there is one.
func (q *registryRequest) tokenLogin(d *draft) error {
	user, token := "", q.token()
	var err error
	if q.Credential != nil {
		if user, err = fromBase64("credential.username", q.Credential.Username); err != nil {
			return err
		}
		if token == "" {
			if token, err = fromBase64("credential.password", q.Credential.Password); err != nil {
				return err
			}
		}
	}
	if token == "" {
		return missing("accessToken")
	}
	if strings.ContainsAny(token, "\r\n\x00") || len(token) > 64<<10 {
		return tidewaiter.Invalid("accessToken", "it holds a line break or is too long")
	}
	if q.AccessToken != "" && q.RegistryType == typePrivate && d.registry.ID == "" {
		d.registry.Kind = tidewaiter.KindArtifactory
	}
	d.set(tidewaiter.CredentialToken, user, token)
	return nil
}

func (q *registryRequest) basicLogin(d *draft, old *tidewaiter.Registry) error {
	if q.Credential == nil || q.Credential.Username == "" {
		return missing("credential.username")
	}
	user, err := fromBase64("credential.username", q.Credential.Username)
	if err != nil {
		return err
	}
	password, err := fromBase64("credential.password", q.Credential.Password)
	if err != nil {
		return err
	}
	if user == "" || strings.Contains(user, ":") {
		return tidewaiter.Invalid("credential.username", "the user name is empty or holds a colon")
	}
	if password == "" && !q.keepsPassword(old) {
		return missing("credential.password")
	}
	d.set(tidewaiter.CredentialBasic, user, password)
	return nil
}

// keepsPassword reports whether the stored secret is a password, so that it may stay when only the user name is sent.
func (q *registryRequest) keepsPassword(old *tidewaiter.Registry) bool {
	if old == nil || old.CredentialID == "" {
		return false
	}
	was, err := declaredOf(old)
	return err == nil && was.CredentialType == q.CredentialType
}

// set gives the registry a login of its own; an empty secret keeps the stored one.
func (d *draft) set(kind tidewaiter.CredentialKind, user, plain string) {
	d.own = &tidewaiter.Credential{Kind: kind, Name: d.registry.Name, Username: user, Origin: tidewaiter.OriginQualys}
	if plain != "" {
		v := secret.New(plain)
		d.secret = &v
	}
}

// declaration is what is handed to control.
func (d *draft) declaration() control.Declaration {
	return control.Declaration{Registry: d.registry, Credential: d.own, Secret: d.secret, Clash: d.clash}
}

// clash reports that a registry exists already. Qualys: the name is unique; ours: so is what is looked at, which is the URL
// with the organization, project or repository it is narrowed to.
func (d *draft) clash(other *tidewaiter.Registry) error {
	switch {
	case other.ID == d.registry.ID:
		return nil
	case other.Name == d.registry.Name:
		return &tidewaiter.Error{Kind: tidewaiter.ErrConflict, Field: "registryName",
			Msg: fmt.Sprintf("a registry named %s already exists", d.registry.Name), Fix: "choose another name"}
	case identity(other) == identity(d.registry):
		return &tidewaiter.Error{Kind: tidewaiter.ErrConflict, Field: "registryUri",
			Msg: fmt.Sprintf("a registry with this URL already exists: %s", other.Name), Fix: "update that one"}
	}
	return nil
}

func identity(r *tidewaiter.Registry) string {
	parts := []string{r.URL}
	for _, s := range r.Scope.Select {
		parts = append(parts, s.Repository)
	}
	return strings.Join(parts, " ")
}

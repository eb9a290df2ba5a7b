package qualys

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// settingExternalID keeps what the external id of AWS roles is made from.
const settingExternalID = "qualys.external-id"

// awsBase is Qualys' AwsAccount: whom a role has to trust.
type awsBase struct {
	AccountID  string `json:"accountId"`
	ExternalID int64  `json:"externalId"` // an integer here, a text where it is sent back
}

// getAWSBase tells the account and the external id to name in a role's trust policy. Ours: the account is the installation's
// own; without one nothing can assume a role, and saying so beats making a number up.
func (s *server) getAWSBase(w http.ResponseWriter, r *http.Request) error {
	if s.awsAccount == "" {
		return tidewaiter.Errorf(tidewaiter.ErrNotFound, "no AWS account is configured for this installation").
			WithFix("set the account the server runs as, or let roles trust that account directly")
	}
	id, err := s.externalID(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, awsBase{s.awsAccount, id})
	return nil
}

// externalID returns a number that stays the same for the installation. It fits the 32 bits generated clients have.
func (s *server) externalID(ctx context.Context) (int64, error) {
	random, err := s.control.Suffix(ctx, settingExternalID)
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(random))
	return int64(h.Sum64()%2_000_000_000) + 100_000_000, nil
}

// connectors lists the stored connectors of a kind by id.
func (s *server) connectors(ctx context.Context, kind tidewaiter.CredentialKind) ([]*tidewaiter.Credential, error) {
	var out []*tidewaiter.Credential
	f := control.CredentialFilter{Kind: kind, Page: control.Page{Limit: 5000}}
	for {
		page, next, err := s.control.Credentials(ctx, f)
		if err != nil {
			return nil, err
		}
		if out = append(out, page...); next == "" {
			return out, nil
		}
		f.After = next
	}
}

// postAWSConnector stores a role. Qualys: the answer is 200 without a body. The same ARN again changes that connector.
func (s *server) postAWSConnector(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	var q struct {
		ARN         string `json:"arn"`
		Name        string `json:"name"`
		Description string `json:"description"`
		ExternalID  any    `json:"externalId"` // a text by the documentation, a number from some
		AccountType string `json:"accountType"`
	}
	if err := decode(body, &q); err != nil {
		return err
	}
	switch {
	case !awsARN.MatchString(q.ARN):
		return tidewaiter.Invalid("arn", "it is not the ARN of a role").WithFix("arn:aws:iam::<account>:role/<name>")
	case q.AccountType != "" && q.AccountType != "Global" && q.AccountType != "US_Gov":
		return tidewaiter.Invalid("accountType", "unknown account type %q", cut(q.AccountType, 40)).WithFix("Global or US_Gov")
	}
	if err := describable("name", q.Name, q.Description); err != nil {
		return err
	}
	c := awsConnector(&awsRequest{ARN: q.ARN, AccountType: q.AccountType})
	c.Name, c.Settings["description"] = q.Name, q.Description
	if text, err := json.Marshal(q.ExternalID); err == nil && q.ExternalID != nil {
		c.Settings["externalId"] = cut(strings.Trim(string(text), `"`), 64)
	}
	if err := s.putConnector(r.Context(), c, nil); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// describable bounds the name and description of a connector.
func describable(field, name, description string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return missing(field)
	case len(name) > 256 || len(description) > 4096:
		return tidewaiter.Invalid(field, "the name or the description is too long").WithFix("at most 256 and 4096 characters")
	}
	return nil
}

// putConnector stores a connector, unless its id belongs to something else.
func (s *server) putConnector(ctx context.Context, c *tidewaiter.Credential, plain *secret.Value) error {
	old, err := s.control.Credential(ctx, c.ID)
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrNotFound:
	case err != nil:
		return err
	case old.Kind != c.Kind || old.Origin != c.Origin:
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "%s is the id of something else already", cut(c.ID, 80))
	}
	return s.control.PutCredential(ctx, c, plain)
}

// getAWSConnectors lists the roles. Qualys: an array, though the specification says object.
func (s *server) getAWSConnectors(w http.ResponseWriter, r *http.Request) error {
	found, err := s.connectors(r.Context(), tidewaiter.CredentialAWS)
	if err != nil {
		return err
	}
	account := r.PathValue("accountId")
	out := []shownAWSRole{}
	for _, c := range found {
		role := shownAWSOf(c)
		if m := awsARN.FindStringSubmatch(role.ARN); m != nil && (account == "" || account == m[1]) {
			out = append(out, role)
		}
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// postACRConnector stores an Azure application. Ours: a connectorId, which the specification has, changes that connector.
func (s *server) postACRConnector(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	var q struct {
		ApplicationID string `json:"applicationId"`
		ClientSecret  string `json:"clientSecret"`
		Name          string `json:"name"`
		Description   string `json:"description"`
		ConnectorID   string `json:"connectorId"`
	}
	if err := decode(body, &q); err != nil {
		return err
	}
	switch {
	case q.ApplicationID == "":
		return missing("applicationId")
	case len(q.ApplicationID) > 256 || strings.ContainsAny(q.ApplicationID, ":\r\n"):
		return tidewaiter.Invalid("applicationId", "it is not the id of an application")
	case q.ClientSecret == "":
		return missing("clientSecret")
	}
	if err := describable("name", q.Name, q.Description); err != nil {
		return err
	}
	c := &tidewaiter.Credential{ID: s.newID(), Kind: tidewaiter.CredentialAzure, Name: q.Name, Username: q.ApplicationID,
		Origin: tidewaiter.OriginQualys, Settings: map[string]string{"clientId": q.ApplicationID, "description": q.Description}}
	if q.ConnectorID != "" {
		if _, err := s.shown(r.Context(), q.ConnectorID, tidewaiter.CredentialAzure); err != nil {
			return err
		}
		c.ID = q.ConnectorID
	}
	plain := secret.New(q.ClientSecret)
	if err := s.putConnector(r.Context(), c, &plain); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, acrConnectorOf(c))
	return nil
}

func (s *server) getACRConnectors(w http.ResponseWriter, r *http.Request) error {
	found, err := s.connectors(r.Context(), tidewaiter.CredentialAzure)
	if err != nil {
		return err
	}
	out := make([]acrConnector, len(found))
	for i, c := range found {
		out[i] = acrConnectorOf(c)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// shown returns a stored connector, or ErrNotFound.
func (s *server) shown(ctx context.Context, id string, kind tidewaiter.CredentialKind) (*tidewaiter.Credential, error) {
	c, err := s.control.Credential(ctx, id)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && c.Kind != kind {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "connector %s was not found", cut(id, 80))
	}
	return c, err
}

func (s *server) getACRConnector(w http.ResponseWriter, r *http.Request) error {
	c, err := s.shown(r.Context(), r.PathValue("connectorId"), tidewaiter.CredentialAzure)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, acrConnectorOf(c))
	return nil
}

func (s *server) getGCPConnectors(w http.ResponseWriter, r *http.Request) error {
	found, err := s.connectors(r.Context(), tidewaiter.CredentialGCP)
	if err != nil {
		return err
	}
	out := make([]gcpConnector, len(found))
	for i, c := range found {
		out[i] = gcpConnectorOf(c)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *server) getGCPConnector(w http.ResponseWriter, r *http.Request) error {
	c, err := s.shown(r.Context(), r.PathValue("connectorId"), tidewaiter.CredentialGCP)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, gcpConnectorOf(c))
	return nil
}

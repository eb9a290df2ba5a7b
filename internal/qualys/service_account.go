package qualys

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxServiceAccount is the largest service account file that is read, in bytes. Google's have about 2,400.
const maxServiceAccount = 64 << 10

// serviceAccount is what is looked at in Google's service account file.
type serviceAccount struct {
	Type        string `json:"type"`
	ProjectID   string `json:"project_id"`
	PrivateKey  string `json:"private_key"`
	ClientEmail string `json:"client_email"`
	ClientID    string `json:"client_id"`
}

var clientNumber = regexp.MustCompile(`^[0-9]{1,32}$`)

// postGCPConnector stores a service account. Qualys: the file is the part serviceAccountJson of a form, name and description
// are query parameters; the connector's id is the account's client id, its project the account's. The same account again
// changes that connector.
func (s *server) postGCPConnector(w http.ResponseWriter, r *http.Request) error {
	file, err := serviceAccountFile(w, r)
	if err != nil {
		return err
	}
	var account serviceAccount
	if err := decode(file, &account); err != nil {
		return named("serviceAccountJson", err)
	}
	switch {
	case account.Type != "service_account":
		return tidewaiter.Invalid("serviceAccountJson", "it is not the file of a service account").WithFix(`its "type" is service_account`)
	case !clientNumber.MatchString(account.ClientID):
		return tidewaiter.Invalid("serviceAccountJson", "client_id is missing or not a number")
	case !project.MatchString(account.ProjectID):
		return tidewaiter.Invalid("serviceAccountJson", "project_id is missing or not the id of a project")
	case account.PrivateKey == "" || account.ClientEmail == "":
		return tidewaiter.Invalid("serviceAccountJson", "private_key or client_email is missing")
	}
	values := r.URL.Query()
	name, description := values.Get("name"), values.Get("description")
	if err := describable("name", name, description); err != nil {
		return err
	}
	if id := values.Get("connectorId"); id != "" && id != account.ClientID {
		return tidewaiter.Invalid("connectorId", "the file belongs to another service account")
	}
	c := &tidewaiter.Credential{ID: account.ClientID, Kind: tidewaiter.CredentialGCP, Name: name, Username: account.ClientEmail,
		Origin: tidewaiter.OriginQualys, Settings: map[string]string{"projectId": account.ProjectID, "description": description}}
	plain := secret.New(string(file))
	if err := s.putConnector(r.Context(), c, &plain); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, gcpConnectorOf(c))
	return nil
}

// serviceAccountFile reads the file out of a form; other parts are passed over. Ours: it may be the whole body as well.
func serviceAccountFile(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "multipart/form-data" {
		return readBody(w, r)
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrInvalid, "the form cannot be read")
	}
	for range 20 { // parts
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, tidewaiter.Errorf(tidewaiter.ErrInvalid, "the form is cut short or larger than %d MiB", maxBody>>20)
		}
		if part.FormName() != "serviceAccountJson" {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(part, maxServiceAccount+1))
		if err != nil {
			return nil, tidewaiter.Errorf(tidewaiter.ErrInvalid, "the form was cut short")
		}
		if len(b) > maxServiceAccount {
			return nil, tidewaiter.Invalid("serviceAccountJson", "the file is larger than %d KiB", maxServiceAccount>>10)
		}
		return []byte(strings.TrimSpace(string(b))), nil
	}
	return nil, tidewaiter.Invalid("serviceAccountJson", "the file is missing").WithFix("send it as this part of a form")
}

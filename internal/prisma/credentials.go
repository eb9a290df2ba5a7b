package prisma

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// builtInCredential stands for the role of the machine the server runs on. Prisma: a fresh console has it.
const builtInCredential = "IAM Role"

// getCredentials lists the credential store, whichever surface filled it. Without a limit the list is whole: Terraform
// reads it in one go.
func (s *server) getCredentials(w http.ResponseWriter, r *http.Request) error {
	if err := s.ensureBuiltIn(r.Context()); err != nil {
		return err
	}
	q := queryOf(r.URL)
	p, err := q.page()
	if err != nil {
		return err
	}
	views, err := s.credentialViews(r.Context())
	if err != nil {
		return err
	}
	list := make([]credential, 0, len(views))
	for _, c := range views {
		if wantsCredential(q, &c) {
			list = append(list, c)
		}
	}
	sortCredentials(list, q)
	if q.text("limit") != "" || p.offset > 0 {
		end := len(list)
		if q.text("limit") != "" {
			end = min(end, p.offset+p.limit)
		}
		list = list[min(p.offset, end):end]
	}
	return writeList(w, each(list))
}

// wantsCredential applies the filters of a query. Nothing here is imported from a platform: external and autoImported
// credentials do not exist.
func wantsCredential(q query, c *credential) bool {
	if ids := q.list("ids"); len(ids) > 0 && !slices.Contains(ids, c.ID) {
		return false
	}
	if q.flag("external") || q.flag("autoImported") {
		return false
	}
	if want, ok := q.choice("cloud"); ok {
		return want == isCloud(c.Type)
	}
	return true
}

func isCloud(name string) bool {
	for _, t := range credentialTypes {
		if t.name == name {
			return t.cloud
		}
	}
	return false
}

func sortCredentials(list []credential, q query) {
	slices.SortFunc(list, func(a, b credential) int {
		c := 0
		switch q.text("sort") {
		case "type":
			c = strings.Compare(a.Type, b.Type)
		case "owner":
			c = strings.Compare(a.Owner, b.Owner)
		case "accountName":
			c = strings.Compare(a.AccountName, b.AccountName)
		case "created":
			c = a.Created.Compare(b.Created)
		case "lastModified":
			c = a.LastModified.Compare(b.LastModified)
		}
		return cmp.Or(c, strings.Compare(a.ID, b.ID))
	})
	if q.flag("reverse") {
		slices.Reverse(list)
	}
}

// credentialViews returns all credentials as they are shown, by id.
func (s *server) credentialViews(ctx context.Context) (map[string]credential, error) {
	stored, err := all(func(p control.Page) ([]*tidewaiter.Credential, string, error) {
		return s.control.Credentials(ctx, control.CredentialFilter{Page: p})
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]credential, len(stored))
	for _, c := range stored {
		if out[c.ID], err = shownCredential(c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// postCredential stores a credential under its _id, new or not. A secret that is not sent in plain stays as it is, so that
// what a GET showed can be posted back; changing the type takes a new secret.
func (s *server) postCredential(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	var sent sentCredential
	if err := decodeBody(w, r, &sent); err != nil {
		return err
	}
	cred, plain, err := sent.domain()
	if err != nil {
		return err
	}
	old, err := s.control.Credential(ctx, cred.ID)
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrNotFound:
		if plain == nil && (sent.Secret.Encrypted != "" || sent.APIToken.Encrypted != "") {
			return tidewaiter.Invalid("secret.encrypted", "there is no credential %q whose secret could stay", cut(cred.ID, 80)).
				WithFix("send the secret in plain")
		}
	case err != nil:
		return err
	default:
		keepWhatWasDerived(cred, old, plain == nil)
		if old.Kind != cred.Kind && plain == nil {
			plain = &secret.Value{} // the old secret is of no use to the new type
		}
	}
	return s.control.PutCredential(ctx, cred, plain)
}

// keepWhatWasDerived carries over what an Azure service key said when the key itself stays.
func keepWhatWasDerived(cred, old *tidewaiter.Credential, stays bool) {
	if !stays || cred.Kind != tidewaiter.CredentialAzure || old.Kind != cred.Kind {
		return
	}
	cred.Username = cmp.Or(cred.Username, old.Username)
	for _, name := range []string{"clientId", "subscriptionId", "tenantId"} {
		if value := cmp.Or(cred.Settings[name], old.Settings[name]); value != "" {
			cred.Settings[name] = value
		}
	}
}

func (s *server) deleteCredential(_ http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if id == builtInCredential {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "credential %s is built in and cannot be deleted", id)
	}
	err := s.control.DeleteCredential(r.Context(), id)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return plain(tidewaiter.ErrNotFound, "credential id does not exist")
	}
	return err
}

// credentialUsage is Prisma's CredentialUsage.
type credentialUsage struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

func (s *server) getCredentialUsages(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := s.ensureBuiltIn(r.Context()); err != nil {
		return err
	}
	if _, err := s.control.Credential(r.Context(), id); err != nil {
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
			return plain(tidewaiter.ErrNotFound, "credential id does not exist")
		}
		return err
	}
	used, err := s.control.CredentialUsages(r.Context(), id)
	if err != nil {
		return err
	}
	out := make([]credentialUsage, len(used))
	for i, reg := range used {
		out[i] = credentialUsage{Type: "Registry Scan", Description: usageOf(reg)}
	}
	return writeList(w, each(out))
}

// usageOf describes a registry where a credential or collection is used. Prisma: by the repository; ours: by the host
// where all repositories are meant.
func usageOf(r *tidewaiter.Registry) string {
	if len(r.Scope.Select) > 0 && r.Scope.Select[0].Repository != "" {
		return r.Scope.Select[0].Repository
	}
	return r.Host()
}

// ensureBuiltIn stores the built-in credential where it is not there yet, so that registries can name it.
func (s *server) ensureBuiltIn(ctx context.Context) error {
	if s.seeded.Load() {
		return nil
	}
	_, err := s.control.Credential(ctx, builtInCredential)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		role := sentCredential{credentialFields: credentialFields{ID: builtInCredential, Type: "aws", UseAWSRole: true}}
		var cred *tidewaiter.Credential
		if cred, _, err = role.domain(); err == nil {
			err = s.control.PutCredential(control.WithActor(ctx, "system"), cred, nil)
		}
	}
	if err == nil {
		s.seeded.Store(true)
	}
	return err
}

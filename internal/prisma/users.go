package prisma

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// user is Prisma's User. The password goes in and never comes out.
type user struct {
	Username     string       `json:"username"`
	Password     string       `json:"password,omitempty"`
	AuthType     string       `json:"authType"`
	Role         string       `json:"role"`
	LastModified time.Time    `json:"lastModified"`
	Permissions  []permission `json:"permissions"`
}

// permission is Prisma's Permission. Everybody sees all collections here; what a user may do is the role's.
type permission struct {
	Project     string   `json:"project"`
	Collections []string `json:"collections"`
}

// projectName is what the vendor calls a console that stands alone.
const projectName = "Central Console"

// roles are the vendor's roles there are here, which have the same names. The others are about what runs.
var roles = []struct {
	role        tidewaiter.Role
	description string
}{
	{tidewaiter.RoleAdmin, "Everything, users included"},
	{tidewaiter.RoleAuditor, "Reads everything and changes nothing"},
	{tidewaiter.RoleCI, "Asks for scans and reads results"},
	{tidewaiter.RoleOperator, "Everything but users"},
}

func roleOf(name string) (tidewaiter.Role, error) {
	for _, r := range roles {
		if string(r.role) == name {
			return r.role, nil
		}
	}
	return "", plain(tidewaiter.ErrInvalid, "no such role: "+cut(name, 80))
}

func (s *server) getUsers(w http.ResponseWriter, r *http.Request) error {
	stored, err := s.control.Users(r.Context())
	if err != nil {
		return err
	}
	out := make([]user, len(stored))
	for i, u := range stored {
		out[i] = user{Username: u.Name, AuthType: "basic", Role: string(u.Role), LastModified: u.UpdatedAt.UTC(),
			Permissions: []permission{{Project: projectName, Collections: []string{tidewaiter.CollectionAll}}}}
	}
	return writeList(w, each(out))
}

// readUser reads a user as it is sent.
func readUser(w http.ResponseWriter, r *http.Request) (user, tidewaiter.Role, error) {
	var sent user
	if err := decodeBody(w, r, &sent); err != nil {
		return sent, "", err
	}
	if sent.Username == "" {
		return sent, "", tidewaiter.Invalid("username", "the user name is missing")
	}
	if sent.AuthType != "" && sent.AuthType != "basic" {
		if !slices.Contains([]string{"saml", "ldap", "oauth", "oidc"}, sent.AuthType) {
			return sent, "", tidewaiter.Invalid("authType", "unknown authentication type %q", cut(sent.AuthType, 40)).WithFix("send basic")
		}
		return sent, "", tidewaiter.Invalid("authType", "users of an identity provider are not kept here").WithFix("send basic")
	}
	role, err := roleOf(sent.Role)
	return sent, role, err
}

func (s *server) postUser(w http.ResponseWriter, r *http.Request) error {
	sent, role, err := readUser(w, r)
	if err != nil {
		return err
	}
	if err := s.auth.CreateUser(r.Context(), sent.Username, role, sent.Password); err != nil {
		return err
	}
	return s.control.NoteUser(r.Context(), "user.create", sent.Username)
}

// putUser gives a user another role, and another password when one is sent. Prisma: "If the password is left unspecified,
// it stays".
func (s *server) putUser(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	sent, role, err := readUser(w, r)
	if err != nil {
		return err
	}
	if err := s.control.SetRole(ctx, sent.Username, role); err != nil || sent.Password == "" {
		return err
	}
	if err := s.auth.SetPassword(ctx, sent.Username, sent.Password); err != nil {
		return err
	}
	return s.control.NoteUser(ctx, "user.password", sent.Username)
}

func (s *server) deleteUser(_ http.ResponseWriter, r *http.Request) error {
	return s.control.DeleteUser(r.Context(), r.PathValue("id"))
}

// putPassword changes the password of whoever asks, who has to know the old one.
func (s *server) putPassword(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	var sent struct {
		OldPassword string `json:"oldPassword"`
		NewPassword string `json:"newPassword"`
	}
	if err := decodeBody(w, r, &sent); err != nil {
		return err
	}
	if sent.OldPassword == "" || sent.NewPassword == "" {
		return tidewaiter.Invalid("newPassword", "both passwords are needed").WithFix("send oldPassword and newPassword")
	}
	name := userOf(ctx).Name
	if _, err := s.auth.Login(ctx, name, sent.OldPassword, r.RemoteAddr); err != nil {
		if tidewaiter.KindOf(err) == tidewaiter.ErrUnauthorized {
			return tidewaiter.Invalid("oldPassword", "the old password is wrong")
		}
		return err
	}
	if err := s.auth.SetPassword(ctx, name, sent.NewPassword); err != nil {
		return err
	}
	return s.control.NoteUser(ctx, "user.password", name)
}

// role is what a console says of a role.
type role struct {
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Perms       []rolePerm `json:"perms"`
	System      bool       `json:"system"`
}

type rolePerm struct {
	Name      string `json:"name"`
	ReadWrite bool   `json:"readWrite"`
}

// permissionNames pairs the vendor's permissions with what it takes here to read, and to write.
var permissionNames = []struct {
	name        string
	read, write tidewaiter.Permission
}{
	{"collections", tidewaiter.MayReadPolicies, tidewaiter.MayWritePolicies},
	{"manageCreds", tidewaiter.MayReadCredentials, tidewaiter.MayWriteCredentials},
	{"monitorCompliance", tidewaiter.MayReadImages, tidewaiter.MayScan},
	{"monitorImages", tidewaiter.MayReadImages, tidewaiter.MayScan},
	{"monitorVuln", tidewaiter.MayReadImages, tidewaiter.MayScan},
	{"policyContainers", tidewaiter.MayReadPolicies, tidewaiter.MayWritePolicies},
	{"systemOperations", tidewaiter.MayReadSettings, tidewaiter.MayWriteSettings},
	{"userManagement", tidewaiter.MayManageUsers, tidewaiter.MayManageUsers},
}

// getRoles lists the roles with the vendor's names of what each may do.
func (s *server) getRoles(w http.ResponseWriter, _ *http.Request) error {
	out := make([]role, len(roles))
	for i, r := range roles {
		out[i] = role{Name: string(r.role), Description: r.description, Perms: []rolePerm{}, System: true}
		for _, p := range permissionNames {
			if r.role.May(p.read) {
				out[i].Perms = append(out[i].Perms, rolePerm{p.name, r.role.May(p.write)})
			}
		}
	}
	return writeList(w, each(out))
}

// getNothing answers with an empty list: there are no groups here, so no client finds one.
func (s *server) getNothing(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, nil)
	return nil
}

// userCollection is Prisma's UserCollection.
type userCollection struct {
	Name  string `json:"name"`
	Color string `json:"color"`
}

// getCurrentCollections lists the collections the user may see, which are all.
func (s *server) getCurrentCollections(w http.ResponseWriter, r *http.Request) error {
	known, err := s.collections(r.Context())
	if err != nil {
		return err
	}
	out := []userCollection{}
	for _, c := range known {
		shown, err := shownCollection(&c)
		if err != nil {
			return err
		}
		out = append(out, userCollection{Name: shown.Name, Color: shown.Color})
	}
	slices.SortFunc(out, func(a, b userCollection) int { return strings.Compare(a.Name, b.Name) })
	return writeList(w, each(out))
}

// userProject is Prisma's UserProject.
type userProject struct {
	ID           string    `json:"_id"`
	Address      string    `json:"address"`
	Connected    bool      `json:"connected"`
	CreationTime time.Time `json:"creationTime"`
}

// getCurrentProjects lists the one project there is.
func (s *server) getCurrentProjects(w http.ResponseWriter, _ *http.Request) error {
	return writeList(w, each([]userProject{{ID: projectName, Connected: true}}))
}

package tidewaiter

import (
	"slices"
	"time"
)

// User is somebody who may log in.
type User struct {
	Name         string
	Role         Role
	PasswordHash string `json:"-"` // argon2id in PHC form
	CreatedAt    time.Time
	UpdatedAt    time.Time
	LastLogin    time.Time
}

// Role is a named set of permissions.
type Role string

// The roles.
const (
	RoleAdmin    Role = "admin"
	RoleOperator Role = "operator" // everything but users and keys
	RoleAuditor  Role = "auditor"  // reads everything, changes nothing
	RoleCI       Role = "ci"       // asks for scans and verdicts
)

// Permission is leave to do one sort of thing. Every handler asks for one.
type Permission string

// The permissions.
const (
	MayReadRegistries   Permission = "registries.read"
	MayWriteRegistries  Permission = "registries.write"
	MayReadImages       Permission = "images.read"
	MayWriteImages      Permission = "images.write"
	MayScan             Permission = "scans.run"
	MayReadCredentials  Permission = "credentials.read"
	MayWriteCredentials Permission = "credentials.write"
	MayReadPolicies     Permission = "policies.read"
	MayWritePolicies    Permission = "policies.write"
	MayReadSettings     Permission = "settings.read"
	MayWriteSettings    Permission = "settings.write"
	MayManageUsers      Permission = "users.manage"
)

var rolePermissions = map[Role][]Permission{
	RoleOperator: {MayReadRegistries, MayWriteRegistries, MayReadImages, MayWriteImages, MayScan, MayReadCredentials,
		MayWriteCredentials, MayReadPolicies, MayWritePolicies, MayReadSettings, MayWriteSettings},
	RoleAuditor: {MayReadRegistries, MayReadImages, MayReadCredentials, MayReadPolicies, MayReadSettings},
	RoleCI:      {MayReadImages, MayScan, MayReadPolicies},
}

// Permissions returns what the role may do.
func (r Role) Permissions() []Permission {
	if r == RoleAdmin {
		return append(RoleOperator.Permissions(), MayManageUsers)
	}
	return append([]Permission(nil), rolePermissions[r]...)
}

// May reports whether the role has a permission.
func (r Role) May(p Permission) bool {
	return slices.Contains(r.Permissions(), p)
}

package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Users returns all users by name.
func (c *Control) Users(ctx context.Context) ([]*tidewaiter.User, error) { return c.store.Users(ctx) }

// NoteUser leaves a line in the audit log about what package auth did to a user: "user.create", "user.password".
func (c *Control) NoteUser(ctx context.Context, action, name string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error { return c.audit(ctx, tx, action, name, "") })
}

// SetRole gives a user another role. Errors: ErrNotFound; ErrInvalid for an unknown role; ErrConflict when nobody would be
// left who can manage users.
func (c *Control) SetRole(ctx context.Context, name string, role tidewaiter.Role) error {
	if len(role.Permissions()) == 0 {
		return tidewaiter.Invalid("role", "unknown role %q", role)
	}
	return c.changeUser(ctx, "user.role", name, func(tx *store.Tx, u *tidewaiter.User) (bool, error) {
		u.Role, u.UpdatedAt = role, c.now()
		return role.May(tidewaiter.MayManageUsers), tx.PutUser(ctx, u)
	})
}

// DeleteUser removes a user, whose tokens end with that. Errors: ErrNotFound; ErrConflict for the user who asks, and for the
// last who can manage users.
func (c *Control) DeleteUser(ctx context.Context, name string) error {
	if name == ActorFrom(ctx) {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "you cannot delete the user you are logged in as")
	}
	return c.changeUser(ctx, "user.delete", name, func(tx *store.Tx, _ *tidewaiter.User) (bool, error) {
		return false, tx.DeleteUser(ctx, name)
	})
}

// changeUser changes one user. change reports whether that user can manage users afterwards.
func (c *Control) changeUser(ctx context.Context, action, name string, change func(*store.Tx, *tidewaiter.User) (manages bool, err error)) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		// One after the other, so that two cannot each take the other for the last administrator.
		if err := tx.LockOrigin(ctx, "users"); err != nil {
			return err
		}
		all, err := tx.Users(ctx)
		if err != nil {
			return err
		}
		var user *tidewaiter.User
		others := 0
		for _, u := range all {
			switch {
			case u.Name == name:
				user = u
			case u.Role.May(tidewaiter.MayManageUsers):
				others++
			}
		}
		if user == nil {
			return tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no user %q", name)
		}
		manages, err := change(tx, user)
		if err != nil {
			return err
		}
		if !manages && others == 0 {
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "%q is the last user who can manage users", name).
				WithFix("give another user the role admin first")
		}
		return c.audit(ctx, tx, action, name, string(user.Role))
	})
}

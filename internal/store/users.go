package store

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type userRow struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	Name         string `bun:",pk"`
	Role         string
	PasswordHash string
	CreatedAt    int64
	UpdatedAt    int64
	LastLogin    int64
}

func (row *userRow) user() *tidewaiter.User {
	return &tidewaiter.User{
		Name: row.Name, Role: tidewaiter.Role(row.Role), PasswordHash: row.PasswordHash,
		CreatedAt: timeOf(row.CreatedAt), UpdatedAt: timeOf(row.UpdatedAt), LastLogin: timeOf(row.LastLogin),
	}
}

// User returns one user, or ErrNotFound.
func (r *Reader) User(ctx context.Context, name string) (*tidewaiter.User, error) {
	var row userRow
	if err := r.selectFrom(&row).Where("u.name = ?", text(name)).Scan(ctx); err != nil {
		return nil, fail(err, "user %s", strconv.Quote(name))
	}
	return row.user(), nil
}

// Users returns all users by name.
func (r *Reader) Users(ctx context.Context) ([]*tidewaiter.User, error) {
	var found []userRow
	if err := r.selectFrom(&found).OrderExpr("u.name").Scan(ctx); err != nil {
		return nil, fail(err, "list users")
	}
	out := make([]*tidewaiter.User, len(found))
	for i := range found {
		out[i] = found[i].user()
	}
	return out, nil
}

// PutUser stores a user in place of the one with the same name; CreatedAt of that one stays.
func (tx *Tx) PutUser(ctx context.Context, u *tidewaiter.User) error {
	row := userRow{
		Name: text(u.Name), Role: string(u.Role), PasswordHash: u.PasswordHash,
		CreatedAt: micros(u.CreatedAt), UpdatedAt: micros(u.UpdatedAt), LastLogin: micros(u.LastLogin),
	}
	_, err := tx.insert(&row).On("conflict (name) do update").Set("role = excluded.role").Set("password_hash = excluded.password_hash").
		Set("updated_at = excluded.updated_at").Set("last_login = excluded.last_login").Exec(ctx)
	return fail(err, "store user %s", strconv.Quote(u.Name))
}

// TouchUser stores when a user last logged in; ErrNotFound when there is none of that name.
func (tx *Tx) TouchUser(ctx context.Context, name string, at time.Time) error {
	res, err := tx.raw("update users set last_login = ? where name = ?", micros(at), name).Exec(ctx)
	return fail(one(res, err), "user %s", strconv.Quote(name))
}

// DeleteUser removes a user; ErrNotFound when there is none of that name.
func (tx *Tx) DeleteUser(ctx context.Context, name string) error {
	res, err := tx.raw("delete from users where name = ?", text(name)).Exec(ctx)
	return fail(one(res, err), "delete user %s", strconv.Quote(name))
}

// UserAccounts is the users as package auth wants them: every change in a transaction of its own.
type UserAccounts struct{ *DB }

// PutUser creates or replaces a user.
func (u UserAccounts) PutUser(ctx context.Context, user *tidewaiter.User) error {
	return u.Update(ctx, func(tx *Tx) error { return tx.PutUser(ctx, user) })
}

// TouchUser notes that a user logged in.
func (u UserAccounts) TouchUser(ctx context.Context, name string, at time.Time) error {
	return u.Update(ctx, func(tx *Tx) error { return tx.TouchUser(ctx, name, at) })
}

// CountUsers returns how many users there are.
func (u UserAccounts) CountUsers(ctx context.Context) (int, error) {
	all, err := u.Users(ctx)
	return len(all), err
}

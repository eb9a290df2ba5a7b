package app

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// users lets auth write to the store without knowing its transactions.
type users struct{ *store.DB }

func (u users) PutUser(ctx context.Context, user *tidewaiter.User) error {
	return u.Update(ctx, func(tx *store.Tx) error { return tx.PutUser(ctx, user) })
}

func (u users) TouchUser(ctx context.Context, name string, at time.Time) error {
	return u.Update(ctx, func(tx *store.Tx) error { return tx.TouchUser(ctx, name, at) })
}

func (u users) CountUsers(ctx context.Context) (int, error) {
	all, err := u.Users(ctx)
	return len(all), err
}

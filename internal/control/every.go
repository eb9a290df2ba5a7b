package control

import "github.com/tidewaiter/tidewaiter/internal/store"

// every reads a list to its end.
func every[T any](list func(store.Page) ([]T, string, error)) ([]T, error) {
	var all []T
	for page := (store.Page{Limit: store.MaxLimit}); ; {
		items, next, err := list(page)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next == "" {
			return all, nil
		}
		page.After = next
	}
}

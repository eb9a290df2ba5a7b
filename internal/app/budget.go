package app

import (
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

// openBudget makes the budget of what is sent to registries, which on PostgreSQL is that of all processes together. Its places
// are held under the queue's name for this process, so that they come free with its jobs when it dies.
func (a *App) openBudget() *oci.Budget {
	budget := oci.NewBudget(a.cfg.Limits, time.Now)
	if a.budgets = a.store.Budgets(a.queue.ID()); a.budgets != nil {
		budget.Share(a.budgets)
	}
	return budget
}

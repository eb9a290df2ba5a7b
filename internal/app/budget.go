package app

import (
	"time"

	"github.com/google/uuid"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

// openBudget makes the budget of what is sent to registries, which on PostgreSQL is that of all processes together.
func (a *App) openBudget() *oci.Budget {
	budget := oci.NewBudget(a.cfg.Limits, time.Now)
	if a.budgets = a.store.Budgets(uuid.NewString()); a.budgets != nil {
		budget.Share(a.budgets)
	}
	return budget
}

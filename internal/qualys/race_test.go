package qualys_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/control"
)

// TestOneOfManyIsFirst creates the same registry many times at once: one is stored, with its login, and no login is left over.
func TestOneOfManyIsFirst(t *testing.T) {
	c := start(t)
	var made, refused atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			switch a := c.call("POST", "/registry", private("same", fmt.Sprintf("https://r%d.example.com", i), "u", "p")); a.status {
			case http.StatusOK:
				made.Add(1)
			case http.StatusConflict:
				refused.Add(1)
			default:
				t.Errorf("%+v", a)
			}
		})
	}
	group.Wait()
	logins, _, err := c.control.Credentials(t.Context(), control.CredentialFilter{})
	c.must(err)
	if made.Load() != 1 || refused.Load() != 7 || len(logins) != 1 || len(c.jobs.take()) != 1 {
		t.Errorf("%d made, %d refused, %d logins", made.Load(), refused.Load(), len(logins))
	}
}

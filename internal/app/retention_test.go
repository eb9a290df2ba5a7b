package app_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
)

// TestStatusSaysWhatIsKept starts a server with numbers of its own, and again without: the numbers are the server's, not what
// an earlier start left behind.
func TestStatusSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		c := app.Config{Data: t.TempDir(), Database: database, Advisories: []string{"127.0.0.1:1/none:1"}, Retention: control.Retention{Events: 3, Dead: 60}}
		for _, want := range []client.Retention{
			{Gone: 30, History: 365, Changes: 90, Events: 3, Deliveries: 7, DeadDeliveries: 60},
			{Gone: 30, History: 365, Changes: 90, Events: 7, Deliveries: 7, DeadDeliveries: 30},
		} {
			s := start(t, c)
			own, err := client.New(s.URL(), client.Basic("admin", adminPassword))
			if err != nil {
				t.Fatal(err)
			}
			status, err := own.Status(t.Context())
			if err != nil || status.Retention != want {
				t.Errorf("%+v, %v; want %+v", status, err, want)
			}
			s.stop()
			c.Retention = control.Retention{}
		}
	})
}

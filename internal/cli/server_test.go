package cli_test

import (
	"context"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// serverPassword is that of the administrator of servers that commands are tried against.
const serverPassword = "correct horse battery staple"

// runServer runs a server until the test ends, and has commands go to it. Without references of advisories it has none.
func runServer(t *testing.T, advisories ...string) *app.App {
	t.Helper()
	if len(advisories) == 0 {
		advisories = []string{"127.0.0.1:1/none:1"}
	}
	a, err := app.New(t.Context(), app.Config{Listen: "127.0.0.1:0", Data: t.TempDir(), AllowLoopback: true, PlainHTTPAdvisories: true,
		AdminPassword: secret.New(serverPassword), Advisories: advisories})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TIDEWAITER_SERVER", a.URL())
	t.Setenv("TIDEWAITER_PASSWORD", serverPassword)
	return a
}

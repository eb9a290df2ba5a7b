package opinion

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// CheckHost judges what can be judged of a scanner's host before it is asked. ErrDenied.
func (a *Asker) CheckHost(host string) error { return a.Outbound.CheckHost(host) }

// CheckTLS reports whether a TLS setting can be used. ErrInvalid.
func (a *Asker) CheckTLS(t tidewaiter.TLS) error {
	_, err := a.Outbound.Transport(t)
	return err
}

// Check asks a scanner, stored or not, what it is and can do. Nothing is stored.
func (a *Asker) Check(ctx context.Context, s *tidewaiter.Scanner, secrets *Secrets) (tidewaiter.ScannerAbout, error) {
	c, err := a.client(s, secrets)
	if err != nil {
		return tidewaiter.ScannerAbout{}, err
	}
	return c.metadata(ctx)
}

package app

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/opinion"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openOpinions plugs what asks other scanners into the queue. Scanners may be at private addresses, as registries may.
func (a *App) openOpinions(connections *connector.Connector, keyring *secret.Keyring) *opinion.Asker {
	outbound := oci.NewOutbound(oci.OutboundOptions{AllowLoopback: a.cfg.AllowLoopback, AllowPrivate: true})
	a.onClose(func() error { outbound.Close(); return nil })
	asker := opinion.New(opinion.Config{
		Store: a.store, Jobs: a.queue, Keyring: keyring, Outbound: outbound, UserAgent: "tidewaiter/" + a.cfg.Version, Now: time.Now, Log: a.cfg.Log,
		Lend: func(ctx context.Context, registryID, repository string, what tidewaiter.ScannerLend) (opinion.Loan, error) {
			source, err := connections.Open(ctx, registryID)
			if err != nil {
				return opinion.Loan{}, err
			}
			loan, err := source.Lend(ctx, repository, what)
			return opinion.Loan(loan), err
		},
	})
	a.queue.Handle(opinion.JobSweep, asker.Sweep)
	a.queue.Handle(opinion.JobStep, asker.Step)
	a.queue.Periodic("opinions", a.cfg.OpinionEvery, tidewaiter.Job{Kind: opinion.JobSweep, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
	return asker
}

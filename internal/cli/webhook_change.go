package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// firstLine reads a line from standard input.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPasswordBytes)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

type (
	webhookOnCommand  struct{ oneWebhook }
	webhookOffCommand struct{ oneWebhook }
)

// Run switches a webhook on.
func (c webhookOnCommand) Run(ctx context.Context, s streams) error {
	return c.change(ctx, s, func(d *client.WebhookDraft) { d.Disabled = false })
}

// Run switches a webhook off.
func (c webhookOffCommand) Run(ctx context.Context, s streams) error {
	return c.change(ctx, s, func(d *client.WebhookDraft) { d.Disabled = true })
}

func (c oneWebhook) change(ctx context.Context, s streams, change func(*client.WebhookDraft)) error {
	server, w, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	draft := client.WebhookDraft{Name: w.Name, Format: w.Format, Topics: w.Topics, Filter: w.Filter, PerHour: w.PerHour, Disabled: w.Disabled, TLS: w.TLS}
	change(&draft)
	_, err = server.ChangeWebhook(ctx, w.ID, draft)
	return refused(err)
}

type webhookRotateCommand struct {
	Overlap time.Duration `help:"How long messages are signed with the old secret too." default:"24h"`
	oneWebhook
}

// Run gives a webhook another secret and shows it, this once.
func (c webhookRotateCommand) Run(ctx context.Context, s streams) error {
	server, w, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	if w, err = server.RotateWebhook(ctx, w.ID, client.WebhookSecret{Overlap: c.Overlap.String()}); err != nil {
		return refused(err)
	}
	return showSecret(s, c.Output, w)
}

type webhookRemoveCommand struct{ oneWebhook }

// Run removes a webhook.
func (c webhookRemoveCommand) Run(ctx context.Context, s streams) error {
	server, w, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	return refused(server.RemoveWebhook(ctx, w.ID))
}

type webhookTestCommand struct{ oneWebhook }

// Run sends a test. That the receiver did not take it is an error.
func (c webhookTestCommand) Run(ctx context.Context, s streams) error {
	server, w, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	d, err := server.TestWebhook(ctx, w.ID)
	if err != nil {
		return refused(err)
	}
	if err := showDeliveries(s, c.Output, []client.WebhookDelivery{*d}); err != nil {
		return err
	}
	if d.State != "done" {
		return tidewaiter.Errorf(tidewaiter.ErrUnreachable, "the test did not arrive: %s", d.Error)
	}
	return nil
}

type webhookDeliveriesCommand struct {
	State string `help:"Only in this state: ${enum}." enum:",waiting,sending,done,dead" default:"" placeholder:"STATE"`
	Limit int    `help:"At most so many; 0 is all." default:"100" placeholder:"N"`
	oneWebhook
}

// Run lists deliveries.
func (c webhookDeliveriesCommand) Run(ctx context.Context, s streams) error {
	server, w, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	list, err := pages(c.Limit, func(limit int, after string) (*client.Page[client.WebhookDelivery], error) {
		return server.WebhookDeliveries(ctx, w.ID, client.DeliveryQuery{State: c.State, Limit: limit, After: after})
	})
	if err != nil {
		return refused(err)
	}
	return showDeliveries(s, c.Output, list)
}

func showDeliveries(s streams, output string, list []client.WebhookDelivery) error {
	if output == "json" {
		return json.NewEncoder(s.out).Encode(list)
	}
	t := newColumns("ID", "CREATED", "STATE", "TRIES", "STATUS", "TITLE", "ERROR")
	for _, d := range list {
		status := ""
		if d.Status != 0 {
			status = strconv.Itoa(d.Status)
		}
		t.row(d.ID, when(d.CreatedAt), d.State, strconv.Itoa(d.Attempts), status, d.Title, d.Error)
	}
	return t.write(s.out)
}

type webhookReplayCommand struct {
	oneWebhook
	Delivery string `arg:"" optional:"" help:"The delivery's id; without it all that were given up."`
}

// Run has deliveries sent again.
func (c webhookReplayCommand) Run(ctx context.Context, s streams) error {
	server, w, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	if c.Delivery != "" {
		return refused(server.ReplayDelivery(ctx, w.ID, c.Delivery))
	}
	n, err := server.ReplayDead(ctx, w.ID)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(n)
	}
	sayf(s.out, "%d deliveries are sent again\n", n.Deliveries)
	return nil
}

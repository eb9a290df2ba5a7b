package cli

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type webhookCommand struct {
	Add        webhookAddCommand        `cmd:"" help:"Tell somebody of what happens from now on."`
	List       webhookListCommand       `cmd:"" help:"List the webhooks."`
	Show       webhookShowCommand       `cmd:"" help:"Show one webhook."`
	Edit       webhookEditCommand       `cmd:"" help:"Change a webhook; what is not given stays."`
	Test       webhookTestCommand       `cmd:"" help:"Send a webhook a test now and show what came of it."`
	On         webhookOnCommand         `cmd:"" help:"Switch a webhook on."`
	Off        webhookOffCommand        `cmd:"" help:"Switch a webhook off; what waits goes on waiting."`
	Rotate     webhookRotateCommand     `cmd:"" help:"Give a webhook another signing secret."`
	Remove     webhookRemoveCommand     `cmd:"" help:"Remove a webhook with its deliveries."`
	Deliveries webhookDeliveriesCommand `cmd:"" help:"List what a webhook was told and is to be told, newest first."`
	Replay     webhookReplayCommand     `cmd:"" help:"Send a delivery that has ended again, or all that were given up."`
}

type webhookAddCommand struct {
	Name         string            `arg:"" help:"What to call it."`
	URL          string            `arg:"" help:"Where to send it. \"-\" reads it from standard input: the address may be a secret."`
	Format       string            `help:"${enum}." enum:"cloudevents,slack,json" default:"cloudevents"`
	Topics       []string          `help:"What to tell: scan.finished, finding.new, verdict.changed, registry.failing, registry.recovered; all when it is left out." placeholder:"TOPIC"`
	Severity     string            `help:"Only new findings at or above: ${enum}." enum:"critical,high,medium,low,negligible,unknown" default:"unknown"`
	Fixable      bool              `help:"Only new findings that a newer version mends."`
	NewImages    bool              `help:"Also what is found in images that are judged for the first time."`
	Registries   []string          `help:"Only of these registries." placeholder:"ID"`
	Repositories []string          `help:"Only of repositories that match, with * for anything." placeholder:"PATTERN"`
	Collections  []string          `help:"Only of images in these collections." placeholder:"NAME"`
	PerHour      int               `help:"At most so many messages about images in an hour; what is beyond comes in one summary. 0 is no limit." default:"0" placeholder:"N"`
	Header       map[string]string `help:"Send this header too; may be given more than once." placeholder:"NAME=VALUE"`
	CACert       []byte            `help:"Trust the authority in this file too." name:"ca-cert" type:"filecontent" placeholder:"FILE"`
	Off          bool              `help:"Do not switch it on yet."`
	remoteFlags
}

// Run adds a webhook and shows its secret, this once.
func (c webhookAddCommand) Run(ctx context.Context, s streams) error {
	if c.URL == "-" {
		if c.PasswordStdin {
			return tidewaiter.Invalid("password-stdin", "standard input holds the address").WithFix("set TIDEWAITER_PASSWORD instead")
		}
		address, err := firstLine(s.in)
		if err != nil {
			return err
		}
		c.URL = address
	}
	if len(c.Topics) == 0 {
		for _, t := range tidewaiter.Topics() {
			c.Topics = append(c.Topics, string(t))
		}
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	w, err := server.AddWebhook(ctx, client.WebhookDraft{
		Name: c.Name, URL: c.URL, Format: c.Format, Topics: c.Topics, PerHour: c.PerHour, Disabled: c.Off, Headers: c.Header,
		TLS: client.WebhookTLS{CACert: string(c.CACert)}, Filter: client.WebhookFilter{Registries: c.Registries, Repositories: c.Repositories,
			Collections: c.Collections, MinSeverity: c.Severity, OnlyFixable: c.Fixable, NewImages: c.NewImages},
	})
	if err != nil {
		return refused(err)
	}
	return showSecret(s, c.Output, w)
}

// showSecret shows a webhook whose secret was just set.
func showSecret(s streams, output string, w *client.Webhook) error {
	if output == "json" {
		return json.NewEncoder(s.out).Encode(w) //nolint:gosec // a secret that was just made is shown once, to whoever asked for it
	}
	t := newColumns("ID", "NAME", "ADDRESS", "SECRET")
	t.row(w.ID, w.Name, w.Address, w.Secret)
	if err := t.write(s.out); err != nil || w.Secret == "" {
		return err
	}
	sayf(s.err, "Messages are signed with the secret. It is not shown again.\n")
	return nil
}

type webhookListCommand struct{ remoteFlags }

// Run lists webhooks by name.
func (c webhookListCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	list, err := server.Webhooks(ctx)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(list) //nolint:gosec // lists hold no secrets: the field is for the moment one is made
	}
	t := newColumns("ID", "NAME", "ADDRESS", "FORMAT", "ON", "TOPICS")
	for _, w := range list {
		t.row(w.ID, w.Name, w.Address, w.Format, onOff(w.Disabled), strings.Join(w.Topics, " "))
	}
	return t.write(s.out)
}

func onOff(disabled bool) string {
	if disabled {
		return "off"
	}
	return "on"
}

// oneWebhook is a command about one webhook.
type oneWebhook struct {
	ID string `arg:"" help:"The webhook's id or name."`
	remoteFlags
}

// find returns the client and the webhook meant, by id or, when no id is like that, by name.
func (c oneWebhook) find(ctx context.Context, s streams) (*client.Client, *client.Webhook, error) {
	server, err := c.client(s)
	if err != nil {
		return nil, nil, err
	}
	list, err := server.Webhooks(ctx)
	if err != nil {
		return nil, nil, refused(err)
	}
	for i := range list {
		if list[i].ID == c.ID {
			return server, &list[i], nil
		}
	}
	for i := range list {
		if list[i].Name == c.ID {
			return server, &list[i], nil
		}
	}
	return nil, nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no webhook %q", c.ID).WithFix("see tidewaiter webhook list")
}

type webhookShowCommand struct{ oneWebhook }

// Run shows a webhook.
func (c webhookShowCommand) Run(ctx context.Context, s streams) error {
	server, w, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	if w, err = server.Webhook(ctx, w.ID); err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(w) //nolint:gosec // a secret that was just made is shown once, to whoever asked for it
	}
	f := w.Filter
	t := newColumns("FIELD", "VALUE")
	for _, row := range [][]string{
		{"id", w.ID}, {"name", w.Name}, {"address", w.Address}, {"format", w.Format}, {"state", onOff(w.Disabled)}, {"topics", strings.Join(w.Topics, " ")},
		{"severity", f.MinSeverity}, {"only fixable", strconv.FormatBool(f.OnlyFixable)}, {"new images", strconv.FormatBool(f.NewImages)},
		{"registries", strings.Join(f.Registries, " ")}, {"repositories", strings.Join(f.Repositories, " ")}, {"collections", strings.Join(f.Collections, ", ")},
		{"per hour", strconv.Itoa(w.PerHour)}, {"signed", strconv.FormatBool(w.Signed)}, {"old secret until", when(w.PreviousUntil)},
		{"headers", strings.Join(w.Headers, " ")}, {"paused until", when(w.PausedUntil)}, {"waiting", strconv.Itoa(w.Deliveries["waiting"] + w.Deliveries["sending"])},
		{"delivered", strconv.Itoa(w.Deliveries["done"])}, {"dead", strconv.Itoa(w.Deliveries["dead"])},
	} {
		t.row(row...)
	}
	return t.write(s.out)
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime) //nolint:gosmopolitan // people read it where they are
}

package cli

import (
	"context"
	"reflect"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// webhookChanges is what can be changed of a webhook. What is nil stays.
type webhookChanges struct {
	Name         *string           `help:"Call it this." placeholder:"NAME"`
	URL          *string           `help:"Send it here. \"-\" reads the address from standard input: it may be a secret. Headers do not follow to another host: give them again." placeholder:"URL"`
	Format       *string           `help:"cloudevents, slack or json." placeholder:"FORMAT"`
	Topics       []string          `help:"What to tell, instead of all it was told before." placeholder:"TOPIC"`
	Severity     *string           `help:"Only new findings at or above: critical, high, medium, low, negligible, unknown." placeholder:"SEVERITY"`
	Fixable      *bool             `help:"Only new findings that a newer version mends." negatable:""`
	NewImages    *bool             `help:"Also what is found in images that are judged for the first time." negatable:""`
	Registries   []string          `help:"Only of these registries." placeholder:"ID"`
	Repositories []string          `help:"Only of repositories that match, with * for anything." placeholder:"PATTERN"`
	Collections  []string          `help:"Only of images in these collections." placeholder:"NAME"`
	PerHour      *int              `help:"At most so many messages about images in an hour. 0 is no limit." placeholder:"N"`
	Header       map[string]string `help:"Send this header, instead of all that were sent before; may be given more than once." placeholder:"NAME=VALUE"`
	CACert       []byte            `help:"Trust the authority in this file too." name:"ca-cert" type:"filecontent" placeholder:"FILE"`
	Clear        []string          `help:"Restrict it by these no more, or send and trust them no more: ${enum}. With commas." enum:"registries,repositories,collections,headers,ca-cert" placeholder:"WHAT"`
}

type webhookEditCommand struct {
	webhookChanges
	oneWebhook
}

// Help says what stays.
func (webhookEditCommand) Help() string {
	return `What is not given stays as it is, the signing secret too (see tidewaiter webhook rotate). What waits to be sent goes to the new
address.`
}

// Run changes a webhook.
func (c webhookEditCommand) Run(ctx context.Context, s streams) error {
	if reflect.ValueOf(c.webhookChanges).IsZero() {
		return tidewaiter.Invalid("webhook", "nothing is to be changed").WithFix("see tidewaiter webhook edit --help")
	}
	if c.URL != nil && *c.URL == "-" {
		if c.PasswordStdin {
			return tidewaiter.Invalid("password-stdin", "standard input holds the address").WithFix("set TIDEWAITER_PASSWORD instead")
		}
		address, err := firstLine(s.in)
		if err != nil {
			return err
		}
		c.URL = &address
	}
	if c.URL != nil && *c.URL == "" { // the server would keep the one it has
		return tidewaiter.Invalid("url", "the address is empty")
	}
	return c.change(ctx, s, c.apply)
}

// apply makes the changes.
func (c webhookChanges) apply(d *client.WebhookDraft) {
	set(&d.Name, c.Name)
	set(&d.URL, c.URL)
	set(&d.Format, c.Format)
	set(&d.PerHour, c.PerHour)
	if len(c.CACert) > 0 {
		d.TLS.CACert = string(c.CACert)
	}
	set(&d.Filter.MinSeverity, c.Severity)
	set(&d.Filter.OnlyFixable, c.Fixable)
	set(&d.Filter.NewImages, c.NewImages)
	replace(&d.Topics, c.Topics)
	replace(&d.Filter.Registries, c.Registries)
	replace(&d.Filter.Repositories, c.Repositories)
	replace(&d.Filter.Collections, c.Collections)
	if len(c.Header) > 0 {
		d.Headers = c.Header
	}
	for _, what := range c.Clear {
		switch what {
		case "registries":
			d.Filter.Registries = nil
		case "repositories":
			d.Filter.Repositories = nil
		case "collections":
			d.Filter.Collections = nil
		case "headers":
			d.Headers = map[string]string{}
		case "ca-cert":
			d.TLS.CACert = ""
		}
	}
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func replace(to *[]string, from []string) {
	if len(from) > 0 {
		*to = from
	}
}

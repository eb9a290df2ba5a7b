package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type eventsCommand struct {
	List    eventsListCommand    `cmd:"" help:"List what registries told of, newest first."`
	Show    eventsShowCommand    `cmd:"" help:"Show one event, with what was delivered and what followed."`
	Replay  eventsReplayCommand  `cmd:"" help:"Have events looked at once more."`
	Address eventsAddressCommand `cmd:"" help:"Where a registry is to send its events, and how to set it up there."`
	Source  eventsSourceCommand  `cmd:"" help:"The queue from which the events of a registry are fetched."`
}

type eventsListCommand struct {
	State    string `help:"Only in this state: ${enum}." enum:",new,done,unused" default:"" placeholder:"STATE"`
	Sender   string `help:"Only of this sender: distribution, harbor, quay, …" placeholder:"NAME"`
	Registry string `help:"Only of this declared registry." placeholder:"ID"`
	Limit    int    `help:"At most so many; 0 is all." default:"100" placeholder:"N"`
	remoteFlags
}

// Run lists events.
func (c eventsListCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	q := client.EventQuery{State: c.State, Sender: c.Sender, Registry: c.Registry}
	events, err := pages(c.Limit, func(limit int, after string) (*client.Page[client.Event], error) {
		q.Limit, q.After = limit, after
		return server.Events(ctx, q)
	})
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(events)
	}
	t := newColumns("ID", "RECEIVED", "SENDER", "ACTION", "IMAGE", "STATE", "REASON")
	for _, e := range events {
		t.row(strconv.FormatInt(e.ID, 10), e.ReceivedAt.Format(time.RFC3339), e.Sender, e.Action, imageOfEvent(e), e.State, e.Reason)
	}
	return t.write(s.out)
}

// imageOfEvent is what an event is about, as image names are written.
func imageOfEvent(e client.Event) string {
	name := e.Repository
	if e.Host != "" && name != "" {
		name = e.Host + "/" + name
	}
	switch {
	case e.Tag != "":
		name += ":" + e.Tag
	case e.Digest != "":
		name += "@" + e.Digest
	}
	return name
}

type eventsShowCommand struct {
	ID int64 `arg:"" help:"The event's number."`
	remoteFlags
}

// Run shows an event.
func (c eventsShowCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	e, err := server.Event(ctx, c.ID)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(e)
	}
	for _, line := range [][2]string{
		{"event", strconv.FormatInt(e.ID, 10)}, {"received", e.ReceivedAt.Format(time.RFC3339)}, {"sender", e.Sender}, {"delivery", e.DeliveryID},
		{"action", e.Action}, {"image", imageOfEvent(e.Event)}, {"digest", e.Digest}, {"state", e.State}, {"reason", e.Reason},
		{"address of", e.Registry}, {"in scope of", strings.Join(e.Registries, ", ")},
	} {
		if line[1] != "" {
			sayf(s.out, "%-12s %s\n", line[0], printable(line[1]))
		}
	}
	if e.Body != "" {
		sayf(s.out, "\n%s\n", printable(e.Body))
	} else if e.Binary != nil {
		sayf(s.out, "\n%d bytes that are no text; -o json shows them\n", len(e.Binary))
	}
	return nil
}

// printable takes what would move a terminal's cursor out of a stranger's text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
}

type eventsReplayCommand struct {
	IDs []int64 `arg:"" help:"The events' numbers." name:"id"`
	remoteFlags
}

// Run replays events, and fails when one of them could not be.
func (c eventsReplayCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	got, err := server.ReplayEvents(ctx, c.IDs...)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		err = json.NewEncoder(s.out).Encode(got)
	} else {
		sayf(s.out, "%d replayed\n", len(got.Replayed))
	}
	for _, f := range got.Failed {
		err = errors.Join(err, fmt.Errorf("event %d: %s", f.ID, f.Reason))
	}
	return err
}

type eventsAddressCommand struct {
	Registry    string        `arg:"" help:"Id of the registry."`
	Rotate      bool          `help:"Replace the secret end of the address."`
	Keep        time.Duration `help:"With --rotate: how long the address before stays good, a week at most." placeholder:"DURATION"`
	Revoke      bool          `help:"Take the address away."`
	SecretStdin bool          `help:"Read from standard input the secret that senders have to sign with or send; empty takes it away." name:"secret-stdin"`
	Header      string        `help:"The header in which senders that cannot sign send the secret." placeholder:"NAME"`
	Audience    string        `help:"The audience of the tokens that Pub/Sub sends along." placeholder:"TEXT"`
	Email       string        `help:"The service account those tokens are of." placeholder:"ADDRESS"`
	Sender      string        `help:"Show the steps for this sender alone; without it those that fit the registry." placeholder:"NAME"`
	remoteFlags
}

// Help says what an address is.
func (eventsAddressCommand) Help() string {
	return `Makes the address when the registry has none, and prints it with what to paste where. The address is a secret: whoever
knows it can have the registry's images scanned. With a secret (--secret-stdin) or an audience it is not enough to know it.

Without any of the flags that change something nothing is changed.`
}

// Run makes, changes or shows an address.
func (c eventsAddressCommand) Run(ctx context.Context, s streams) error {
	if c.SecretStdin && c.PasswordStdin {
		return tidewaiter.Invalid("secret-stdin", "two things cannot be read from standard input").WithFix("give the password in TIDEWAITER_PASSWORD")
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	if c.Revoke {
		return refused(server.RevokeEventAddress(ctx, c.Registry))
	}
	a, err := c.address(ctx, s, server)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(a)
	}
	return instructions(s.out, strings.TrimSuffix(c.Server, "/"), a, c.Sender)
}

func (c eventsAddressCommand) address(ctx context.Context, s streams, server *client.Client) (*client.EventAddress, error) {
	if c.Rotate {
		return server.RotateEventAddress(ctx, c.Registry, c.Keep)
	}
	a, err := server.EventAddress(ctx, c.Registry)
	e, told := errors.AsType[*client.Error](err)
	missing := told && e.Status == 404
	if err != nil && !missing {
		return nil, err
	}
	if !missing && !c.SecretStdin && c.Header == "" && c.Audience == "" && c.Email == "" {
		return a, nil
	}
	p := client.EventProof{Header: c.Header, Audience: c.Audience, Email: c.Email}
	if !missing { // what is not given stays as it is
		p.Header, p.Audience, p.Email = first(c.Header, a.Header), first(c.Audience, a.Audience), first(c.Email, a.Email)
	}
	if c.SecretStdin {
		b, err := io.ReadAll(io.LimitReader(s.in, maxPasswordBytes))
		if err != nil {
			return nil, err
		}
		text := strings.TrimRight(string(b), "\r\n")
		if p.Secret = &text; text == "" {
			p.Header = ""
		}
	}
	return server.PutEventAddress(ctx, c.Registry, p)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

type eventsSourceCommand struct {
	Registry string `arg:"" help:"Id of the registry."`
	SQS      string `help:"Fetch from this queue, where EventBridge puts the events of ECR." name:"sqs" placeholder:"URL" xor:"what"`
	PubSub   string `help:"Fetch from this subscription to the topic gcr." name:"pubsub" placeholder:"projects/…/subscriptions/…" xor:"what"`
	Remove   bool   `help:"Fetch no more." xor:"what"`
	remoteFlags
}

// Run sets, removes or shows a source.
func (c eventsSourceCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	var source *client.EventSource
	switch {
	case c.Remove:
		return refused(server.DeleteEventSource(ctx, c.Registry))
	case c.SQS != "":
		source, err = server.PutEventSource(ctx, c.Registry, client.EventPlace{Kind: "sqs", Place: c.SQS})
	case c.PubSub != "":
		source, err = server.PutEventSource(ctx, c.Registry, client.EventPlace{Kind: "pubsub", Place: c.PubSub})
	default:
		source, err = server.EventSource(ctx, c.Registry)
	}
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(source)
	}
	sayf(s.out, "%s %s\n%d messages so far", source.Kind, source.Place, source.Received)
	if !source.PolledAt.IsZero() {
		sayf(s.out, ", last asked %s by %s", source.PolledAt.Format(time.RFC3339), source.Worker)
	}
	sayf(s.out, "\n")
	if source.Error != "" {
		sayf(s.out, "failed %s: %s\n", source.ErrorAt.Format(time.RFC3339), source.Error)
	}
	return nil
}

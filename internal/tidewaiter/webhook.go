package tidewaiter

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Webhook is one rule about what somebody outside is told, and where. The address, the custom headers and what messages are
// signed with are sealed beside it.
type Webhook struct {
	ID       string        `json:"id"` // UUID
	Name     string        `json:"name"`
	Address  string        `json:"address"` // scheme and host of the URL; the rest may be a secret
	Format   WebhookFormat `json:"format"`
	Topics   []Topic       `json:"topics"`
	Filter   WebhookFilter `json:"filter"`
	Disabled bool          `json:"disabled"` // nothing is told, and what waits goes on waiting
	TLS      TLS           `json:"tls,omitzero"`

	// PerHour is how many messages about single images are told in an hour at most; those beyond it are told of in one
	// summary at the hour's end. 0 tells each by itself.
	PerHour int `json:"perHour,omitempty"`

	Signed        bool      `json:"signed"`
	PreviousUntil time.Time `json:"previousUntil,omitzero"` // until when messages are signed with the secret before this one too
	HeaderNames   []string  `json:"headerNames,omitempty"`  // of the custom headers, sorted

	PausedUntil time.Time `json:"-"` // the receiver asked for time
	Sealed      []byte    `json:"-"` // what package notify calls Secrets
	CreatedAt   time.Time `json:"-"`
	UpdatedAt   time.Time `json:"-"`
}

// WebhookFilter narrows what a webhook is told of. What is empty does not restrict.
type WebhookFilter struct {
	Registries   []string `json:"registries,omitempty"`   // ids
	Repositories []string `json:"repositories,omitempty"` // patterns, against host/repository and repository
	Collections  []string `json:"collections,omitempty"`  // names; an image has to be in one of them
	MinSeverity  Severity `json:"minSeverity"`            // of new findings
	OnlyFixable  bool     `json:"onlyFixable,omitempty"`  // new findings that a newer version mends
	// NewImages also tells of what was found when an image was judged for the first time; without it only of what became
	// known of an image that was judged before.
	NewImages bool `json:"newImages,omitempty"`
}

// WebhookFormat says what a message looks like on the wire.
type WebhookFormat string

// The formats.
const (
	FormatCloudEvents WebhookFormat = "cloudevents" // CloudEvents 1.0, structured mode, JSON
	FormatSlack       WebhookFormat = "slack"       // an incoming webhook of Slack, and of what imitates it
	FormatJSON        WebhookFormat = "json"        // the WebhookMessage as it is
)

// Topic is what a message is about.
type Topic string

// The topics. A webhook chooses among those that Topics lists.
const (
	TopicScanFinished      Topic = "scan.finished"
	TopicFindingNew        Topic = "finding.new"
	TopicVerdictChanged    Topic = "verdict.changed"
	TopicRegistryFailing   Topic = "registry.failing"
	TopicRegistryRecovered Topic = "registry.recovered"

	TopicSummary Topic = "images.summary" // in place of messages beyond PerHour
	TopicTest    Topic = "test"           // somebody wants to see whether it arrives
)

// Topics lists what a webhook can ask for.
func Topics() []Topic {
	return []Topic{TopicScanFinished, TopicFindingNew, TopicVerdictChanged, TopicRegistryFailing, TopicRegistryRecovered}
}

// OnImages reports whether messages of the topic are about single images.
func (t Topic) OnImages() bool { return t == TopicFindingNew || t == TopicVerdictChanged }

// Wants reports whether the webhook asks for a topic.
func (w *Webhook) Wants(t Topic) bool { return slices.Contains(w.Topics, t) }

// The bounds of a webhook.
const (
	MaxWebhookName    = 100
	MaxWebhookFilters = 1000 // of each kind
	maxFilterLength   = 512
	MaxPerHour        = 100_000
)

// Validate brings the webhook into its usual form and reports the first field that cannot be as an ErrInvalid.
func (w *Webhook) Validate() error {
	w.Name = strings.TrimSpace(w.Name)
	switch {
	case w.Name == "":
		return Invalid("name", "the webhook needs a name")
	case utf8.RuneCountInString(w.Name) > MaxWebhookName:
		return Invalid("name", "the name is longer than %d characters", MaxWebhookName)
	case strings.ContainsFunc(w.Name, func(r rune) bool { return r < ' ' || r == utf8.RuneError }):
		return Invalid("name", "the name holds characters that cannot be printed")
	case w.Format != FormatCloudEvents && w.Format != FormatSlack && w.Format != FormatJSON:
		return Invalid("format", "unknown format %q", w.Format).WithFix("one of cloudevents, slack, json")
	case len(w.Topics) == 0:
		return Invalid("topics", "the webhook asks for nothing").WithFix("name some of %s", joinTopics())
	case w.PerHour < 0 || w.PerHour > MaxPerHour:
		return Invalid("perHour", "%d is not a number of messages", w.PerHour).WithFix("0 for no limit, at most %d", MaxPerHour)
	}
	for _, t := range w.Topics {
		if !slices.Contains(Topics(), t) {
			return Invalid("topics", "unknown topic %q", t).WithFix("some of %s", joinTopics())
		}
	}
	slices.Sort(w.Topics)
	w.Topics = slices.Compact(w.Topics)
	return w.Filter.validate()
}

func joinTopics() string {
	var names []string
	for _, t := range Topics() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

func (f *WebhookFilter) validate() error {
	if f.MinSeverity < SeverityUnknown || f.MinSeverity > SeverityCritical {
		return Invalid("filter.minSeverity", "unknown severity").WithFix("one of critical, high, medium, low, negligible, unknown")
	}
	for _, list := range []struct {
		field string
		of    *[]string
	}{{"filter.registries", &f.Registries}, {"filter.repositories", &f.Repositories}, {"filter.collections", &f.Collections}} {
		if len(*list.of) > MaxWebhookFilters {
			return Invalid(list.field, "more than %d entries", MaxWebhookFilters)
		}
		for _, s := range *list.of {
			if s == "" || len(s) > maxFilterLength {
				return Invalid(list.field, "an entry is empty or longer than %d characters", maxFilterLength)
			}
		}
	}
	return nil
}

// Repository reports whether the filter lets a repository pass.
func (f *WebhookFilter) Repository(host, name string) bool {
	return len(f.Repositories) == 0 || slices.ContainsFunc(f.Repositories, func(pattern string) bool {
		return MatchPattern(pattern, name) || MatchPattern(pattern, host+"/"+name)
	})
}

// Registry reports whether the filter lets any of the registries pass.
func (f *WebhookFilter) Registry(ids ...string) bool {
	return len(f.Registries) == 0 || slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(f.Registries, id) })
}

// Finding reports whether the filter lets a finding pass.
func (f *WebhookFilter) Finding(severity Severity, fixedIn string) bool {
	return severity >= f.MinSeverity && (!f.OnlyFixable || fixedIn != "")
}

package tidewaiter

import "time"

// WebhookMessage is one thing somebody outside is told. Its JSON is what the format "json" sends.
type WebhookMessage struct {
	ID      string      `json:"id"` // of the delivery; stays the same however often it is sent
	Topic   Topic       `json:"type"`
	Time    time.Time   `json:"time"`
	Subject string      `json:"subject"` // what it is about, for people: an image's name, a registry's address
	Title   string      `json:"title"`   // in one line
	Data    MessageData `json:"data"`
}

// MessageData is what there is to say. Which parts there are depends on the topic.
type MessageData struct {
	Registry *MessageRegistry `json:"registry,omitempty"` // of a scan, or the one that fails
	Scan     *MessageScan     `json:"scan,omitempty"`
	Since    time.Time        `json:"since,omitzero"` // when the registry began to fail

	Image    *MessageImage     `json:"image,omitempty"`
	Cause    string            `json:"cause,omitempty"` // why the image was judged
	Findings *MessageFindings  `json:"findings,omitempty"`
	Verdict  *MessageVerdict   `json:"verdict,omitempty"`
	Summary  *MessageSummary   `json:"summary,omitempty"`
	Webhook  *MessageRecipient `json:"webhook,omitempty"` // of a test
}

// MessageRegistry names a registry.
type MessageRegistry struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	URL  string `json:"url"`
}

// MessageScan is a scan that is over.
type MessageScan struct {
	ID           string      `json:"id"`
	State        ScanState   `json:"state"` // completed, failed or canceled
	Error        string      `json:"error,omitempty"`
	Name         string      `json:"name,omitempty"`
	Target       *Target     `json:"target,omitempty"` // of a scan of one tag or digest
	OnDemand     bool        `json:"onDemand"`
	Repositories int         `json:"repositories"`
	TagsSelected int         `json:"tagsSelected"`
	ImagesTotal  int         `json:"imagesTotal"`
	ImagesDone   int         `json:"imagesDone"`
	ImagesFailed int         `json:"imagesFailed"`
	Errors       []ScanError `json:"errors,omitempty"` // the most recent, at most MaxMessageErrors
	StartedAt    time.Time   `json:"startedAt,omitzero"`
	EndedAt      time.Time   `json:"endedAt"`
}

// MessageImage names an image.
type MessageImage struct {
	Digest    string   `json:"digest"`
	Platform  string   `json:"platform"`
	Names     []string `json:"names"`               // tags that show it, at most MaxMessageNames
	MoreNames int      `json:"moreNames,omitempty"` // how many are left out
}

// MessageFindings is findings of an image, the worst first.
type MessageFindings struct {
	Total   int              `json:"total"`
	AtLeast bool             `json:"atLeast,omitempty"` // Total is a lower bound: so much changed at once that only the gravest was looked at
	Counts  Counts           `json:"counts"`            // of all of them
	List    []MessageFinding `json:"list"`              // at most MaxMessageFindings
	More    int              `json:"more,omitempty"`    // how many are left out of the list
}

// MessageFinding is one finding.
type MessageFinding struct {
	Vulnerability string   `json:"vulnerability"`
	Severity      Severity `json:"severity"`
	Package       string   `json:"package"`
	Version       string   `json:"version,omitempty"`
	FixedIn       string   `json:"fixedIn,omitempty"`
}

// MessageVerdict is what policy made of an image before and makes of it now.
type MessageVerdict struct {
	Before Effect `json:"before,omitempty"` // "" when the image had not been judged
	After  Effect `json:"after"`
}

// MessageSummary is many messages about images in one.
type MessageSummary struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Messages int       `json:"messages"`       // how many this one stands for
	Findings int       `json:"findings"`       // new ones they would have told of
	Counts   Counts    `json:"counts"`         // of these
	Verdicts int       `json:"verdicts"`       // changes of verdicts they would have told of
	Images   []string  `json:"images"`         // the first of them by name, at most MaxMessageNames
	More     int       `json:"more,omitempty"` // how many messages are about others
}

// MessageRecipient names the webhook a test is of.
type MessageRecipient struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// The bounds of a message. What is left out is counted beside.
const (
	MaxMessageNames    = 20
	MaxMessageFindings = 100
	MaxMessageErrors   = 10
)

package tidewaiter

// Message is one message of a queue that events of a registry are fetched from.
type Message struct {
	Handle string // what it is taken off with
	Body   []byte // an event as its sender would have delivered it
}

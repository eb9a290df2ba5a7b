package connector

import (
	"context"
	"time"
)

// What the external tests reach in for: parts that have no other door.
var (
	AfterHost    = afterHost
	JWTExpiry    = jwtExpiry
	AWSPartition = awsPartition
	AQL          = aql
)

// LooseTime reads a time as documents hold it.
func LooseTime(text string) time.Time {
	var t looseTime
	_ = t.UnmarshalJSON([]byte(text)) // never fails
	return t.Time
}

// NextPosition returns the cursor after one, for a lister that says it goes on at text.
func NextPosition(cursor, text string) (string, error) {
	p, err := parsePosition(cursor)
	if err != nil {
		return "", err
	}
	return p.next(text)
}

// Kept is a value that is fetched when needed.
type Kept struct{ k *kept[string] }

// Keep makes a Kept.
func Keep(now func() time.Time, fetch func(context.Context) (string, time.Time, error)) Kept {
	return Kept{keep(now, fetch)}
}

// Get returns the value.
func (k Kept) Get(ctx context.Context) (string, error) { return k.k.get(ctx) }

// Drop forgets it.
func (k Kept) Drop() { k.k.drop() }

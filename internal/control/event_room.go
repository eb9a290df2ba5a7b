package control

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Bounds of what deliveries on their way take of memory, however many come at once. What is read of a body is several times
// its size while it is parsed.
const (
	eventRoom     = 8 << 20          // bytes of bodies at once
	eventRoomLeft = 4 << 10          // what the smallest counts as
	eventRoomWait = 10 * time.Second // for room; the sender then tries again
)

// RoomForEvent waits until there is room for a delivery of so many bytes, -1 when its size is not known, and returns what gives
// the room back. Take it before the body is read and keep it until the delivery is stored. Errors: ErrTransient when there is
// none for ten seconds.
func (c *Control) RoomForEvent(ctx context.Context, bytes int64) (release func(), err error) {
	if bytes < 0 || bytes > MaxDelivery {
		bytes = MaxDelivery // what is larger is refused when it was read that far
	}
	bytes = max(bytes, eventRoomLeft)
	ctx, cancel := context.WithTimeout(ctx, eventRoomWait)
	defer cancel()
	if err := c.room.Acquire(ctx, bytes); err != nil {
		return nil, &tidewaiter.Error{Kind: tidewaiter.ErrTransient, Msg: "too many events come in at once", Fix: "send it again later",
			RetryAfter: time.Second, Err: err}
	}
	return func() { c.room.Release(bytes) }, nil
}

func newEventRoom() *semaphore.Weighted { return semaphore.NewWeighted(eventRoom) }

package store

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxDocument bounds what a stored document may unpack to. The largest are analyses of layers with hundreds of thousands
// of files.
const maxDocument = 256 << 20

// codec packs documents. It may be used by many goroutines at once.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() *codec {
	// The options are constants, with which neither constructor fails.
	enc, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	dec, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxDocument))
	return &codec{enc, dec}
}

func (c *codec) pack(b []byte) []byte { return c.enc.EncodeAll(b, make([]byte, 0, len(b)/3+64)) }

func (c *codec) unpack(b []byte) ([]byte, error) {
	out, err := c.dec.DecodeAll(b, nil)
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "unpack a stored document: %w", err)
	}
	return out, nil
}

func (c *codec) packJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a document: %w", err)
	}
	return c.pack(b), nil
}

func (c *codec) unpackJSON(b []byte, v any) error {
	if len(b) == 0 {
		return nil
	}
	b, err := c.unpack(b)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "read a stored document: %w", err)
	}
	return nil
}

// jsonText writes v for a text column.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write a document: %w", err)
	}
	return string(b), nil
}

// fromText reads what jsonText wrote; "" leaves v as it is.
func fromText(s string, v any) error {
	if s == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(s), v); err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "read a stored document: %w", err)
	}
	return nil
}

package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// layerBars shows one bar a layer while an image is pulled; nothing when nobody looks.
type layerBars struct {
	out      io.Writer
	progress *mpb.Progress
	bars     []*mpb.Bar
}

func newLayerBars(out io.Writer) *layerBars { return &layerBars{out: out} }

// begin draws the bars of an image.
func (l *layerBars) begin(img *tidewaiter.Image) {
	if !isTerminal(l.out) {
		return
	}
	l.progress = mpb.New(mpb.WithOutput(l.out), mpb.WithWidth(min(width(l.out), 100)))
	for i, layer := range img.Layers {
		name := fmt.Sprintf("layer %2d %s ", i+1, strings.TrimPrefix(layer.Digest, "sha256:")[:12])
		l.bars = append(l.bars, l.progress.AddBar(layer.Size,
			mpb.PrependDecorators(decor.Name(name)),
			mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.OnComplete(decor.Name(""), "  done")),
			mpb.BarFillerClearOnComplete()))
	}
}

// add counts bytes of a layer that came in.
func (l *layerBars) add(layer int, n int64) {
	if layer < len(l.bars) {
		l.bars[layer].IncrInt64(n)
	}
}

// end takes the bars off the screen's last line; bars of layers that failed are dropped.
func (l *layerBars) end() {
	if l.progress == nil {
		return
	}
	for _, b := range l.bars {
		b.Abort(false)
	}
	l.progress.Wait()
}

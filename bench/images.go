package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// picture is an image made for measuring.
type picture struct {
	name     string
	manifest *samples.Manifest
	unpacked int64 // bytes of the layers made here; those of the samples are too small to count
	packed   int64
}

func (p picture) size() string {
	return fmt.Sprintf("%.0f MB (%.0f MB packed)", float64(p.unpacked)/1e6, float64(p.packed)/1e6)
}

// painter puts images together from the samples' layers, which hold packages with findings, and large ones made here.
type painter struct {
	*maker
	base []samples.Layer // Debian with Python packages and npm packages, some of them removed again; leaked credentials
}

func newPainter(ctx context.Context) (*painter, error) {
	list, err := samples.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	leaky := samples.Find(list, "ops/leaky", "1.0").Manifest.Layers
	base := slices.Concat(samples.Find(list, "shop/reports", "3.1").Manifest.Layers, leaky[len(leaky)-1:])
	return &painter{maker: newMaker(1), base: base}, nil
}

// brush fills a layer.
type brush struct {
	by   string
	fill func(*layer)
}

// paint makes an image of layers that exist and layers to be filled.
func paint(name string, below []samples.Layer, brushes ...brush) (p picture, err error) {
	p.name = name
	image := samples.NewImage()
	for _, l := range below {
		image = image.Add(l)
	}
	for _, b := range brushes {
		l := newLayer()
		b.fill(l)
		finished, size, err := l.finish(b.by)
		if err != nil {
			return p, err
		}
		p.unpacked += size
		image = image.Add(finished)
	}
	if p.manifest, err = image.Build(); err != nil {
		return p, err
	}
	for _, l := range p.manifest.Layers {
		p.packed += int64(len(l.Data))
	}
	return p, nil
}

// large is an application of 700 MB: system libraries, npm packages, sources, binaries.
func (p *painter) large() (picture, error) {
	return paint("bench/large", p.base,
		brush{"RUN apt-get install -y build-essential", func(l *layer) {
			p.libraries(l, "usr/lib/x86_64-linux-gnu", 200e6)
			p.documents(l, "usr/share/doc", 15e6)
		}},
		brush{"RUN npm ci", func(l *layer) { p.modules(l, "srv", 270e6) }},
		brush{"COPY src /srv/src", func(l *layer) { p.sources(l, "srv/src", 15e6) }},
		brush{"COPY assets /srv/assets", func(l *layer) { p.libraries(l, "srv/assets", 200e6) }})
}

// small is a service of 40 MB.
func (p *painter) small() (picture, error) {
	return paint("bench/small", p.base,
		brush{"RUN apt-get install -y libservice", func(l *layer) { p.libraries(l, "usr/lib/x86_64-linux-gnu", 15e6) }},
		brush{"RUN npm ci", func(l *layer) { p.modules(l, "app", 24e6) }},
		brush{"COPY src /app/src", func(l *layer) { p.sources(l, "app/src", 1e6) }})
}

// sharedBase is how many layers the images of a family have in common.
const sharedBase = 7

// family is n images on the same seven layers, each with one of its own.
func (p *painter) family(n int) ([]picture, error) {
	below := p.base[:3]
	base, err := paint("", below,
		brush{"RUN apt-get install -y libbase", func(l *layer) { p.libraries(l, "usr/lib", 60e6) }},
		brush{"RUN apt-get install -y doc-base", func(l *layer) { p.documents(l, "usr/share/doc", 5e6) }},
		brush{"RUN install-runtime", func(l *layer) { p.libraries(l, "opt/runtime", 50e6) }},
		brush{"RUN npm ci --prefix /opt/shared", func(l *layer) {
			p.modules(l, "opt/shared", 57e6)
			p.sources(l, "opt/shared/src", 3e6)
		}})
	if err != nil {
		return nil, err
	}
	if len(base.manifest.Layers) != sharedBase {
		return nil, fmt.Errorf("%d base layers, want %d", len(base.manifest.Layers), sharedBase)
	}
	var list []picture
	for i := range n {
		one, err := paint(fmt.Sprintf("bench/service-%02d", i), base.manifest.Layers,
			brush{"COPY . /app", func(l *layer) {
				p.modules(l, "app", 9.7e6)
				p.sources(l, "app/src", 300e3)
			}})
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// huge is three layers of 2 GB: mostly zeros, with enough noise in between not to be taken for a bomb.
func (p *painter) huge() (picture, error) {
	fill := func(l *layer) {
		for i := range 20 {
			if !l.begin(fmt.Sprintf("var/data/volume-%d.img", i), 0o644, 100<<20) {
				return
			}
			block := make([]byte, 64<<10)
			for range 100 << 20 / len(block) {
				if copy(block, p.cut(p.binary, 4<<10)); l.err == nil {
					_, l.err = l.tar.Write(block)
				}
			}
		}
	}
	return paint("bench/huge", p.base, brush{"COPY 1 /var/data", fill}, brush{"COPY 2 /var/data", fill}, brush{"COPY 3 /var/data", fill})
}

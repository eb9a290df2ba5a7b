package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// family is how many images share their lower layers.
const family = 20

// sharedLayers compares scanning images that share layers with Trivy, which keeps the layers it has seen, and looks at
// what the whole server pulls of them.
func sharedLayers(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: fmt.Sprintf("%d images that share %d layers", family, sharedBase),
		about: fmt.Sprintf("%d images on the same %d layers, each with one layer of its own. The scanners scan one image after the other in "+
			"one process. The server discovers them in the registry, with everything it does besides: jobs, database, policy.", family, sharedBase),
		columns: []string{"what", "secrets", "rounds", "Tidewaiter CPU s", "Trivy CPU s", "ratio", "of Trivy without secrets", "target",
			"wall s", "peak MiB", "written MB", "findings + secrets"}, keys: 2,
	}
	p, err := newPainter(ctx)
	if err != nil {
		return t, err
	}
	images, err := p.family(family)
	if err != nil {
		return t, err
	}
	var names []string
	var layers []samples.Layer
	for _, image := range images {
		name, err := l.push(ctx, image.name, image.manifest)
		if err != nil {
			return t, err
		}
		names, layers = append(names, name), append(layers, image.manifest.Layers...)
	}
	unit, withSecrets, err := l.duels(ctx, &t, "engine", 3, names...)
	if err != nil {
		return t, err
	}
	return t, l.serverPulls(ctx, &t, layers, unit, withSecrets)
}

// serverPulls has the whole server scan the family and compares what it pulled with the distinct layers there are, and what
// it took with Trivy's CPU without secrets and with.
func (l *lab) serverPulls(ctx context.Context, t *table, layers []samples.Layer, unit, withSecrets float64) (err error) {
	s, err := l.serve(ctx, "-advisories", l.registry.host+"/"+samples.AdvisoriesRepository+":"+samples.AdvisoriesTag)
	if err != nil {
		return err
	}
	var pulled, analysed float64
	err = s.scanRegistry(ctx, l.registry.url, "bench/service-*")
	if err == nil {
		pulled, err = s.metric(ctx, "tidewaiter_layer_bytes_pulled_total")
	}
	if err == nil {
		analysed, err = s.metric(ctx, "tidewaiter_layers_analyzed_total")
	}
	took, stopped := s.stop()
	if err := errors.Join(err, stopped); err != nil {
		return err
	}
	distinct := map[string]int64{}
	var bytes int64
	for _, layer := range layers {
		if distinct[layer.Digest] == 0 {
			distinct[layer.Digest] = int64(len(layer.Data))
			bytes += distinct[layer.Digest]
		}
	}
	t.add("whole server", "yes", "1", seconds(took.CPUSeconds), seconds(withSecrets), seconds(took.CPUSeconds/withSecrets),
		seconds(took.CPUSeconds/unit), "", seconds(took.WallSeconds), mebibytes(took.PeakBytes), megabytes(took.WrittenBytes), "")
	verdict := "**missed**"
	if int(analysed) == len(distinct) && int64(pulled) == bytes {
		verdict = "met"
	}
	t.notef("Each distinct layer pulled exactly once: %s. The server pulled %s layers of %s bytes; there are %s distinct ones of %s bytes in "+
		"%s places.", verdict, count(int(analysed)), count(int64(pulled)), count(len(distinct)), count(bytes), count(len(layers)))
	return nil
}

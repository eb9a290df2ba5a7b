package oci

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// FailedStep makes the step of a probe that could not even begin.
func FailedStep(name string, err error) Step {
	return Step{Name: name, Kind: tidewaiter.KindOf(err), Error: err.Error()}
}

// Err returns what went wrong in the step, nil when nothing did.
func (s Step) Err() error {
	if s.OK {
		return nil
	}
	return &tidewaiter.Error{Kind: s.Kind, Msg: s.Error, Fix: s.Fix}
}

package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) admission() {
	handle(s, operation{noun: "admission", id: "get-admission", method: "GET", path: "/settings/admission", may: tidewaiter.MayReadSettings,
		summary: "What becomes of images a cluster wants to run."}, s.getAdmission)
	handle(s, operation{noun: "admission", id: "put-admission", method: "PUT", path: "/settings/admission", may: tidewaiter.MayWriteSettings,
		summary: "Replace these rules."}, s.putAdmission)
	handle(s, operation{noun: "admission", id: "get-admission-address", method: "GET", path: "/settings/admission/address",
		may: tidewaiter.MayWriteSettings, summary: "The secret address for clusters that cannot log in."}, s.getAdmissionAddress)
}

func (s *server) getAdmission(ctx context.Context, _ *struct{}) (*body[client.AdmissionRules], error) {
	r, err := s.Control.AdmissionRules(ctx)
	if err != nil {
		return nil, err
	}
	return reply(client.AdmissionRules{Audit: r.Audit, DenyUnknown: r.DenyUnknown, DenyOnError: r.DenyOnError,
		DenyOnTimeout: r.DenyOnTimeout, WarnOfAlerts: r.WarnWhenAlerts, ExemptNamespaces: append([]string{}, r.ExemptSpaces...),
		ExemptImages: append([]string{}, r.ExemptImages...), Timeout: r.Timeout.String(), Wait: r.Wait.String()}), nil
}

func (s *server) putAdmission(ctx context.Context, in *body[client.AdmissionRules]) (*struct{}, error) {
	b := in.Body
	timeout, err := duration("timeout", b.Timeout)
	if err != nil {
		return nil, err
	}
	wait, err := duration("wait", b.Wait)
	if err != nil {
		return nil, err
	}
	return nil, s.Control.PutAdmissionRules(ctx, control.AdmissionRules{Audit: b.Audit, DenyUnknown: b.DenyUnknown,
		DenyOnError: b.DenyOnError, DenyOnTimeout: b.DenyOnTimeout, WarnWhenAlerts: b.WarnOfAlerts, ExemptSpaces: b.ExemptNamespaces,
		ExemptImages: b.ExemptImages, Timeout: timeout, Wait: wait})
}

func (s *server) getAdmissionAddress(ctx context.Context, _ *struct{}) (*body[client.AdmissionAddress], error) {
	suffix, err := s.Control.Suffix(ctx, control.SettingAdmissionSuffix)
	if err != nil {
		return nil, err
	}
	return reply(client.AdmissionAddress{Path: Prefix + "/admission/" + suffix}), nil
}

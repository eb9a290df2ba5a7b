package client

import (
	"context"
	"net/http"
)

// AdmissionRules say what becomes of an image a cluster wants to run and there is no plain verdict on. A blocked image is
// refused in any case. Lengths of time are written as 5s.
type AdmissionRules struct {
	Audit            bool     `json:"audit" doc:"Refuse nothing: what would be refused is a warning."`
	DenyUnknown      bool     `json:"denyUnknown" doc:"Refuse images without a verdict, and tags that moved since; otherwise warn."`
	DenyOnError      bool     `json:"denyOnError" doc:"Refuse when the verdict cannot be looked up; otherwise warn."`
	DenyOnTimeout    bool     `json:"denyOnTimeout" doc:"Refuse when the verdict is not there in time; otherwise warn."`
	WarnOfAlerts     bool     `json:"warnOfAlerts" doc:"Warn of images policy alerts on."`
	ExemptNamespaces []string `json:"exemptNamespaces" nullable:"false" doc:"Patterns of namespaces that are not looked at."`
	ExemptImages     []string `json:"exemptImages" nullable:"false" doc:"Patterns of full image names that are not looked at."`
	Timeout          string   `json:"timeout" doc:"For the whole answer: 1s to 9s." example:"5s"`
	Wait             string   `json:"wait" doc:"Have unknown images scanned, and wait so long: less than timeout. 0s does not." example:"0s"`
}

// AdmissionRules returns the rules in force.
func (c *Client) AdmissionRules(ctx context.Context) (*AdmissionRules, error) {
	var out AdmissionRules
	return &out, c.do(ctx, http.MethodGet, "/settings/admission", nil, nil, &out)
}

// PutAdmissionRules replaces the rules.
func (c *Client) PutAdmissionRules(ctx context.Context, rules AdmissionRules) error {
	return c.do(ctx, http.MethodPut, "/settings/admission", nil, rules, nil)
}

// AdmissionAddress is where a cluster that cannot log in sends its reviews.
type AdmissionAddress struct {
	Path string `json:"path"` // of the server's own address; its end is a secret
}

// AdmissionAddress returns the secret address. It is made when first asked for.
func (c *Client) AdmissionAddress(ctx context.Context) (*AdmissionAddress, error) {
	var out AdmissionAddress
	return &out, c.do(ctx, http.MethodGet, "/settings/admission/address", nil, nil, &out)
}

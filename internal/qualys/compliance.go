package qualys

import (
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// imageCompliance is Qualys' PolicyComplianceDetails: how the checks on an image came out.
type imageCompliance struct {
	CustomerUUID          string         `json:"customerUuid"`
	UUID                  string         `json:"uuid"`
	SHA                   string         `json:"sha"`
	Created               millis         `json:"created"`
	Updated               millis         `json:"updated"`
	LastComplianceScanned millis         `json:"lastComplianceScanned"`
	Controls              []checkOutcome `json:"controls"`
}

// checkOutcome is Qualys' ControlDetails: one check.
type checkOutcome struct {
	ControlID     int         `json:"controlId"`
	PolicyUUID    string      `json:"policyUuid"`
	TechnologyID  int         `json:"technologyId"`
	Statement     string      `json:"statement"` // ours: what is checked
	Criticality   string      `json:"criticality"`
	Posture       string      `json:"posture"` // PASS or FAIL
	LastEvaluated millis      `json:"lastEvaluated"`
	Datapoints    []datapoint `json:"datapoints"`
}

type datapoint struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// criticalities are the vendor's words for severities of checks.
var criticalities = map[tidewaiter.Severity]string{
	tidewaiter.SeverityCritical: "URGENT", tidewaiter.SeverityHigh: "CRITICAL", tidewaiter.SeverityMedium: "SERIOUS",
	tidewaiter.SeverityLow: "MEDIUM", tidewaiter.SeverityNegligible: "MINIMAL", tidewaiter.SeverityUnknown: "MINIMAL",
}

// getCompliance shows how the checks on an image came out.
func (s *server) getCompliance(w http.ResponseWriter, r *http.Request) error {
	row, result, err := s.resultOf(r)
	if err != nil {
		return err
	}
	out := imageCompliance{
		CustomerUUID: stableUUID("customer"), UUID: uuidOf(row.Image), SHA: shaOf(row.Image), Created: millis{row.CreatedAt},
		Updated: millis{row.UpdatedAt}, LastComplianceScanned: millis{judgedAt(result.Image)},
	}
	out.Controls = outcomesOf(result)
	writeJSON(w, http.StatusOK, out)
	return nil
}

// outcomesOf shows the checks on an image.
func outcomesOf(result *tidewaiter.Result) []checkOutcome {
	at, out := judgedAt(result.Image), []checkOutcome{}
	for _, c := range result.Checks {
		o := checkOutcome{ControlID: c.ID, PolicyUUID: stableUUID("policy compliance"), TechnologyID: 1, Statement: c.Title,
			Criticality: criticalities[c.Severity], Posture: "FAIL", LastEvaluated: millis{at}, Datapoints: []datapoint{}}
		if c.Passed {
			o.Posture = "PASS"
		}
		for _, d := range []datapoint{{"benchmark", c.Benchmark}, {"section", c.Section}, {"cause", c.Cause}, {"detail", c.Detail}} {
			if d.Value != "" {
				o.Datapoints = append(o.Datapoints, d)
			}
		}
		out = append(out, o)
	}
	return out
}

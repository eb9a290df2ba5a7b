package qualys

import (
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scanDetails are the parts of a result that are shown when scanDetails asks for them. Qualys publishes no fields of them; ours.
type scanDetails struct {
	Secrets    *[]foundSecret  `json:"secrets,omitempty"`
	Malware    *[]struct{}     `json:"malware,omitempty"` // always empty: nothing looks for it
	Compliance *[]checkOutcome `json:"compliance,omitempty"`
}

// foundSecret is a secret in a file. What it is was starred out before it was stored.
type foundSecret struct {
	Rule      string  `json:"rule"`
	Title     string  `json:"title"`
	Severity  int     `json:"severity"`
	FilePath  string  `json:"filePath"`
	StartLine int     `json:"startLine"`
	EndLine   int     `json:"endLine"`
	Match     string  `json:"match"`
	LayerSHA  *string `json:"layerSha"` // null for one in the configuration
}

// wanted says which parts a request asks for.
type wanted struct{ secrets, malware, compliance bool }

func (a wanted) any() bool { return a != wanted{} }

// wantedOf reads scanDetails: a list with commas, or the parameter several times.
func wantedOf(r *http.Request) (wanted, error) {
	var a wanted
	for name := range strings.SplitSeq(strings.Join(r.URL.Query()["scanDetails"], ","), ",") {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "":
		case "secrets":
			a.secrets = true
		case "malware":
			a.malware = true
		case "compliance":
			a.compliance = true
		default:
			return a, tidewaiter.Invalid("scanDetails", "%q is unknown", cut(name, 40)).WithFix("secrets, compliance and malware, with commas")
		}
	}
	return a, nil
}

// scanDetailsOf shows the parts of a result that are wanted.
func scanDetailsOf(result *tidewaiter.Result, a wanted) scanDetails {
	var out scanDetails
	if a.secrets {
		found := secretsOf(result)
		out.Secrets = &found
	}
	if a.malware {
		out.Malware = &[]struct{}{}
	}
	if a.compliance {
		outcomes := outcomesOf(result)
		out.Compliance = &outcomes
	}
	return out
}

func secretsOf(result *tidewaiter.Result) []foundSecret {
	out := []foundSecret{}
	if result.Content == nil {
		return out
	}
	for _, s := range result.Content.Secrets {
		shown := foundSecret{Rule: s.Rule, Title: s.Title, Severity: severityOf(s.Severity), FilePath: s.Path,
			StartLine: s.StartLine, EndLine: s.EndLine, Match: s.Match}
		if layers := result.Image.Layers; s.Path != "config" && s.Layer >= 0 && s.Layer < len(layers) {
			shown.LayerSHA = orNull(withoutAlgorithm(layers[s.Layer].DiffID))
		}
		out = append(out, shown)
	}
	return out
}

package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// table shows every image with what was found in it.
func (t *demoTour) table(ctx context.Context) error {
	rows, _, err := t.control.Results(ctx, control.ResultFilter{Page: control.Page{Limit: 250}})
	if err != nil {
		return err
	}
	out := table.New().Border(lipgloss.NormalBorder()).
		Headers("IMAGE", "DISTRIBUTION", "PACKAGES", "CRIT", "HIGH", "MED", "LOW", "FIXABLE", "SECRETS", "CHECKS", "VERDICT")
	unjudged := 0
	for _, r := range rows {
		if r.Image == nil || r.Image.Judgement == nil {
			unjudged++
			out.Row(r.Tag.Repository.Name+":"+r.Tag.Name, "", "", "", "", "", "", "", "", "", "not judged: "+r.Tag.Error)
			continue
		}
		out.Row(demoRow(r.Tag, r.Image)...)
	}
	t.sayf("\n%s\n", out)
	if unjudged > 0 {
		return fmt.Errorf("%d images are not judged", unjudged)
	}
	return nil
}

func demoRow(tag tidewaiter.Tag, img *tidewaiter.Image) []string {
	j := img.Judgement
	n := strconv.Itoa
	distribution := "-"
	if j.Distribution != nil {
		distribution = j.Distribution.Family + " " + j.Distribution.Release
	}
	v := j.Vulnerabilities
	return []string{
		tag.Repository.Name + ":" + tag.Name, distribution, n(j.Packages), n(v.Critical), n(v.High), n(v.Medium), n(v.Low),
		n(j.Fixable), n(j.Secrets), n(j.Checks.Total()), verdictWord(j.Verdict.Effect),
	}
}

// verdictWord is what people call an effect.
func verdictWord(e tidewaiter.Effect) string {
	if e == tidewaiter.EffectIgnore {
		return "pass"
	}
	return strings.ToUpper(string(e))
}

// invite says what to try next.
func (t *demoTour) invite() {
	t.sayf(`Everything stays up until Ctrl-C. Log in as admin with the password %[2]s. Try:

  curl -s -u admin:%[2]s '%[1]s/api/v1/registry?compact=true&limit=3'
  curl -s -u admin:%[2]s '%[1]s/csapi/v1.3/images?pageSize=3'
  curl -s -u admin:%[2]s -X POST -d '{}' %[1]s/api/v1/registry/scan

%[1]s`, t.url, demoPassword)
}

package advisory

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	maxFeedLine = 4 << 10
	maxEPSSRows = 5_000_000
)

var cveName = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,12}$`)

// epssFeed reads the scores FIRST publishes: a comment with model and date, a line of column names, and a line for each CVE.
type epssFeed struct {
	lines *bufio.Scanner
	line  int
}

// openEPSS reads the head of a feed.
func openEPSS(r io.Reader) (*epssFeed, tidewaiter.Feed, error) {
	f := &epssFeed{lines: bufio.NewScanner(r)}
	f.lines.Buffer(make([]byte, 0, maxFeedLine), maxFeedLine)
	feed := tidewaiter.Feed{Kind: tidewaiter.FeedEPSS}
	comment, err := f.next()
	if err != nil {
		return nil, feed, err
	}
	if !strings.HasPrefix(comment, "#") {
		return nil, feed, f.broken("the comment with the model's version and the date is missing")
	}
	for part := range strings.SplitSeq(comment[1:], ",") {
		switch key, value, _ := strings.Cut(strings.TrimSpace(part), ":"); key {
		case "model_version":
			feed.Release = value
		case "score_date":
			if feed.Date, err = scoreDate(value); err != nil {
				return nil, feed, f.broken("score_date %q is not a time", value)
			}
		}
	}
	if feed.Date.IsZero() {
		return nil, feed, f.broken("the comment has no score_date")
	}
	columns, err := f.next()
	if err == nil && columns != "cve,epss,percentile" {
		err = f.broken("the columns are not cve,epss,percentile")
	}
	return f, feed, err
}

// scoreDate reads a date as the feed has written it over the years.
func scoreDate(s string) (t time.Time, err error) {
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339, time.DateOnly} {
		if t, err = time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return t, err
}

// scores yields the lines that are left. The first error ends them.
func (f *epssFeed) scores() iter.Seq2[tidewaiter.EPSSScore, error] {
	return func(yield func(tidewaiter.EPSSScore, error) bool) {
		for n := 0; ; n++ {
			s, err := f.score(n)
			if errors.Is(err, io.EOF) && n > 0 {
				return
			}
			if errors.Is(err, io.EOF) {
				err = f.broken("there are no scores")
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

func (f *epssFeed) score(n int) (s tidewaiter.EPSSScore, err error) {
	line, err := f.next()
	if err != nil {
		return s, err
	}
	if n >= maxEPSSRows {
		return s, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "there are more than %d scores", maxEPSSRows)
	}
	name, rest, ok := strings.Cut(line, ",")
	score, percentile, both := strings.Cut(rest, ",")
	if !ok || !both || !cveName.MatchString(name) {
		return s, f.broken("it is not cve,epss,percentile")
	}
	s.Name = name
	if s.Score, err = part(score); err != nil {
		return s, f.broken("epss is not a number of 0 to 1")
	}
	if s.Percentile, err = part(percentile); err != nil {
		return s, f.broken("percentile is not a number of 0 to 1")
	}
	return s, nil
}

var errNoPart = errors.New("not a number of 0 to 1")

func part(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, errNoPart
	}
	return n, nil
}

// next returns the next line; io.EOF after the last.
func (f *epssFeed) next() (string, error) {
	f.line++
	if f.lines.Scan() && f.lines.Err() == nil { // with an error, the line is what came before it
		return strings.TrimSuffix(f.lines.Text(), "\r"), nil
	}
	switch err := f.lines.Err(); {
	case err == nil && f.line <= 2:
		return "", f.broken("the file ends here")
	case err == nil:
		return "", io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return "", f.broken("it is longer than %d bytes", maxFeedLine)
	default:
		return "", broken("cannot be read", err)
	}
}

func (f *epssFeed) broken(format string, args ...any) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "EPSS scores, line %d: "+format, append([]any{f.line}, args...)...).
		WithFix("give the epss_scores CSV file that FIRST publishes, gzipped or not")
}

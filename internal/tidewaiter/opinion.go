package tidewaiter

import "time"

// OpinionState is where a second opinion on an image is on its way.
type OpinionState string

// The states.
const (
	OpinionWaiting OpinionState = "waiting" // for the scanner to have room
	OpinionAsking  OpinionState = "asking"  // the scanner is being asked, or is at work
	OpinionDone    OpinionState = "done"
	OpinionFailed  OpinionState = "failed" // the last attempt failed; what was said before is kept
)

// Opinion is what a Scanner says of an image. It is shown beside what we found, and judges nothing.
type Opinion struct {
	ImageID   int64
	ScannerID string
	Scanner   string // its name; filled in when it is read

	State      OpinionState
	RegistryID string // through which the image is asked about; "" while it waits
	Scan       string // what the scanner calls the scan; "" until it took it
	ReportType string // the media type of the report that was asked for
	JobID      int64  // the job that works on it
	Faults     int    // answers of the present scan that could not be used, one after the other

	AskedAt   time.Time // when the scanner took the present or last scan
	TriedAt   time.Time // when the last attempt ended
	NextAt    time.Time // while it is asked: when the next step is due
	Error     string    // why the last attempt failed; "" when it went well
	ErrorKind ErrorKind
	Attempts  int       // that failed, one after the other
	RetryAt   time.Time // of one that failed; zero when it is given up until something changes

	Report OpinionReport // the last one; its ReadAt is zero when there is none
}

// OpinionReport is the head of a report on an image.
type OpinionReport struct {
	ScannerName string    `json:"scannerName"`
	Vendor      string    `json:"vendor,omitempty"`
	Version     string    `json:"version,omitempty"`
	DatabaseAt  time.Time `json:"databaseAt,omitzero"`  // of the scanner's database when the scan was asked for; zero when it does not say
	GeneratedAt time.Time `json:"generatedAt,omitzero"` // as the scanner says
	ReadAt      time.Time `json:"readAt,omitzero"`      // when we read it
	Findings    int       `json:"findings"`
	Counts      Counts    `json:"counts"`
	Cut         bool      `json:"cut,omitempty"` // it has more findings than are kept
}

// OpinionFinding is one vulnerability of one package as another scanner says it.
type OpinionFinding struct {
	Vulnerability string   `json:"id"`
	Alias         string   `json:"alias,omitempty"` // the CVE that its links name, where its own name is another
	Package       string   `json:"package"`
	Version       string   `json:"version,omitempty"`
	FixedIn       string   `json:"fixedIn,omitempty"`
	Severity      Severity `json:"severity"`
	Score         float64  `json:"score,omitempty"` // CVSS v3, else v2; 0 when it says none
	Link          string   `json:"link,omitempty"`
}

// maxOpinionAttempts is how often an opinion is tried to be had until something changes.
const maxOpinionAttempts = 6

// Failed notes that an attempt failed. It is tried again after a minute, then after longer and longer, six times in all; what waiting
// seldom mends only every six hours.
func (o *Opinion) Failed(err error, now time.Time) {
	o.State, o.Error, o.ErrorKind, o.TriedAt = OpinionFailed, err.Error(), KindOf(err), now
	o.Scan, o.Faults, o.NextAt, o.JobID = "", 0, time.Time{}, 0
	o.Attempts++
	wait := min(time.Minute<<(2*min(o.Attempts-1, 10)), 6*time.Hour)
	switch o.ErrorKind {
	case ErrDenied, ErrAuth, ErrUnsupported, ErrInvalid, ErrTooLarge, ErrMalformed, ErrTLS:
		wait = 6 * time.Hour
	}
	o.RetryAt = time.Time{}
	if o.Attempts < maxOpinionAttempts {
		o.RetryAt = now.Add(wait)
	}
}

// Succeeded notes that a report was read.
func (o *Opinion) Succeeded(r OpinionReport, now time.Time) {
	o.State, o.Report, o.TriedAt = OpinionDone, r, now
	o.Error, o.ErrorKind, o.Attempts, o.RetryAt = "", "", 0, time.Time{}
	o.Scan, o.Faults, o.NextAt, o.JobID = "", 0, time.Time{}, 0
}

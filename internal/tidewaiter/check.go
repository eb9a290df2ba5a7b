package tidewaiter

// Check is one compliance check's outcome on an Image.
type Check struct {
	ID        int      `json:"id"` // Prisma's number where it has one: 41, 406, 424, 425, …
	Benchmark string   `json:"benchmark,omitempty"`
	Section   string   `json:"section,omitempty"` // the benchmark's own number: 4.1
	Title     string   `json:"title"`
	Severity  Severity `json:"severity"`
	Category  string   `json:"category,omitempty"`
	Passed    bool     `json:"passed"`
	Cause     string   `json:"cause,omitempty"` // what made it fail, without secrets
	Detail    string   `json:"detail,omitempty"`
}

package control

import "github.com/tidewaiter/tidewaiter/internal/store"

// ResultSort is the order of a list of results.
type ResultSort = store.ResultSort

// The orders of results.
const (
	SortReference         = store.SortReference
	SortScanTime          = store.SortScanTime
	SortVulnerabilityRisk = store.SortVulnerabilityRisk
	SortComplianceRisk    = store.SortComplianceRisk
	SortCreated           = store.SortCreated
)

// Package storetest is the proof that a store.DB keeps its promises. It runs the same on every database.
package storetest

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// Run runs every test. Each opens an empty database of its own; open closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *store.DB)
	}{
		{"registries", testRegistries},
		{"many registries", testManyRegistries},
		{"registry pages", testRegistryPages},
		{"deleted registries", testDeletedRegistries},
		{"credentials", testCredentials},
		{"scans", testScans},
		{"latest scans", testLatestScans},
		{"scan over", testScanOver},
		{"scan errors", testScanErrors},
		{"finish", testFinish},
		{"finish once", testFinishOnce},
		{"plans", testPlans},
		{"due plans", testDuePlans},
		{"schedule counts", testScheduleCounts},
		{"conclude beside", testConcludeBeside},
		{"repositories", testRepositories},
		{"scan waits", testScanWaits},
		{"tags", testTags},
		{"tag moves", testTagMoves},
		{"tags known", testTagsKnown},
		{"conclude", testConclude},
		{"conclude shared", testConcludeShared},
		{"conclude refuses", testConcludeRefuses},
		{"hostile text", testHostileText},
		{"manifests", testManifests},
		{"index", testIndex},
		{"index again", testIndexAgain},
		{"not scanned", testNotScanned},
		{"layer failure", testLayerFailure},
		{"layer leases", testLayerLeases},
		{"layer failure of one", testLayerFailureOfOne},
		{"leases of the dead", testLeasesOfTheDead},
		{"publications", testPublications},
		{"scanners", testScanners},
		{"opinions", testOpinions},
		{"fleet advisories", testFleetAdvisories},
		{"registry state", testRegistryState},
		{"analyses", testAnalyses},
		{"readiness", testReadiness},
		{"platforms", testPlatforms},
		{"settling", testSettling},
		{"settling at once", testSettlingAtOnce},
		{"previous result", testPreviousResult},
		{"packages", testPackages},
		{"packages at once", testPackagesAtOnce},
		{"findings", testFindings},
		{"finding changes", testFindingChanges},
		{"rematch", testRematch},
		{"stale images", testStaleImages},
		{"left to judge", testRejudgeLeft},
		{"advisory changes", testAdvisoryChanges},
		{"image changes", testImageChanges},
		{"changes in bulk", testChangesInBulk},
		{"changes at once", testChangesAtOnce},
		{"result", testResult},
		{"results", testResults},
		{"result pages", testResultPages},
		{"search", testSearch},
		{"images", testImages},
		{"deleted images", testDeletedImages},
		{"vulnerable images", testVulnerableImages},
		{"policies", testPolicies},
		{"users", testUsers},
		{"audit", testAudit},
		{"workers", testWorkers},
		{"retention", testRetention},
		{"history", testHistory},
		{"EPSS", testEPSS},
		{"KEV", testKEV},
		{"fleet vulnerabilities", testFleetVulnerabilities},
		{"events", testEvents},
		{"deliveries", testDeliveries},
		{"event addresses", testEventAddresses},
		{"event sources", testEventSources},
		{"tag gone", testTagGone},
		{"tag checks", testTagChecks},
		{"unchecked tags", testUncheckedTags},
		{"registry tags", testRegistryTags},
		{"stats", testStats},
		{"transactions", testTransactions},
		{"harbor scans", testHarborScans},
		{"harbor failures", testHarborFailures},
		{"harbor purge", testHarborPurge},
		{"standing", testStanding},
		{"await scan", testAwaitScan},
		{"closed", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

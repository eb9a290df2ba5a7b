package testkit

import (
	"flag"
	"runtime"
	"strconv"
)

// AtOnce lets n tests run at once that may, for packages whose tests wait most of the time; without it, and under the race
// detector, as many do as there are cores. What was asked for with -parallel, and more cores, go before it. TestMain calls it.
func AtOnce(n int) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if asked || UnderRace || runtime.GOMAXPROCS(0) >= n {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic("testkit: " + err.Error()) // it is no test that calls
	}
}

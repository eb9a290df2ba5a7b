package emulator_test

import (
	"fmt"
	"net/http"

	"github.com/tidewaiter/tidewaiter/emulator"
)

func ExampleNew() {
	e, err := emulator.New(emulator.Options{Kind: emulator.Harbor, Repositories: 3, Tags: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	r, err := http.NewRequest(http.MethodGet, e.Endpoints()["harbor"]+"/api/v2.0/repositories?page_size=100", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r.SetBasicAuth(e.Login().Username, e.Login().Password)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("X-Total-Count"), "repositories,", e.Count(), "request")
	// Output: 200 3 repositories, 1 request
}

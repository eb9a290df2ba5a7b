package httpd

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthy says that the process runs and answers.
func healthy(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintln(w, "ok") // who asked may have gone
}

// ready says whether requests can be served: the database answers.
func ready(check func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := check(ctx); err != nil {
			http.Error(w, "not ready: the database does not answer", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready") // who asked may have gone
	}
}

// front tells somebody who opens the address in a browser what lives here.
func front(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprint(w, `Tidewaiter is running.

/api/v1/...      the Prisma Cloud Compute registry API
/csapi/v1.3/...  the Qualys Container Security registry API
/metrics         Prometheus metrics
/healthz         is the process alive?
/readyz          can it serve?
`) // who asked may have gone
}

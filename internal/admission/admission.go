// Package admission answers a Kubernetes cluster that asks whether what it is about to run may run: a validating admission
// webhook (admission.k8s.io/v1). It translates words and shapes; what happens is decided in package control. docs/admission.md
// says how to set it up.
package admission

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Path is where it is mounted: with a login by Basic or Bearer, or without one below it at a secret suffix.
const Path = "/tidewaiter/v1/admission"

const (
	patience = 9500 * time.Millisecond // with a request; a cluster waits 10 seconds, unless told another time
	maxBody  = 3 << 20                 // bytes; a cluster's own limit of an object is half of that
	maxDepth = 100                     // of nested JSON
)

// Config is what the webhook works with. Every field is required.
type Config struct {
	Control *control.Control
	Auth    *auth.Service
	Log     *slog.Logger
}

// New returns a handler for Path and what is below it.
func New(c Config) http.Handler {
	s := &server{c}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, s.withLogin)
	mux.HandleFunc("POST "+Path+"/{suffix}", s.withSuffix)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

type server struct{ Config }

func (s *server) withLogin(w http.ResponseWriter, r *http.Request) {
	user, err := s.Auth.Authenticate(r)
	if err == nil {
		err = auth.Require(user, tidewaiter.MayReadImages)
	}
	switch tidewaiter.KindOf(err) {
	case "":
		s.review(w, r, user.Role.May(tidewaiter.MayScan))
	case tidewaiter.ErrForbidden:
		http.Error(w, err.Error(), http.StatusForbidden)
	case tidewaiter.ErrUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="tidewaiter", charset="UTF-8"`)
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case tidewaiter.ErrLimit:
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	default:
		s.Log.ErrorContext(r.Context(), "admission: login", "err", err)
		http.Error(w, "the login could not be checked", http.StatusServiceUnavailable)
	}
}

func (s *server) withSuffix(w http.ResponseWriter, r *http.Request) {
	suffix, err := s.Control.Suffix(r.Context(), control.SettingAdmissionSuffix)
	switch {
	case err != nil:
		s.Log.ErrorContext(r.Context(), "admission: secret address", "err", err)
		http.Error(w, "the address could not be checked", http.StatusServiceUnavailable)
	case subtle.ConstantTimeCompare([]byte(suffix), []byte(r.PathValue("suffix"))) != 1:
		http.NotFound(w, r)
	default:
		s.review(w, r, true)
	}
}

// review reads an AdmissionReview and answers with one.
func (s *server) review(w http.ResponseWriter, r *http.Request, mayScan bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		http.Error(w, "the review is longer than 3 MiB", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the review was cut short", http.StatusBadRequest)
		return
	}
	if deep(body, maxDepth) {
		http.Error(w, "the review nests deeper than 100 levels", http.StatusBadRequest)
		return
	}
	var in review
	if err := json.Unmarshal(body, &in); err != nil || in.Kind != "AdmissionReview" || in.Request == nil || in.Request.UID == "" {
		http.Error(w, "this is not an AdmissionReview with a request", http.StatusBadRequest)
		return
	}
	out := review{APIVersion: in.APIVersion, Kind: in.Kind, Response: &response{UID: in.Request.UID}}
	switch in.APIVersion {
	case version:
		if err := s.decide(r, in.Request, out.Response, mayScan); err != nil {
			// No review: what happens then is what the cluster's failurePolicy says.
			http.Error(w, "the rules of admission cannot be read", http.StatusServiceUnavailable)
			return
		}
	case "admission.k8s.io/v1beta1":
		out.Response.refuse(http.StatusBadRequest, "reviews of admission.k8s.io/v1beta1 are not answered: set admissionReviewVersions to [\"v1\"]")
	default:
		http.Error(w, "reviews of this apiVersion are not answered: send "+version, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) //nolint:errchkjson // the cluster has gone
}

// decide fills in the answer to a request.
func (s *server) decide(r *http.Request, in *request, out *response, mayScan bool) error {
	images, known, err := in.images()
	if err != nil {
		out.refuse(http.StatusBadRequest, err.Error())
		return nil
	}
	if !known {
		out.Allowed = true
		out.warn([]string{"tidewaiter does not look at objects of kind " + in.Type.Kind})
		return nil
	}
	within, err := time.ParseDuration(r.URL.Query().Get("timeout")) // the cluster says how long it waits
	if err != nil || within < 0 {
		within = 0
	}
	answer, err := s.Control.Admit(control.WithActor(r.Context(), "admission"), control.AdmissionRequest{
		Namespace: in.Namespace, Images: images, DryRun: in.DryRun || !mayScan, Within: within})
	if err != nil {
		return err
	}
	out.Allowed = answer.Allowed
	out.warn(answer.Warnings)
	if !answer.Allowed {
		out.refuse(http.StatusForbidden, "tidewaiter refuses it: "+strings.Join(answer.Reasons, "; "))
	}
	return nil
}

// deep reports whether JSON nests deeper than a limit, without reading it: it counts brackets outside of strings.
func deep(body []byte, limit int) bool {
	level, text := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if level++; level > limit {
				return true
			}
		case c == '}' || c == ']':
			level--
		}
	}
	return false
}

package emulator

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ocirSkew is how far a request's time may be off. Oracle: "Request Signatures": five minutes.
const ocirSkew = 5 * time.Minute

// ocir is Oracle's registry: the signed API on one address, the registry on another. Oracle: "Artifacts and Container
// Images API", version 20160918.
func (e *Emulator) ocir() surface {
	registry := e.distribution(gate{realm: func(r *http.Request) string { return base(r) + "/20180419/docker/token" }, service: e.Host()})
	registry.tagsMax = 1000
	mux := http.NewServeMux()
	mux.HandleFunc("/20180419/docker/token", e.ocirToken)
	mux.Handle("/v2/", registry)
	api := http.NewServeMux()
	api.HandleFunc("GET /20160918/container/repositories", e.signedOnly(e.ocirRepositories))
	api.HandleFunc("GET /20160918/container/images", e.signedOnly(e.ocirImages))
	api.HandleFunc("GET /20160918/container/configuration", e.signedOnly(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, document{"namespace": e.Login().TenancyNamespace, "isRepositoryCreatedOnFirstPush": true})
	}))
	return surface{registry: mux, api: api, endpoints: map[string]string{"ocir": e.API, "registry": e.URL}}
}

// ocirToken gives tokens to passwords and, to signed requests, one that is used as the password of BEARER_TOKEN. Oracle:
// "Pulling Images Using the Docker CLI", bearer tokens.
func (e *Emulator) ocirToken(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Authorization"), "Signature ") {
		label(r, e, "signed token")
		if !e.signed(r) {
			ocirError(w, r, http.StatusUnauthorized, "NotAuthenticated", "The required information to complete authentication was not provided or was incorrect.")
			return
		}
		life := e.life(time.Hour)
		writeJSON(w, r, http.StatusOK, document{
			"token": e.issue("docker", e.Login().UserOCID, nil, life), "expires_in": int(life / time.Second),
		})
		return
	}
	tokenService{e: e, service: e.Host(), check: func(user, password string) bool {
		if user == "BEARER_TOKEN" {
			_, err := e.check("docker", password)
			return err == nil
		}
		return e.basicLogin(user, password)
	}, life: time.Hour, realm: "OCIR"}.ServeHTTP(w, r)
}

func ocirError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	w.Header().Set("Opc-Request-Id", "emulated")
	writeJSON(w, r, status, document{"code": code, "message": message})
}

// signedOnly verifies the signature of a request. Oracle: "Request Signatures", draft-cavage-http-signatures-08.
func (e *Emulator) signedOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.signed(r) {
			ocirError(w, r, http.StatusUnauthorized, "NotAuthenticated", "The required information to complete authentication was not provided or was incorrect.")
			return
		}
		if r.URL.Query().Get("compartmentId") == "" {
			ocirError(w, r, http.StatusBadRequest, "MissingParameter", "Missing compartmentId")
			return
		}
		if r.URL.Query().Get("compartmentId") != e.Login().TenancyOCID {
			ocirError(w, r, http.StatusNotFound, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found.")
			return
		}
		next(w, r)
	}
}

// signed reports whether a request was signed with the configured key, for this request, at about this time.
func (e *Emulator) signed(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Signature ")
	if !ok {
		return false
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = strings.Trim(value, `"`)
	}
	e.mu.RLock()
	l, public := e.login, e.keys.client
	e.mu.RUnlock()
	headers := strings.Fields(strings.ToLower(fields["headers"]))
	if fields["keyId"] != l.TenancyOCID+"/"+l.UserOCID+"/"+l.Fingerprint || fields["algorithm"] != "rsa-sha256" ||
		!slices.Contains(headers, "(request-target)") || !slices.Contains(headers, "host") {
		return false
	}
	date := r.Header.Get("Date")
	if slices.Contains(headers, "x-date") {
		date = r.Header.Get("X-Date")
	} else if !slices.Contains(headers, "date") {
		return false
	}
	at, err := http.ParseTime(date)
	if off := e.now().Sub(at); err != nil || off > ocirSkew || off < -ocirSkew {
		return false
	}
	var lines []string
	for _, name := range headers {
		value := r.Header.Get(name)
		switch name {
		case "(request-target)":
			value = strings.ToLower(r.Method) + " " + r.URL.RequestURI()
		case "host":
			value = r.Host
		}
		lines = append(lines, name+": "+value)
	}
	signature, err := base64.StdEncoding.DecodeString(fields["signature"])
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return err == nil && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil
}

// compartment returns the repositories a request asks about, which the whole tree below the tenancy holds.
func (e *Emulator) compartment(r *http.Request) (from, to int) {
	if r.URL.Query().Get("compartmentIdInSubtree") != "true" {
		return 0, 0 // all repositories are in compartments below the root
	}
	name := r.URL.Query().Get("repositoryName")
	if name == "" {
		name = r.URL.Query().Get("displayName")
	}
	if name == "" || strings.Contains(r.URL.Path, "images") && r.URL.Query().Get("repositoryName") == "" {
		return 0, e.o.Repositories
	}
	if repo, ok := e.fleet.find(name); ok {
		return repo, repo + 1
	}
	return 0, 0
}

func (e *Emulator) ocirRepositories(w http.ResponseWriter, r *http.Request) {
	from, to := e.compartment(r)
	offset, ok := e.offset(r.URL.Query().Get("page"))
	if !ok {
		ocirError(w, r, http.StatusBadRequest, "InvalidParameter", "Invalid page token")
		return
	}
	items := []document{}
	size := number(r, "limit", 50, 1, 1000)
	for repo := from + offset; repo < to && len(items) < size; repo++ {
		v := e.fleet.view(repo)
		items = append(items, document{
			"displayName": e.fleet.name(repo), "id": "ocid1.containerrepo.oc1..r" + strconv.Itoa(repo), "compartmentId": "ocid1.compartment.oc1..emulator",
			"imageCount": v.total, "layerCount": bases, "isPublic": false, "lifecycleState": "AVAILABLE", "namespace": e.Login().TenancyNamespace,
			"timeCreated": e.fleet.original(repo, 0).pushed,
		})
	}
	if from+offset+len(items) < to && !endsEarly(r) {
		w.Header().Set("Opc-Next-Page", e.token(offset+len(items)))
	}
	writeJSON(w, r, http.StatusOK, document{"items": items, "repositoryCount": to - from})
}

// ocirImages lists one image a tag. Oracle: by time the newest come first unless sortOrder says otherwise.
func (e *Emulator) ocirImages(w http.ResponseWriter, r *http.Request) {
	from, to := e.compartment(r)
	q := r.URL.Query()
	size := number(r, "limit", 50, 1, 1000)
	list, next, ok := e.timePage(from, to, q.Get("sortOrder") == "ASC", byTag, q.Get("page"), size)
	if !ok {
		ocirError(w, r, http.StatusBadRequest, "InvalidParameter", "Invalid page token")
		return
	}
	items := []document{}
	for _, x := range list {
		name, t := e.fleet.name(x.repo), x.tags[0]
		items = append(items, document{
			"displayName": name + ":" + t, "digest": x.digest, "id": "ocid1.containerimage.oc1..i" + x.digest[7:27],
			"compartmentId": "ocid1.compartment.oc1..emulator", "lifecycleState": "AVAILABLE", "repositoryName": name,
			"repositoryId": "ocid1.containerrepo.oc1..r" + strconv.Itoa(x.repo), "timeCreated": x.pushed, "version": t,
		})
	}
	if next != "" && !endsEarly(r) {
		w.Header().Set("Opc-Next-Page", next)
	}
	writeJSON(w, r, http.StatusOK, document{"items": items, "remainingItemsCount": 0})
}

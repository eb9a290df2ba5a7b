package emulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const ibmGrant = "urn:ibm:params:oauth:grant-type:apikey"

// ibm is IBM Cloud Container Registry: its API and registry on one address, IAM on another. IBM: "IBM Cloud Container
// Registry API", "IAM Identity Services API".
func (e *Emulator) ibm() surface {
	registry := e.distribution(gate{
		realm: func(r *http.Request) string { return base(r) + "/oauth/token" }, service: "registry", basic: e.ibmBasic,
	})
	mux := http.NewServeMux()
	mux.Handle("/oauth/token", tokenService{e: e, service: "registry", check: e.ibmBasic, life: time.Hour, realm: "IBM"})
	mux.Handle("/v2/", registry)
	mux.HandleFunc("GET /api/v1/namespaces", e.ibmOnly(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, e.o.Namespaces)
	}))
	mux.HandleFunc("GET /api/v1/images", e.ibmOnly(e.ibmImages))
	iam := http.NewServeMux()
	iam.HandleFunc("POST /identity/token", e.iam)
	return surface{registry: mux, api: iam, endpoints: map[string]string{"iam": e.API, "ibm": e.URL, "registry": e.URL}}
}

// ibmBasic takes an API key or a token of IAM as the password. IBM: "Automating access to IBM Cloud Container Registry".
func (e *Emulator) ibmBasic(user, password string) bool {
	if user == "iambearer" {
		_, err := e.check("iam", password)
		return err == nil
	}
	return user == "iamapikey" && same(password, e.Login().Token)
}

func (e *Emulator) iam(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != ibmGrant {
		writeJSON(w, r, http.StatusBadRequest, document{"errorCode": "BXNIM0120E", "errorMessage": "The grant type is not supported."})
		return
	}
	if !same(r.PostForm.Get("apikey"), e.Login().Token) {
		writeJSON(w, r, http.StatusBadRequest, document{
			"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found.", "context": document{"requestId": "emulated"},
		})
		return
	}
	life := e.life(time.Hour)
	writeJSON(w, r, http.StatusOK, document{
		"access_token": e.issue("iam", "iam-ServiceId", nil, life), "refresh_token": "not_supported", "token_type": "Bearer",
		"expires_in": int(life / time.Second), "expiration": e.now().Add(life).Unix(), "scope": "ibm openid",
	})
}

func (e *Emulator) ibmOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := e.check("iam", bearer(r)); err != nil {
			writeJSON(w, r, http.StatusUnauthorized, document{"code": "CRG0009E", "message": "You are not authorized to access the specified account.", "request-id": "emulated"})
			return
		}
		if r.Header.Get("Account") != e.Login().Account {
			writeJSON(w, r, http.StatusBadRequest, document{"code": "CRG0008E", "message": "The account in the header is missing or not yours.", "request-id": "emulated"})
			return
		}
		next(w, r)
	}
}

// ibmImages lists the whole account, or one namespace or repository, in one answer. It is written image by image.
func (e *Emulator) ibmImages(w http.ResponseWriter, r *http.Request) {
	from, to := 0, e.o.Repositories
	if n := r.URL.Query().Get("namespace"); n != "" {
		from, to = e.fleet.in(n)
	}
	if n := r.URL.Query().Get("repository"); n != "" {
		repo, ok := e.fleet.find(strings.TrimPrefix(n, e.Host()+"/"))
		if from, to = repo, repo; ok {
			to++
		}
	}
	w.Header().Set("Content-Type", "application/json")
	write := func(b []byte) { _, _ = w.Write(b) } // the client may have gone
	write([]byte("["))
	first := true
	for repo := from; repo < to && r.Context().Err() == nil; repo++ {
		v := e.fleet.view(repo)
		for p := range v.manifests() {
			if endsEarly(r) && !first {
				break
			}
			k, x := v.manifest(p)
			x.object = e.fleet.object(k)
			item, err := json.Marshal(e.ibmImage(repo, x))
			if err != nil {
				return
			}
			if !first {
				write([]byte(","))
			}
			first = false
			write(item)
		}
	}
	write([]byte("]"))
}

func (e *Emulator) ibmImage(repo int, x entry) document {
	name := e.Host() + "/" + e.fleet.name(repo)
	var tags []string
	for _, t := range x.tags {
		tags = append(tags, name+":"+t)
	}
	return document{
		"Id": x.digest, "ParentId": "", "DigestTags": document{x.digest: tags}, "RepoTags": tags, "RepoDigests": []string{name + "@" + x.digest},
		"Created": x.pushed.Unix(), "Size": x.size, "VirtualSize": x.size, "Labels": nil, "Vulnerable": "unknown", "VulnerabilityCount": 0,
		"ConfigurationIssueCount": 0, "IssueCount": 0, "ExemptIssueCount": 0, "ManifestType": x.mediaType,
	}
}

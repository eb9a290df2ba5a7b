package emulator

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ecr is Amazon's Elastic Container Registry: its API and the security token service on one address, the registry on
// another. AWS: "Amazon ECR API Reference", version 2015-09-21.
func (e *Emulator) ecr() surface {
	registry := e.distribution(gate{name: e.URL + `/",service="ecr.amazonaws.com`, basic: func(user, password string) bool {
		_, err := e.check("ecr", password)
		return user == "AWS" && err == nil
	}})
	registry.tagsDefault, registry.tagsMax, registry.opaque = 1000, 1000, true
	if e.o.Public {
		registry = e.publicRegistry()
	}
	mux := http.NewServeMux()
	mux.Handle("/v2/", registry)
	if e.o.Public {
		mux.HandleFunc("GET /token/", e.publicToken)
	}
	api := http.NewServeMux()
	api.HandleFunc("POST /{$}", e.awsCall)
	e.instanceMetadata(api)
	return surface{registry: mux, api: api, endpoints: map[string]string{
		"ecr": e.API, "ecr-public": e.API, "sts": e.API, "imds": e.API, "sqs": e.API, "registry": e.URL,
	}}
}

// awsCall tells the protocols apart: ECR speaks JSON and names the action in a header, STS takes a form.
func (e *Emulator) awsCall(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	if target == "" {
		e.sts(w, r)
		return
	}
	api, action, _ := strings.Cut(target, ".")
	if api == "AmazonSQS" {
		e.sqs(w, r, action)
		return
	}
	service := "ecr"
	if e.o.Public {
		service = "ecr-public"
	}
	label(r, e, service+":"+action)
	who, failure := e.verifyAWS(r, service)
	if failure != nil {
		awsError(w, r, http.StatusBadRequest, failure.code, failure.message)
		return
	}
	if e.o.RequireRole && who.role == "" {
		awsError(w, r, http.StatusBadRequest, "AccessDeniedException", "User: arn:aws:iam::"+e.Login().Account+
			":user/emulator is not authorized to perform: ecr:"+action)
		return
	}
	// AWS: each of the two registries has an API of its own, though the actions are called the same.
	if (api == "SpencerFrontendService") != e.o.Public {
		awsError(w, r, http.StatusBadRequest, "UnknownOperationException", target)
		return
	}
	handler := map[string]func(http.ResponseWriter, *http.Request, ecrInput){
		"GetAuthorizationToken": e.ecrToken, "DescribeRepositories": e.ecrRepositories,
		"DescribeImages": e.ecrImages, "ListImages": e.ecrImages,
	}[action]
	var in ecrInput
	if handler == nil {
		awsError(w, r, http.StatusBadRequest, "UnknownOperationException", action)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		awsError(w, r, http.StatusBadRequest, "SerializationException", "the body is no JSON")
		return
	}
	if in.RegistryID != "" && in.RegistryID != e.Login().Account {
		awsError(w, r, http.StatusBadRequest, "AccessDeniedException", "no permission on registry "+in.RegistryID)
		return
	}
	in.short = action == "ListImages"
	handler(w, r, in)
}

// ecrInput is what the emulated actions take.
type ecrInput struct {
	RegistryID      string   `json:"registryId"`
	RepositoryName  string   `json:"repositoryName"`
	RepositoryNames []string `json:"repositoryNames"`
	MaxResults      *int     `json:"maxResults"`
	NextToken       string   `json:"nextToken"`
	Filter          struct {
		TagStatus string `json:"tagStatus"`
	} `json:"filter"`
	ImageIDs []struct {
		ImageDigest string `json:"imageDigest"`
		ImageTag    string `json:"imageTag"`
	} `json:"imageIds"`
	short bool
}

func awsError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", code)
	writeJSON(w, r, status, document{"__type": code, "message": message})
}

func (e *Emulator) ecrAnswer(w http.ResponseWriter, r *http.Request, doc document) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	writeJSON(w, r, http.StatusOK, doc)
}

// ecrToken issues the registry's password. AWS: valid for 12 hours.
func (e *Emulator) ecrToken(w http.ResponseWriter, r *http.Request, _ ecrInput) {
	life := e.life(12 * time.Hour)
	expires := e.now().Add(life)
	if !e.o.ClaimedExpiry.IsZero() {
		expires = e.o.ClaimedExpiry
	}
	if e.o.Public {
		e.ecrAnswer(w, r, document{"authorizationData": document{
			"authorizationToken": e.publicPassword(life), "expiresAt": float64(expires.UnixMilli()) / 1000,
		}})
		return
	}
	token := base64.StdEncoding.EncodeToString([]byte("AWS:" + e.issue("ecr", "AWS", nil, life)))
	e.ecrAnswer(w, r, document{"authorizationData": []document{{
		"authorizationToken": token, "expiresAt": float64(expires.UnixMilli()) / 1000, "proxyEndpoint": e.URL,
	}}})
}

// ecrPage reads maxResults and nextToken. AWS: 100 where it is missing, at most 1000.
func (e *Emulator) ecrPage(w http.ResponseWriter, r *http.Request, in ecrInput) (size, offset int, ok bool) {
	size = 100
	if in.MaxResults != nil {
		if size = *in.MaxResults; size < 1 || size > 1000 {
			awsError(w, r, http.StatusBadRequest, "InvalidParameterException",
				"Invalid parameter at 'maxResults' failed to satisfy constraint: 'must be between 1 and 1000'")
			return 0, 0, false
		}
	}
	offset, ok = e.offset(in.NextToken)
	if !ok {
		awsError(w, r, http.StatusBadRequest, "InvalidParameterException", "Invalid parameter at 'NextToken' failed to satisfy constraint")
	}
	return size, offset, ok
}

func (e *Emulator) ecrRepositories(w http.ResponseWriter, r *http.Request, in ecrInput) {
	size, offset, ok := e.ecrPage(w, r, in)
	if !ok {
		return
	}
	l, list := e.Login(), []document{}
	add := func(repo int) {
		name := e.fleet.name(repo)
		list = append(list, document{
			"registryId": l.Account, "repositoryName": name, "repositoryArn": "arn:aws:ecr:" + l.Region + ":" + l.Account + ":repository/" + name,
			"repositoryUri": e.Host() + "/" + e.registryName(repo), "createdAt": float64(e.fleet.original(repo, 0).pushed.Unix()),
			"imageTagMutability": "MUTABLE",
		})
	}
	doc := document{}
	for _, name := range in.RepositoryNames {
		repo, ok := e.fleet.find(name)
		if !ok {
			awsError(w, r, http.StatusBadRequest, "RepositoryNotFoundException", "The repository with name '"+name+"' does not exist")
			return
		}
		add(repo)
	}
	if len(in.RepositoryNames) == 0 {
		for repo := offset; repo < e.o.Repositories && len(list) < size; repo++ {
			add(repo)
		}
		if next := offset + len(list); next < e.o.Repositories && !endsEarly(r) {
			doc["nextToken"] = e.token(next)
		}
	}
	doc["repositories"] = list
	e.ecrAnswer(w, r, doc)
}

func (e *Emulator) ecrImages(w http.ResponseWriter, r *http.Request, in ecrInput) {
	size, offset, ok := e.ecrPage(w, r, in)
	if !ok {
		return
	}
	repo, found := e.fleet.find(in.RepositoryName)
	if !found {
		awsError(w, r, http.StatusBadRequest, "RepositoryNotFoundException", "The repository with name '"+in.RepositoryName+
			"' does not exist in the registry with id '"+e.Login().Account+"'")
		return
	}
	v := e.fleet.view(repo)
	var page []entry
	var more bool
	if len(in.ImageIDs) > 0 {
		if page, ok = e.ecrByID(v, in); !ok {
			awsError(w, r, http.StatusBadRequest, "ImageNotFoundException", "The image does not exist")
			return
		}
	} else {
		page, more = v.entries(offset, size, in.Filter.TagStatus != "TAGGED", scatter(v.manifests(), e.o.Seed))
	}
	if in.Filter.TagStatus == "UNTAGGED" {
		page = slices.DeleteFunc(page, func(x entry) bool { return len(x.tags) > 0 })
	}
	list := []document{}
	for _, x := range page {
		if in.short {
			tags := x.tags
			if len(tags) == 0 {
				list = append(list, document{"imageDigest": x.digest})
			}
			for _, t := range tags {
				list = append(list, document{"imageDigest": x.digest, "imageTag": t})
			}
			continue
		}
		list = append(list, e.ecrImage(in.RepositoryName, x))
	}
	doc := document{"imageDetails": list}
	if in.short {
		doc = document{"imageIds": list}
	}
	if more && !endsEarly(r) {
		doc["nextToken"] = e.token(offset + size)
	}
	e.ecrAnswer(w, r, doc)
}

func (e *Emulator) ecrImage(repository string, x entry) document {
	doc := document{
		"registryId": e.Login().Account, "repositoryName": repository, "imageDigest": x.digest, "imageSizeInBytes": x.size,
		"imagePushedAt": float64(x.pushed.UnixMilli()) / 1000, "imageManifestMediaType": x.mediaType,
	}
	if len(x.tags) > 0 {
		doc["imageTags"] = x.tags
	}
	if x.configType != "" {
		doc["artifactMediaType"] = x.configType
	}
	return doc
}

func (e *Emulator) ecrByID(v view, in ecrInput) ([]entry, bool) {
	var page []entry
	for _, id := range in.ImageIDs {
		if t, ok := v.find(id.ImageTag); ok {
			page = append(page, entry{object: e.fleet.object(t.key), tags: []string{t.name}, pushed: t.pushed})
		} else if o := e.fleet.manifest(v.repo, id.ImageDigest); o != nil {
			page = append(page, entry{object: o, pushed: o.created})
		} else {
			return nil, false
		}
	}
	return page, true
}

// scatter returns an order of n positions that follows no time: ECR lists in no particular order.
func scatter(n int, seed uint64) func(int) int {
	if n < 3 {
		return nil
	}
	stride := n*5/8 + int(seed%7)
	for gcd(stride, n) != 1 {
		stride++
	}
	return func(p int) int { return int((uint64(p)*uint64(stride) + seed%uint64(n)) % uint64(n)) }
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tidewaiter/tidewaiter/emulator"
)

func hubToken(t *testing.T, e *emulator.Emulator, user, password string) answer {
	t.Helper()
	return newClient(t, e).do("POST", e.API+"/v2/auth/token", "application/json", []byte(`{"identifier":"`+user+`","secret":"`+password+`"}`))
}

func listHub(t *testing.T, e *emulator.Emulator) fleet {
	var token struct {
		Access string `json:"access_token"`
	}
	hubToken(t, e, e.Login().Username, e.Login().Password).decode(t, &token)
	c := newClient(t, e, "Authorization", "Bearer "+token.Access)
	f := fleet{}
	type page struct {
		Count   int
		Next    string
		Results []struct {
			Name, Namespace, Digest string
			Pushed                  time.Time `json:"tag_last_pushed"`
		}
	}
	for _, namespace := range []string{"acme", "beta"} {
		for at := e.API + "/v2/namespaces/" + namespace + "/repositories?page_size=3"; at != ""; {
			var repositories page
			c.json(at, &repositories)
			for _, r := range repositories.Results {
				last := time.Now().AddDate(10, 0, 0)
				for next := e.API + "/v2/namespaces/" + namespace + "/repositories/" + r.Name + "/tags"; next != ""; {
					var tags page
					c.json(next, &tags)
					if len(tags.Results) > 10 || tags.Count != e.Tags(namespace+"/"+r.Name) {
						t.Fatalf("%d tags on a page of 10, %d in all", len(tags.Results), tags.Count)
					}
					for _, x := range tags.Results {
						if x.Pushed.After(last) {
							t.Fatalf("%s is newer than the one before it", x.Name)
						}
						last = x.Pushed
						f.add(namespace+"/"+r.Name, x.Name, x.Digest)
					}
					next = tags.Next
				}
			}
			at = repositories.Next
		}
	}
	return f
}

func listACR(t *testing.T, e *emulator.Emulator) fleet {
	l, host := e.Login(), strings.TrimPrefix(e.URL, "http://")
	anybody := newClient(t, e)
	var aad struct {
		Token string `json:"access_token"`
	}
	anybody.form(e.API+"/"+l.TenantID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {l.ClientID},
		"client_secret": {l.ClientSecret}, "scope": {"https://containerregistry.azure.net/.default"}}).decode(t, &aad)
	var refresh struct {
		Token string `json:"refresh_token"`
	}
	anybody.form(e.URL+"/oauth2/exchange", url.Values{"grant_type": {"access_token"}, "service": {host}, "tenant": {l.TenantID},
		"access_token": {aad.Token}}).decode(t, &refresh)
	access := func(scope string) *client {
		anybody.form(e.URL+"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "service": {host}, "scope": {scope},
			"refresh_token": {refresh.Token}}).decode(t, &aad)
		return newClient(t, e, "Authorization", "Bearer "+aad.Token)
	}
	f := fleet{}
	catalog := access("registry:catalog:*")
	for at := e.URL + "/acr/v1/_catalog?n=4"; at != ""; {
		var doc struct{ Repositories []string }
		a := catalog.json(at, &doc)
		for _, name := range doc.Repositories {
			c := access("repository:" + name + ":metadata_read")
			for next := e.URL + "/acr/v1/" + name + "/_tags?n=10&orderby=timedesc"; next != ""; {
				var tags struct {
					Tags []struct{ Name, Digest string }
				}
				b := c.json(next, &tags)
				for _, x := range tags.Tags {
					f.add(name, x.Name, x.Digest)
				}
				next = b.next(t, next)
			}
		}
		at = a.next(t, at)
	}
	return f
}

// googleAssertion signs as a service account does.
func googleAssertion(t *testing.T, e *emulator.Emulator, account []byte) answer {
	t.Helper()
	var doc map[string]string
	if err := json.Unmarshal(account, &doc); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": doc["client_email"], "aud": doc["token_uri"],
		"scope": "https://www.googleapis.com/auth/cloud-platform", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}).
		SignedString(privateKey(t, []byte(doc["private_key"])))
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, e).form(doc["token_uri"], url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}})
}

func privateKey(t *testing.T, text []byte) *rsa.PrivateKey {
	t.Helper()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			return k.(*rsa.PrivateKey)
		}
	}
	t.Fatal("no private key")
	return nil
}

func listGAR(t *testing.T, e *emulator.Emulator) fleet { return listGAROrdered(t, e, "") }

func listGAROrdered(t *testing.T, e *emulator.Emulator, order string) fleet {
	t.Helper()
	var token struct {
		Access string `json:"access_token"`
	}
	googleAssertion(t, e, e.Login().ServiceAccountJSON).decode(t, &token)
	c := newClient(t, e, "Authorization", "Bearer "+token.Access)
	f := fleet{}
	var repositories struct {
		Repositories []struct{ Name, Format string }
	}
	c.json(e.API+"/v1/projects/acme-project/locations/-/repositories?filter="+url.QueryEscape(`format="DOCKER"`), &repositories)
	for _, r := range repositories.Repositories {
		last := time.Now().AddDate(10, 0, 0)
		for page := ""; ; {
			var doc struct {
				DockerImages []struct {
					URI        string
					Tags       []string
					UpdateTime time.Time
				}
				NextPageToken string
			}
			c.json(e.API+"/v1/"+r.Name+"/dockerImages?pageSize=7&orderBy="+url.QueryEscape(order)+"&pageToken="+url.QueryEscape(page), &doc)
			for _, x := range doc.DockerImages {
				// Members of an index were pushed a second before it.
				if order != "" && len(x.Tags) > 0 && x.UpdateTime.After(last) {
					t.Fatalf("%s is newer than the one before it", x.URI)
				}
				if len(x.Tags) > 0 {
					last = x.UpdateTime
				}
				name, digest, _ := strings.Cut(strings.TrimPrefix(x.URI, e.Host()+"/"), "@")
				for _, tag := range x.Tags {
					f.add(name, tag, digest)
				}
			}
			if page = doc.NextPageToken; page == "" {
				break
			}
		}
	}
	return f
}

func listGHCR(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e, "Authorization", "Bearer "+e.Login().Token)
	f := fleet{}
	for _, org := range []string{"acme", "beta"} {
		for at := e.API + "/orgs/" + org + "/packages?package_type=container&per_page=3"; at != ""; {
			var packages []struct{ Name string }
			a := c.json(at, &packages)
			for _, p := range packages {
				untagged := 0
				for next := e.API + "/orgs/" + org + "/packages/container/" + url.PathEscape(p.Name) + "/versions?state=active"; next != ""; {
					var versions []struct {
						Name     string
						Metadata struct{ Container struct{ Tags []string } }
					}
					b := c.json(next, &versions)
					if len(versions) > 30 {
						t.Fatalf("%d versions where the page size is 30", len(versions))
					}
					for _, v := range versions {
						if len(v.Metadata.Container.Tags) == 0 {
							untagged++
						}
						for _, tag := range v.Metadata.Container.Tags {
							f.add(org+"/"+p.Name, tag, v.Name)
						}
					}
					next = b.next(t, next)
				}
				if untagged != 6 {
					t.Errorf("%d versions without tags, want the 6 members of 3 indexes", untagged)
				}
			}
			at = a.next(t, at)
		}
	}
	return f
}

func listOpenShift(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e, "Authorization", "Bearer "+e.Login().Token)
	f := fleet{}
	for token := ""; ; {
		var doc struct {
			Metadata struct{ Continue string }
			Items    []struct {
				Status struct {
					Repository string `json:"dockerImageRepository"`
					Tags       []struct {
						Tag   string
						Items []struct{ Image string }
					}
				}
			}
		}
		c.json(e.API+"/apis/image.openshift.io/v1/imagestreams?limit=4&continue="+token, &doc)
		for _, s := range doc.Items {
			for _, tag := range s.Status.Tags {
				f.add(strings.TrimPrefix(s.Status.Repository, e.Host()+"/"), tag.Tag, tag.Items[0].Image)
			}
		}
		if token = url.QueryEscape(doc.Metadata.Continue); token == "" {
			return f
		}
	}
}

func listIBM(t *testing.T, e *emulator.Emulator) fleet {
	l := e.Login()
	var token struct {
		Access string `json:"access_token"`
	}
	newClient(t, e).form(e.API+"/identity/token", url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {l.Token}}).decode(t, &token)
	var images []struct{ RepoTags, RepoDigests []string }
	newClient(t, e, "Authorization", "Bearer "+token.Access, "Account", l.Account).json(e.URL+"/api/v1/images", &images)
	f := fleet{}
	for _, x := range images {
		_, digest, _ := strings.Cut(x.RepoDigests[0], "@")
		for _, name := range x.RepoTags {
			name = strings.TrimPrefix(name, e.Host()+"/")
			at := strings.LastIndexByte(name, ':')
			f.add(name[:at], name[at+1:], digest)
		}
	}
	return f
}

// oracleGet sends a signed request.
func oracleGet(t *testing.T, e *emulator.Emulator, login emulator.Login, address string) answer {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	sum := sha256.Sum256([]byte("date: " + date + "\n(request-target): get " + u.RequestURI() + "\nhost: " + u.Host))
	signature, err := rsa.SignPKCS1v15(rand.Reader, privateKey(t, login.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, e, "Date", date, "Authorization", `Signature version="1",keyId="`+login.TenancyOCID+"/"+login.UserOCID+"/"+login.Fingerprint+
		`",algorithm="rsa-sha256",headers="date (request-target) host",signature="`+base64.StdEncoding.EncodeToString(signature)+`"`).get(address)
}

func listOCIR(t *testing.T, e *emulator.Emulator) fleet {
	l := e.Login()
	f := fleet{}
	root := "compartmentIdInSubtree=true&compartmentId=" + url.QueryEscape(l.TenancyOCID)
	for page := ""; ; {
		var doc struct {
			Items []struct{ RepositoryName, Version, Digest string }
		}
		a := oracleGet(t, e, l, e.API+"/20160918/container/images?"+root+"&sortBy=TIMECREATED&sortOrder=DESC&limit=20&page="+url.QueryEscape(page))
		a.decode(t, &doc)
		if len(doc.Items) > 20 {
			t.Fatalf("%d images on a page of 20", len(doc.Items))
		}
		for _, x := range doc.Items {
			f.add(l.TenancyNamespace+"/"+x.RepositoryName, x.Version, x.Digest)
		}
		if page = a.header.Get("Opc-Next-Page"); page == "" {
			break
		}
	}
	var repositories struct {
		Items []struct{ DisplayName string }
	}
	oracleGet(t, e, l, e.API+"/20160918/container/repositories?"+root).decode(t, &repositories)
	if len(repositories.Items) != len(f) {
		t.Errorf("%d repositories, %d with images", len(repositories.Items), len(f))
	}
	return f
}

// tagNames are the names of the tags of every repository of a fleet of 27.
func tagNames() []string {
	names := []string{"latest"}
	for i := range 26 {
		names = append(names, "1.1000."+strconv.Itoa(100+i))
	}
	return names
}

func isJSON(b []byte) bool { return json.Valid(bytes.TrimSpace(b)) }

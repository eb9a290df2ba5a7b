package oci_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestLend lends what real registries let somebody pull with: a token for one repository where there is a token server, never more; else
// the credential, unless only a token may be lent.
func TestLend(t *testing.T) {
	const user, password = "puller", "pa55word"
	client := oci.New(oci.Options{AllowLoopback: true})
	defer client.Close()
	open := func(r *testkit.Server, auth oci.Auth) *oci.Registry {
		t.Helper()
		registry, err := client.Registry(oci.Endpoint{URL: r.URL, Auth: auth})
		if err != nil {
			t.Fatal(err)
		}
		return registry
	}
	direct := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	tokens := testkit.Registry(t, testkit.Options{Username: user, Password: password, TokenAuth: true})
	basic := testkit.Registry(t, testkit.Options{Username: user, Password: password})
	public := testkit.Registry(t, testkit.Options{})

	registry := open(tokens, oci.Basic(user, password))
	loan, err := registry.Lend(t.Context(), "team/app", oci.LendTokenElseCredential)
	if err != nil || !strings.HasPrefix(loan.Header, "Bearer ") {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", loan, loan, loan, loan); strings.Contains(shown, "Bearer") {
		t.Errorf("a loan is shown: %s", shown)
	}
	if scopes := tokens.Token.Scopes(); !slices.Contains(scopes, "repository:team/app:pull") || slices.ContainsFunc(scopes, func(s string) bool { return strings.Contains(s, "push") || strings.Contains(s, "*") }) {
		t.Errorf("asked for %v", scopes)
	}
	for repository, want := range map[string]int{"team/app": http.StatusNotFound, "team/other": http.StatusUnauthorized} { // there is nothing, and that may be seen only in one
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tokens.URL+"/v2/"+repository+"/manifests/latest", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", loan.Header)
		res, err := tokens.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s answers %d to the token for team/app", repository, res.StatusCode)
		}
	}
	if again, err := registry.Lend(t.Context(), "team/app", oci.LendTokenOnly); err != nil || !strings.HasPrefix(again.Header, "Bearer ") {
		t.Error(err)
	}
	if whole, err := registry.Lend(t.Context(), "team/app", oci.LendCredentialOnly); err != nil || whole.Header != direct {
		t.Errorf("the credential was asked for: %v", err)
	}

	if whole, err := open(basic, oci.Basic(user, password)).Lend(t.Context(), "team/app", oci.LendTokenElseCredential); err != nil || whole.Header != direct {
		t.Errorf("without a token server: %v", err)
	}
	for _, auth := range []oci.Auth{oci.Basic(user, password), oci.Bearer("of-long-life")} {
		if _, err := open(basic, auth).Lend(t.Context(), "team/app", oci.LendTokenOnly); tidewaiter.KindOf(err) != tidewaiter.ErrUnsupported {
			t.Errorf("only a token may be lent: %v", err)
		}
	}
	if _, err := open(tokens, oci.Basic(user, "wrong")).Lend(t.Context(), "team/app", oci.LendTokenElseCredential); tidewaiter.KindOf(err) != tidewaiter.ErrAuth {
		t.Errorf("a wrong password: %v", err)
	}
	if nothing, err := open(public, nil).Lend(t.Context(), "team/app", oci.LendTokenElseCredential); err != nil || nothing.Header != "" {
		t.Errorf("open to everybody: %v", err)
	}
	if _, err := open(public, nil).Lend(t.Context(), "../x", oci.LendTokenElseCredential); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Errorf("no repository: %v", err)
	}
}

package connector_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestLiveServices lists the real services for which the environment has credentials, and reads an image of each. For a kind,
// say ghcr: TIDEWAITER_LIVE_GHCR_URL is the registry's address; …_CREDENTIAL the kind of credential, where that is not the
// first the kind takes; …_USERNAME and …_PASSWORD its parts; …_SETTINGS further ones of credential and registry, as
// key=value with semicolons between; …_REPOSITORY the repository to read an image from, the first that is listed where it is
// not said.
func TestLiveServices(t *testing.T) {
	for _, can := range connector.Kinds() {
		t.Run(string(can.Kind), func(t *testing.T) { live(t, can) })
	}
}

func live(t *testing.T, can connector.Capabilities) {
	prefix := "TIDEWAITER_LIVE_" + strings.ToUpper(string(can.Kind)) + "_"
	address := os.Getenv(prefix + "URL")
	if address == "" {
		t.Skipf("%sURL is not set: set it, with what gets in, to try the connector on a real service", prefix)
	}
	url, err := tidewaiter.ParseRegistryURL(address)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for pair := range strings.SplitSeq(os.Getenv(prefix+"SETTINGS"), ";") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			settings[strings.TrimSpace(key)] = value
		}
	}
	var cred *tidewaiter.Credential
	plain := secret.New(os.Getenv(prefix + "PASSWORD"))
	if kind := os.Getenv(prefix + "CREDENTIAL"); kind != "none" {
		cred = &tidewaiter.Credential{ID: "live", Kind: tidewaiter.CredentialKind(kind), Username: os.Getenv(prefix + "USERNAME"), Settings: settings}
		if kind == "" {
			cred.Kind = can.Credentials[0].Kind
		}
	}
	client := oci.New(oci.Options{})
	defer client.Close()
	source, err := connector.New(client, nil, nil).Connect(&tidewaiter.Registry{ID: "live", Kind: can.Kind, URL: url, Settings: settings}, cred, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	repository := os.Getenv(prefix + "REPOSITORY")
	if repository == "" {
		if repository, err = firstRepository(t.Context(), source); err != nil || repository == "" {
			t.Fatalf("no repository: %q, %v", repository, err)
		}
	}
	connectortest.PullsFrom(t, source, repository)
}

// firstRepository returns the first repository that is listed, perhaps after empty pages.
func firstRepository(ctx context.Context, source *connector.Source) (string, error) {
	for cursor := ""; ; {
		names, next, err := source.Repositories(ctx, cursor)
		if err != nil || len(names) > 0 || next == "" {
			return append(names, "")[0], err
		}
		cursor = next
	}
}

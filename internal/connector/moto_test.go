package connector_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// moto starts AWS's API as moto emulates it, and returns its address.
func moto(t *testing.T) string {
	t.Helper()
	binary, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not on PATH: install moto[server] to try ECR on a second implementation of AWS's API")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-H", "127.0.0.1", "-p", port)
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, 5*time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	for range 300 {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			return "http://" + address
		}
		time.Sleep(100 * time.Millisecond) // for another process to listen
	}
	t.Fatalf("moto does not start: %s", out)
	return ""
}

// motoCall makes an unsigned call, which moto takes.
func motoCall(t *testing.T, base, target, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+target)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-central-1/ecr/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", target, resp.StatusCode, answer, err)
	}
	return string(answer)
}

// TestMoto lists ECR as moto emulates it, by a role that is assumed, and has a password whose end moto puts into 2015.
func TestMoto(t *testing.T) {
	base := moto(t)
	s := &connectortest.Subject{
		Registry: &tidewaiter.Registry{Kind: tidewaiter.KindECR, URL: "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"},
		Credential: &tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialAWS, Username: "AKIAEXAMPLE",
			Settings: map[string]string{"roleArn": "arn:aws:iam::123456789012:role/reader", "externalId": "x"}},
		Secret:  secret.New("key"),
		Options: connector.Options{Endpoints: map[string]string{"ecr": base, "sts": base}},
		Tags:    func(string) int { return 3 },
	}
	digests := map[string]string{}
	for i := range 5 {
		repository := fmt.Sprintf("team/app%d", i)
		s.Repositories = append(s.Repositories, repository)
		motoCall(t, base, "CreateRepository", fmt.Sprintf(`{"repositoryName":%q}`, repository))
		for tag := range 3 {
			manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":1,"digest":"sha256:%064d"},"layers":[]}`, 10*i+tag)
			answer := motoCall(t, base, "PutImage", fmt.Sprintf(`{"repositoryName":%q,"imageTag":"v%d","imageManifest":%q}`, repository, tag, manifest))
			_, rest, _ := strings.Cut(answer, `"imageDigest": "`)
			if rest == "" {
				_, rest, _ = strings.Cut(answer, `"imageDigest":"`)
			}
			digests[fmt.Sprintf("%s:v%d", repository, tag)], _, _ = strings.Cut(rest, `"`)
		}
	}
	s.Digest = func(repository, tag string) string { return digests[repository+":"+tag] }
	s.Lists(t)

	source := s.Open(t)
	_, _, err := source.Tags(t.Context(), "team/none", "")
	if tidewaiter.KindOf(err) != tidewaiter.ErrGone {
		t.Errorf("a repository that is not there: %v", err)
	}
}

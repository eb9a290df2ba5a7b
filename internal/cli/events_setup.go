package cli

import (
	"io"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// setup is how one sender is told where to send its events. ADDRESS, SECRET and HEADER stand for what is to be pasted.
type setup struct {
	sender string
	kinds  []tidewaiter.RegistryKind // of registries that send this way
	proof  string                    // "sign": with the secret; "header": sends it in one; "": neither; "token": of Pub/Sub
	steps  string
}

func setups() []setup {
	return []setup{
		{"distribution", []tidewaiter.RegistryKind{tidewaiter.KindOCI}, "header", `In the registry's config.yml, then restart it:

  notifications:
    endpoints:
      - name: tidewaiter
        url: ADDRESS
        headers:
          HEADER: [SECRET]
        timeout: 5s
        threshold: 3
        backoff: 1s
        ignore:
          mediatypes: [application/octet-stream]
          actions: [pull]
`},
		{"gitlab", []tidewaiter.RegistryKind{tidewaiter.KindGitLab}, "header", `Self-managed, in /etc/gitlab/gitlab.rb, then gitlab-ctl reconfigure (gitlab.com has no such setting):

  registry['notifications'] = [{'name' => 'tidewaiter', 'url' => 'ADDRESS',
    'headers' => {'HEADER' => ['SECRET']}, 'timeout' => '5s', 'threshold' => 3, 'backoff' => '1s'}]
`},
		{"dockerhub", []tidewaiter.RegistryKind{tidewaiter.KindDockerHub}, "", `For each repository: Webhooks, new webhook, name tidewaiter, URL:

  ADDRESS

Docker Hub can neither sign nor send a header: leave the secret unset.
`},
		{"harbor", []tidewaiter.RegistryKind{tidewaiter.KindHarbor}, "header", `For each project: Webhooks, New Webhook, notify type http, payload format Default or CloudEvents, events "Artifact
pushed" and "Artifact deleted":

  Endpoint URL  ADDRESS
  Auth header   SECRET        (here the header has to be Authorization)
`},
		{"quay", []tidewaiter.RegistryKind{tidewaiter.KindQuay}, "", `For each repository: Settings, Events and Notifications, "Push to Repository", Webhook POST, no template:

  ADDRESS
`},
		{"acr", []tidewaiter.RegistryKind{tidewaiter.KindACR}, "header", `  az acr webhook create --registry NAME --name tidewaiter --actions push delete \
    --uri ADDRESS --headers "HEADER=SECRET"
`},
		{"eventgrid", []tidewaiter.RegistryKind{tidewaiter.KindACR}, "header", `Instead of a webhook; the handshake is answered:

  az eventgrid event-subscription create --name tidewaiter --source-resource-id REGISTRY_ID \
    --included-event-types Microsoft.ContainerRegistry.ImagePushed Microsoft.ContainerRegistry.ImageDeleted \
    --endpoint ADDRESS --delivery-attribute-mapping HEADER static SECRET true
`},
		{"ecr", []tidewaiter.RegistryKind{tidewaiter.KindECR}, "header", `A rule of EventBridge with the pattern

  {"source": ["aws.ecr"], "detail-type": ["ECR Image Action"]}

and an API destination (POST) with a connection of the type API key, named HEADER with the value SECRET:

  ADDRESS

Or a queue of SQS as the rule's target, from which the events are fetched:

  tidewaiter events source REGISTRY --sqs https://sqs.REGION.amazonaws.com/ACCOUNT/NAME
`},
		{"pubsub", []tidewaiter.RegistryKind{tidewaiter.KindGAR}, "token", `The registry's topic is called gcr, in the project of the images:

  gcloud pubsub topics create gcr
  gcloud pubsub subscriptions create tidewaiter --topic gcr --push-endpoint ADDRESS \
    --push-auth-service-account EMAIL --push-auth-token-audience AUDIENCE

Or without --push-…, to have the events fetched:

  tidewaiter events source REGISTRY --pubsub projects/PROJECT/subscriptions/tidewaiter
`},
		{"jfrog", []tidewaiter.RegistryKind{tidewaiter.KindArtifactory}, "sign", `Administration, Webhooks, New: events "Docker: tag pushed" and "tag deleted" of the local repositories:

  URL           ADDRESS
  Secret token  SECRET
`},
		{"nexus", []tidewaiter.RegistryKind{tidewaiter.KindNexus}, "sign", `System, Capabilities, Create: "Webhook: Repository", for each Docker repository, event type component:

  URL         ADDRESS
  Secret Key  SECRET
`},
		{"github", []tidewaiter.RegistryKind{tidewaiter.KindGHCR}, "sign", `Settings of the organisation, Webhooks, Add webhook, content type application/json, events "Packages" and
"Registry packages":

  Payload URL  ADDRESS
  Secret       SECRET
`},
		{"gitea", []tidewaiter.RegistryKind{tidewaiter.KindOCI}, "sign", `Settings of the organisation, Webhooks, Gitea, content type application/json, trigger on "Package":

  Target URL  ADDRESS
  Secret      SECRET
`},
		{"zot", []tidewaiter.RegistryKind{tidewaiter.KindOCI}, "header", `In zot's config.json:

  "extensions": {"events": {"enable": true, "sinks": [{"type": "http", "address": "ADDRESS",
    "headers": {"HEADER": "SECRET"}, "timeout": "5s"}]}}
`},
		{"alibaba", []tidewaiter.RegistryKind{tidewaiter.KindOCI}, "", `For each repository: Triggers, Create:

  ADDRESS
`},
		{"dtr", []tidewaiter.RegistryKind{tidewaiter.KindDTR}, "", `For each repository: Webhooks, New Webhook, "Tag pushed to repository" and "Tag deleted":

  ADDRESS
`},
	}
}

// instructions prints an address and how to set it up, for one sender or for all that fit the registry.
func instructions(w io.Writer, server string, a *client.EventAddress, sender string) error {
	chosen := slices.DeleteFunc(setups(), func(s setup) bool {
		return sender != "" && s.sender != sender || sender == "" && !slices.Contains(s.kinds, tidewaiter.RegistryKind(a.Kind))
	})
	if len(chosen) == 0 && sender != "" {
		var names []string
		for _, s := range setups() {
			names = append(names, s.sender)
		}
		return tidewaiter.Invalid("sender", "there is no sender %q", sender).WithFix("one of %s", strings.Join(names, ", "))
	}
	address := server + a.Path
	sayf(w, "%s\n\nWhoever knows this address can send: keep it secret. Another machine may have to call this server by another name.\n", address)
	if !a.FormerUntil.IsZero() {
		sayf(w, "The address before is good until %s.\n", a.FormerUntil.Format("2006-01-02 15:04 MST"))
	}
	for _, s := range chosen {
		header := first(a.Header, "Authorization")
		steps := strings.NewReplacer("ADDRESS", address, "HEADER", header, "EMAIL", first(a.Email, "EMAIL"), "AUDIENCE", first(a.Audience, "AUDIENCE"),
			" REGISTRY ", " "+a.Registry+" ").Replace(s.steps)
		sayf(w, "\n== %s\n%s", s.sender, steps)
		if note := s.note(a); note != "" {
			sayf(w, "%s\n", note)
		}
	}
	return nil
}

// note says what of the secret has to be set here for the steps to work.
func (s setup) note(a *client.EventAddress) string {
	switch {
	case s.proof == "sign" && !a.Secret:
		return "No secret is set: leave it empty there, or set one here with --secret-stdin."
	case s.proof == "header" && !a.Secret:
		return "No secret is set: leave the header out there, or set one here with --secret-stdin --header Authorization."
	case s.proof == "header" && a.Header == "":
		return "A secret is set but no header, so this sender is refused: set one with --header Authorization."
	case s.proof == "" && a.Secret:
		return "A secret is set, so this sender is refused: take it away with --secret-stdin and nothing on standard input."
	case s.proof == "token" && a.Audience == "":
		return "Tokens are not looked at: set --audience and --email here to have them verified."
	case a.Secret && s.proof != "":
		return "SECRET is what was set here; it is not shown again."
	}
	return ""
}

package doctor

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// grants say, kind by kind, how somebody is given a right. RightLogin also stands for a right that has no line of its own.
var grants = map[tidewaiter.RegistryKind]map[string]string{
	tidewaiter.KindOCI: {
		RightLogin:        "give the account read access in the registry's own users or token server",
		RightRepositories: "let the token server grant registry:catalog:* to the account; where the catalog is closed for everybody, name the repositories",
		RightPull:         "let the token server grant repository:<name>:pull to the account",
	},
	tidewaiter.KindDockerHub: {
		RightLogin:        "make an access token with at least \"Public Repo Read-only\", for private repositories \"Read-only\", or an organisation access token with the repositories in it",
		RightRepositories: "set organization to the organisations or users to list; the account has to be a member to see what is private",
	},
	tidewaiter.KindECR: {
		RightLogin:        "attach AmazonEC2ContainerRegistryReadOnly, or allow ecr:GetAuthorizationToken on *",
		RightRepositories: "allow ecr:DescribeRepositories on the account's repositories; for a role, check its trust policy and external ID",
		RightTags:         "allow ecr:DescribeImages on the repositories; for another account's, its repository policy has to allow it too",
		RightPull:         "allow ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and ecr:BatchCheckLayerAvailability; for another account's repositories, in their policy too",
	},
	tidewaiter.KindACR: {
		RightLogin:        "give the identity the role AcrPull on the registry (with repository permissions: Container Registry Repository Reader)",
		RightRepositories: "give the identity AcrPull, or on a registry with repository permissions also Container Registry Repository Catalog Lister; an ACR token needs metadata/read on each repository",
		RightTags:         "give the identity a role with metadata/read: AcrPull or Container Registry Repository Reader",
	},
	tidewaiter.KindGAR: {
		RightLogin: "give the service account the role roles/artifactregistry.reader on the repositories or the project",
		RightRepositories: "give the service account roles/artifactregistry.reader on the project, and enable artifactregistry.googleapis.com; " +
			"set projectId where the account is of another project",
	},
	tidewaiter.KindArtifactory: {
		RightLogin:        "make an access token for a user with Read permission on the Docker repositories",
		RightRepositories: "give the user Read permission on the repositories to be listed; for AQL the user must not be anonymous",
	},
	tidewaiter.KindNexus: {
		RightLogin:        "activate the Docker Bearer Token Realm, and give the user nx-repository-view-docker-<repository>-read",
		RightRepositories: "give the user nx-repository-view-docker-<repository>-browse and -read",
		RightTags:         "give the user nx-search-read and nx-repository-view-docker-<repository>-browse",
	},
	tidewaiter.KindQuay: {
		RightLogin:        "give the robot account Read on the repositories, or a team with it",
		RightRepositories: "robots may not use the API: make an OAuth application token with \"View all visible repositories\", and give both as {\"docker_cli_password\":…,\"oauth2_token\":…}",
	},
	tidewaiter.KindHarbor: {
		RightLogin:        "make a robot account with pull on the projects; users who log in by OIDC take their CLI secret as password",
		RightRepositories: "give the robot account \"List Repository\" (a system robot for several projects), or a user the role Limited Guest or more",
		RightTags:         "give the robot account \"List Artifact\" and \"List Tag\"",
		RightPull:         "give the robot account \"Pull Repository\"",
	},
	tidewaiter.KindGitLab: {
		RightLogin:        "make a personal, group or project access token with read_registry",
		RightRepositories: "the token needs read_api too, and at least the role Reporter in the group or project; deploy tokens cannot list",
	},
	tidewaiter.KindGHCR: {
		RightLogin:        "make a personal access token (classic) with read:packages; allow it for the organisation where single sign-on is used",
		RightRepositories: "set organization to the owners to list; the token's user needs read access to the packages",
	},
	tidewaiter.KindOpenShift: {
		RightLogin:        "oc policy add-role-to-user system:image-puller -z <serviceaccount> -n <project>, or registry-viewer for the whole cluster",
		RightRepositories: "allow the service account to get, list and watch imagestreams in image.openshift.io: the cluster role registry-viewer does",
	},
	tidewaiter.KindDTR: {
		RightLogin:        "make an access token for a user with Read only on the repositories",
		RightRepositories: "give the user Read only on the repositories, or a team with it",
	},
	tidewaiter.KindIBM: {
		RightLogin:        "give the API key's identity the role Reader on Container Registry, in the region and resource group",
		RightRepositories: "give the identity Reader on all namespaces, and set accountGUID to the account that has them",
	},
	tidewaiter.KindOCIR: {
		RightLogin:        "make an auth token for the user, and name the user as <namespace>/<user>",
		RightRepositories: "allow group … to inspect repos in compartment …, and give an API signing key: listing takes one",
		RightTags:         "allow group … to read repos in compartment …",
		RightPull:         "allow group … to read repos in compartment …",
	},
}

func grantOf(kind tidewaiter.RegistryKind, right string) string {
	if text := grants[kind][right]; text != "" {
		return text
	}
	return grants[kind][RightLogin]
}

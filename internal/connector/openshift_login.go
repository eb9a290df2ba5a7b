package connector

import (
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// clusterLogin is how to get into a cluster.
type clusterLogin struct {
	server string                 // "" when it is not known
	ca     string                 // PEM, in addition to what is trusted anyway
	token  func() (string, error) // nil when anonymous
}

const inCluster = "https://kubernetes.default.svc"

func (o *opening) clusterLogin() (clusterLogin, error) {
	login := clusterLogin{server: o.setting("apiURL")}
	plain := strings.TrimSpace(o.secret.Reveal())
	static := func() (string, error) { return usableToken(plain, "the credential") }
	switch o.kind() {
	case "":
		return login, nil
	case tidewaiter.CredentialKubeconfig:
		return o.kubeconfig(plain, login)
	}
	file := o.credential.Settings["tokenFile"]
	if file == "" {
		login.token = static
		return login, nil
	}
	if !filepath.IsLocal(strings.TrimPrefix(strings.TrimPrefix(filepath.Clean(file), filepath.Clean(o.options.TokenFiles)), "/")) ||
		!strings.HasPrefix(filepath.Clean(file), filepath.Clean(o.options.TokenFiles)+"/") {
		return login, tidewaiter.Invalid("credential.tokenFile", "token files are read below %s only", o.options.TokenFiles)
	}
	if login.server == "" {
		login.server = inCluster
		if ca, err := readSmall(filepath.Join(filepath.Dir(file), "ca.crt")); err == nil {
			login.ca = ca
		}
	}
	// Read each time: the kubelet replaces the file long before the token in it ends.
	login.token = func() (string, error) {
		text, err := readSmall(file)
		if err != nil {
			return "", tidewaiter.Errorf(tidewaiter.ErrAuth, "the token file cannot be read").WithFix("mount a service account's token there")
		}
		return usableToken(strings.TrimSpace(text), "the token file")
	}
	return login, nil
}

const maxTokenFile = 1 << 20

func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	return string(text), err
}

// kubeconfig is the part of Kubernetes' client configuration that is understood.
type kubeconfig struct {
	Current  string `yaml:"current-context"`
	Contexts []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster string `yaml:"cluster"`
			User    string `yaml:"user"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Clusters []struct {
		Name    string `yaml:"name"`
		Cluster struct {
			Server string `yaml:"server"`
			CA     string `yaml:"certificate-authority-data"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string `yaml:"name"`
		User struct {
			Token string `yaml:"token"`
		} `yaml:"user"`
	} `yaml:"users"`
}

// kubeconfig reads the current context. Nothing it names is run and no file it names is read: it may be anybody's.
func (o *opening) kubeconfig(text string, login clusterLogin) (clusterLogin, error) {
	bad := func(why string) (clusterLogin, error) {
		return login, tidewaiter.Invalid("credential.secret", "the kubeconfig cannot be used: %s", why).
			WithFix("make one with the token of a service account in it")
	}
	var config kubeconfig
	if len(text) > maxTokenFile || yaml.Unmarshal([]byte(text), &config) != nil {
		return bad("it is no YAML")
	}
	token, server, ca, err := config.resolve()
	if err != nil {
		return bad(err.Error())
	}
	if login.server == "" {
		login.server = server
	}
	login.ca = ca
	login.token = func() (string, error) { return usableToken(token, "the kubeconfig") }
	return login, nil
}

func (k *kubeconfig) resolve() (token, server, ca string, err error) {
	cluster, user := "", ""
	for _, c := range k.Contexts {
		if c.Name == k.Current {
			cluster, user = c.Context.Cluster, c.Context.User
		}
	}
	for _, u := range k.Users {
		if u.Name == user {
			token = u.User.Token
		}
	}
	for _, c := range k.Clusters {
		if c.Name != cluster {
			continue
		}
		server = c.Cluster.Server
		raw, err := base64.StdEncoding.DecodeString(c.Cluster.CA)
		if err != nil {
			return "", "", "", errors.New("certificate-authority-data is not base64")
		}
		ca = string(raw)
	}
	switch {
	case server == "":
		return "", "", "", errors.New("its current context leads to no cluster")
	case token == "":
		return "", "", "", errors.New("the user of its current context has no token")
	}
	return token, server, ca, nil
}

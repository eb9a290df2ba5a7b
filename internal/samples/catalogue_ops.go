package samples

import "context"

// opsSamples are images of an imagined operations team: the one everybody should have and those nobody should.
func opsSamples(context.Context) ([]Sample, error) { return collect(leaky, hardened, tools, cron) }

func leaky() (Sample, error) {
	id, secret := awsKeys()
	key, err := privateKey()
	if err != nil {
		return Sample{}, err
	}
	return debianWebStack().
		files("COPY deploy /srv/deploy # buildkit", Dir("srv"), Dir("srv/deploy"),
			File("srv/deploy/aws.env", "AWS_ACCESS_KEY_ID="+id+"\nAWS_SECRET_ACCESS_KEY="+secret+"\n"),
			File("srv/deploy/id_ed25519", key).Mode(0o600)).
		config("ENV DATABASE_PASSWORD=*****", func(c *Config) {
			c.Env = append(c.Env, "DATABASE_PASSWORD=correct-horse-battery", "AWS_SECRET_ACCESS_KEY="+secret)
			c.ExposedPorts = map[string]struct{}{"22/tcp": {}}
		}).
		sample("ops/leaky", []string{"1.0"}, "credentials in files and in the environment, running as root",
			Expectation{SetID: 2, Findings: 48, Notable: []Finding{{"curl", "CVE-2023-38545"}},
				Secrets:      []string{"aws-access-key-id", "aws-secret-access-key", "private-key"},
				FailedChecks: []int{CheckEnv, CheckKey}})
}

func hardened() (Sample, error) {
	return staticStack().
		files("COPY probe /probe # buildkit", Program("probe", []byte("sample\n"))).
		config("USER 65532:65532", func(c *Config) {
			c.User, c.Entrypoint = "65532:65532", []string{"/probe"}
			c.Healthcheck = &Healthcheck{Test: []string{"CMD", "/probe", "-check"}}
			c.Labels = map[string]string{"org.opencontainers.image.source": "https://example.com/ops/hardened"}
		}).
		sample("ops/hardened", []string{"1.0"}, "nothing to find: no vulnerability, no secret, every check passed",
			Expectation{})
}

// tools has Python packages that belong to the distribution: they are found as Debian's, not as PyPI's.
func tools() (Sample, error) {
	const site = "usr/lib/python3/dist-packages"
	python, err := sitePackages(site, "packaged")
	if err != nil {
		return Sample{}, err
	}
	owned := map[string][]string{
		"python3-requests": {"/" + distInfo(site, "requests", "2.28.1") + "/METADATA"},
		"python3-jinja2":   {"/" + distInfo(site, "Jinja2", "3.1.2") + "/METADATA"},
	}
	p, err := dpkg(owned, "base", "web", "python", "packaged")
	return debianPythonStack().step("RUN apt-get install -y python3-requests python3-jinja2", p, err, python.entries...).
		sample("ops/tools", []string{"1.0"}, "Python packages installed by the distribution's package manager",
			Expectation{SetID: 2, Findings: 53,
				Notable: []Finding{{"python3-requests", "CVE-2023-32681"}, {"python3-jinja2", "CVE-2024-22195"}},
				Absent:  []Finding{{"requests", "CVE-2023-32681"}, {"Jinja2", "CVE-2024-22195"}}})
}

func cron() (Sample, error) {
	s := alpineStack().files("", File("etc/crontabs/root", "0 3 * * * /bin/true\n"))
	s.image = s.image.WithoutHistory()
	return s.sample("ops/cron", []string{"2024.03"}, "built without a Dockerfile: its configuration has no history",
		Expectation{Findings: 18, Notable: []Finding{{"ssl_client", "CVE-2023-42366"}}})
}

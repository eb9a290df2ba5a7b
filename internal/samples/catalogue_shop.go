package samples

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// shopSamples are the services of an imagined shop.
func shopSamples(context.Context) ([]Sample, error) {
	return collect(
		func() (Sample, error) {
			return frontend("frontend-1.4.1", "the shop's front end, a Node.js application full of old packages",
				[]string{"1.4.1"}, Expectation{Findings: 45, Notable: []Finding{
					{"handlebars", "CVE-2021-23369"}, {"lodash", "CVE-2021-23337"}, {"minimist", "CVE-2021-44906"},
				}})
		},
		func() (Sample, error) {
			return frontend("frontend-1.4.2", "the front end's next version: some vulnerabilities fewer, under two tags",
				[]string{"1.4.2", "latest"}, Expectation{Findings: 37,
					Notable: []Finding{{"lodash", "CVE-2021-23337"}, {"express", "CVE-2022-24999"}},
					Absent:  []Finding{{"handlebars", "CVE-2021-23369"}, {"ejs", "CVE-2022-29078"}}})
		},
		api,
		worker,
		legacy,
		search,
		reports,
	)
}

func frontend(set, about string, tags []string, want Expectation) (Sample, error) {
	p, err := nodeModules("app", set)
	return nodeStack().step("RUN npm ci --omit=dev", p, err).
		files("COPY . /app # buildkit", File("app/server.js", "'use strict';\n")).
		config("USER node", func(c *Config) {
			c.User, c.WorkingDir, c.Cmd = "node", "/app", []string{"node", "server.js"}
			c.ExposedPorts = map[string]struct{}{"3000/tcp": {}}
		}).
		sample("shop/frontend", tags, about, want)
}

// apiStack is the service for one architecture.
func apiStack(architecture string) stack {
	p, err := goService("api", "example.com/shop/api", architecture, "api")
	s := staticStack().step("COPY api /api # buildkit", p, err).
		config(`ENTRYPOINT ["/api"]`, func(c *Config) {
			c.User, c.Entrypoint = "65532", []string{"/api"}
			c.ExposedPorts = map[string]struct{}{"8080/tcp": {}}
		})
	s.image = s.image.Platform("linux", architecture, "")
	return s
}

// api is an index as BuildKit writes it: an image for each platform and the provenance of one of them.
func api() (Sample, error) {
	arm := apiStack("arm64")
	arm.image = arm.image.Platform("linux", "arm64", "v8")
	s, err := apiStack("amd64").sample("shop/api", []string{"2.3.0", "latest"},
		"a Go service for two platforms, with provenance, on a base without a shell",
		Expectation{Kind: tidewaiter.ManifestIndex, Findings: 11, Notable: []Finding{
			{"golang.org/x/net", "CVE-2023-39325"}, {"stdlib", "CVE-2024-24790"}, {"golang.org/x/crypto", "CVE-2024-45337"},
		}})
	if err != nil {
		return Sample{}, err
	}
	other, err := arm.image.Build()
	if err != nil {
		return Sample{}, err
	}
	provenance, err := attestation(s.Manifest)
	if err != nil {
		return Sample{}, err
	}
	s.Manifest, err = Index(s.Manifest, other, provenance)
	return s, err
}

func worker() (Sample, error) {
	p, err := sitePackages("usr/local/lib/python3.11/site-packages", "worker")
	s := debianPythonStack().step("RUN pip install -r requirements.txt", p, err).
		files("COPY worker.py /app/ # buildkit", Dir("app"), File("app/worker.py", "print('sample')\n")).
		config(`CMD ["python3" "/app/worker.py"]`, func(c *Config) { c.Cmd = []string{"python3", "/app/worker.py"} })
	s.image = s.image.Docker()
	return s.sample("shop/worker", []string{"0.9.3"}, "a Python worker on Debian, in Docker's own image format",
		Expectation{SetID: 2, Findings: 64, Notable: []Finding{
			{"PyYAML", "CVE-2020-14343"}, {"requests", "CVE-2018-18074"}, {"urllib3", "CVE-2019-11324"},
			{"openssl", "CVE-2023-5363"},
		}})
}

func legacy() (Sample, error) {
	p, err := webArchive("opt/shop/shop.war", "legacy")
	s := debianWebStack().step("COPY shop.war /opt/shop/ # buildkit", p, err).
		config(`CMD ["java" "-jar" "/opt/shop/shop.war"]`, func(c *Config) {
			c.Cmd = []string{"java", "-jar", "/opt/shop/shop.war"}
		})
	s.image = s.image.Docker()
	return s.sample("shop/legacy", []string{"5.0"}, "a Java web archive with jars inside, log4j among them",
		Expectation{SetID: 2, Findings: 59, Notable: []Finding{
			{"org.apache.logging.log4j:log4j-core", "CVE-2021-44228"},
			{"org.springframework:spring-beans", "CVE-2022-22965"},
		}})
}

func search() (Sample, error) {
	s := nodeStack()
	p, err := nodeModules("app", "search")
	if err != nil {
		return Sample{}, err
	}
	l, err := NewLayer(Zstd, p.entries...)
	if err != nil {
		return Sample{}, err
	}
	s.image = s.image.Add(l.By("COPY app /app # buildkit"))
	s.libraries = p.declared
	return s.sample("shop/search", []string{"2.0.0"}, "a layer packed with zstd on top of gzip ones",
		Expectation{Findings: 22, Notable: []Finding{{"ws", "CVE-2024-37890"}}})
}

// reports removes in upper layers what lower ones installed: two packages one by one, a whole directory at once.
func reports() (Sample, error) {
	const site = "usr/local/lib/python3.11/site-packages"
	python, err := sitePackages(site, "reports")
	if err != nil {
		return Sample{}, err
	}
	old, err := nodeModules("opt/plugins", "frontend-1.4.1")
	if err != nil {
		return Sample{}, err
	}
	plugins, err := nodeModules("opt/plugins", "search")
	plugins.entries = append([]Entry{Opaque("opt/plugins")}, plugins.entries...)
	return debianPythonStack().step("RUN pip install -r requirements.txt", python, nil).
		step("COPY plugins-1 /opt/plugins # buildkit", old, nil).
		files("RUN pip uninstall -y jinja2 pyyaml",
			Whiteout(distInfo(site, "Jinja2", "2.10")), Whiteout(site+"/jinja2"),
			Whiteout(distInfo(site, "PyYAML", "5.3")), Whiteout(site+"/pyyaml")).
		forget(tidewaiter.EcosystemPyPI, "Jinja2", "PyYAML").
		forget(tidewaiter.EcosystemNPM, "*").
		step("COPY plugins-2 /opt/plugins # buildkit", plugins, err).
		sample("shop/reports", []string{"3.1"}, "packages that an upper layer removed again",
			Expectation{SetID: 2, Findings: 55, Notable: []Finding{{"urllib3", "CVE-2019-11324"}, {"ws", "CVE-2024-37890"}},
				Absent: []Finding{
					{"PyYAML", "CVE-2020-14343"}, {"Jinja2", "CVE-2019-10906"}, {"minimist", "CVE-2021-44906"},
				}})
}

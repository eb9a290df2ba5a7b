package samples

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// stack is an image under construction with what has to be found in it.
type stack struct {
	image        Image
	distribution string
	system       []Package // the distribution's
	libraries    []Package
	err          error
}

// step puts the files of p on top, together with more. A package database replaces the one below it.
func (s stack) step(by string, p packages, err error, more ...Entry) stack {
	if err != nil && s.err == nil {
		s.err = err
	}
	s.image = s.image.Step(by, slices.Concat(p.entries, more)...)
	if len(p.declared) > 0 && p.declared[0].Ecosystem.OS() {
		s.system = p.declared
	} else {
		s.libraries = slices.Concat(s.libraries, p.declared)
	}
	return s
}

// files puts files on top that declare nothing.
func (s stack) files(by string, entries ...Entry) stack {
	return s.step(by, packages{}, nil, entries...)
}

// forget takes libraries out of what has to be found: those that names names, all of an ecosystem for "*".
func (s stack) forget(ecosystem tidewaiter.Ecosystem, names ...string) stack {
	s.libraries = slices.DeleteFunc(slices.Clone(s.libraries), func(p Package) bool {
		return p.Ecosystem == ecosystem && (slices.Contains(names, "*") || slices.Contains(names, p.Name))
	})
	return s
}

func (s stack) config(by string, change func(*Config)) stack {
	s.image = s.image.Config(by, change)
	return s
}

// sample finishes the image. What follows from the configuration is filled into the expectation.
func (s stack) sample(repository string, tags []string, about string, want Expectation) (Sample, error) {
	if s.err != nil {
		return Sample{}, s.err
	}
	m, err := s.image.Build()
	if err != nil {
		return Sample{}, err
	}
	return Sample{Repository: repository, Tags: tags, About: about, Manifest: m, Expect: s.expect(want)}, nil
}

func (s stack) expect(want Expectation) Expectation {
	if want.Kind == "" {
		want.Kind = tidewaiter.ManifestImage
	}
	want.Distribution = s.distribution
	want.Packages = slices.Concat(s.system, s.libraries)
	if u := s.image.config.User; u == "" || u == "root" || u == "0" {
		want.FailedChecks = append(want.FailedChecks, CheckUser)
	}
	if s.image.config.Healthcheck == nil {
		want.FailedChecks = append(want.FailedChecks, CheckHealth)
	}
	slices.Sort(want.FailedChecks)
	return want
}

// The stacks every other image is built on.

func debianStack() stack {
	p, err := dpkg(nil, "base")
	s := stack{image: NewImage(), distribution: "debian 12.5"}
	p.entries = slices.Concat(debianRelease(), p.entries)
	s = s.step("ADD rootfs.tar.xz / # buildkit", p, err, Dir("usr/bin"),
		Program("usr/bin/passwd", []byte("sample\n")).Mode(0o4755),
		Program("usr/bin/chage", []byte("sample\n")).Mode(0o2755))
	return s.config(`CMD ["bash"]`, func(c *Config) {
		c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		c.Cmd = []string{"bash"}
	})
}

func debianWebStack() stack {
	p, err := dpkg(nil, "base", "web")
	return debianStack().step("RUN apt-get install -y --no-install-recommends ca-certificates curl openssl", p, err)
}

func debianPythonStack() stack {
	p, err := dpkg(nil, "base", "web", "python")
	return debianWebStack().step("RUN apt-get install -y --no-install-recommends python3", p, err)
}

func alpineStack() stack {
	p, err := apk("base")
	s := stack{image: NewImage(), distribution: "alpine 3.19.1"}
	p.entries = slices.Concat(alpineRelease(), p.entries)
	return s.step("ADD alpine-minirootfs-3.19.1-x86_64.tar.gz / # buildkit", p, err).
		config(`CMD ["/bin/sh"]`, func(c *Config) {
			c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
			c.Cmd = []string{"/bin/sh"}
		})
}

func nodeStack() stack {
	p, err := apk("base", "node")
	return alpineStack().step("RUN apk add --no-cache nodejs", p, err).
		config("ENV NODE_ENV=production", func(c *Config) { c.Env = append(c.Env, "NODE_ENV=production") })
}

// staticStack is a base without shell or package manager.
func staticStack() stack {
	p, err := dpkgByFile("static")
	s := stack{image: NewImage(), distribution: "debian 12.5"}
	p.entries = slices.Concat(debianRelease(), p.entries)
	return s.step("bazel build //base:static", p, err)
}

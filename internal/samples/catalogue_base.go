package samples

import "context"

// baseSamples are the distributions' own images.
func baseSamples(ctx context.Context) ([]Sample, error) {
	return collect(
		func() (Sample, error) {
			return debianStack().sample("library/debian", []string{"12", "bookworm"},
				"Debian 12 without updates: the base of most other images",
				Expectation{SetID: 2, Findings: 25, Notable: []Finding{
					{"libc6", "CVE-2023-6246"}, {"zlib1g", "CVE-2023-45853"}, {"util-linux", "CVE-2024-28085"},
				}})
		},
		func() (Sample, error) {
			return alpineStack().sample("library/alpine", []string{"3.19", "3.19.1"},
				"Alpine 3.19, whose release gets no more updates",
				Expectation{Findings: 18, Notable: []Finding{{"busybox", "CVE-2023-42364"}, {"libssl3", "CVE-2024-6119"}}})
		},
		func() (Sample, error) {
			p, err := rpms(ctx)
			p.entries = append(rockyRelease(), p.entries...)
			s := stack{image: NewImage(), distribution: "rocky 9.3"}.
				step("ADD rocky-9.3-minimal.tar.xz / # buildkit", p, err).
				config(`CMD ["/bin/bash"]`, func(c *Config) { c.Cmd = []string{"/bin/bash"} })
			return s.sample("library/rockylinux", []string{"9", "9.3"},
				"Rocky Linux 9 with an rpm database in SQLite and a package of a module",
				Expectation{Findings: 7, Notable: []Finding{
					{"openssl-libs", "CVE-2023-5363"}, {"nodejs", "CVE-2024-22019"}, {"glibc", "CVE-2024-2961"},
				}})
		},
	)
}

package discover_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// preview asks an emulated registry by a new connection.
func preview(t *testing.T, s *connectortest.Emulated, scope tidewaiter.Scope, change ...func(*discover.Preview)) ([]discover.PreviewedRepository, discover.PreviewSummary) {
	t.Helper()
	trace := oci.NewTrace(1)
	source, err := connector.NewWithOptions(s.Client(t, nil), nil, nil, s.Options).Connect(s.Registry, s.Credential, s.Secret, trace)
	if err != nil {
		t.Fatal(err)
	}
	p := discover.Preview{Source: source, Scope: scope, Requests: trace.Requests, Now: time.Now}
	for _, f := range change {
		f(&p)
	}
	var all []discover.PreviewedRepository
	sum, err := p.Run(t.Context(), func(r discover.PreviewedRepository) error { all = append(all, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all, sum
}

// TestPreviewForetellsWhatAListingCosts compares the estimates with listings of every kind.
func TestPreviewForetellsWhatAListingCosts(t *testing.T) {
	for _, c := range connector.Kinds() {
		t.Run(string(c.Kind), func(t *testing.T) {
			l := newLab(t, t.TempDir()+"/test.db", c.Kind, emulator.Options{Repositories: 4, Tags: 12, Indexes: -1, Artifacts: -1})
			l.e.Emulator.Forget()
			list, sum := preview(t, l.e, tidewaiter.Scope{})
			if sum.Requests.Requests != l.e.Emulator.Count() {
				t.Errorf("the preview counts %d requests, the registry %d", sum.Requests.Requests, l.e.Emulator.Count())
			}
			if len(list) != 4 || sum.RepositoriesListed != 4 || sum.TagsSelected != 48 || sum.Tags != 48 || sum.CutShort != "" {
				t.Errorf("%d repositories, %+v", len(list), sum)
			}
			for _, r := range list {
				if len(r.Tags) != 12 || r.TagsSelected != 12 || !r.Tags[0].Decision.Included {
					t.Errorf("%+v", r)
				}
				if c.DigestInListing != (r.Tags[0].Digest != "") {
					t.Errorf("%s: digest %q", r.Name, r.Tags[0].Digest)
				}
			}
			if sum.FirstPass.AtLeast || sum.FirstPass.Estimated {
				t.Errorf("everything was looked at, and the estimate says %+v", sum.FirstPass)
			}
			// Each listing logs in anew here, as the preview did.
			if n := l.list(control.ScanRequest{}); !near(n, sum.FirstPass.Requests) {
				t.Errorf("the first listing took %d requests, foretold were %+v", n, sum.FirstPass)
			}
			l.now = l.now.Add(time.Second)
			if n := l.list(control.ScanRequest{}); !near(n, sum.SecondPass.Requests) {
				t.Errorf("the second listing took %d requests, foretold were %+v", n, sum.SecondPass)
			}
			if (sum.Rotation > 0) == c.DigestInListing {
				t.Errorf("%d tags in rotation", sum.Rotation)
			}
		})
	}
}

// near allows for a token that several repositories, listed at once, each found missing or fetched together.
func near(got, want int) bool { return got >= want-4 && got <= want+4 }

func TestPreviewSaysWhy(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindHarbor, emulator.Options{Repositories: 6, Tags: 10})
	first, last := s.Repositories[0], s.Repositories[5]
	scope := tidewaiter.Scope{
		Select:              []tidewaiter.Selector{{Repository: first[:len(first)-1] + "*", Tags: []string{"1.*", "latest"}}},
		ExcludeRepositories: []string{last}, ExcludeTags: []string{"*.100"}, Newest: 3,
	}
	list, sum := preview(t, s, scope)
	if len(list) != 6 || sum.Repositories != 6 {
		t.Fatalf("%d repositories: %+v", len(list), sum)
	}
	for _, r := range list {
		if r.Name == last {
			if r.Decision != (tidewaiter.Decision{Reason: tidewaiter.ReasonRepositoryExcluded, Detail: last}) || len(r.Tags) > 0 {
				t.Errorf("%+v", r)
			}
			continue
		}
		if r.TagsSeen != 10 || r.TagsSelected != 3 || r.LeftOut[tidewaiter.ReasonTagExcluded] != 1 || r.LeftOut[tidewaiter.ReasonNotNewest] != 6 {
			t.Errorf("%+v", r)
		}
		for i, tag := range r.Tags {
			if tag.Decision.Included != (i < 3) {
				t.Errorf("selected tags do not come first: %+v", r.Tags)
			}
		}
	}
	if sum.RepositoriesLeftOut[tidewaiter.ReasonRepositoryExcluded] != 1 || sum.TagsLeftOut[tidewaiter.ReasonNotNewest] != 30 || sum.TagsSelected != 15 {
		t.Errorf("%+v", sum)
	}
}

// TestPreviewGoesOn reads a registry in parts, and has each repository once.
func TestPreviewGoesOn(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindHarbor, emulator.Options{Repositories: 130, Tags: 2})
	scope := tidewaiter.Scope{ExcludeRepositories: []string{s.Repositories[3], s.Repositories[101]}}
	seen := map[string]int{}
	after, parts := "", 0
	for {
		list, sum := preview(t, s, scope, func(p *discover.Preview) { p.Limits.Repositories, p.After = 40, after })
		for _, r := range list {
			seen[r.Name]++
		}
		if parts == 0 && (sum.Repositories != 130 || sum.RepositoriesSelected != 128 || sum.RepositoriesListed != 40 || !sum.FirstPass.Estimated || sum.FirstPass.AtLeast) {
			t.Errorf("the first part: %+v", sum)
		}
		if (sum.Next == "") != (sum.CutShort == "") {
			t.Errorf("cut short %q, and goes on at %q", sum.CutShort, sum.Next)
		}
		if parts++; sum.Next == "" || parts > 10 {
			break
		}
		after = sum.Next
	}
	if parts != 4 || len(seen) != 130 {
		t.Errorf("%d parts, %d repositories", parts, len(seen))
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", name, n)
		}
	}
}

func TestPreviewIsBounded(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindOCI, emulator.Options{Repositories: 200, Tags: 3, Plain: true})
	t.Run("requests", func(t *testing.T) {
		s.Emulator.Forget()
		list, sum := preview(t, s, tidewaiter.Scope{}, func(p *discover.Preview) { p.Limits.Requests = 20 })
		if n := s.Emulator.Count(); n < 20 || n > 30 || sum.CutShort == "" || sum.Next == "" || len(list) == 0 {
			t.Errorf("%d requests, %d repositories, %+v", n, len(list), sum)
		}
	})
	t.Run("tags", func(t *testing.T) {
		list, _ := preview(t, s, tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: s.Repositories[7]}}}, func(p *discover.Preview) { p.Limits.Tags = 2 })
		if len(list) != 1 || len(list[0].Tags) != 2 || list[0].TagsSeen != 3 {
			t.Errorf("%+v", list)
		}
	})
	t.Run("time", func(t *testing.T) {
		if err := s.Emulator.Inject(emulator.Fault{Pattern: `tags/list`, After: 16, Delay: time.Hour}); err != nil {
			t.Fatal(err)
		}
		defer s.Emulator.Heal()
		list, sum := preview(t, s, tidewaiter.Scope{}, func(p *discover.Preview) { p.Limits.Time = time.Second })
		if len(list) > 16 || sum.CutShort == "" || sum.Next == "" || !sum.FirstPass.AtLeast {
			t.Errorf("%d repositories, %+v", len(list), sum)
		}
	})
}

func TestPreviewSurvivesABadRepository(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindOCI, emulator.Options{Repositories: 3, Tags: 3, Plain: true})
	if err := s.Emulator.Inject(emulator.Fault{Pattern: s.Repositories[1] + `/tags/list`, Status: http.StatusForbidden}); err != nil {
		t.Fatal(err)
	}
	list, sum := preview(t, s, tidewaiter.Scope{})
	if len(list) != 3 || list[1].ErrorKind != tidewaiter.ErrDenied || list[1].Error == "" || list[2].TagsSelected != 3 || sum.RepositoriesFailed != 1 {
		t.Errorf("%+v %+v", list, sum)
	}
}

func TestPreviewStopsWithItsReader(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindOCI, emulator.Options{Repositories: 3, Tags: 3, Plain: true})
	gone := errors.New("gone")
	p := discover.Preview{Source: s.Open(t), Now: time.Now}
	if _, err := p.Run(t.Context(), func(discover.PreviewedRepository) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	for _, cursor := range []string{"x", "e30x", fmt.Sprintf("%070000d", 1)} {
		p.After = cursor
		if _, err := p.Run(t.Context(), func(discover.PreviewedRepository) error { return nil }); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("cursor %.20q: %v", cursor, err)
		}
	}
}

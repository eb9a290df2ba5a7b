package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) scanners() {
	const noun, reads, writes = "scanners", tidewaiter.MayReadSettings, tidewaiter.MayWriteSettings
	handle(s, operation{noun: noun, id: "list-scanners", method: "GET", path: "/scanners", may: reads,
		summary: "All scanners that are asked for a second opinion, by name."}, s.listScanners)
	handle(s, operation{noun: noun, id: "add-scanner", method: "POST", path: "/scanners", may: writes, status: http.StatusCreated,
		summary: "Have another scanner asked for a second opinion on images.",
		about: "Anything that Harbor can be given as a scanner. It is asked what it is before it is stored, unless unchecked is set. " +
			"It sees what it is lent to pull images with: a token for one repository where the registry gives one, else the registry's credential."}, s.addScanner)
	handle(s, operation{noun: noun, id: "get-scanner", method: "GET", path: "/scanners/{id}", may: reads,
		summary: "One scanner, what it said of itself, and how many opinions it has by state."}, s.getScanner)
	handle(s, operation{noun: noun, id: "change-scanner", method: "PUT", path: "/scanners/{id}", may: writes,
		summary: "Replace a scanner. What it said of images stays.",
		about:   "Without url and secret the stored ones stay. A secret does not follow to another host: give it again."}, s.changeScanner)
	handle(s, operation{noun: noun, id: "remove-scanner", method: "DELETE", path: "/scanners/{id}", may: writes,
		summary: "Remove a scanner with everything it said."}, s.removeScanner)
	handle(s, operation{noun: noun, id: "validate-scanner", method: "POST", path: "/scanners/{id}/validate", may: writes,
		summary: "Ask a scanner now what it is and can do."}, s.validateScanner)
	handle(s, operation{noun: noun, id: "ask-scanner", method: "POST", path: "/scanners/{id}/ask", may: tidewaiter.MayScan, status: http.StatusAccepted,
		summary: "Have a scanner asked anew, about one image or about all it was asked about.",
		about:   "A single image goes ahead of others that wait. What is being asked already goes on."}, s.askScanner)
}

// ScannerAsked names a scanner. It is exported as Paging is.
type ScannerAsked struct {
	ID string `path:"id" maxLength:"64"`
}

type scannerDraft struct {
	Body client.ScannerDraft
}

func (s *server) listScanners(ctx context.Context, _ *struct{}) (*body[client.Page[client.Scanner]], error) {
	list, err := s.Control.Scanners(ctx)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Scanner]{Items: make([]client.Scanner, len(list))}
	for i, x := range list {
		out.Items[i] = s.scannerOf(x)
	}
	return reply(out), nil
}

func (s *server) addScanner(ctx context.Context, in *scannerDraft) (*body[client.Scanner], error) {
	draft, err := scannerDraftOf(&in.Body)
	if err != nil {
		return nil, err
	}
	x, err := s.Control.AddScanner(ctx, draft)
	if err != nil {
		return nil, err
	}
	return reply(s.scannerOf(x)), nil
}

func (s *server) getScanner(ctx context.Context, in *ScannerAsked) (*body[client.Scanner], error) {
	x, err := s.Control.Scanner(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	counts, err := s.Control.OpinionCounts(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := s.scannerOf(x)
	out.Opinions = make(map[string]int, len(counts))
	for state, n := range counts {
		out.Opinions[string(state)] = n
	}
	return reply(out), nil
}

func (s *server) changeScanner(ctx context.Context, in *struct {
	ScannerAsked
	Body client.ScannerDraft
}) (*body[client.Scanner], error) {
	draft, err := scannerDraftOf(&in.Body)
	if err != nil {
		return nil, err
	}
	x, err := s.Control.ChangeScanner(ctx, in.ID, draft)
	if err != nil {
		return nil, err
	}
	return reply(s.scannerOf(x)), nil
}

func (s *server) removeScanner(ctx context.Context, in *ScannerAsked) (*struct{}, error) {
	return nil, s.Control.RemoveScanner(ctx, in.ID)
}

func (s *server) validateScanner(ctx context.Context, in *ScannerAsked) (*body[client.Scanner], error) {
	x, err := s.Control.ValidateScanner(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return reply(s.scannerOf(x)), nil
}

func (s *server) askScanner(ctx context.Context, in *struct {
	ScannerAsked
	Body client.ScannerQuestion
}) (*body[client.Asked], error) {
	var imageID int64
	if in.Body.Image != "" {
		image, err := s.Control.ImageByDigest(ctx, in.Body.Image)
		if err != nil {
			return nil, err
		}
		imageID = image.ID
	}
	n, err := s.Control.AskScanner(ctx, in.ID, imageID)
	if err != nil {
		return nil, err
	}
	return reply(client.Asked{Images: n}), nil
}

func scannerDraftOf(d *client.ScannerDraft) (control.ScannerDraft, error) {
	out := control.ScannerDraft{
		Name: d.Name, Login: tidewaiter.ScannerLogin(d.Login), Username: d.Username, Lend: tidewaiter.ScannerLend(d.Lend),
		TLS: tidewaiter.TLS{CACert: d.TLS.CACert, SkipVerify: d.TLS.SkipVerify}, Disabled: d.Disabled, AllRegistries: d.AllRegistries,
		Registries: d.Registries, Parallel: d.Parallel, URL: secret.New(d.URL), Secret: secret.New(d.Secret), Unchecked: d.Unchecked,
	}
	if d.MaxAge != "" {
		var err error
		if out.MaxAge, err = time.ParseDuration(d.MaxAge); err != nil {
			return out, tidewaiter.Invalid("maxAge", "%q is not a duration", d.MaxAge).WithFix("write it as 24h or 90m")
		}
	}
	return out, nil
}

func (s *server) scannerOf(x *tidewaiter.Scanner) client.Scanner {
	a := x.About
	out := client.Scanner{
		ID: x.ID, Name: x.Name, Address: x.Address, Login: string(x.Login), Username: x.Username, Lend: string(x.Lend),
		TLS: client.ScannerTLS{CACert: x.TLS.CACert, SkipVerify: x.TLS.SkipVerify}, Disabled: x.Disabled, AllRegistries: x.AllRegistries,
		Registries: x.Registries, MaxAge: x.MaxAge.String(), Parallel: x.Parallel, CreatedAt: x.CreatedAt,
		UpdatedAt: x.UpdatedAt, About: client.ScannerAbout{Name: a.Name, Vendor: a.Vendor, Version: a.Version, Consumes: a.Consumes,
			Reports: a.Reports, SBOM: a.SBOM, WantsLogin: a.WantsLogin, DatabaseAt: a.DatabaseAt, CheckedAt: a.CheckedAt},
	}
	if x.PausedUntil.After(s.Now()) {
		out.PausedUntil = x.PausedUntil
	}
	return out
}

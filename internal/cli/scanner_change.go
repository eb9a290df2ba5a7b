package cli

import (
	"context"
	"encoding/json"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type scannerEditCommand struct {
	oneScanner

	Name       string   `help:"Another name." placeholder:"NAME"`
	URL        string   `help:"Another address; on another host the secret has to be given again." placeholder:"URL"`
	Registries []string `help:"Ask about the images of these registries, and no others." placeholder:"ID"`
	All        *bool    `help:"Ask about the images of all registries." negatable:""`
	On         bool     `help:"Switch it on." xor:"on"`
	Off        bool     `help:"Switch it off; what it said stays." xor:"on"`
	scannerFlags
}

// Run changes a scanner.
func (c scannerEditCommand) Run(ctx context.Context, s streams) error {
	server, x, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	d := client.ScannerDraft{Name: x.Name, URL: c.URL, Login: x.Login, Username: x.Username, Lend: x.Lend, TLS: x.TLS, Disabled: x.Disabled && !c.On || c.Off,
		AllRegistries: x.AllRegistries, Registries: x.Registries, MaxAge: x.MaxAge, Parallel: x.Parallel}
	if c.Name != "" {
		d.Name = c.Name
	}
	if len(c.Registries) > 0 {
		d.Registries, d.AllRegistries = c.Registries, false
	}
	if c.All != nil {
		if *c.All && len(c.Registries) > 0 {
			return tidewaiter.Invalid("all", "all registries are named, and some").WithFix("leave one of the two out")
		}
		if d.AllRegistries = *c.All; d.AllRegistries {
			d.Registries = nil
		}
	}
	if err := c.apply(s, c.PasswordStdin, &d); err != nil {
		return err
	}
	if x, err = server.ChangeScanner(ctx, x.ID, d); err != nil {
		return refused(err)
	}
	return showScanner(s, c.Output, x)
}

type scannerRemoveCommand struct{ oneScanner }

// Run removes a scanner.
func (c scannerRemoveCommand) Run(ctx context.Context, s streams) error {
	server, x, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	return refused(server.RemoveScanner(ctx, x.ID))
}

type scannerValidateCommand struct{ oneScanner }

// Run asks a scanner what it is.
func (c scannerValidateCommand) Run(ctx context.Context, s streams) error {
	server, x, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	if x, err = server.ValidateScanner(ctx, x.ID); err != nil {
		return refused(err)
	}
	return showScanner(s, c.Output, x)
}

type scannerAskCommand struct {
	oneScanner

	Image string `help:"Only about this image, ahead of others: the digest of its manifest." placeholder:"DIGEST"`
}

// Run has a scanner asked anew.
func (c scannerAskCommand) Run(ctx context.Context, s streams) error {
	server, x, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	n, err := server.AskScanner(ctx, x.ID, client.ScannerQuestion{Image: c.Image})
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(n)
	}
	sayf(s.out, "%d images are asked about\n", n.Images)
	return nil
}

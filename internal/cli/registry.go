package cli

type registryCommand struct {
	Validate validateCommand `cmd:"" help:"Check step by step whether a registry can be reached, trusts us, lists and gives out an image."`
	Preview  previewCommand  `cmd:"" help:"Show which repositories and tags a scope selects, why others are left out, and what scans take."`
}

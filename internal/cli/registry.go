package cli

type registryCommand struct {
	Validate validateCommand `cmd:"" help:"Check step by step whether a registry can be reached, trusts us, lists and gives out an image."`
	Preview  previewCommand  `cmd:"" help:"Show which repositories and tags a scope selects, why others are left out, and what scans take."`

	Add    registryAddCommand    `cmd:"" help:"Declare a registry at a server, and have it scanned."`
	List   registryListCommand   `cmd:"" help:"List the registries declared at a server."`
	Show   registryShowCommand   `cmd:"" help:"Show a registry declared at a server."`
	Scan   registryScanCommand   `cmd:"" help:"Have a server scan a registry."`
	Pause  registryPauseCommand  `cmd:"" help:"Have a server begin nothing any more that talks to a registry. What runs goes on."`
	Resume registryResumeCommand `cmd:"" help:"Have a server talk to a registry again."`
	Remove registryRemoveCommand `cmd:"" help:"Remove a registry from a server, with what only it led to."`
}

package cli

import "context"

// registryArgument names a registry declared at a server.
type registryArgument struct {
	ID string `arg:"" help:"Id of the registry, as tidewaiter registry list shows it."`
	remoteFlags
}

type registryPauseCommand struct{ registryArgument }

// Run pauses a registry.
func (c registryPauseCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	return refused(server.PauseRegistry(ctx, c.ID))
}

type registryResumeCommand struct{ registryArgument }

// Run resumes a registry.
func (c registryResumeCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	return refused(server.ResumeRegistry(ctx, c.ID))
}

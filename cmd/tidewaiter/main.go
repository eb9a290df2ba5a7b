// Command tidewaiter watches container registries: see `tidewaiter --help`.
package main

import (
	"os"

	"github.com/tidewaiter/tidewaiter/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

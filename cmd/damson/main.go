// Command damson takes an analysis from a notebook to a tested, scheduled, monitored pipeline with a model, inside the SQL
// database a team already has. See docs/ and `damson help`.
package main

import (
	"os"

	"damson/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

package console

import (
	"fmt"

	"github.com/spf13/cobra"
)

// CheckLimit refuses what cannot be a number of rows.
func CheckLimit(limit int) error {
	if limit < 0 {
		return Usage("Unusable --limit", fmt.Sprintf("--limit is %d.", limit), "Write 0 for all, or 1 or more.")
	}
	return nil
}

// JSONFlag adds --json.
func JSONFlag(cmd *cobra.Command, target *bool) {
	cmd.Flags().BoolVar(target, "json", false, "print JSON for programs")
}

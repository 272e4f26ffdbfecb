package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// checkLimit refuses what cannot be a number of rows.
func checkLimit(limit int) error {
	if limit < 0 {
		return usage("Unusable --limit", fmt.Sprintf("--limit is %d.", limit), "Write 0 for all, or 1 or more.")
	}
	return nil
}

func jsonFlag(cmd *cobra.Command, target *bool) {
	cmd.Flags().BoolVar(target, "json", false, "print JSON for programs")
}

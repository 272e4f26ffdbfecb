package extension_test

import (
	"testing"

	"damson/internal/warehouse/extension"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][3]string{ // in any place, as a function, as a type
		"st_distance": {"postgis", "postgis", ""},
		"crosstab":    {"tablefunc", "tablefunc", ""},
		"geometry":    {"postgis", "", "postgis"},
		"cube":        {"cube", "", "cube"},
		"count":       {"", "", ""},
	} {
		if got := [3]string{extension.Of(name), extension.OfFunction(name), extension.OfType(name)}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
